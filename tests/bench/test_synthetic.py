"""Figures of made-up patients say that they mean nothing, wherever they are shown."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("typst", reason="needs the extra mammolens[report]")

from pypdf import PdfReader

from mammolens.bench.comparison import ComparisonSettings, compare
from mammolens.bench.crossvalidate import pooled_metrics
from mammolens.bench.evaluation_files import write_evaluation
from mammolens.bench.report import write_reports
from mammolens.cli import app
from mammolens.console import show_comparison

SAID = "SYNTHETIC data (synthetic-drawn)"
MEANS = "mean nothing clinically"


@pytest.fixture(scope="module")
def table(rows, write_table):
    chosen = [
        {**row, "dataset": "synthetic-drawn", "split": "test" if n % 3 else "train"}
        for n, row in enumerate(sorted(rows[1], key=lambda row: row["patient_id"][::-1]))
    ]
    sides = {}
    for row in chosen:
        row["split"] = sides.setdefault(row["patient_id"], row["split"])
    return write_table("synthetic.csv", chosen, (*chosen[0],))


@pytest.fixture(scope="module")
def evaluated(table, package, tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "evaluation"
    command = ["evaluate", str(package), "--manifest", str(table), "--out", str(out)]
    return out, CliRunner().invoke(app, command)


def words_of(pdf):
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


@pytest.mark.slow
def test_an_evaluation_says_so_in_terminal_file_page_and_pdf(evaluated):
    out, shown = evaluated
    assert shown.exit_code == 0, shown.output
    assert SAID in shown.output
    assert MEANS in " ".join(shown.output.split())
    assert SAID in json.loads((out / "metrics.json").read_text("utf-8"))["notes"][0]
    page = (out / "report.html").read_text("utf-8")
    summary = page[: page.index("What was measured")]
    assert SAID in summary
    assert MEANS in summary
    assert MEANS in words_of(out / "report.pdf")


def test_two_evaluations_side_by_side_say_so(evaluated, tmp_path):
    out, _ = evaluated
    for path in write_reports([out, out], tmp_path / "both", common=False):
        text = words_of(path) if path.suffix == ".pdf" else path.read_text("utf-8")
        assert MEANS in text


def test_a_comparison_says_so_first(table, package, tmp_path, capsys):
    settings = ComparisonSettings(
        table, (str(package),), split="test", trusted=(str(package),), draws=50
    )
    found = compare(settings, tmp_path)
    assert SAID in found.document["notes"][0]
    text = (tmp_path / "compare.md").read_text("utf-8")
    assert text.index(SAID) < text.index("## AUC")
    show_comparison(found)
    assert MEANS in " ".join(capsys.readouterr().out.split())


def test_pooled_figures_say_so(make_cohort, tmp_path):
    results = make_cohort(women=12, dataset="synthetic-drawn")
    metrics = {"notes": ["another"], **pooled_metrics(results, draws=20)}
    found = write_evaluation(tmp_path, "mammolens.ensemble/1", results, metrics)
    assert [MEANS in note for note in found.metrics["notes"]] == [True, False]
