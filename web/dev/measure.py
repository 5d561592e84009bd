"""How fast the viewer is and how much memory it takes, in Chromium without a graphics processor.

    python web/dev/serve_samples.py --port 8930 &
    python web/dev/measure.py [--port 8930] [--exams 100]

Needs playwright, Pillow, NumPy and /usr/bin/chromium.

Prints one line of JSON per figure, each with the machine's load. CPU times are those of all of
Chromium's processes: on a busy machine they say more than seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SPECKS = "/api/v1/exams/specks"
_RANDOM = np.random.default_rng(1)
SPECK_PLACES = list(
    zip(_RANDOM.integers(200, 4488, 400), _RANDOM.integers(200, 2392, 400), strict=True)
)
"""As `samples.speck_places` puts them; this script runs without mammolens."""
TICKS = os.sysconf("SC_CLK_TCK")

OPEN = """async (url) => {
  const { viewer, drawn } = window.demo
  drawn.length = 0
  const began = performance.now()
  await viewer.open(url)
  const opened = performance.now()
  const frame = () => new Promise((done) => requestAnimationFrame(done))
  const upper = () => [...document.querySelectorAll('.pane:not([hidden]) .corner.upper')]
  const complete = () => {
    const lines = upper().map((corner) => corner.textContent)
    return lines.length === 4 && lines.every((line) => line !== '' && !line.includes('loading'))
  }
  await frame()
  await frame()
  while (!complete() && performance.now() - began < 60000) await frame()
  const preview = drawn.find((one) => one.at > opened && one.shows !== 'nothing')
  return { preview: preview.at - began, full: performance.now() - began }
}"""

LOOP = """async ([kind, frames]) => {
  const { viewer, drawn } = window.demo
  const times = []
  const step = (i) => {
    const state = viewer.state
    if (kind === 'window') {
      const across = 0.05 * Math.cos(i / 9), down = 0.03 * Math.sin(i / 7)
      const looks = { ...state.looks }
      for (const image of state.exam.images) {
        const look = looks[image.sopInstanceUid] ?? { voi: image.voi[0], preset: 0, frame: 1 }
        const { black, white } = look.voi
        const middle = (black + white) / 2 + down * (white - black)
        const half = ((white - black) / 2) * Math.exp(across)
        const voi = { ...look.voi, black: middle - half, white: middle + half }
        looks[image.sopInstanceUid] = { ...look, voi }
      }
      viewer.change({ ...state, looks }, true)
    } else {
      const [out, down] = [300 * Math.sin(i / 5), 400 * Math.cos(i / 6)]
      viewer.change({ ...state, camera: { zoom: 2 + Math.sin(i / 10), out, down } }, true)
    }
  }
  const began = performance.now()
  for (let i = 0; i < frames; i++) {
    const start = performance.now()
    const before = drawn.length
    step(i)
    while (drawn.length < before + 4) await new Promise((done) => setTimeout(done))
    times.push(performance.now() - start)
  }
  const all = performance.now() - began
  times.sort((a, b) => a - b)
  const p95_ms = times[Math.floor(frames * 0.95)]
  return { fps: (frames / all) * 1000, median_ms: times[frames >> 1], p95_ms }
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8930)
    parser.add_argument("--exams", type=int, default=100)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": 1920, "height": 1080}, locale="en")
        page.goto(f"http://127.0.0.1:{options.port}/?bare")
        _until(page, "() => window.demo !== undefined")
        _specks(page)
        _openings(page)
        _frames(page, "window")
        _frames(page, "zoom and pan")
        _many_exams(page, options.exams)
        browser.close()


def _specks(page: Page) -> None:
    """The contrast of 400 specks of 3×3 pixels on the screen, at two sizes."""
    page.evaluate(OPEN.replace("lines.length === 4", "lines.some((line) => line !== '')"), SPECKS)
    for step in ("right-pair", "four-up"):
        page.evaluate("(step) => window.demo.viewer.run(step)", step)
        time.sleep(1.5)
        film = page.locator(".pane .film").first
        box = film.bounding_box()
        assert box is not None
        shown = np.asarray(Image.open(io.BytesIO(film.screenshot())).convert("L"), int)
        scale = min(box["height"] / 4688, box["width"] / 2592)
        left, top = box["width"] - 2592 * scale, (box["height"] - 4688 * scale) / 2
        contrasts = []
        for row, column in SPECK_PLACES:
            y, x = int(top + (row + 1.5) * scale), int(left + (column + 1.5) * scale)
            around = shown[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
            contrasts.append(int(around.max()) - 39)
        lowest, lost = min(contrasts), sum(contrast < 10 for contrast in contrasts)
        _say(f"specks, {step}", {"scale": round(scale, 3), "lowest": lowest, "below_10": lost})


def _openings(page: Page) -> None:
    """The first exam of a fresh viewer, then others in a warm one."""
    for number, exam in enumerate(("sfm-malign-0", *(f"sfm-benign-0~{n}" for n in range(5)))):
        kind = "first opening" if number == 0 else "opening"
        before = _cpu_s()
        took = page.evaluate(OPEN, f"/api/v1/exams/{exam}")
        _say(kind, {k: round(v) for k, v in took.items()} | {"cpu_ms": _since(before)})
        time.sleep(1)


def _frames(page: Page, kind: str, count: int = 120) -> None:
    page.evaluate(LOOP, [kind, 20])
    before = _cpu_s()
    took = page.evaluate(LOOP, [kind, count])
    _say(kind, {k: round(v, 1) for k, v in took.items()} | {"cpu_ms_frame": _since(before) / count})


def _many_exams(page: Page, count: int) -> None:
    for number in range(1, count + 1):
        base = ("sfm-malign-0", "sfm-benign-0")[number % 2]
        page.evaluate(OPEN, f"/api/v1/exams/{base}~{1000 + number}")
        if number in (1, 2, 5, 10, 20, 50, 75, count):
            _say(f"memory after {number} exams", _memory_mb())


def _memory_mb() -> dict[str, int]:
    """Proportional set size of each kind of Chromium process."""
    sizes: dict[str, int] = {}
    for process, command in _chromium():
        kind = next(
            (p.removeprefix("--type=") for p in command if p.startswith("--type=")), "browser"
        )
        rollup = (process / "smaps_rollup").read_text().splitlines()
        kilobytes = sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        sizes[kind] = sizes.get(kind, 0) + kilobytes // 1024
    return sizes | {"sum": sum(sizes.values())}


def _cpu_s() -> float:
    ticks = 0
    for process, _ in _chromium():
        fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def _since(before: float) -> int:
    return round(1000 * (_cpu_s() - before))


def _chromium() -> Iterator[tuple[Path, list[str]]]:
    """The processes that this script's browser started."""
    parents = {os.getpid()}
    found = []
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
        try:
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if parent in parents:
            parents.add(int(process.name))
            if "chromium" in command[0]:
                found.append((process, " ".join(command).split()))
    yield from found


def _until(page: Page, script: str) -> None:
    """Poll: under the content security policy `wait_for_function` cannot run."""
    for _ in range(200):
        if page.evaluate(script):
            return
        time.sleep(0.05)
    raise SystemExit(f"never true: {script}")


def _say(name: str, figures: dict[str, Any]) -> None:
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({"what": name, **figures, "load": load}), flush=True)


if __name__ == "__main__":
    main()
