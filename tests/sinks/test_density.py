"""Breast density in results: known beside the same scores, shown, and never guessed."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.analysis.density import denser
from mammolens.core import Density, Prediction, TriageCategory
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.model.package_files import open_package
from mammolens.serve.viewer import ai_overlay
from mammolens.sinks._density import DENSITY_CAUTION
from mammolens.sinks.fhir import exam_bundle
from mammolens.sinks.hl7 import oru_message

SURE = Density((0.0, 0.1, 0.8, 0.1), "c", "ab" * 32)
FATTY = Density((0.1, 0.9, 0.0, 0.0), "b", "ab" * 32)
UNSURE = Density((0.0, 0.5, 0.5, 0.0), None, "ab" * 32)
SENTENCE = "Breast density by the model (BI-RADS): c, heterogeneously dense"


def with_density(prediction: Prediction, density: Density = SURE) -> Prediction:
    breasts = [
        replace(one, density=FATTY if number else density)
        for number, one in enumerate(prediction.breasts)
    ]
    return replace(prediction, breasts=tuple(breasts), density=density)


def test_table_page_and_json_state_it(bench) -> None:
    stated = with_density(bench.exam())
    bench.write([stated, bench.exam(patient_id="P2")], "json", "csv", "html")
    (first, second) = json.loads((bench.out / "results.json").read_text())["exams"]
    assert first["density"] == {
        "category": "c",
        "probabilities": {"a": 0.0, "b": 0.1, "c": 0.8, "d": 0.1},
        "digest": "ab" * 32,
    }
    assert {one["density"]["category"] for one in first["breasts"]} == {"b", "c"}
    assert second["density"] is None
    with (bench.out / "worklist.csv").open(newline="") as stream:
        assert [row["density"] for row in csv.DictReader(stream)] == ["c", ""]
    page = (bench.out / "report.html").read_text()
    assert page.count(SENTENCE) == 1


def test_not_sure_is_said_and_has_no_code(bench) -> None:
    unsure = with_density(bench.exam(), UNSURE)
    bench.write([unsure], "json", "csv", "html")
    (exam,) = json.loads((bench.out / "results.json").read_text())["exams"]
    assert exam["density"]["category"] is None
    with (bench.out / "worklist.csv").open(newline="") as stream:
        assert [row["density"] for row in csv.DictReader(stream)] == ["not sure"]
    assert "(BI-RADS): not sure (" in (bench.out / "report.html").read_text()


def test_the_overlay_of_the_viewer_has_it_with_its_source(bench) -> None:
    assert ai_overlay(bench.exam())["density"] is None
    assert ai_overlay(with_density(bench.exam()))["density"] == {
        "category": "c",
        "source": "mammolens-1 0.1.0",
        "breasts": [
            {"laterality": one.laterality.value, "category": one.density.category}
            for one in with_density(bench.exam()).breasts
        ],
    }


def analysed(folder: Path, model: ModelPackage, **changes: Any) -> Prediction:
    (found,) = analyze_paths([folder], model, AnalysisOptions(display=False, **changes))
    assert isinstance(found, Prediction)
    return found


@pytest.fixture(scope="module")
def exam(sample_dir, make_exam, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("density") / "exam"
    make_exam.make_exam(sample_dir / "sfm-malign-0", folder)
    return folder


def test_an_exam_with_all_views_has_a_density_and_the_same_scores(exam: Path) -> None:
    _, read = open_package(DEFAULT_MODEL)
    card = ModelPackage.load(DEFAULT_MODEL, threads=1).card
    graph = read(card.graph_file)
    found = analysed(exam, ModelPackage.load(DEFAULT_MODEL, threads=1))
    alone = analysed(exam, ModelPackage.assemble(card, graph, "alone", threads=1))
    assert alone.density is None
    assert found.scores == alone.scores
    assert found.category == alone.category
    doubts = [c for c in found.cautions if c.doubt]
    doubts += [c for image in found.images for c in image.cautions if c.doubt]
    known = [one.density for one in found.breasts]
    if doubts:
        assert found.density is None
    else:
        assert found.density is not None
        assert all(known)
        assert found.density == denser([one for one in known if one])


def test_an_exam_without_a_view_has_no_density(exam: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exam"
    shutil.copytree(exam, folder)
    next(path for path in sorted(folder.rglob("*")) if path.is_file()).unlink()
    found = analysed(folder, ModelPackage.load(DEFAULT_MODEL, threads=1))
    assert found.density is None
    assert found.category is not TriageCategory.LOW


def test_messages_and_reports_code_it(exam: Path, bench) -> None:
    """SNOMED CT 129718006 is "heterogeneously dense" of CID 6000."""
    plain = analysed(exam, ModelPackage.load(DEFAULT_MODEL, threads=1))
    stated = with_density(replace(plain, density=None))
    entries = exam_bundle(stated, bench.run)["entry"]
    coded = {
        entry["resource"]["bodySite"]["coding"][0]["code"]: entry["resource"][
            "valueCodeableConcept"
        ]["coding"][0]["code"]
        for entry in entries
        if entry["resource"].get("code", {}).get("coding", [{}])[0].get("code") == "111006"
    }
    assert coded["76752008"] == "129718006"
    notes = [str(entry["resource"].get("note")) for entry in entries]
    assert sum(DENSITY_CAUTION in note for note in notes) == 3
    assert sorted(coded.values()) == ["129717001", "129718006", "129718006"]
    unsure = json.dumps(exam_bundle(with_density(plain, UNSURE), bench.run))
    assert "129718006" not in unsure
    message = oru_message(stated, bench.run)
    found = [line.split("|") for line in message.split("\r") if "111006^" in line]
    assert [(line[3], line[5]) for line in found] == [
        ("111006^Breast composition^DCM", "129718006^Heterogeneously dense^SCT")
    ]
    segments = message.split("\r")
    following = segments[segments.index("|".join(found[0])) + 1]
    assert following == f"NTE|1|L|{DENSITY_CAUTION}"
    bench.write([stated], "dicom-sr", "dicom-cad-sr")
    reports = [dcmread(path).to_json() for path in sorted(bench.out.rglob("*.dcm"))]
    assert len(reports) == 2
    assert all(SENTENCE in report for report in reports)
    assert ["129718006" in report for report in reports] == [False, True]
