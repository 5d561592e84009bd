"""A biopsy in the browser: its report comes in, waits, is corrected, and counts in the audit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    OUTCOMES,
    PEOPLE,
    READINGS,
    ROUNDS,
    open_database,
)

from .conftest import SHOTS, loopback
from .desk import Desk

REPORT = """Patient ID: {patient}
Report No: H-1
Date taken: {day}
DIAGNOSIS:
Left breast, 3 o'clock, 4 cm from the nipple, core biopsy: invasive ductal carcinoma, grade 2.
"""


@pytest.fixture(scope="module")
def admin(own_service) -> Iterator[Any]:
    member = loopback("served").Member(own_service.address, "admin", own_service.one_time["admin"])
    member.sign_in()
    yield member
    member.client.close()


def test_a_report_waits_is_corrected_and_stands_at_its_exam(
    own_service, chromium, axe, admin
) -> None:
    until = time.monotonic() + 120
    rows = admin.call("GET", "/exams")["items"]
    while not all(one["ai"] for one in rows):
        assert time.monotonic() < until
        time.sleep(1)
        rows = admin.call("GET", "/exams")["items"]
    exam = next(one for one in rows if one["complete"] and one["patient"]["id"])
    report = REPORT.format(patient=exam["patient"]["id"], day=exam["study_date"])
    where = f"/pathology?site={exam['site']['id']}"
    sent = admin.client.post(where, content=report.encode(), headers={"x-csrf-token": admin.csrf})
    assert (sent.status_code, sent.json()["waiting"]) == (201, 1), sent.text
    desk = Desk(chromium, own_service.address, "admin", SHOTS, axe)
    (cookie,) = admin.client.cookies.jar
    desk.context.add_cookies(
        [{"name": cookie.name, "value": cookie.value, "url": own_service.address}]
    )
    page = desk.page
    page.goto("/")
    desk.go("Biopsies")
    page.screenshot(path=SHOTS / "biopsies-queue.png")
    page.get_by_text("Malignant: a person must confirm it").wait_for()
    page.locator("table.list tbody tr a").first.click()
    page.locator("mark").first.wait_for()
    assert "invasive ductal carcinoma" in " ".join(page.locator("mark").all_inner_texts())
    page.get_by_label("Invasive tumour, largest extent, mm").fill("9")
    page.screenshot(path=SHOTS / "biopsies-report.png")
    page.get_by_role("button", name="Confirm these values").click()
    page.get_by_text("Decisions").wait_for()
    page.get_by_role("link", name="Open the exam").click()
    panel = page.get_by_label("Biopsies", exact=True)
    panel.get_by_text("Invasive cancer").wait_for()
    desk.wait_drawn(4)
    page.screenshot(path=SHOTS / "biopsies-exam.png")
    desk.go("Site audit")
    page.get_by_text("No exam has a known outcome yet").wait_for()
    page.screenshot(path=SHOTS / "biopsies-audit.png")
    desk.close()


MISSED_ON = "2023-05-10"


def _decided(connection: Any, exam: int, person: int, called: bool, now: datetime) -> None:
    """Enter a round that one reader has decided."""
    answer = {"assessments": {s: {"birads": "4" if called else "1"} for s in ("left", "right")}}
    answer |= {"density": {"left": "b", "right": "b"}, "recall": called}
    said = json.dumps(answer)
    a_round = {"exam_id": exam, "number": 1, "is_double": False, "state": "decided", "version": 1}
    a_round |= {"recall": called, "opened_at": now, "decided_at": now}
    made = connection.execute(ROUNDS.insert().values(a_round).returning(ROUNDS.c.id)).scalar_one()
    reading = {"exam_id": exam, "round_id": made, "person_id": person, "role": "reader"}
    reading |= {"state": "signed", "slot": "first", "mode": "concurrent", "exam_version": 1}
    reading |= {"edition": 1, "answer": said, "first_answer": said, "first_version": 1}
    times = dict.fromkeys(("created_at", "changed_at", "locked_at", "signed_at"), now)
    connection.execute(READINGS.insert().values(reading | {"blinded": True} | times))


def _fill_site(service: Any, site: int, missed: int) -> None:
    """Give a site 80 decided exams; the AI calls all of one machine, and none of the other."""
    database = open_database(f"sqlite:///{service.folder / 'data' / 'node.sqlite'}")
    now = datetime(2025, 1, 1, tzinfo=UTC)
    with database.write() as connection:
        person = connection.execute(sa.select(PEOPLE.c.id).order_by(PEOPLE.c.id)).scalars().first()
        _decided(connection, missed, person, False, now)
        earlier = EXAMS.update().where(EXAMS.c.id == missed).values(study_date=MISSED_ON)
        connection.execute(earlier)
        found = OUTCOMES.update().where(OUTCOMES.c.exam_id == missed).values(taken="2023-08-01")
        connection.execute(found)
        for number in range(80):
            row = {"study_instance_uid": f"1.9.{number}", "identity": f"{number:064x}"}
            row |= {"patient_id": f"A{number}", "version": 1, "queued_version": 1}
            row |= {"study_date": (date(2022, 1, 1) + timedelta(number)).isoformat()}
            row |= {"first_received_at": now, "last_received_at": now, "four_views": True}
            row |= {"machine": "ACME 1" if number % 2 else "ACME 2", "age_years": 45 + number % 30}
            row |= {"category": "high" if number % 2 else "low", "site_id": site}
            made = connection.execute(EXAMS.insert().values(row).returning(EXAMS.c.id))
            exam = made.scalar_one()
            for view in ("RCC", "LCC"):
                image = {"sop_instance_uid": f"1.9.{number}.{1 if view[0] == 'R' else 2}"}
                image |= {"sop_class_uid": "1.2", "digest": f"{number}{view}", "size": 1}
                image |= {"view": view, "role": "input", "exam_id": exam, "exam_version": 1}
                image |= {"sender": "dimse:X", "received_at": now}
                connection.execute(INSTANCES.insert().values(image))
            _decided(connection, exam, person, number % 6 == 0, now)
    database.close()


def test_the_audit_shows_subgroups_and_opens_a_look_back(own_service, chromium, axe, admin) -> None:
    """After the test above: its cancer follows an exam that a reader now called negative."""
    shown = admin.call("GET", "/outcomes")["items"]
    missed = next(one["exam_id"] for one in shown if one["exam_id"])
    exam = admin.call("GET", f"/exams/{missed}")
    _fill_site(own_service, exam["site"]["id"], missed)
    desk = Desk(chromium, own_service.address, "admin", SHOTS, axe)
    (cookie,) = admin.client.cookies.jar
    desk.context.add_cookies(
        [{"name": cookie.name, "value": cookie.value, "url": own_service.address}]
    )
    page = desk.page
    page.goto("/")
    desk.go("Site audit")
    page.get_by_label("Outcomes complete until").fill(date.today().isoformat())
    page.get_by_role("button", name="Show", exact=True).click()
    page.get_by_role("heading", name="Subgroups over time").wait_for()
    title = page.get_by_role("heading", name="Subgroups over time")
    section = page.locator("section", has=title).last
    alarms = section.locator("tr.due").all_inner_texts()
    assert any("Machine ACME 1" in one and "Recall rate" in one for one in alarms)
    assert all("n = " in one for one in alarms)
    section.scroll_into_view_if_needed()
    page.screenshot(path=SHOTS / "audit-subgroups.png", full_page=True)
    assert desk.barriers() == []
    with page.expect_download() as saved:
        section.get_by_role("link", name="CSV of subgroups").click()
    table = Path(saved.value.path()).read_text("utf-8")
    assert table.startswith("who,axis,group,figure,n,")
    assert "ai,machine,ACME 1,recall_rate" in table
    desk.opening(page.get_by_role("link", name=MISSED_ON).first.click)
    page.get_by_text("Look-back: a cancer was found after this exam").wait_for()
    page.get_by_label("Biopsies", exact=True).get_by_text("Invasive cancer").wait_for()
    page.screenshot(path=SHOTS / "audit-look-back.png")
    trail = admin.call("GET", "/audit")["items"]
    noted = [one for one in trail if one["action"] == "exam_looked_back"]
    assert [one["exam_id"] for one in noted] == [missed]
    desk.close()
