"""The drift monitor in the browser: a change alarms, and a person acknowledges, mutes, restarts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from .conftest import SHOTS, loopback
from .desk import Desk

wait_for = loopback("served").wait_for
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
MACHINE = "HOLOGIC Selenia ROOM 2"
OTHER = "HOLOGIC Selenia ROOM 1"


@pytest.fixture(scope="module")
def admin(own_service) -> Iterator[Any]:
    member = loopback("served").Member(own_service.address, "admin", own_service.one_time["admin"])
    member.sign_in()
    yield member
    member.client.close()


@pytest.fixture(scope="module")
def altered(own_service, admin) -> int:
    """Enter 300 exams, and then 40 of one machine whose pictures are brighter; give its monitor."""
    from mammolens.monitor import ExamValues
    from mammolens.serve.monitoring import enter_result
    from mammolens.serve.record import open_database

    items = admin.call("GET", "/exams")["items"]
    exams = [one["id"] for one in items if one["site"]["name"].startswith("North")]
    rng = np.random.default_rng(1)
    usual = {
        "mean_grey": rng.normal(0.4, 0.03, 300),
        "sharpness": rng.normal(-1.2, 0.2, 300),
        "high": (rng.random(300) < 0.1).astype(float),
    }
    database = open_database(f"sqlite:///{own_service.folder / 'data' / 'node.sqlite'}")

    def enter(first: int, count: int, machines: tuple[str, ...], brighter: float) -> None:
        with database.write() as connection:
            for number in range(first, first + count):
                values = {name: float(row[number % 300]) for name, row in usual.items()}
                values["mean_grey"] += brighter
                machine = machines[number % len(machines)]
                seen = ExamValues(values, machine, "HOLOGIC Selenia 1.8", "a model")
                enter_result(
                    database, connection, exams[number % len(exams)], 10_000 + number, seen
                )

    try:
        enter(0, 300, (MACHINE, OTHER), 0.0)
        enter(300, 40, (MACHINE,), 0.25)
    finally:
        database.close()

    def found() -> Any:
        items = admin.call("GET", "/monitor")["items"]
        mine = [one for one in items if one["name"] == MACHINE]
        return mine[0]["id"] if mine and alarmed(admin, mine[0]["id"]) else None

    return int(wait_for(found))


def alarmed(admin: Any, monitor: int) -> list[str]:
    shown = admin.call("GET", f"/monitor/{monitor}")["measures"]
    return [one["name"] for one in shown if one["condition"] == "alarm"]


def seated(chromium: Any, service: Any, axe: str, admin: Any, **screen: Any) -> Desk:
    """The administrator in a browser, in the session that they have."""
    desk = Desk(chromium, service.address, "admin", SHOTS, axe, screen)
    (cookie,) = admin.client.cookies.jar
    desk.context.add_cookies([{"name": cookie.name, "value": cookie.value, "url": service.address}])
    return desk


def is_wider_than_the_screen(desk: Desk) -> bool:
    return bool(desk.page.evaluate("() => document.documentElement.scrollWidth > innerWidth + 1"))


def test_an_alarm_is_seen_on_the_phone(own_service, chromium, axe, admin, altered) -> None:
    phone = seated(chromium, own_service, axe, admin, **PHONE)
    phone.page.goto("/#/monitor")
    phone.page.get_by_role("heading", name="Open alarms").wait_for()
    phone.page.get_by_role("link", name=MACHINE).first.wait_for()
    phone.page.screenshot(path=SHOTS / "drift-phone-list.png", full_page=True)
    assert not is_wider_than_the_screen(phone)
    assert phone.barriers() == []
    phone.page.goto(f"/#/monitor/{altered}")
    phone.page.locator("figure.drift").wait_for()
    phone.page.get_by_text("Mean before").wait_for()
    phone.page.screenshot(path=SHOTS / "drift-phone-machine.png", full_page=True)
    assert not is_wider_than_the_screen(phone)
    assert phone.barriers() == []
    phone.close()


def test_a_person_acknowledges_mutes_and_restarts(
    own_service, chromium, axe, admin, altered
) -> None:
    desk = seated(chromium, own_service, axe, admin, viewport={"width": 1440, "height": 900})
    page = desk.page
    page.goto("/")
    desk.go("Drift")
    page.get_by_role("heading", name="Open alarms").wait_for()
    alarms = page.locator("table.list").first
    row = alarms.get_by_role("row").filter(has_text=MACHINE)
    assert "Mean grey of the breast: higher" in row.inner_text()
    page.screenshot(path=SHOTS / "drift-list.png")
    assert desk.barriers() == []
    row.get_by_role("button", name="Acknowledge").click()
    row.get_by_role("button", name="Acknowledge").wait_for(state="detached")
    assert re.search(r"Administrator|admin", row.inner_text(), re.IGNORECASE)
    row.get_by_role("link").first.click()

    page.get_by_role("heading", name=MACHINE, level=1).wait_for()
    page.locator("figure.drift .drift-since").wait_for(state="attached")  # it has no width
    assert page.get_by_role("link", name="Exam ").count() > 0
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    page.screenshot(path=SHOTS / "drift-machine.png")
    assert desk.barriers() == []

    page.get_by_label("Send no messages about this group for").select_option("30")
    page.get_by_role("button", name="Mute", exact=True).click()
    page.get_by_text("No messages until").wait_for()
    assert admin.call("GET", f"/monitor/{altered}")["muted_until"] is not None
    assert alarmed(admin, altered) == ["mean_grey"]
    page.get_by_role("button", name="Send messages again").click()
    page.get_by_role("button", name="Mute", exact=True).wait_for()
    assert admin.call("GET", f"/monitor/{altered}")["muted_until"] is None

    page.get_by_role("button", name="Restart: Mean grey of the breast").click()
    page.get_by_text("Mean before").wait_for(state="detached")
    assert alarmed(admin, altered) == []
    chosen = page.get_by_label("Measure", exact=True).locator("option:checked")
    assert chosen.inner_text() == "Mean grey of the breast (Not enough exams yet)"
    page.screenshot(path=SHOTS / "drift-restarted.png")
    desk.go("Drift")
    page.get_by_role("heading", name="Monitors").wait_for()
    assert alarms_of(admin, MACHINE) == []
    desk.close()


def alarms_of(admin: Any, name: str) -> list[Any]:
    items = admin.call("GET", "/monitor/alarms")["items"]
    return [one for one in items if one["name"] == name]
