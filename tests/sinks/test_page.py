"""What the page says of doubts, and what it does in a browser: filter, order, enlarge, print."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mammolens.core import (
    Caution,
    Display,
    ImageRef,
    Laterality,
    ObjectKind,
    Source,
    SourceHeader,
    TriageCategory,
    Unreadable,
    ViewPosition,
)
from mammolens.sinks.html import PICTURED

KINDS = TriageCategory
NOTICE = "Research use only, not a medical device."


def refused(path: str, view: str | None, kind: ObjectKind, message: str) -> Unreadable:
    side, position = (Laterality(view[0]), ViewPosition(view[1:])) if view else (None, None)
    ref = ImageRef(path, laterality=side, view_position=position)
    return Unreadable(path, "NotAnImage", message, Source(ref, SourceHeader()), kind)


def source(bench) -> str:
    return (bench.out / "report.html").read_text("utf-8")


def article(bench, anchor: str) -> str:
    found = re.search(rf'<article data-exam="{anchor}".*?</article>', source(bench), re.DOTALL)
    assert found is not None
    return found[0]


def test_doubts_and_what_was_not_analysed_stand_at_the_top_of_the_exam(bench):
    withheld = Caution("low_withheld", "1 image was not analysed")
    doubted = Caution("saturated", "a third of the breast is white", doubt=True)
    exam = bench.exam(
        cautions=(withheld,),
        images=(bench.image(cautions=(doubted,)), bench.image("L")),
        unreadable=(
            refused("in/cut.dcm", "RMLO", ObjectKind.UNKNOWN, "in/cut.dcm: the file is cut"),
            refused("in/slices.dcm", None, ObjectKind.STACK, "in/slices.dcm: tomosynthesis"),
            refused("in/report.dcm", None, ObjectKind.DOCUMENT, "in/report.dcm: a report"),
        ),
    )
    bench.write([exam, bench.exam(patient_id="plain", cautions=())], "html")
    written = article(bench, "exam-1")
    top = written.partition('<div class="exam')[0]
    for words in (
        '<b class="id">low_withheld</b> 1 image was not analysed',
        '<b class="id">saturated</b> <b>RCC</b> a third of the breast is white',
        '<b>RMLO</b> <span class="id">in/cut.dcm</span><br>NotAnImage: the file is cut',
        '<span class="id">in/slices.dcm</span> (tomosynthesis)',
    ):
        assert words in top
    assert "in/report.dcm" not in top
    assert "Objects that are not images" in written
    assert written.count("<p>no RMLO<br>not analysed</p>") == 1
    summary = re.search(r"<summary>.*?</summary>", written)
    assert summary is not None
    assert "low withheld" in summary[0]
    assert "low withheld, saturated" in source(bench)
    assert 'class="cautions"' not in article(bench, "exam-2").replace("laterality_from_name", "")


def test_a_second_view_is_called_so_wherever_it_is_named(bench):
    exam = bench.exam(images=(bench.image(), bench.image("L"), bench.image()))
    bench.write([exam], "html", "overlay")
    written = article(bench, "exam-1")
    assert "<figcaption><b>RCC 2</b>" in written
    assert '<th scope="row">RCC 2</th>' in written
    assert 'alt="Mammogram RCC 2,' in written
    assert (bench.out / "report-pictures" / "P1-RCC_2.jpg").is_file()
    assert ",RCC 2," in (bench.out / "overlays" / "index.csv").read_text("utf-8")


@pytest.mark.parametrize("vouched", [True, False])
def test_the_tumour_probability_is_shown_only_where_the_card_vouches_for_it(bench, vouched):
    bench = replace(bench, run=replace(bench.run, tumour_vouched=vouched))
    bench.write([bench.exam(0.3)], "json", "csv", "html")
    exam = json.loads((bench.out / "results.json").read_text("utf-8"))["exams"][0]
    assert exam["tumour"] == pytest.approx(0.4)
    row = (bench.out / "worklist.csv").read_text("utf-8").splitlines()[1].split(",")
    assert row[3:5] == ["0.3", "0.4" if vouched else ""]
    visible = re.sub(r"<script>.*</script>", "", source(bench), flags=re.DOTALL)
    assert ("umour" in visible) is vouched
    assert ("40%" in visible) is vouched


def test_full_pictures_are_kept_for_no_more_exams_than_small_ones(bench):
    """The worst order: every exam is more suspicious than all before it."""
    image = bench.image(display=Display(np.full((8, 6), 90, np.uint8), (0.02, 0.02)))
    exams = [bench.exam(n / 1000, patient_id=f"P{n}", images=(image,)) for n in range(PICTURED + 9)]
    bench.write(exams, "html")
    kept = {path.name for path in (bench.out / "report-pictures").glob("*.jpg")}
    assert kept == {f"P{n}-RCC.jpg" for n in range(9, PICTURED + 9)}
    assert {
        re.sub(".*/", "", a) for a in re.findall(r'href="(report-p[^"]+)"', source(bench))
    } == kept


def test_a_later_run_leaves_no_picture_of_an_earlier_one(bench):
    bench.write([bench.exam(patient_id="old")], "html")
    bench.write([bench.exam(patient_id="new", images=(bench.image(),))], "html")
    assert [p.name for p in (bench.out / "report-pictures").glob("*.jpg")] == ["new-RCC.jpg"]


def test_the_policy_of_the_page_allows_its_own_script_and_no_other(bench):
    import base64
    import hashlib

    bench.write([bench.exam()], "html")
    script = re.search(r"<script>(.*)</script>", source(bench), re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in source(bench)
    assert "default-src 'none'" in source(bench)


def act(bench, script: str, width: int = 1280) -> Any:
    """Run the body of an async function in the page: `d` its document, `w` its window."""
    frame = bench.out / "frame.html"
    frame.write_text(
        f'<iframe src="report.html" style="width:{width}px;height:900px;border:0"></iframe>'
        '<p id="said"></p><script>onload = async () => {'
        "const w = document.querySelector('iframe').contentWindow, d = w.document;"
        "const wait = (ms) => new Promise((done) => setTimeout(done, ms));"
        "const one = (s) => d.querySelector(s), all = (s) => [...d.querySelectorAll(s)];"
        f"const said = await (async () => {{ {script} }})();"
        "document.getElementById('said').textContent = JSON.stringify(said) };</script>",
        "utf-8",
    )
    found = re.search(r'<p id="said">(.+?)</p>', chromium(bench, frame.as_uri(), "--dump-dom"))
    assert found is not None
    return json.loads(html.unescape(found[1]))


def chromium(bench, address: str, *options: str) -> str:
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--allow-file-access-from-files"),
        *(f"--user-data-dir={bench.out.parent / 'profile'}", "--virtual-time-budget=6000"),
    ]
    return subprocess.run(
        [*command, *options, address], capture_output=True, text=True, check=True, timeout=120
    ).stdout


def several(bench) -> None:
    given = {"b": (0.5, KINDS.HIGH), "c": (0.1, KINDS.INTERMEDIATE), "a10": (0.001, KINDS.LOW)}
    exams = [bench.exam(p, patient_id=name, category=kind) for name, (p, kind) in given.items()]
    exams += [bench.failed(patient_id="f"), bench.exam(0.15, patient_id="a9")]
    bench.write(exams, "html")


SHOWN = "all('.worklist tbody tr:not([hidden]) a').map((a) => a.textContent)"
SET = (
    "const set = (name, value) => { const field = one('#filter').elements[name];"
    "field.value = value; field.dispatchEvent(new w.Event('input', {bubbles: true}));"
    "field.dispatchEvent(new w.Event('change', {bubbles: true})) };"
)


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("", ["f", "b", "a9", "c", "a10"]),
        ("set('patient', 'A')", ["a9", "a10"]),
        ("set('category', 'intermediate')", ["a9", "c"]),
        ("set('score', '12')", ["f", "b", "a9"]),
        ("set('order', 'patient')", ["a9", "a10", "b", "c", "f"]),
        ("all('th button')[1].click()", ["a9", "a10", "b", "c", "f"]),
        ("all('th button')[1].click(); all('th button')[1].click()", ["f", "c", "b", "a10", "a9"]),
        ("all('th button')[3].click(); all('th button')[3].click()", ["a10", "c", "a9", "b", "f"]),
        ("set('order', 'patient'); set('order', 'place')", ["f", "b", "a9", "c", "a10"]),
    ],
)
@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_the_worklist_is_filtered_and_ordered(bench, do, expected):
    several(bench)
    listed, exams, closed = act(
        bench,
        f"{SET} {do}; return [{SHOWN}, all('article:not([hidden]) h3').length,"
        "all('article > details:not([open])').length]",
    )
    assert listed == expected
    assert (exams, closed) == (len(expected), 5)


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_a_link_of_the_worklist_opens_its_exam(bench):
    several(bench)
    script = "all('.worklist a')[1].click(); await wait(300); return all('details[open] h3')"
    assert act(bench, f"{script}.map((h) => h.textContent)") == ["b"]


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
@pytest.mark.parametrize("width", [1280, 375])
def test_pictures_of_unknown_side_are_as_large_as_the_others(bench, width):
    exam = bench.exam(images=(bench.image(), bench.image(None, None), bench.image(None, "MLO")))
    bench.write([exam], "html")
    boxes = "all('.film').map((f) => f.getBoundingClientRect()).map((b) => [b.width, b.height])"
    seen = act(bench, f"return {boxes}", width)
    assert len(seen) == 3
    assert all(wide > 100 and high > 100 for wide, high in seen)
    assert np.ptp(seen, axis=0).max() < 4


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
@pytest.mark.parametrize("beside", [True, False])
def test_a_view_opens_at_full_resolution_or_as_the_page_holds_it(bench, beside):
    full = np.random.default_rng(0).integers(0, 255, (2400, 1800), dtype=np.uint8)
    bench.write([bench.exam(images=(bench.image(display=Display(full, (6.0, 6.0))),))], "html")
    if not beside:
        shutil.rmtree(bench.out / "report-pictures")
    seen = act(
        bench,
        "one('a.film').click(); await wait(1500); const shown = one('.stage img');"
        "const fit = one('.stage .film').offsetHeight;"
        "one('.stage').dispatchEvent(new w.KeyboardEvent('keydown', {key: '1'}));"
        "const zoomed = one('.stage .film').offsetHeight;"
        "return {open: one('#viewer').open, rows: shown.naturalHeight, fit, zoomed,"
        "marks: all('.stage .marks rect').length, note: one('#viewer-note').textContent,"
        "said: one('#viewer .bar').textContent}",
    )
    assert seen["open"]
    assert seen["rows"] == seen["zoomed"] == (2400 if beside else 960)
    assert 300 < seen["fit"] <= 900
    assert seen["marks"] == 2
    assert ("reduced" in seen["note"]) is not beside
    assert NOTICE in seen["said"]


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_every_printed_page_bears_the_notice_and_every_exam_is_printed(bench, tmp_path: Path):
    from pypdf import PdfReader

    pixels = np.full((400, 300), 90, np.uint8)
    exams = [
        bench.exam(
            n / 100,
            patient_id=f"patient-{n}",
            images=tuple(
                bench.image(s, v, display=Display(pixels, (1.0, 1.0)))
                for s in "RL"
                for v in ("CC", "MLO")
            ),
        )
        for n in range(7)
    ]
    bench.write(exams, "html")
    printed = tmp_path / "report.pdf"
    page = (bench.out / "report.html").as_uri()
    chromium(bench, page, "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    pages = [page.extract_text() for page in PdfReader(printed).pages]
    assert len(pages) >= 7
    assert all(NOTICE in text for text in pages)
    words = " ".join(pages)
    for n in range(7):
        assert words.count(f"patient-{n}") == 2
    assert words.count("LMLO") >= 3 * 7
