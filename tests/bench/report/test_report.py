"""The content and form of the report, as page and as PDF, and the inputs that it refuses."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser
from importlib import resources

import pytest
from pypdf import PdfReader

from mammolens import DISCLAIMER, extras
from mammolens.bench import evaluate
from mammolens.bench.report import run_folder, write_report, write_reports
from mammolens.bench.report.charts import LOOKS
from mammolens.bench.report.document import (
    Alarm,
    Document,
    Figure,
    Pictures,
    Section,
    Sources,
    Table,
    Text,
)
from mammolens.bench.report.evaluation_document import build_document
from mammolens.bench.report.html import render_html
from mammolens.bench.report.pdf import render_pdf
from mammolens.errors import ConfigError, InvalidManifest, StorageError

VOID = {"meta", "link", "br", "img", "path", "wbr"}
WITHOUT_INTERVAL = {
    *("By chance", "Promised", "Threshold", "p", "p, corrected", "Recall all", "What the run says")
}
"""Columns of numbers that are no estimates: set, or following from what was set."""


class Page(HTMLParser):
    """Tags in order with their attributes; says which were closed wrongly."""

    def __init__(self, text: str) -> None:
        HTMLParser.__init__(self)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def document(evaluation):
    return build_document(run_folder.read_run(evaluation))


@pytest.fixture(scope="module")
def text(document):
    return render_html(document)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def files(evaluation, tmp_path_factory):
    return write_report(evaluation, tmp_path_factory.mktemp("out"))


def blocks(document, kind):
    return [
        block
        for section in document.sections
        for block in (*section.blocks, *section.details)
        if isinstance(block, kind)
    ]


@pytest.mark.slow
def test_the_page_is_well_formed_and_names_its_parts(page):
    assert page.wrong == []
    assert page.open == []
    assert page.all("html")[0]["lang"] == "en"
    assert {"header", "nav", "main", "footer", "h1"} <= {tag for tag, _ in page.tags}
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    pointed = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    pointed += [
        i for _, a in page.tags if "aria-labelledby" in a for i in a["aria-labelledby"].split()
    ]
    assert set(pointed) <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_page_loads_nothing_from_outside(page, text):
    loaded = [a[key] for _, a in page.tags for key in ("src", "srcset", "poster") if key in a]
    assert loaded
    assert all(address.startswith("data:image/png;base64,") for address in loaded)
    links = [a["href"] for tag, a in page.tags if "href" in a]
    assert all(re.match(r"#|data:,$|https://doi\.org/10\.", link) for link in links)
    assert set(re.findall(r"https?://[^/\s\"<]+", text)) == {"https://doi.org"}
    assert not re.search(r"url\((?!#)|@import|<script|<iframe|javascript:", text)


def test_hostile_names_are_text(page, text):
    assert "alert(" in text
    assert page.all("script") == []
    assert 'alert("1")' in "".join(page.words)
    assert "\u202e" not in text
    assert "\x07" not in text
    assert "x" * 300 in "".join(page.words)
    assert "<bdi>" in text
    assert '<span class="kept">(0.' in text
    assert "span class" not in "".join(page.words)


def test_every_chart_and_picture_has_a_text_description(page, document):
    charts = blocks(document, Figure)
    assert len(charts) >= 15
    assert all(len(chart.alt) > 30 for chart in charts)
    described = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(described) == len(charts) == len(page.all("desc"))
    assert all(a["alt"] for a in page.all("img"))
    assert len(page.all("img")) == 3
    for chart in charts:
        assert any(ch.isdigit() for ch in chart.alt), chart.title


def test_table_cells_have_heads(page):
    assert len(page.all("table")) > 20
    assert {a.get("scope") for a in page.all("th")} == {"col", "row"}
    assert len(page.all("caption")) == len(page.all("table"))


def test_no_figure_stands_without_its_n_and_interval(document):
    seen = 0
    for table in blocks(document, Table):
        if "Checklist" in table.caption or not any(
            re.search(r"\d\.\d{2,3} \(", cell) for row in table.rows for cell in row
        ):
            continue
        named = [name for name in table.head if re.match(r"n\b", name)]
        assert named or table.rows[0][0] == "n", table.caption
        for row in table.rows:
            for name, cell in list(zip(table.head, row, strict=True))[1:]:
                if name in WITHOUT_INTERVAL:
                    continue
                seen += 1
                assert not re.fullmatch(r"[−-]?\d+\.\d{2,}", cell), (table.caption, name, row)
            for name in named:
                assert re.match(r"\d", row[table.head.index(name)]), (table.caption, row)
    assert seen > 500


def test_figures_are_those_of_the_metrics(evaluation, document):
    metrics = json.loads((evaluation / "metrics.json").read_text("utf-8"))
    breast = metrics["datasets"]["made"]["malignancy"]["breast"]
    (table,) = [t for t in blocks(document, Table) if t.caption == "made: malignancy"]
    rows = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    auc = breast["auc"]
    assert rows["AUC"]["By breast"] == f"{auc['value']:.3f} ({auc['low']:.3f}–{auc['high']:.3f})"
    assert rows["n"]["By breast"] == f"{breast['n']} ({breast['n_positive']} positive)"
    (counts,) = [
        t for t in blocks(document, Table) if t.caption == "made: decisions against labels"
    ]
    row = next(r for r in counts.rows if r[0] == "high (card): malignancy, breast")
    found = metrics["datasets"]["made"]["confusion"]["malignancy"]["high"]["breast"]
    assert [int(cell) for cell in row[2:]] == [
        found[key] for key in ("true_positive", "false_negative", "false_positive", "true_negative")
    ]


def test_warnings_and_failures_are_said(document, page):
    alarms = [alarm.words for alarm in blocks(document, Alarm)]
    assert any("3 of 324 images could not be read" in words for words in alarms)
    (failures,) = [t for t in blocks(document, Table) if "without a score" in t.caption]
    assert len(failures.rows) == 3
    words = "".join(page.words)
    assert words.count(DISCLAIMER) >= 2
    assert "Do not conclude" in words


def test_absent_sections_are_left_out_and_empty_ones_say_why(evaluation, tmp_path):
    metrics = json.loads((evaluation / "metrics.json").read_text("utf-8"))
    for name in ("audit", "localisation", "cases"):
        del metrics[name]
    silent = {
        unit: {
            "n": 9,
            "n_positive": 9,
            "n_patients": 9,
            "auc": None,
            "note": "no AUC: all 9 labels are positive",
        }
        for unit in ("image", "breast", "patient")
    }
    for judged in (metrics, *metrics["datasets"].values()):
        judged["tumour"] = silent
        judged["curves"]["tumour"] = {}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    document = build_document(run_folder.read_run(tmp_path))
    titles = {section.title for section in document.sections}
    assert not titles & {"Subgroups", "Localisation", "Best and worst cases", "Robustness"}
    assert "all 9 labels are positive" in render_html(document)


@pytest.mark.slow
def test_scores_without_a_model_are_reported_as_such(evaluation, tmp_path):
    metrics = json.loads((evaluation / "metrics.json").read_text("utf-8"))
    metrics |= {"model": None, "predictions": {"path": "far/off.csv", "sha256": "ab" * 32}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    document = build_document(run_folder.read_run(tmp_path))
    assert document.title == "Evaluation of scores of off.csv"
    assert "the card of" not in render_html(document)


@pytest.mark.slow
def test_a_picture_from_elsewhere_is_not_taken(evaluation, tmp_path):
    metrics = json.loads((evaluation / "metrics.json").read_text("utf-8"))
    (tmp_path / "cases").mkdir()
    (tmp_path / "secret.png").write_bytes((evaluation / "cases" / "01-found.png").read_bytes())
    metrics["cases"] = [{**metrics["cases"][0], "file": "cases/../secret.png"}]
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    document = build_document(run_folder.read_run(tmp_path))
    assert [len(block.cases) for block in blocks(document, Pictures)] == [0]
    assert any("no longer" in alarm.words for alarm in blocks(document, Alarm))
    Page(render_html(document))


@pytest.mark.slow
def test_the_pdf_has_all_sections_and_the_disclaimer_on_every_page(files):
    reader = PdfReader(files[1])
    texts = [found.extract_text() for found in reader.pages]
    assert len(texts) >= 8
    assert all(DISCLAIMER in words for words in texts)
    assert all(f"Page {n}" in words for n, words in enumerate(texts, start=1))
    whole = "\n".join(texts)
    assert "Sensitivity at specificity 0.889" in " ".join(whole.split())
    assert "open: to be filled by the authors" in " ".join(whole.split())
    assert reader.outline
    size = reader.pages[0].mediabox
    assert (round(size.width), round(size.height)) == (595, 842)


@pytest.mark.slow
def test_details_are_folded_on_the_page_and_left_out_of_the_print(document, page, files):
    detailed = [section for section in document.sections if section.details]
    assert {"Discrimination", "Operating points", "Subgroups"} <= {one.title for one in detailed}
    assert len(page.all("details")) == len(page.all("summary")) == len(detailed)
    assert not any("open" in attrs for attrs in page.all("details"))
    reader = PdfReader(files[1])
    printed = " ".join(" ".join(found.extract_text() for found in reader.pages).split())
    captions = [table.caption for table in blocks(document, Table)]
    assert "made: rates at each threshold" in captions
    assert "made: rates at each threshold" not in printed
    assert "Malignancy at each threshold, by patient" in printed
    assert printed.count("stand in report.html") == sum(bool(one.blocks) for one in detailed)
    assert len(reader.pages) <= 20


def test_the_main_tables_say_what_the_details_say(document):
    """The same figure of a data set and unit, read from two places of metrics.json."""
    tables = {table.caption: table for table in blocks(document, Table)}

    def cell(caption, row, column):
        table = tables[caption]
        (found,) = [one for one in table.rows if one[0] == row]
        return found[table.head.index(column)]

    for unit in ("image", "breast", "patient"):
        main = cell("Ranking: malignancy", f"made, {unit}", "AUC")
        assert main == cell("made: malignancy", "AUC", f"By {unit}")
    main = cell(
        "Malignancy: decisions against labels", "made, high (card): patient", "True positive"
    )
    row = "high (card): malignancy, patient"
    assert main == cell("made: decisions against labels", row, "True positive")
    point = next(r for r in tables["made: rates at each threshold"].rows if "high (card)" in r[0])
    assert (
        cell("Malignancy at each threshold, by patient", "made, high (card)", "Threshold")
        in (point[0])
    )


def test_the_pdf_embeds_its_fonts(files):
    fonts = {}
    for found in PdfReader(files[1]).pages:
        for font in (found["/Resources"].get("/Font") or {}).values():
            fonts[font["/BaseFont"]] = font["/DescendantFonts"][0]["/FontDescriptor"]
    assert len(fonts) >= 2
    assert all("DejaVu" in name for name in fonts)
    assert all({"/FontFile2", "/FontFile3"} & set(known) for known in fonts.values())


def test_the_pdf_works_with_a_screen_reader(files, document):
    """Headings, tables and pictures are tagged, and every picture is described."""
    root = PdfReader(files[1]).trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    tags, described = Counter(), 0
    waiting = [root["/StructTreeRoot"]]
    while waiting:
        node = waiting.pop().get_object()
        if not isinstance(node, dict):
            continue
        tags[node.get("/S")] += 1
        described += node.get("/S") == "/Figure" and len(node.get("/Alt", "")) > 30
        inner = node.get("/K", [])
        waiting += inner if isinstance(inner, list) else [inner]
    printed = [block for section in document.sections for block in section.blocks]
    pictures = sum(len(block.cases) for block in printed if isinstance(block, Pictures))
    charts = sum(isinstance(block, Figure) for block in printed)
    assert tags["/Figure"] == described == pictures + charts
    assert tags["/Table"] >= sum(isinstance(block, Table) for block in printed)
    assert tags["/H1"] == sum(bool(section.blocks) for section in document.sections)


def test_the_pdf_shows_every_script():
    """Letters of Arabic join from right to left, marks of Devanagari find their place."""
    words = ("ملف المريضة", "रिपोर्ट क्षति")
    sections = (Section("One", "one", tuple(Text(text) for text in words)),)
    (page,) = PdfReader(io.BytesIO(render_pdf(Document("T", (), sections)))).pages
    names = {font["/BaseFont"].partition("+")[2] for font in page["/Resources"]["/Font"].values()}
    assert {"DejaVuSans", "NotoSansDevanagari-Regular"} <= names


def test_a_long_address_is_a_working_link():
    address = "https://doi.org/10.1111/" + "x" * 40
    sections = (Section("One", "one", (Sources((("A work.", address),)),)),)
    (page,) = PdfReader(io.BytesIO(render_pdf(Document("T", (), sections)))).pages
    assert {note["/A"]["/URI"] for note in page["/Annots"]} == {address}


def test_charts_are_vectors_in_print(files):
    pictures = sum(len(found.images) for found in PdfReader(files[1]).pages)
    assert pictures == 3


def test_colours_can_be_distinguished_and_read():
    style = resources.files("mammolens.bench.report").joinpath("report.css").read_text("utf-8")
    inks = re.findall(r"--(ink|quiet|link|alarm): (#[0-9a-f]{6})", style)
    assert len(inks) == 4
    assert all(contrast(colour, "#ffffff") >= 4.5 for _, colour in inks)
    assert contrast("#8f1515", "#fdf1f0") >= 4.5
    assert len({str(dashes) for _, dashes, _ in LOOKS}) == len(LOOKS)
    assert len({marker for _, _, marker in LOOKS}) == len(LOOKS)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
def test_a_folder_without_an_evaluation_is_refused(evaluation, tmp_path, monkeypatch):
    assert run_folder.SCHEMA == evaluate.SCHEMA
    with pytest.raises(InvalidManifest, match=r"no metrics\.json.*--out folder"):
        write_report(tmp_path)
    path = tmp_path / "metrics.json"
    path.write_text("{", "utf-8")
    with pytest.raises(InvalidManifest, match="cannot be read"):
        write_report(tmp_path)
    for content, words in (
        ("[]", "schema"),
        ('{"schema": "mammolens.evaluation/1"}', "evaluation/1.*schema"),
        ('{"schema": "mammolens.evaluation/2"}', "lacks model, datasets"),
    ):
        path.write_text(content, "utf-8")
        with pytest.raises(InvalidManifest, match=words):
            write_report(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="may write"):
        write_report(evaluation, blocked)
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "typst" else name)
    with pytest.raises(ConfigError, match=r"typst.*mammolens\[report\]"):
        write_report(evaluation)


def test_the_command_refuses_what_does_not_go_together(evaluation, tmp_path):
    with pytest.raises(ConfigError, match="--common"):
        write_reports([evaluation], None, True)
    with pytest.raises(ConfigError, match="--out"):
        write_reports([evaluation, evaluation], None, False)
    with pytest.raises(ConfigError, match="3 evaluations"):
        write_reports([evaluation] * 3, tmp_path, False)
