"""A biopsy in the browser: the report comes in, waits, is corrected, and stands at its exam."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import SHOTS, loopback
from .desk import Desk

REPORT = """Patient ID: {patient}
Report No: H-1
Date taken: {day}
DIAGNOSIS:
Left breast, 3 o'clock, 4 cm from the nipple, core biopsy: invasive ductal carcinoma, grade 2.
"""


@pytest.fixture
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
