"""Reports from files: HL7 v2, FHIR R4, tables, texts; bad input is refused without its text."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mammolens.cli import app
from mammolens.errors import ConfigError, MissingInput, UnreadableReport
from mammolens.pathology import Outcome, Property
from mammolens.pathology.files import read_file
from mammolens.pathology.hl7 import unescape
from mammolens.pathology.outcomes import ReadReports, read_paths, write_outcomes
from mammolens.pathology.reports import ReportStatus

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECRET = "Zanzibar"
"""A word in every report; no message may show it."""


def hl7(
    *segments: str, charset: str = "", obr: str = "F", number: str = "S1", when: str = ""
) -> bytes:
    head = f"MSH|^~\\&|LAB|A|B|C|20250301||ORU^R01^ORU_R01|1|P|2.5.1||||||{charset}"
    fields = [""] * 26
    fields[0], fields[3], fields[7], fields[22], fields[25] = "OBR", number, "20250301", when, obr
    return "\r".join([head, "PID|1||P1^^^H^MR", "|".join(fields), *segments]).encode() + b"\r"


def obx(text: str, state: str = "F", code: str = "22637-3^Final diagnosis^LN") -> str:
    return f"OBX|1|TX|{code}|1|{text}||||||{state}"


def report(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "id": "d1",
        "status": "final",
        "identifier": [{"value": "S1"}],
        "subject": {"reference": "Patient/P1"},
        "issued": "2025-03-01T10:00:00Z",
        "conclusion": f"Left breast core biopsy: invasive ductal carcinoma. {SECRET}",
    } | more


def read(tmp_path: Path, name: str, data: bytes | str | dict[str, Any] | list[Any]) -> ReadReports:
    path = tmp_path / name
    if isinstance(data, (dict, list)):
        data = json.dumps(data)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_paths([path], now=NOW)


def only(found: ReadReports) -> Outcome | None:
    assert found.failures == ()
    assert len(found.outcomes) == 1
    return found.outcomes[0].reading.specimens[0].outcome


def test_hl7_becomes_an_outcome(tmp_path: Path) -> None:
    found = read(
        tmp_path, "a.hl7", hl7(obx("Left breast core: DCIS.~Grade high."), when="20250302")
    )
    assert only(found) is Outcome.IN_SITU
    one = found.outcomes[0].report
    assert (one.patient_id, one.report_id, one.status) == ("P1", "S1", ReportStatus.FINAL)
    assert found.outcomes[0].reading.specimens[0].value(Property.DCIS_GRADE) == "high"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"a\T\b\F\c\S\d\R\e\E\f", "a&b|c^d~e\\f"),
        (r"one\.br\two\.sp\three", "one\ntwo\nthree"),
        (r"\X41\\H\x\N\ ", "Ax "),
        (r"open \X4", r"open \X4"),
        ("\\" * 9, "    \\"),
    ],
)
def test_escapes(text: str, plain: str) -> None:
    assert unescape(text) == plain


def test_the_character_set_counts(tmp_path: Path) -> None:
    message = hl7(obx("Left breast core: fibroadenoma, caf\u00e9 au lait"), charset="8859/1")
    latin = message.decode().encode("latin-1")
    assert only(read(tmp_path, "a.hl7", latin)) is Outcome.BENIGN
    wrong = latin.replace(b"8859/1", b"")
    failure = read(tmp_path, "b.hl7", wrong).failures[0]
    assert failure.keyword == "MSH-18"
    unknown = latin.replace(b"8859/1", b"KLINGON")
    assert read(tmp_path, "c.hl7", unknown).failures[0].keyword == "MSH-18"


def test_a_later_version_overrules(tmp_path: Path) -> None:
    first = hl7(obx("Left breast core: suspicious for carcinoma."), obr="P", when="20250302")
    second = hl7(obx("Left breast core: invasive carcinoma."), obr="F", when="20250303")
    third = hl7(obx("Left breast core: ductal carcinoma in situ.", "C"), obr="C", when="20250305")
    assert only(read(tmp_path, "a.hl7", first + third + second)) is Outcome.IN_SITU
    found = read(tmp_path, "b.hl7", first + second + second)
    assert only(found) is Outcome.INVASIVE
    assert (found.outcomes[0].versions, found.outcomes[0].duplicates) == (2, 1)


def test_a_withdrawn_report_is_gone(tmp_path: Path) -> None:
    first = hl7(obx("Left breast core: invasive carcinoma."), when="20250302")
    gone = hl7(obx("x", "W"), obr="X", when="20250303")
    assert read(tmp_path, "a.hl7", first + gone).outcomes == ()


def test_versions_of_one_time_that_contradict_are_unsure(tmp_path: Path) -> None:
    first = hl7(obx("Left breast core: invasive carcinoma."), when="20250302")
    second = hl7(obx("Left breast core: fibroadenoma."), when="20250302")
    found = read(tmp_path, "a.hl7", first + second)
    assert only(found) is None
    assert "contradict" in found.outcomes[0].reading.doubts[0]


def test_one_number_for_two_patients_is_unsure(tmp_path: Path) -> None:
    first = hl7(obx("Left breast core: invasive carcinoma."))
    found = read(tmp_path, "a.hl7", first + first.replace(b"P1^", b"P2^"))
    assert [one.reading.specimens[0].outcome for one in found.outcomes] == [None, None]


def test_fhir_becomes_an_outcome(tmp_path: Path) -> None:
    observed = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "subject": {"reference": "Patient/P1"},
        "code": {"text": "Estrogen receptor"},
        "valueCodeableConcept": {"text": "Positive"},
    }
    specimen = {
        "resourceType": "Specimen",
        "id": "s1",
        "collection": {"bodySite": {"text": "Left breast"}, "method": {"text": "core biopsy"}},
    }
    whole = report(
        result=[{"reference": "Observation/o1"}], specimen=[{"reference": "Specimen/s1"}]
    )
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": one} for one in (whole, observed, specimen)],
    }
    found = read(tmp_path, "a.json", bundle)
    assert only(found) is Outcome.INVASIVE
    assert found.outcomes[0].reading.specimens[0].value(Property.ER) == "positive"
    other = observed | {"subject": {"reference": "Patient/P2"}}
    bundle["entry"][1] = {"resource": other}
    assert "another patient" in str(read(tmp_path, "b.json", bundle).failures[0])


def test_an_attached_text_is_read_and_a_pdf_is_refused(tmp_path: Path) -> None:
    text = base64.b64encode(b"Right breast core biopsy: fibroadenoma.").decode()
    form = {"contentType": "text/plain", "data": text}
    assert only(read(tmp_path, "a.json", report(conclusion="", presentedForm=[form]))) is (
        Outcome.BENIGN
    )
    pdf = report(conclusion="", presentedForm=[{"contentType": "application/pdf", "data": text}])
    assert "a PDF" in str(read(tmp_path, "b.json", pdf).failures[0])


R5 = [
    {"supportingInfo": []},
    {"composition": {}},
    {"meta": {"profile": ["http://hl7.org/fhir/5.0/StructureDefinition/DiagnosticReport"]}},
]
BAD = [
    ("scan.pdf", b"%PDF-1.4 /Image", "scan"),
    ("locked.pdf", b"%PDF-1.4 /Encrypt /Font", "encrypted"),
    ("text.pdf", b"%PDF-1.4 /Font", "a PDF"),
    ("bomb.xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "cc">]><a>&b;</a>', "XML"),
    ("scan.txt", b"\x89PNG....", "scan"),
    ("a.docx", b"PK\x03\x04....", "office"),
    ("a.txt", b"", "empty"),
    ("a.txt", b"Zanzibar\x00\x01\x02", "not text"),
    ("a.json", b"{Zanzibar", "JSON"),
    ("a.json", b"[" * 100_000, "JSON"),
    ("a.json", b'{"resourceType": "Patient"}', "DiagnosticReport"),
    ("a.json", json.dumps(report(status="Zanzibar")).encode(), "status"),
    ("a.json", json.dumps(report(issued="2031-01-01T00:00:00Z")).encode(), "future"),
    ("a.json", json.dumps(report(result="Zanzibar")).encode(), "another type"),
    ("a.hl7", hl7(obx("Zanzibar")).replace(b"ORU^R01", b"ADT^A01"), "ORU"),
    ("a.hl7", hl7(obx("Zanzibar"), obr="Q"), "status"),
    ("a.hl7", hl7("OBX|1|ED|x|1|Zanzibar||||||F"), "attached"),
    ("a.hl7", hl7(obx("Zanzibar"), when="20310101"), "future"),
    ("a.csv", "patient_id,text\n" + "Zanzibar " * 20 + ",x\n", "identifier"),
    ("a.csv", b"patient_id,text\n1,Zanzibar \xe9\n", "UTF-8"),
    ("a.csv", "patient_id,text\n1,Zanzibar,3\n", "cells"),
    ("a.csv", "text,issued\nZanzibar,someday\n", "date"),
    ("a.csv", "text,issued\nZanzibar,2031-01-01\n", "future"),
    ("a.txt", "MRN: 1\nMRN: 2\nZanzibar", "two patients"),
    *(("r5.json", json.dumps(report(**more)).encode(), "R5") for more in R5),
]


@pytest.mark.parametrize(("name", "data", "words"), BAD)
def test_bad_input_is_refused_without_its_text(
    tmp_path: Path, name: str, data: bytes | str, words: str
) -> None:
    found = read(tmp_path, name, data)
    assert found.outcomes == ()
    assert words in str(found.failures[0])
    assert SECRET not in str(found.failures)
    assert SECRET not in repr(found.failures[0].__cause__)


def test_a_table_is_read(tmp_path: Path) -> None:
    text = '"Left breast core:\nDCIS, high grade"'
    found = read(tmp_path, "a.csv", f"report_id,patient_id,issued,text\nR1,P1,2025-03-01,{text}\n")
    assert only(found) is Outcome.IN_SITU


def test_an_addendum_row_adds_to_its_report(tmp_path: Path) -> None:
    rows = (
        "report_id,patient_id,issued,status,text\n"
        "R1,P1,2025-03-01,final,Left breast core: invasive carcinoma. HER2 2+\n"
        "R1,P1,2025-03-05,addendum,HER2 FISH: not amplified\n"
    )
    found = read(tmp_path, "a.csv", rows)
    assert only(found) is Outcome.INVASIVE
    assert found.outcomes[0].reading.specimens[0].value(Property.HER2) == "negative"


def test_reports_of_another_patient_can_be_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("MRN: 17\nLeft breast core: fibroadenoma")
    assert read_paths([path], patient_id="17", now=NOW).failures == ()
    refused = read_paths([path], patient_id="18", now=NOW)
    assert "another patient" in str(refused.failures[0])


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingInput):
        read_paths([tmp_path / "none"])
    with pytest.raises(MissingInput):
        read_paths([tmp_path])
    assert isinstance(next(read_file(tmp_path / "none")), UnreadableReport)


def test_the_command_writes_outcomes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(f"Left breast core: DCIS. {SECRET}")
    (tmp_path / "in" / "b.pdf").write_bytes(b"%PDF-1.4")
    for name in ("out.csv", "out.json"):
        command = ["pathology", "read", str(tmp_path / "in"), "--out", str(tmp_path / name)]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 3, done.output
        assert "1 reports, 1 specimens; 0 reports need a person; 1 were not read" in done.output
        assert SECRET not in done.output
        assert "in situ" in (tmp_path / name).read_text()
    shown = json.loads((tmp_path / "out.json").read_text())
    stated = shown["reports"][0]["specimens"][0]["statements"]["outcome"]
    assert stated["value"] == "in situ"
    assert stated["evidence"] == ["Left breast core: DCIS."]


def test_the_output_has_a_known_ending(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write_outcomes(ReadReports((), ()), tmp_path / "out.txt")
