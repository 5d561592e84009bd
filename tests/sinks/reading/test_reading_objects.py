"""DICOM objects, messages and reports of a signed reading: valid, and they say what was signed."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO

import numpy as np
import pydicom
import pytest

from mammolens.core import SourceHeader
from mammolens.errors import MissingAttribute, UnsupportedImage
from mammolens.readings import DESCRIPTORS, Descriptors
from mammolens.sinks.reading import (
    LANGUAGES,
    page_policy,
    presentation_states,
    reading_fhir,
    reading_hl7,
    reading_page,
    reading_pdf,
    reading_report,
    wording,
)
from mammolens.sinks.reading.codes import descriptor_codes

EN = wording("en")


def changes(signed):
    """Every kind of standing that a reading may have."""
    return {
        "plain": signed(),
        "opinion": signed(role="opinion"),
        "behind": signed(is_behind=True),
        "no marks": signed({"findings": []}, additions=()),
        "no ai": signed(ai=None, ai_shown=False, agreed=None),
        "one breast": signed({"assessments": {"left": {"birads": "1"}}, "recall": False}),
    }


def items(report, name):
    found = []

    def walk(item):
        for inner in item.get("ContentSequence", ()):
            concept = inner.get("ConceptNameCodeSequence")
            if concept and concept[0].CodeMeaning == name:
                found.append(inner)
            walk(inner)

    walk(report)
    return found


@pytest.mark.parametrize("name", ["plain", "opinion", "behind", "no marks", "no ai", "one breast"])
def test_validators_take_every_report(signed, dciodvfy, tmp_path, name):
    path = tmp_path / "reading.dcm"
    path.write_bytes(reading_report(changes(signed)[name]).read())
    assert dciodvfy(path) == []
    for program in ("dsrdump", "dsr2html"):
        if shutil.which(program) is None:
            continue
        done = subprocess.run([program, path], capture_output=True, text=True, check=False)
        expected = ("Specific Character Set: ISO_IR 192", "template constraints not yet supported")
        lines = [line for line in done.stderr.splitlines() if not line.endswith(expected)]
        assert (done.returncode, lines) == (0, []), program


def test_the_structured_report_says_what_was_signed_and_by_whom(signed):
    report = pydicom.dcmread(BytesIO(reading_report(signed()).read()))
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "VERIFIED")
    assert report.PreliminaryFlag == "FINAL"
    (verifier,) = report.VerifyingObserverSequence
    assert str(verifier.VerifyingObserverName) == "Dr. Ada R e ader"
    assert (report.PatientID, str(report.PatientName)) == ("P1", "Doe^Jane")
    categories = [
        item.ConceptCodeSequence[0].CodeMeaning for item in items(report, "Assessment Category")
    ]
    assert categories == ["2 - Benign", *["5 - Highly suggestive of malignancy"] * 2]
    (margin,) = items(report, "Margins")
    assert margin.ConceptCodeSequence[0].CodeMeaning == "Spiculated lesion"
    lengths = [
        (
            float(item.MeasuredValueSequence[0].NumericValue),
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for item in items(report, "Length")
    ]
    assert lengths == [(3.5, "mm"), (50.0, "{pixels}")]
    said = [item.TextValue for item in items(report, "Comment")]
    assert "A mass <b>left</b> & a scar; Größe 12 mm" in said
    assert any("One more word" in text for text in said)
    again = pydicom.dcmread(BytesIO(reading_report(signed()).read()))
    assert again.SOPInstanceUID == report.SOPInstanceUID
    other = pydicom.dcmread(BytesIO(reading_report(signed({"comment": "x"})).read()))
    assert other.SOPInstanceUID != report.SOPInstanceUID
    assert other.SeriesInstanceUID == report.SeriesInstanceUID


def test_an_ellipse_has_its_longer_axis_first(signed):
    report = pydicom.dcmread(BytesIO(reading_report(signed()).read()))
    shapes = {}

    def walk(item):
        for inner in item.get("ContentSequence", ()):
            if inner.ValueType == "SCOORD":
                shapes.setdefault(inner.GraphicType, []).append(list(inner.GraphicData))
            walk(inner)

    walk(report)
    assert shapes["ELLIPSE"] == [[140, 150, 140, 260, 100, 205, 180, 205]]
    assert shapes["POINT"] == [[50.5, 60], [200, 250], [20, 30]]
    assert shapes["POLYLINE"] == [[10, 10, 40, 50], [0, 0, 30, 40]]


@pytest.mark.parametrize("name", ["opinion", "behind"])
def test_what_does_not_stand_is_not_final(signed, name):
    reading = changes(signed)[name]
    report = pydicom.dcmread(BytesIO(reading_report(reading).read()))
    assert report.PreliminaryFlag == "PRELIMINARY"
    bundle = json.loads(reading_fhir(reading, EN).read())
    statuses = {e["resource"]["status"] for e in bundle["entry"] if "result" in e["resource"]}
    assert statuses == {"preliminary"}
    message = reading_hl7(reading, EN).read().decode()
    assert {row.split("|")[11] for row in message.split("\r") if row.startswith("OBX")} == {"P"}


def test_every_descriptor_has_codes():
    for kind, groups in DESCRIPTORS.items():
        for group, values in groups.items():
            for value in values:
                one = Descriptors(type=kind, answers={group: value})
                ((name, code),) = descriptor_codes(one)
                assert len(name.value) <= 16
                assert len(code.value) <= 16
                for language in LANGUAGES:
                    assert wording(language).described(one)


def test_the_marks_are_drawn_on_their_images(signed, dciodvfy, tmp_path):
    states = list(presentation_states(signed()))
    assert len(states) == 3
    for state in states:
        path = tmp_path / state.name
        path.write_bytes(state.read())
        assert dciodvfy(path) == []
        if shutil.which("dcmpschk") is not None:
            done = subprocess.run(["dcmpschk", path], capture_output=True, text=True, check=False)
            assert "Test passed" in done.stdout + done.stderr
    made = {str(state.name): pydicom.dcmread(BytesIO(state.read())) for state in states}
    (left,) = (one for name, one in made.items() if "LCC" in name)
    (annotation,) = left.GraphicAnnotationSequence
    kinds = [shape.GraphicType for shape in annotation.GraphicObjectSequence]
    assert kinds == ["ELLIPSE", "CIRCLE"]
    texts = [text.UnformattedTextValue for text in annotation.TextObjectSequence]
    assert texts == ["1 palpable?", "2"]
    assert str(left.ContentCreatorName) == "Dr. Ada R e ader"
    assert left.SoftcopyVOILUTSequence[0].WindowWidth == 3000
    assert list(presentation_states(signed({"findings": []}))) == []


def test_fhir_takes_the_bundle_and_it_names_the_person(signed):
    models = pytest.importorskip("fhir.resources.R4B", reason="pip install fhir.resources")
    for reading in changes(signed).values():
        bundle = json.loads(reading_fhir(reading, EN).read())
        models.get_fhir_model_class("Bundle").model_validate(bundle)
        for entry in bundle["entry"]:
            kind = entry["resource"]["resourceType"]
            models.get_fhir_model_class(kind).model_validate(entry["resource"])
    bundle = json.loads(reading_fhir(signed(), EN).read())
    named = {e["fullUrl"] for e in bundle["entry"]}
    (report,) = (
        e["resource"]
        for e in bundle["entry"]
        if e["resource"]["resourceType"] == "DiagnosticReport"
    )
    assert report["status"] == "appended"
    assert {one["reference"] for one in report["result"]} <= named
    assert report["resultsInterpreter"][0]["reference"] in named
    assert "Doe" not in json.dumps(bundle), "the patient is referred to by identifier"
    assert "Dr. Ada" in report["conclusion"]


def test_hl7_takes_the_message_and_it_names_the_person(signed):
    pytest.importorskip("hl7apy", reason="pip install hl7apy")
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    for reading in changes(signed).values():
        for language in LANGUAGES:
            message = reading_hl7(reading, wording(language)).read().decode()
            parsed = parse_message(message, validation_level=VALIDATION_LEVEL.STRICT)
            assert parsed.validate()
    rows = [row.split("|") for row in reading_hl7(signed(), EN).read().decode().split("\r")]
    (obr,) = (row for row in rows if row[0] == "OBR")
    assert obr[25] == "F"
    assert obr[32] == "ada&Dr. Ada R\\S\\e\\E\\ader"


def test_a_reading_of_nobody_goes_nowhere(signed):
    reading = signed()
    bare = tuple(replace(one, ref=replace(one.ref, patient_id=None)) for one in reading.images)
    with pytest.raises(MissingAttribute):
        reading_fhir(replace(reading, images=bare), EN)
    first, *others = reading.images
    two = (replace(first, ref=replace(first.ref, patient_id="P2")), *others)
    for make in (reading_report, lambda one: reading_hl7(one, EN)):
        with pytest.raises(UnsupportedImage):
            make(replace(reading, images=two))
    lost = tuple(replace(one, header=SourceHeader()) for one in reading.images)
    with pytest.raises(MissingAttribute):
        reading_report(replace(reading, images=lost))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_what_a_referring_doctor_needs(signed, language):
    say = wording(language)
    page = reading_page(signed(), say).decode()
    for words in (
        say("notice"),
        say("category.5"),
        say("advice.recall"),
        say("advice.5"),
        say("ai.cannot"),
        say("ai.high"),
        say("ai.blinded"),
        "Jane Doe",
        "Please call today",
        "One more word",
        "Dr. Ada R^e\\ader",
        "A mass &lt;b&gt;left&lt;/b&gt; &amp; a scar; Größe 12 mm",
    ):
        assert words in page, words
    assert f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page
    assert page.count("data:image/png;base64,") == 4
    assert "<script" not in page
    assert " style=" not in page


def test_the_page_is_shown_under_its_own_policy():
    assert "'unsafe" not in page_policy()
    assert "sandbox" in page_policy()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_print_has_the_same_words(signed, language):
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("typst")
    say = wording(language)
    made = reading_pdf(signed({"comment": "مرحبا", "urgent": "<b> #raw $x$"}), say)
    reader = pypdf.PdfReader(BytesIO(made))
    text = " ".join(" ".join(page.extract_text().split()) for page in reader.pages)
    # Of letters that are joined when they are set, a PDF names shapes: they cannot be compared.
    is_joined = language in ("ar", "hi")
    said = [say("title"), say("category.5"), say("advice.recall"), "<b> #raw $x$"]
    for words in ("Jane Doe", *([] if is_joined else said)):
        assert words in text, words
    assert sum(len(page.images) for page in reader.pages) == 4
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]


def test_a_report_without_the_ai_shows_no_trace_of_it(signed):
    reading = signed(ai=None, ai_shown=False, agreed=None, first_answer=None)
    page = reading_page(reading, EN).decode()
    assert EN("ai.none") in page
    for key in ("ai.high", "ai.blinded", "ai.agreed", "ai.doubts"):
        assert EN(key) not in page


def test_a_changed_answer_is_told_with_the_first_one(signed):
    first = signed({"assessments": {"left": {"birads": "2"}}, "recall": False}).answer
    page = reading_page(signed(agreed=False, first_answer=first), EN).decode()
    assert "First answer: Right breast: BI-RADS –; Left breast: BI-RADS 2; No recall." in page


def test_languages_have_the_same_texts():
    english = wording("en").texts
    for language in LANGUAGES:
        texts = wording(language).texts
        assert set(texts) == set(english)
        for key, text in texts.items():
            fields = {part.partition("}")[0] for part in text.split("{")[1:]}
            assert fields == {p.partition("}")[0] for p in english[key].split("{")[1:]}, key


def test_a_mark_is_drawn_where_it_lies(signed):
    from mammolens.sinks.reading.document import draw_pictures

    (plain,) = (p for p in draw_pictures(signed({"findings": []})) if p.source.ref.path == "1.dcm")
    (drawn,) = (p for p in draw_pictures(signed()) if p.source.ref.path == "1.dcm")
    import cv2

    one, other = (
        cv2.imdecode(np.frombuffer(p.png, np.uint8), cv2.IMREAD_COLOR).astype(int)
        for p in (plain, drawn)
    )
    rows, columns = np.nonzero(np.abs(one - other).sum(axis=2) > 200)
    assert abs(rows.min() - 48) < 8
    assert abs(columns.min() - 42) < 8
    assert drawn.numbers == (1, 2)


def test_a_banner_stands_in_every_report(signed):
    reading = signed(banner="CONSTRUCTED: a synthetic lesion was added")
    page = reading_page(reading, EN).decode()
    assert page.count(reading.banner) == 2
    report = pydicom.dcmread(BytesIO(reading_report(reading).read()))
    assert reading.banner in [item.TextValue for item in items(report, "Comment")]
    assert (
        reading.banner
        in json.loads(reading_fhir(reading, EN).read())["entry"][-1]["resource"]["conclusion"]
    )
    assert reading.banner in reading_hl7(reading, EN).read().decode()
    pypdf = pytest.importorskip("pypdf")
    pytest.importorskip("typst")
    pages = pypdf.PdfReader(BytesIO(reading_pdf(reading, EN))).pages
    assert all("CONSTRUCTED" in one.extract_text() for one in pages)
