"""The command, the page and the PDF of an audit, on the example of the documentation."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

from mammolens import cli

PAGE = Path(__file__).parents[2] / "docs/how-to/audit-a-site.md"


@pytest.fixture
def example(tmp_path):
    blocks = re.findall(r"`(\w+\.csv)`:\n\n```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.fixture
def run(example, monkeypatch, capsys):
    def call(*words):
        tables = ("--exams", example / "readings.csv", "--outcomes", example / "outcomes.csv")
        line = ("mammolens", "outcomes", "audit", *tables, "--out", example / "out", *words)
        monkeypatch.setattr(sys, "argv", [*map(str, line)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, capsys.readouterr()

    return call


def test_the_documented_example_says_what_the_page_says(run, example):
    code, shown = run("--complete-until", "2026-03-31")
    assert code == 0
    for name in ("report.html", "report.pdf", "figures.csv", "interval_cancers.csv"):
        assert (example / "out" / name).is_file()
        assert name in re.sub(r"\s+", "", shown.out)
    missed = (example / "out/interval_cancers.csv").read_text("utf-8").splitlines()[1]
    assert missed == "P3,1.2.3,2023-03-02,Cho,R1 L1,2023-11-15,258,L,invasive,14.0,high,0.66,0.66,1"
    page = (example / "out/report.html").read_text("utf-8")
    for words in ("2 of 4", "1 of 2", "BI-RADS 0, 3, 4 or 5", "Less than a year of follow-up"):
        assert words in page
    assert "Nobody stated" not in page


def test_the_pdf_warns_if_nobody_stated_the_end_of_follow_up(run, example):
    with (example / "outcomes.csv").open("a", encoding="utf-8") as stream:
        stream.write("P1,L,2026-03-02,benign,,,,report 90\n")
    assert run()[0] == 0
    pages = PdfReader(example / "out/report.pdf").pages
    text = "".join(page.extract_text() for page in pages)
    for words in ("Medical audit", "Interval cancers", "Nobody stated", "Research use only"):
        assert words in text


def test_an_edition_that_is_not_known_is_refused_with_a_remedy(run, example):
    code, shown = run("--edition", "3rd")
    assert code not in (0, 1)
    assert "--positive 0,4,5" in shown.err
    assert not (example / "out").exists()


def test_without_outcomes_the_message_names_the_file(run, example):
    table = example / "outcomes.csv"
    table.write_text(table.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    code, shown = run()
    assert code not in (0, 1)
    assert "outcomes.csv" in shown.err
    assert "no outcomes" in shown.err


def test_the_report_can_be_made_again(run, example, monkeypatch):
    run("--complete-until", "2026-03-31")
    (example / "out/report.html").unlink()
    monkeypatch.setattr(sys, "argv", ["mammolens", "report", str(example / "out")])
    with pytest.raises(SystemExit):
        cli.main()
    assert (example / "out/report.html").is_file()
