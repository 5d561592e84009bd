"""Photographs of films in the page, and the page in Arabic and Hindi, on a phone and at a desk.

Each step leaves a picture in out/web-shots/film, to be looked at.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from photograph_inputs import LEVELS, bad_photograph, photograph_of

from mammolens.api import sample_exams
from mammolens.images import read_image

from .conftest import ROOT, SHOTS, loopback
from .desk import DESK, Desk
from .test_phone import PIXEL_7, WIDER

PHONE = {**PIXEL_7}
KEYS = re.compile(r"\b[a-z-]+\.[a-z][a-z_-]+\b(?!\.)")
"""What a key that was not put into words looks like; other names have dots too."""
LANGUAGES = {"ar": "rtl", "hi": "ltr"}
PAGES = ("worklist", "upload", "account", "device", "opinions", "notices", "recalls")
LONG_S = 90


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> dict[str, Path]:
    """Photographs of a sample film: one good, one with a lamp in it, and a file that is HEIC."""
    folder = tmp_path_factory.mktemp("films")
    path = next(sample_exams().rglob("*.dcm"))
    pixels = np.asarray(read_image(path).pixels, np.float32)
    film = cv2.resize(pixels / pixels.max(), None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(7)
    made = {
        "good": photograph_of(film, rng, LEVELS["light"]),
        "glare": bad_photograph("glare", film, rng),
    }
    found = {}
    for name, one in made.items():
        found[name] = folder / f"{name}.jpg"
        cv2.imwrite(str(found[name]), one[..., ::-1])
    found["heic"] = folder / "a.heic"
    found["heic"].write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    return found


@pytest.fixture(scope="module")
def reader(chromium, own_service, axe) -> Any:
    """Somebody at a phone who reads and uploads."""
    shots = SHOTS / "film"
    shutil.rmtree(shots, ignore_errors=True)
    phone = Desk(chromium, own_service.address, "south.reader", shots, axe, PHONE)
    phone.sign_in_first(own_service.one_time["south.reader"], lambda _title: None)
    yield phone
    phone.context.close()


def test_a_photograph_is_accepted_and_one_with_glare_is_refused(
    reader, own_service, photographs
) -> None:
    admin = loopback("served").Member(own_service.address, "admin", own_service.one_time["admin"])
    admin.sign_in()
    south = next(one for one in admin.call("GET", "/sites") if one["key"] == "south")
    admin.call("PATCH", f"/sites/{south['id']}", reading_mode="concurrent")
    admin.client.close()
    page = reader.page
    page.goto("/#/upload")
    page.get_by_text("Photograph of a film on a light box").click()
    page.get_by_label("Patient ID").fill("FILM-1")
    page.get_by_label("Date of the films").fill("2026-11-02")
    inputs = page.locator(".photographs input[type=file]")
    assert inputs.count() == 4
    assert {one.get_attribute("capture") for one in inputs.all()} == {"environment"}
    inputs.nth(0).set_input_files(photographs["good"])
    page.get_by_text("received", exact=True).wait_for(timeout=LONG_S * 1000)
    inputs.nth(1).set_input_files(photographs["glare"])
    page.get_by_text("Light is reflected on the film").wait_for(timeout=LONG_S * 1000)
    inputs.nth(2).set_input_files(photographs["heic"])
    page.get_by_text("cannot be read by this browser").wait_for()
    reader.shot("upload")
    assert page.evaluate(WIDER) == []
    assert reader.barriers() == []
    page.get_by_role("link", name="Open the exam").click()
    page.locator(".summary").get_by_text("never low").wait_for(timeout=LONG_S * 1000)
    reader.shot("result")
    assert "Low" not in page.locator(".summary-state").inner_text()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_the_page_in_another_language(reader, language: str, screen: str) -> None:
    page = reader.page
    page.set_viewport_size(PHONE["viewport"] if screen == "phone" else DESK["viewport"])
    page.evaluate("(code) => localStorage.setItem('mammolens-language', code)", language)
    found: dict[str, Any] = {}
    exam = page.request.get("/api/v1/exams").json()["items"][0]["id"]
    for name in (*PAGES, f"exams/{exam}"):
        page.goto(f"/#/{name}")
        page.reload()
        page.locator("main").wait_for()
        page.wait_for_load_state("networkidle")
        reader.shot(f"{language} {screen} {name.split('/')[0]}")
        assert page.evaluate("document.documentElement.dir") == LANGUAGES[language]
        wrong = page.evaluate(WIDER) if screen == "phone" else []
        wrong += untranslated(page.locator("body").inner_text())
        wrong += reader.barriers()
        if wrong:
            found[name] = wrong
    assert found == {}


def untranslated(text: str) -> list[str]:
    """Give what is a key of the message files."""
    keys = json.loads((ROOT / "web/src/app/messages/en.json").read_text("utf-8"))
    return [word for word in KEYS.findall(text) if word in keys]
