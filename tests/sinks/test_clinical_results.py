"""Clinical data and what a fusion did stand in every result, with source and date."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import date

import pytest

from mammolens.core import ClinicalItem, Contribution, FusionResult, Laterality, RiskStatement
from mammolens.sinks._clinical import fusion_words

ITEMS = (
    ClinicalItem("age", 61.25, "RIS (t.csv, line 2)", date(2025, 1, 2)),
    ClinicalItem("lump", True, "=cmd()", None, Laterality.LEFT),
    ClinicalItem("density", "b", "old.csv", date(2019, 1, 1), is_used=False),
)
FUSION = FusionResult(
    "ab" * 32,
    0.125,
    (Contribution("age", 0.1234), Contribution("lump", 1.5, Laterality.LEFT)),
    ("hormone_therapy",),
)
RISK = RiskStatement("BCRAT (Gail model)", 5, 0.0213, ("menarche_age",))


@pytest.fixture
def exam(bench):
    return bench.exam(clinical=ITEMS, fusion=FUSION, risk=RISK)


def test_json_and_its_schema(bench, exam):
    jsonschema = pytest.importorskip("jsonschema")
    from mammolens.sinks.results_json import results_schema

    bench.write([exam, bench.exam()], "json")
    document = json.loads((bench.out / "results.json").read_text("utf-8"))
    jsonschema.validate(document, results_schema())
    first, plain = document["exams"]
    assert first["clinical"][0] == {
        "name": "age",
        "value": 61.25,
        "laterality": None,
        "source": "RIS (t.csv, line 2)",
        "date": "2025-01-02",
        "is_used": True,
    }
    assert first["clinical"][2]["is_used"] is False
    assert first["fusion"]["images_malignancy"] == 0.125
    assert first["fusion"]["missing"] == ["hormone_therapy"]
    assert first["risk"]["risk"] == 0.0213
    assert (plain["clinical"], plain["fusion"], plain["risk"]) == ([], None, None)


def test_csv(bench, exam):
    bench.write([exam], "csv")
    (row,) = csv.DictReader(io.StringIO((bench.out / "worklist.csv").read_text("utf-8")))
    assert row["malignancy_images"] == "0.125"
    assert row["contributions"] == "age +0.12; lump L +1.50"
    assert "Age: 61.2 years (RIS (t.csv, line 2), 2025-01-02)" in row["clinical"]
    assert "not used" in row["clinical"]
    assert row["risk"] == "0.0213"


def test_page(bench, exam):
    bench.write([exam], "html")
    page = (bench.out / "report.html").read_text("utf-8")
    assert "<h4>Clinical data</h4>" in page
    assert "the images alone give 12%" in page
    assert "b (not used)" in page
    assert "What is not listed is unknown." in page
    assert "5-year risk of invasive breast cancer 2.1%" in page
    assert "not part of the score" in page
    bench.write([bench.exam()], "html")
    assert "Clinical data" not in (bench.out / "report.html").read_text("utf-8")


def test_messages(study):
    from fhir_rules import check_bundle

    from mammolens.sinks.fhir import exam_bundle
    from mammolens.sinks.hl7 import oru_message

    exam = study.exam(study.image("R", "CC"))
    told = replace(exam, clinical=ITEMS, fusion=FUSION, risk=RISK)
    bundle = exam_bundle(told, study.bench.run)
    check_bundle(bundle)
    found = [entry["resource"] for entry in bundle["entry"]]
    (known,) = [
        one
        for one in found
        if one.get("code", {}).get("text") == "Clinical data known to the software"
    ]
    words = [part["valueString"] for part in known["component"]]
    assert words[0] == "Age: 61.2 years (RIS (t.csv, line 2), 2025-01-02)"
    assert words[3:] == ["age +0.12", "lump L +1.50"]
    (report,) = [one for one in found if one["resourceType"] == "DiagnosticReport"]
    assert "the images alone give 12%" in report["conclusion"]
    assert "not part of the score" in report["conclusion"]
    message = oru_message(told, study.bench.run)
    assert "CLINICAL^Clinical data known to the software" in message
    assert "2025-01-02" in message
    assert len(exam_bundle(exam, study.bench.run)["entry"]) == len(bundle["entry"]) - 1


def test_an_answer_of_the_images_alone_says_so():
    exam = Bare(replace(FUSION, contributions=()))
    assert fusion_words(exam)[0] == "The probability is that of the images alone (12%)."
    hidden = Bare(replace(FUSION, contributions=(), images_malignant=None))
    assert "hidden" in fusion_words(hidden)[0]


class Bare:
    def __init__(self, fusion: FusionResult) -> None:
        self.fusion = fusion
