"""Overlay files and the HTML page, read back the way their readers will."""

from __future__ import annotations

import base64
import csv
import itertools
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import cv2
import numpy as np
import pytest

from mammolens.core import Display, TriageCategory, Unreadable
from mammolens.render import overlay
from mammolens.sinks.html import PICTURED

VOID = {"meta", "link", "img", "input", "br", "rect", "path", "polygon"}
REFUSED = Unreadable("in/notes.txt", "NotAnImage", "in/notes.txt: this is <text>")


class Page(HTMLParser):
    """The page as tags with their attributes, and its words; fails where tags do not pair up."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(bench) -> Page:
    return Page((bench.out / "report.html").read_text("utf-8"))


def test_overlays_are_what_render_draws_and_the_index_names_their_images(bench):
    exam = bench.exam()
    bench.write([exam, bench.exam(patient_id="P2")], "overlay")
    folder = bench.out / "overlays"
    with (folder / "index.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["file"] for row in rows} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.png")
    }
    assert [row["path"] for row in rows[:5]] == [*(i.ref.path for i in exam.images), ""]
    drawn = cv2.imread(str(folder / "P1" / "RCC.png"))[..., ::-1]
    assert (drawn == overlay(exam.images[0], exam)).all()
    assert (folder / "P2" / "hanging.png").is_file()


def test_file_names_are_safe_short_and_unique(bench, hostile):
    ref = bench.image().ref
    paths = [*hostile(), "a/x.dcm", "b/x.dcm", "b/X.dcm", "z.zip!../../x.dcm", "hanging.dcm"]
    images = tuple(bench.image(ref=replace(ref, path=path)) for path in paths)
    exams = [bench.exam(patient_id=text, images=()) for text in hostile()]
    bench.write([*exams, bench.exam(images=images), bench.exam()], "overlay")
    home = bench.out / "overlays"
    inside = [path.relative_to(home).parts for path in home.rglob("*.png")]
    assert len(inside) == len(exams) + len(paths) + 1 + 5
    assert all(re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,89}", part) for p in inside for part in p)
    assert len({"/".join(parts).casefold() for parts in inside}) == len(inside)
    assert not any(part.lower() in ("con", "con.png") for p in inside for part in p)
    assert [p for p in bench.out.parent.rglob("*.png") if home not in p.parents] == []


def test_a_later_run_removes_only_the_pictures_of_the_earlier(bench):
    bench.write([bench.exam(), bench.exam(patient_id="gone")], "overlay")
    own = bench.out / "overlays" / "P1" / "my-notes.png"
    own.write_bytes(b"mine")
    outside = bench.out / "outside.png"
    outside.write_bytes(b"mine")
    with (bench.out / "overlays" / "index.csv").open("a", encoding="utf-8") as index:
        index.write("../outside.png,,,,\r\n../../../x/y.png,,,,\r\n")
    bench.write([bench.exam(images=(bench.image("L", "MLO"),))], "overlay")
    left = {path.name for path in (bench.out / "overlays" / "P1").iterdir()}
    assert left == {"LMLO.png", "hanging.png", "my-notes.png"}
    assert not (bench.out / "overlays" / "gone").exists()
    assert outside.read_bytes() == b"mine"


def test_the_page_is_self_contained_and_accessible(bench):
    bench.write([bench.exam(), bench.failed(), REFUSED], "html")
    found = page(bench)
    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    references = [a[k] for _, a in found.tags for k in ("src", "href") if k in a]
    beside = {r for r in references if not r.startswith(("data:", "#"))}
    assert len(beside) == 4
    assert all((bench.out / r).is_file() and r.startswith("report-pictures/") for r in beside)
    source = (bench.out / "report.html").read_text("utf-8")
    assert "url(" not in source
    assert "@import" not in source
    assert found.all("script") == [{}]
    assert not any(k.startswith("on") for _, attrs in found.tags for k in attrs)
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {r[1:] for r in references if r.startswith("#")} <= set(ids)
    films = found.all("img")
    assert len(films) == 4
    assert films[0]["alt"] == "Mammogram RCC, probability of malignancy 30%, 1 finding."


def test_the_page_says_what_a_reader_must_know(bench):
    bench.write([bench.exam(), bench.failed(), REFUSED], "html")
    text = page(bench).text
    assert text.count("Research use only, not a medical device.") == 4
    assert "0.6% are malignant" in text
    assert "low below 2.0% (sensitivity 95%, specificity 50% on validation)" in text
    assert "high from 20% (specificity 90% on validation)" in text
    assert "mammolens-1 0.1.0, SHA-256 " + "ab" * 32 in text
    assert "failed: unknown, read it like a high one" in text
    assert "NotAnImage: this is <text>" in text
    assert "2 files not analysed" in text
    assert "laterality_from_name : taken from the file name" in text
    assert "Trained on <few>." in text


def test_exams_stand_in_reading_order_and_in_the_same_order_as_the_worklist(bench):
    kinds = TriageCategory
    exams = [
        bench.exam(0.01, patient_id="low", category=kinds.LOW),
        bench.exam(0.4, patient_id="high", category=kinds.HIGH),
        bench.failed(patient_id="failed"),
    ]
    bench.write(exams, "html")
    found = page(bench)
    listed = [a["href"][1:] for a in found.all("a") if a["href"].startswith("#exam")]
    assert listed == ["exam-3", "exam-2", "exam-1"]
    assert [a["data-exam"] for a in found.all("article")] == listed
    assert [a["data-exam"] for a in found.all("tr") if "data-exam" in a] == listed


def test_hostile_texts_open_no_tag(bench, hostile):
    plain = bench.exam()
    bench.write([plain, REFUSED], "html")
    expected = {tag for tag, _ in page(bench).tags}
    for text in hostile():
        ref = replace(bench.image().ref, path=text)
        refused = Unreadable(text, text, text)
        bench.write(
            [replace(plain, patient_id=text, images=(bench.image(ref=ref),)), refused], "html"
        )
        found = page(bench)
        assert {tag for tag, _ in found.tags} == expected
        assert not any(k.startswith("on") for _, attrs in found.tags for k in attrs)


def test_pictures_are_modest_and_show_the_mammogram_as_it_hangs(bench):
    noise = np.random.default_rng(0).integers(0, 255, (2400, 1800), dtype=np.uint8)
    noise[:, :200] = 255
    images = tuple(bench.image(s, "CC", display=Display(noise, (1.0, 1.0))) for s in "RL")
    bench.write([bench.exam(images=images)], "html")
    films = [a["src"] for a in page(bench).all("img")]
    for source, wall in zip(films, (slice(-60, None), slice(0, 60)), strict=True):
        assert len(source) < 420_000
        jpeg = np.frombuffer(base64.b64decode(source.partition(",")[2]), dtype=np.uint8)
        grey = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
        assert grey.shape == (960, 720)
        assert grey[:, wall].mean() > 240


def test_only_the_first_of_a_long_worklist_keep_their_pictures(bench):
    picture = bench.image()
    exams = [
        bench.exam(n / 1000, patient_id=f"P{n}", images=(picture,)) for n in range(PICTURED + 5)
    ]
    bench.write(exams, "html")
    found = page(bench)
    assert len(found.all("article")) == PICTURED + 5
    assert len(found.all("img")) == PICTURED
    assert len(list((bench.out / "report-pictures").glob("*.jpg"))) == PICTURED
    assert found.text.count(f"Only the first {PICTURED} exams have pictures") == 1


def contrast(one: str, two: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
        parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_ink_reaches_aa_contrast_in_light_in_dark_and_in_print():
    style = resources.files("mammolens.sinks").joinpath("report.css").read_text("utf-8")
    schemes = [
        dict(re.findall(r"--(\w+): (#\w+)", block))
        for block in re.findall(r":root {([^}]*)}", style)
    ]
    assert len(schemes) == 3
    for scheme in schemes:
        for ink in ("ink", "quiet", "high", "intermediate", "low", "failed", "link"):
            for ground in ("paper", "card"):
                assert contrast(scheme[ink], scheme[ground]) >= 4.5, (ink, scheme[ground])


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_nothing_scrolls_sideways_on_a_phone(bench, hostile):
    exams = [bench.exam(patient_id=text) for text in hostile()]
    bench.write([*exams, bench.failed(patient_id="y" * 90), REFUSED], "html")
    frame = bench.out / "frame.html"
    frame.write_text(
        '<iframe src="report.html" style="width:375px;height:900px;border:0"></iframe><p id=w></p>'
        "<script>onload = () => { document.getElementById('w').textContent = 'width ' + "
        "document.querySelector('iframe').contentDocument.documentElement.scrollWidth }</script>"
    )
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
        *("--allow-file-access-from-files", "--virtual-time-budget=4000", "--dump-dom"),
    ]
    run = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, check=True)
    width = re.search(r"width (\d+)", run.stdout)
    assert width is not None
    assert int(width[1]) <= 375
