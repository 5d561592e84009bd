"""Who takes part in the story of the web application, and what happens beside the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .conftest import loopback
from .desk import Desk

HIGH = "CONSTRUCTED"


class Story:
    """Who sits where, and what they found."""

    def __init__(self, browser: Any, service: Any, axe: str, shots: Path) -> None:
        self.browser, self.service, self.axe, self.shots = browser, service, axe, shots
        self.desks: dict[str, Desk] = {}
        self.barriers: dict[str, list[str]] = {}
        self.failed_at = ""
        self.exam = ""

    def desk(self, name: str) -> Desk:
        """Give the screen of a person, who signs in for the first time if they have not yet."""
        if name not in self.desks:
            desk = Desk(self.browser, self.service.address, name, self.shots, self.axe)
            self.desks[name] = desk
            desk.sign_in_first(self.service.one_time[name], lambda title: self.look(desk, title))
        return self.desks[name]

    def look(self, desk: Desk, title: str) -> None:
        """Take a picture, and note what keeps people with disabilities out."""
        desk.shot(f"{desk.name}-{title}")
        found = desk.barriers()
        if found:
            self.barriers[f"{desk.name} {title}"] = found


def read_the_rest(desk: Desk) -> None:
    """Read what is left at North as negative, over HTTP as the page does it."""
    ask = desk.context.request
    csrf = ask.get("/api/v1/session").json()["csrf_token"]
    headers = {"x-csrf-token": csrf}
    negative = {
        "density": {"right": "b", "left": "b"},
        "assessments": {"right": {"birads": "1"}, "left": {"birads": "1"}},
        "recall": False,
        "findings": [],
        "comment": "",
    }
    items = ask.get("/api/v1/exams?limit=50").json()["items"]
    north = [item for item in items if item["site"]["name"].startswith("North")]
    for exam in north:
        if exam["status"] == "signed":
            continue
        reading = ask.post(f"/api/v1/exams/{exam['id']}/readings", headers=headers).json()
        for act, body in (("", negative), ("/lock", None), ("/revise", {"agree": True})):
            place = f"/api/v1/readings/{reading['id']}{act}"
            tagged = headers | {"if-match": reading["etag"]}
            change = ask.post if act else ask.put
            reading = change(place, headers=tagged, data=body).json()
        tagged = headers | {"if-match": reading["etag"]}
        signed = ask.post(f"/api/v1/readings/{reading['id']}/sign", headers=tagged)
        assert signed.status == 200, signed.text()


def wait_analysed(story: Story, desk: Desk) -> None:
    wait_for = loopback("served").wait_for
    ask = desk.context.request

    def analysed() -> bool:
        items = story.desk("admin").context.request.get("/api/v1/exams").json()["items"]
        return len(items) == 5 and all(i["status"] not in ("waiting", "analysing") for i in items)

    assert ask.get("/api/v1/exams").status == 200
    wait_for(analysed, 180.0)
    desk.page.reload()
    desk.page.get_by_role("link", name=HIGH).first.wait_for()
