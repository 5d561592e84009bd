"""results.json against its published schema, and worklist.csv as a spreadsheet would take it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from mammolens.core import ObjectKind, Source, TriageCategory, Unreadable
from mammolens.sinks import write_run
from mammolens.sinks.results_json import results_schema
from mammolens.sinks.worklist_csv import COLUMNS

REFUSED = Unreadable("in/notes.txt", "NotAnImage", "in/notes.txt: this is text")


def read_results(out):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    results = json.loads((out / "results.json").read_bytes(), parse_constant=refuse)
    Draft202012Validator.check_schema(results_schema())
    Draft202012Validator(results_schema()).validate(results)
    return results


def read_rows(out):
    with (out / "worklist.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_results_have_the_published_shape(bench):
    partly = bench.exam(unreadable=(REFUSED,))
    bench.write([bench.exam(), bench.failed(), REFUSED, partly], "json")
    results = read_results(bench.out)
    assert results["schema"] == "mammolens/results/1"
    assert results["created"] == "2026-03-01T09:30:00+01:00"
    assert results["model"] == {"name": "mammolens-1", "version": "0.1.0", "digest": "ab" * 32}
    assert "not a medical device" in results["disclaimer"]
    assert [u["path"] for u in results["unreadable"]] == [
        "in/cut.dcm",
        "in/notes.txt",
        "in/notes.txt",
    ]
    exam, failed, third = results["exams"]
    assert (exam["category"], exam["patient_id"]) == ("intermediate", "P1")
    assert (exam["malignancy"], exam["tumour"]) == pytest.approx((0.3, 0.4))
    assert [b["laterality"] for b in exam["breasts"]] == ["L", "R"]
    image = exam["images"][0]
    assert (image["path"], image["laterality"], image["view_position"]) == ("in/RCC.dcm", "R", "CC")
    assert image["findings"][0]["box_source_px"] == [160, 60, 210, 120]
    assert image["warnings"] == ["laterality_from_name: taken from the file name"]
    assert (failed["category"], failed["malignancy"], failed["tumour"]) == ("failed", None, None)
    assert failed["unreadable"][0]["path"] == "in/cut.dcm"
    assert third["unreadable"] == [
        {
            "path": "in/notes.txt",
            "error": "NotAnImage",
            "message": "in/notes.txt: this is text",
            "kind": "unknown",
        }
    ]


@pytest.mark.parametrize(("factor", "written"), [(1.25, 1.25), (0.333333, 0.3333), (None, None)])
def test_what_age_did_stands_in_the_results_and_on_the_page(bench, factor, written):
    bench.write([bench.exam(age_odds_factor=factor)], "json", "html")
    assert read_results(bench.out)["exams"][0]["age_odds_factor"] == written
    page = (bench.out / "report.html").read_text("utf-8")
    assert ("multiplies the odds" in page) is (factor is not None)


def test_an_empty_run_is_a_whole_document(bench):
    bench.write([], "json", "csv")
    assert read_results(bench.out)["exams"] == []
    assert read_rows(bench.out) == []


def test_no_key_is_written_that_the_schema_does_not_describe(bench):
    bench.write([bench.exam(unreadable=(REFUSED,))], "json")
    schema = results_schema()

    def walk(value, rule, at):
        while "$ref" in rule:
            rule = schema["$defs"][rule["$ref"].rpartition("/")[2]]
        if isinstance(value, dict):
            assert set(value) == set(rule["properties"]), at
            for key, item in value.items():
                walk(item, rule["properties"][key], f"{at}.{key}")
        elif isinstance(value, list):
            for item in value:
                walk(item, rule["items"], at)

    walk(read_results(bench.out), schema, "results")


def test_the_schema_refuses_a_failed_exam_with_a_score_and_a_low_one_without(bench):
    bench.write([bench.exam(), bench.failed()], "json")
    results = read_results(bench.out)
    validator = Draft202012Validator(results_schema())
    results["exams"][1]["malignancy"] = 0.0
    assert not validator.is_valid(results)
    results["exams"][1]["malignancy"] = None
    results["exams"][0]["malignancy"] = None
    assert not validator.is_valid(results)


def test_names_and_birth_dates_are_written_nowhere(bench):
    bench.write([bench.exam()], "json", "csv", "html", "overlay")
    files = [p for p in bench.out.rglob("*") if p.is_file()]
    assert len(files) == 14
    for path in files:
        assert b"SECRET" not in path.read_bytes(), path
        assert b"19591231" not in path.read_bytes(), path


def test_hostile_texts_survive_as_text(bench, hostile):
    exams = [
        bench.exam(
            patient_id=text,
            images=(bench.image(ref=replace(bench.image().ref, path=f"in/{text}.dcm")),),
        )
        for text in hostile()
    ]
    bench.write(exams, "json", "csv")
    written = [exam["patient_id"] for exam in read_results(bench.out)["exams"]]
    assert written == [t.encode("utf-8", "backslashreplace").decode() for t in hostile()]
    assert len(read_rows(bench.out)) == len(exams)


def test_the_worklist_is_in_reading_order(bench):
    kinds = TriageCategory
    exams = [
        bench.exam(0.01, patient_id="low", category=kinds.LOW),
        bench.exam(0.4, patient_id="high", category=kinds.HIGH),
        bench.exam(0.1, patient_id="mid", category=kinds.INTERMEDIATE),
        bench.failed(patient_id="failed"),
        bench.exam(0.7, patient_id="higher", category=kinds.HIGH),
    ]
    bench.write(exams, "csv")
    rows = read_rows(bench.out)
    assert list(rows[0]) == list(COLUMNS)
    assert [row["patient_id"] for row in rows] == ["failed", "higher", "high", "mid", "low"]
    assert [row["position"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert (rows[0]["malignancy"], rows[1]["malignancy"]) == ("", "0.7")
    assert rows[0]["read_as"] == "failed: unknown, read it like a high one"
    assert rows[1]["views"] == "RCC LCC RMLO LMLO"
    assert all("not a medical device" in row["notice"] for row in rows)


def test_the_worklist_says_which_images_were_not_analysed(bench):
    image = bench.image("L", "MLO")
    source = Source(image.ref, image.header)
    missed = Unreadable("in/a.dcm", "NotAnImage", "in/a.dcm: cut", source, ObjectKind.MAMMOGRAM)
    report = Unreadable("in/sr.dcm", "NotAMammogram", "no", source, ObjectKind.DOCUMENT)
    lost = Unreadable("in/b.dcm", "NotAnImage", "in/b.dcm: empty")
    bench.write([bench.exam(unreadable=(missed, report, lost))], "csv")
    (row,) = read_rows(bench.out)
    assert row["n_unreadable"] == "2"
    assert row["not_analysed"] == (
        "Not analysed: 2 of 6 images: LMLO (damaged), unknown view (damaged)."
    )
    assert row["prevalence_from"] == "site"


def test_whose_prevalence_it_is_stands_in_json_and_worklist(bench):
    run = replace(bench.run, prevalence_stated=False)
    write_run(iter([bench.exam()]), bench.out, run, ["json", "csv"])
    assert read_results(bench.out)["prevalence_stated"] is False
    assert read_rows(bench.out)[0]["prevalence_from"] == "model"


FORMULAS = [
    "=",
    "+",
    "-",
    "@",
    " =",
    "\t=",
    "\r",
    "\uff1d",
    " \uff0b",
    "\uff0d",
    "\uff20",
    "\u2212",
]


@pytest.mark.parametrize("start", FORMULAS)
def test_no_cell_begins_like_a_formula(bench, start):
    bench.write([bench.exam(patient_id=f"{start}1+1", study_instance_uid=f"{start}2")], "csv")
    row = read_rows(bench.out)[0]
    assert row["patient_id"].startswith("'")
    assert row["study_instance_uid"].startswith("'")


@pytest.mark.parametrize("sink", ["overlay", "fhir", "hl7"])
def test_no_cell_of_an_index_begins_like_a_formula(bench, sink):
    bench.write([bench.exam(patient_id=" \uff1d1+1")], sink)
    indices = list(bench.out.rglob("index.csv"))
    assert indices
    for index in indices:
        with index.open(encoding="utf-8", newline="") as stream:
            assert {row["patient_id"] for row in csv.DictReader(stream)} == {"' \uff1d1+1"}
