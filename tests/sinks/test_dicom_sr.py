"""Structured reports: what they say, that validators take them, and that nothing wrong goes out."""

from __future__ import annotations

import copy
import csv
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts
from tid4000 import violations
from tid4000_rules import code_of, walk

from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.analysis.pseudonyms import pseudonymise
from mammolens.core import (
    BreastPrediction,
    Caution,
    Finding,
    ImageRef,
    Laterality,
    ModelId,
    ObjectKind,
    PresentationIntent,
    Scores,
    Source,
    SourceHeader,
    TriageCategory,
    Unreadable,
)
from mammolens.errors import ConfigError, MissingAttribute, ModelError, UnsupportedImage
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.model import ModelPackage
from mammolens.sinks import _dicom_codes, write_run
from mammolens.sinks._dicom_codes import Code
from mammolens.sinks._dicom_common import encode
from mammolens.sinks.dicom_cad_sr import build_cad_sr
from mammolens.sinks.dicom_sr import build_measurement_report

pytest.importorskip(
    "highdicom", reason="highdicom is not installed: pip install 'mammolens[dicom]'"
)

GOLDEN = Path(__file__).parent.parent / "golden"
FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
HEADER = SourceHeader(
    sop_class_uid=FOR_PRESENTATION,
    patient_name="Doe^Jane",
    patient_sex="F",
    patient_birth_date="19600131",
    accession_number="ACC-7",
    study_id="S1",
    study_date="20261001",
    study_time="101500",
    referring_physician_name="Refer^Rita",
    patient_orientation=("A", "FR"),
    content_date="20261001",
    content_time="101530.5",
)
BUILDERS = {"cad": build_cad_sr, "tid1500": build_measurement_report}
BOTH = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def source(number: int, **header) -> Source:
    ref = ImageRef(
        f"in/{number}.dcm",
        patient_id="P1",
        study_instance_uid="1.2.840.1",
        series_instance_uid=f"1.2.840.1.{number}",
        sop_instance_uid=f"1.2.840.1.{number}.1",
        laterality=Laterality.RIGHT,
        spacing_mm=(0.07, 0.08),
    )
    return Source(ref, replace(HEADER, **header))


def given_exam(bench, images: int = 4, marked: tuple[int, ...] = (0, 3), **changes):
    """An exam of which the images in `marked` have a finding; the breasts differ."""
    whole = bench.exam()
    made = []
    for number, image in enumerate(whole.images[:images]):
        from_file = source(number + 1)
        ref = replace(
            from_file.ref,
            laterality=image.ref.laterality,
            view_position=image.ref.view_position,
            path=image.ref.path,
        )
        findings = image.findings if number in marked else ()
        made.append(replace(image, ref=ref, header=HEADER, findings=findings))
    breasts = (
        BreastPrediction(Laterality.RIGHT, Scores(0.6, 0.1, 0.3)),
        BreastPrediction(Laterality.LEFT, Scores(0.89, 0.1, 0.01)),
    )
    return replace(whole, **({"images": tuple(made), "breasts": breasts} | changes))


def refused(
    number: int,
    error: str = "NotAnImage",
    kind: ObjectKind = ObjectKind.MAMMOGRAM,
    **header,
) -> Unreadable:
    path = f"in/{number}.dcm"
    return Unreadable(path, error, f"{path}: cut off", source(number, **header), kind)


def failed_exam(bench):
    four = tuple(refused(n, "NotAMammogram", sop_class_uid=FOR_PROCESSING) for n in range(1, 5))
    return bench.failed(unreadable=four)


def scenarios(bench):
    exam = given_exam(bench)
    bare = replace(exam.images[0], header=replace(HEADER, patient_orientation=("CC",)))
    bare = replace(bare, ref=replace(bare.ref, spacing_mm=None, view_position=None))
    modified = replace(HEADER, view_modifiers=(("399163009", "SCT", "Magnification"),))
    return {
        "findings": exam,
        "none": given_exam(bench, marked=()),
        "failed": failed_exam(bench),
        "partial": given_exam(bench, images=3, unreadable=(refused(9),)),
        "two_views": given_exam(bench, images=2, category=TriageCategory.LOW),
        "bare": replace(exam, images=(bare,)),
        "magnified": replace(exam, images=(replace(exam.images[0], header=modified),)),
        "side_unknown": replace(
            exam,
            images=tuple(replace(i, ref=replace(i.ref, laterality=None)) for i in exam.images[:1]),
            breasts=(BreastPrediction(None, exam.images[0].scores),),
        ),
    }


SCENARIOS = (
    "findings none failed partial two_views bare magnified side_unknown".split()  # noqa: SIM905
)


def dump(report: Dataset) -> str:
    """The content tree as text, a line for each item."""
    lines = []
    for position, item in walk(report):
        name = code_of(item, "ConceptNameCodeSequence")
        words = [
            ".".join(map(str, position)),
            item.get("RelationshipType", ""),
            item.get("ValueType"),
        ]
        words.append(f"{name.value} {name.meaning}" if name else "")
        lines.append(" | ".join(str(word or "") for word in (*words, said(item))))
    return "\n".join(lines) + "\n"


def said(item: Dataset) -> str:
    if "ReferencedContentItemIdentifier" in item:
        return "-> " + ".".join(map(str, item.ReferencedContentItemIdentifier))
    match item.ValueType:
        case "CODE":
            value = code_of(item, "ConceptCodeSequence")
            return f"{value.value} {value.scheme} {value.meaning}"
        case "NUM":
            measured = item.MeasuredValueSequence[0]
            return f"{measured.NumericValue} {measured.MeasurementUnitsCodeSequence[0].CodeValue}"
        case "SCOORD":
            return f"{item.GraphicType} {' '.join(f'{n:g}' for n in item.GraphicData)}"
        case "IMAGE":
            return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        case "TEXT":
            return str(item.TextValue)
        case "UIDREF":
            return "UID"
        case kind:
            return str(item.get(kind.title(), ""))


@pytest.mark.parametrize("name", ["findings", "none", "failed", "partial"])
@pytest.mark.parametrize("kind", BUILDERS)
def test_what_a_report_says(bench, kind, name):
    text = dump(BUILDERS[kind](scenarios(bench)[name], bench.run))
    assert text == (GOLDEN / f"{kind}_{name}.txt").read_text("utf-8")


def all_codes() -> list[Code]:
    found = []
    for value in vars(_dicom_codes).values():
        found += value.values() if isinstance(value, dict) and value is not None else [value]
    return [code for code in found if isinstance(code, Code)]


@pytest.mark.parametrize("code", all_codes(), ids=lambda code: code.value)
def test_codes_are_those_of_the_standard(code):
    if code.scheme == "RFC5646":
        return
    known = [entry for by_value in concepts[code.scheme].values() for entry in by_value.items()]
    meanings = {
        meaning.replace("\u200b", "") for value, (meaning, _) in known if value == code.value
    }
    assert code.meaning in meanings


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "not stated"])
@pytest.mark.parametrize("name", SCENARIOS)
@BOTH
def test_validators_take_every_report(bench, tmp_path, dciodvfy, build, name, stated):
    path = tmp_path / "report.dcm"
    run = replace(bench.run, prevalence_stated=stated)
    path.write_bytes(encode(build(scenarios(bench)[name], run)))
    assert dciodvfy(path) == []
    if shutil.which("dsrdump") is None:
        pytest.skip("dsrdump is not installed (Debian: dcmtk)")
    done = subprocess.run(["dsrdump", path], capture_output=True, text=True, check=False)
    expected = ("Specific Character Set: ISO_IR 192", "template constraints not yet supported")
    lines = [line for line in done.stderr.splitlines() if not line.endswith(expected)]
    assert (done.returncode, lines) == (0, [])


def at(report: Dataset, position: str) -> Dataset:
    return dict(walk(report))[tuple(map(int, position.split(".")))]


def found(report: Dataset, code: Code) -> Dataset:
    return next(i for _, i in walk(report) if code_of(i, "ConceptNameCodeSequence") == code)


def drop(position: str):
    def change(report: Dataset) -> None:
        parent, _, number = position.rpartition(".")
        del at(report, parent).ContentSequence[int(number) - 1]

    return change


def swap(position: str):
    """Exchange an item with the one before it."""

    def change(report: Dataset) -> None:
        parent, _, number = position.rpartition(".")
        items = at(report, parent).ContentSequence
        first, second = int(number) - 2, int(number) - 1
        items[first], items[second] = items[second], items[first]

    return change


def put(code: Code, **values):
    def change(report: Dataset) -> None:
        for keyword, value in values.items():
            setattr(found(report, code), keyword, value)

    return change


def answer(code: Code, value: Code):
    def change(report: Dataset) -> None:
        item = found(report, code).ConceptCodeSequence[0]
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value

    return change


def number(code: Code, value: str):
    return lambda report: setattr(
        found(report, code).MeasuredValueSequence[0], "NumericValue", value
    )


def header(**values):
    def change(report: Dataset) -> None:
        for keyword, value in values.items():
            setattr(report, keyword, value)

    return change


def without(keyword: str):
    return lambda report: delattr(report, keyword)


def no_intent(report: Dataset) -> None:
    del found(report, _dicom_codes.FINDING).ContentSequence[0]


def points_nowhere(report: Dataset) -> None:
    pointer = found(report, _dicom_codes.CENTRE).ContentSequence[0]
    pointer.ReferencedContentItemIdentifier = [1, 2, 9]


def points_at_a_number(report: Dataset) -> None:
    pointer = found(report, _dicom_codes.CENTRE).ContentSequence[0]
    pointer.ReferencedContentItemIdentifier = [1, 3, 2]


def contains_by_reference(report: Dataset) -> None:
    pointer = found(report, _dicom_codes.DETECTION).ContentSequence[-1]
    pointer.RelationshipType = "CONTAINS"


def twice_in_the_library(report: Dataset) -> None:
    library = found(report, _dicom_codes.LIBRARY).ContentSequence
    library[1].ReferencedSOPSequence = copy.deepcopy(library[0].ReferencedSOPSequence)


def evidence_lacks_one(report: Dataset) -> None:
    del report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]


def other_meaning(report: Dataset) -> None:
    found(report, _dicom_codes.PROBABILITY).ConceptNameCodeSequence[0].CodeMeaning = "Score"


def no_meaning(report: Dataset) -> None:
    del found(report, _dicom_codes.DETECTIONS).ConceptCodeSequence[0].CodeMeaning


def unit_of_mm(report: Dataset) -> None:
    measured = found(report, _dicom_codes.PROBABILITY).MeasuredValueSequence[0]
    measured.MeasurementUnitsCodeSequence[0].CodeValue = "mm"


def no_unit(report: Dataset) -> None:
    del (
        found(report, _dicom_codes.PROBABILITY)
        .MeasuredValueSequence[0]
        .MeasurementUnitsCodeSequence
    )


def a_datetime(report: Dataset) -> None:
    item = found(report, _dicom_codes.STUDY_DATE)
    item.ValueType, item.DateTime = "DATETIME", "20261001"
    del item.Date


def finding_on_another_image(report: Dataset) -> None:
    pointer = found(report, _dicom_codes.OUTLINE).ContentSequence[0]
    pointer.ReferencedContentItemIdentifier = [1, 2, 4]


def wrong_title(report: Dataset) -> None:
    report.ConceptNameCodeSequence[0].CodeValue = "126000"


def another_template(report: Dataset) -> None:
    report.ContentTemplateSequence[0].TemplateIdentifier = "1500"


def extra_item(report: Dataset) -> None:
    report.ContentSequence.append(copy.deepcopy(at(report, "1.3.1")))


def unclosed(report: Dataset) -> None:
    outline = found(report, _dicom_codes.OUTLINE)
    outline.GraphicData = list(outline.GraphicData)[:-2]


def not_detected_on(report: Dataset) -> None:
    del found(report, _dicom_codes.DETECTION).ContentSequence[-1]


def without_findings(report: Dataset) -> None:
    items = found(report, _dicom_codes.SUMMARY).ContentSequence
    while code_of(items[-1], "ConceptNameCodeSequence") == _dicom_codes.IMPRESSION:
        del items[-1]


MUTATIONS = {
    "no language": drop("1.1"),
    "no library": drop("1.2"),
    "no summary": drop("1.3"),
    "no detections": drop("1.4"),
    "no analyses": drop("1.5"),
    "library after summary": swap("1.3"),
    "version before name": swap("1.3.4"),
    "no algorithm name": drop("1.3.3"),
    "no rendering intent of an impression": drop("1.3.5.1"),
    "no rendering intent of a finding": no_intent,
    "an item more": extra_item,
    "wrong title": wrong_title,
    "another template": another_template,
    "no template": without("ContentTemplateSequence"),
    "another class": header(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33"),
    "verified by nobody": header(VerificationFlag="VERIFIED"),
    "a partial document": header(CompletionFlag="PARTIAL"),
    "no content date": without("ContentDate"),
    "no procedure step sequence": without("ReferencedPerformedProcedureStepSequence"),
    "no study": header(StudyInstanceUID=""),
    "870 %": number(_dicom_codes.PROBABILITY, "870"),
    "certainty of 101 %": number(_dicom_codes.FINDING_CERTAINTY, "101"),
    "below nothing": number(_dicom_codes.IMPRESSION_CERTAINTY, "-1"),
    "unit of mm": unit_of_mm,
    "no unit": no_unit,
    "another meaning": other_meaning,
    "no meaning": no_meaning,
    "another finding": answer(_dicom_codes.FINDING, Code("111102", "DCM", "Non-lesion")),
    "an intent that is none": answer(_dicom_codes.INTENT, _dicom_codes.SUCCEEDED),
    "another relationship": put(_dicom_codes.FINDING_CERTAINTY, RelationshipType="CONTAINS"),
    "another value type": put(_dicom_codes.DESCRIPTION, ValueType="PNAME"),
    "a datetime": a_datetime,
    "an impossible date": put(_dicom_codes.STUDY_DATE, Date="00000000"),
    "no words": put(_dicom_codes.DESCRIPTION, TextValue=" "),
    "no direction": put(_dicom_codes.ORIENTATION_ROW, TextValue="CC"),
    "a point of two": put(_dicom_codes.CENTRE, GraphicData=[1.0, 2.0, 3.0, 4.0]),
    "a centre elsewhere": put(_dicom_codes.CENTRE, GraphicData=[299.0, 399.0]),
    "an open outline": unclosed,
    "coordinates below zero": put(_dicom_codes.CENTRE, GraphicData=[-1.0, 4.0]),
    "a pointer to nowhere": points_nowhere,
    "a pointer to a number": points_at_a_number,
    "contains by reference": contains_by_reference,
    "no image of a place": put(_dicom_codes.CENTRE, ContentSequence=[]),
    "a finding on two images": finding_on_another_image,
    "an image twice": twice_in_the_library,
    "evidence lacks an image": evidence_lacks_one,
    "an image without detection": not_detected_on,
    "says nothing was found": answer(_dicom_codes.SUMMARY, _dicom_codes.ALL_WITHOUT),
    "says something was found": without_findings,
    "says all failed": answer(_dicom_codes.SUMMARY, _dicom_codes.NONE_SUCCEEDED),
    "detections failed": answer(_dicom_codes.DETECTIONS, _dicom_codes.FAILED),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_checker_catches_what_is_wrong(bench, name):
    report = build_cad_sr(given_exam(bench), bench.run)
    assert violations(report) == []
    with quiet_pydicom():
        MUTATIONS[name](report)
    assert violations(report)


def test_a_failed_exam_that_holds_a_number_is_caught(bench):
    report = build_cad_sr(failed_exam(bench), bench.run)
    assert not [p for p, item in walk(report) if item.get("ValueType") == "NUM" and p[:2] != (1, 2)]
    summary = found(report, _dicom_codes.SUMMARY)
    scored = found(build_cad_sr(given_exam(bench), bench.run), _dicom_codes.IMPRESSION_CERTAINTY)
    summary.ContentSequence.insert(1, scored)
    assert any("a failed exam has a number" in fault for fault in violations(report))


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "not stated"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_report_keeps_its_template(bench, name, stated):
    run = replace(bench.run, prevalence_stated=stated)
    assert violations(build_cad_sr(scenarios(bench)[name], run)) == []


def test_a_view_modifier_without_meaning_is_left_out(bench):
    exam = given_exam(bench)
    modified = replace(HEADER, view_modifiers=(("399163009", "SCT", ""),))
    image = replace(exam.images[0], header=modified)
    report = build_cad_sr(replace(exam, images=(image, *exam.images[1:])), bench.run)
    assert violations(report) == []


edges = st.tuples(*[st.floats(0, 300, allow_nan=False, width=32)] * 4).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]) + 1, max(e[1], e[3]) + 1)
)
shares = st.floats(0, 1, allow_nan=False)


@given(edges, shares, st.floats(1, 1e6), st.sampled_from(list(TriageCategory)[:3]))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_found_conforms(bench, box, malignant, strength, category):
    scores = Scores(1 - malignant, 0.0, malignant)
    exam = given_exam(bench, scores=scores, category=category)
    image = replace(exam.images[0], scores=scores, findings=(Finding(box, strength),) * 2)
    report = build_cad_sr(replace(exam, images=(image, *exam.images[1:])), bench.run)
    assert violations(report) == []


@BOTH
def test_the_same_result_is_the_same_object(bench, build):
    exam = given_exam(bench)
    first = build(exam, bench.run)
    assert encode(build(exam, bench.run)) == encode(first)
    later = replace(bench.run, created=bench.run.created + timedelta(days=1))
    repeated = build(replace(exam, elapsed_s=9.0), later)
    assert repeated.SOPInstanceUID == first.SOPInstanceUID
    assert repeated.ContentDate != first.ContentDate
    images = (replace(exam.images[0], scores=Scores(0.4, 0.2, 0.4)), *exam.images[1:])
    other_scores = build(replace(exam, images=images), bench.run)
    model = ModelId("mammolens-1", "0.1.0", "ef" * 32)
    other_model = build(replace(exam, model=model), replace(bench.run, model=model))
    other_study = [
        replace(i, ref=replace(i.ref, study_instance_uid="1.2.840.2")) for i in exam.images
    ]
    elsewhere = build(replace(exam, images=tuple(other_study)), bench.run)
    made = [first, other_scores, other_model, elsewhere]
    assert len({report.SOPInstanceUID for report in made}) == 4
    assert first.SeriesInstanceUID == other_scores.SeriesInstanceUID
    assert len({report.SeriesInstanceUID for report in made}) == 3
    assert all(report.SOPInstanceUID.startswith("2.25.") for report in made)


@BOTH
def test_a_revised_result_names_the_earlier_one(bench, tmp_path, dciodvfy, build):
    first = build(given_exam(bench, images=3), bench.run)
    sink = "dicom-cad-sr" if build is build_cad_sr else "dicom-sr"
    uids = first.SeriesInstanceUID, first.SOPClassUID, first.SOPInstanceUID
    run = replace(bench.run, revision=2, supersedes=(("dicom-sc", "1", "2", "3"), (sink, *uids)))
    revised = build(given_exam(bench), run)
    (study,) = revised.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (item,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == first.StudyInstanceUID
    named = series.SeriesInstanceUID, item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID
    assert named == uids
    assert revised.SOPInstanceUID != build(given_exam(bench), bench.run).SOPInstanceUID
    path = tmp_path / "revised.dcm"
    path.write_bytes(encode(revised))
    assert dciodvfy(path) == []


@BOTH
def test_it_stands_in_the_study_of_its_images(bench, build):
    report = build(given_exam(bench), bench.run)
    assert (report.PatientID, report.StudyInstanceUID) == ("P1", "1.2.840.1")
    assert (report.PatientName, report.PatientBirthDate) == ("Doe^Jane", "19600131")
    assert (report.AccessionNumber, report.StudyID) == ("ACC-7", "S1")
    assert (report.StudyDate, report.StudyTime) == ("20261001", "101500")
    assert report.SeriesDescription.endswith("research use only")
    assert "Research use only" in dump(report)


def test_coordinates_are_columns_and_rows_of_the_source(bench):
    row0, col0, row1, col1 = given_exam(bench).images[0].findings[0].box_source_px
    report = build_cad_sr(given_exam(bench), bench.run)
    centre = found(report, _dicom_codes.CENTRE).GraphicData
    assert list(centre) == [(col0 + col1) / 2, (row0 + row1) / 2]
    outline = np.reshape(found(report, _dicom_codes.OUTLINE).GraphicData, (-1, 2))
    assert outline.min(axis=0).tolist() == [col0, row0]
    assert outline.max(axis=0).tolist() == [col1, row1]


def test_highdicom_reads_the_measurement_report_back(bench, tmp_path):
    from highdicom.sr import srread

    exam = given_exam(bench)
    path = tmp_path / "report.dcm"
    path.write_bytes(encode(build_measurement_report(exam, bench.run)))
    content = srread(path).content
    regions = content.get_planar_roi_measurement_groups()
    assert [region.tracking_identifier for region in regions] == ["finding 1", "finding 2"]
    boxes = [f.box_source_px for image in exam.images for f in image.findings]
    for region, (row0, col0, row1, col1) in zip(regions, boxes, strict=True):
        assert region.roi.value.min(axis=0).tolist() == [col0, row0]
        assert region.roi.value.max(axis=0).tolist() == [col1, row1]
        probability, _ = region.get_measurements()
        assert (probability.name.value, probability.value) == ("111047", 30.0)
    groups = content.get_image_measurement_groups()
    assert [group.get_measurements()[0].value for group in groups] == [30.0, 30.0, 1.0]
    assert len(groups[0].source_images) == 4


def test_a_low_exam_asks_for_no_presentation(bench):
    low = given_exam(bench, category=TriageCategory.LOW)
    for exam, intent in ((given_exam(bench), "111150"), (low, "111151")):
        report = build_cad_sr(exam, bench.run)
        intents = [
            code_of(item, "ConceptCodeSequence").value
            for _, item in walk(report)
            if code_of(item, "ConceptNameCodeSequence") == _dicom_codes.INTENT
        ]
        assert set(intents) == {intent}


KINDS = {
    "presentation state": (ObjectKind.DOCUMENT, "1.2.840.10008.5.1.4.1.1.11.1"),
    "key objects": (ObjectKind.DOCUMENT, "1.2.840.10008.5.1.4.1.1.88.59"),
    "older report": (ObjectKind.DOCUMENT, "1.2.840.10008.5.1.4.1.1.88.50"),
    "PDF": (ObjectKind.DOCUMENT, "1.2.840.10008.5.1.4.1.1.104.1"),
    "tomosynthesis": (ObjectKind.STACK, "1.2.840.10008.5.1.4.1.1.13.1.3"),
    "ultrasound": (ObjectKind.OTHER_IMAGE, "1.2.840.10008.5.1.4.1.1.6.1"),
}


@pytest.mark.parametrize("name", KINDS)
@BOTH
def test_what_shows_no_breast_makes_no_report_partial(bench, build, name):
    kind, sop_class = KINDS[name]
    beside = refused(9, "NotAMammogram", kind, sop_class_uid=sop_class)
    report = build(given_exam(bench, unreadable=(beside,)), bench.run)
    assert beside.source.ref.sop_instance_uid not in str(report)
    assert "111242 DCM" in dump(report)
    assert "Not analysed" not in dump(report)
    assert ("Passed over: 1 " in dump(report)) is (kind is not ObjectKind.DOCUMENT)


@BOTH
def test_documents_beside_an_exam_change_nothing_that_is_said(bench, build):
    beside = [
        refused(9 + n, "NotAMammogram", kind, sop_class_uid=sop_class)
        for n, (kind, sop_class) in enumerate(KINDS.values())
        if kind is ObjectKind.DOCUMENT
    ]
    report = build(given_exam(bench, unreadable=tuple(beside)), bench.run)
    assert dump(report) == dump(build(given_exam(bench), bench.run))


@pytest.mark.parametrize(
    "error", ["NotAnImage", "UnsupportedImage", "NotAMammogram", "NotAWholeView", "ModelError"]
)
@BOTH
def test_a_fifth_picture_that_was_not_analysed_is_told_whatever_was_wrong(bench, build, error):
    fifth = refused(9, error)
    report = build(given_exam(bench, unreadable=(fifth,)), bench.run)
    assert "111244 DCM" in dump(report)
    assert "Not analysed: 1 of 5 images: R view? (" in dump(report)
    if build is build_cad_sr:
        assert fifth.source.ref.sop_instance_uid in dump(report)
        assert "111223 DCM Partially Succeeded" in dump(report)
        assert violations(report) == []


@BOTH
def test_the_raw_data_of_an_analysed_picture_were_not_missed(bench, build):
    exam = given_exam(bench)
    raw = refused(9, "NotAMammogram", sop_class_uid=FOR_PROCESSING)
    intent = PresentationIntent.FOR_PROCESSING
    ref = replace(raw.source.ref, presentation_intent=intent)
    raw = replace(raw, source=replace(raw.source, ref=ref))
    made_from = replace(HEADER, source_instance_uids=(ref.sop_instance_uid,))
    one = replace(exam.images[0], header=made_from)
    of_it = replace(exam, images=(one, *exam.images[1:]), unreadable=(raw,))
    assert "111242 DCM" in dump(build(of_it, bench.run))
    assert "Passed over: 1 raw data of analysed images" in dump(build(of_it, bench.run))
    alone = dump(build(replace(exam, unreadable=(raw,)), bench.run))
    assert "111244 DCM" in alone
    assert "R view? (raw data, FOR PROCESSING)" in alone


@pytest.mark.parametrize("kind", [ObjectKind.UNKNOWN, ObjectKind.MAMMOGRAM])
@pytest.mark.parametrize("sop_class", [None, "1.2.840.113619.4.999"])
def test_what_cannot_be_referred_to_as_an_image_is_told_all_the_same(bench, kind, sop_class):
    """A header that could not be read, and a private class, which readers take for no image."""
    lost = refused(9, "NotAnImage", kind, sop_class_uid=sop_class)
    lost = lost if sop_class else replace(lost, source=None)
    report = build_cad_sr(given_exam(bench, unreadable=(lost,)), bench.run)
    assert violations(report) == []
    assert "111244 DCM" in dump(report)
    assert "111223 DCM Partially Succeeded" in dump(report)
    assert "Not analysed: 1 of 5 images" in dump(report)
    assert "1.2.840.1.9.1" not in dump(report)


@BOTH
def test_an_exam_of_tomosynthesis_alone_is_a_failed_report(bench, build):
    kind, sop_class = KINDS["tomosynthesis"]
    stacks = tuple(refused(n, "UnsupportedImage", kind, sop_class_uid=sop_class) for n in (1, 2))
    report = dump(build(bench.failed(unreadable=stacks), bench.run))
    assert "111245 DCM" in report
    assert "1.2.840.1.1.1" in report


def test_an_analysed_object_of_a_private_class_is_refused_by_name(bench):
    exam = given_exam(bench)
    odd = replace(exam.images[0], header=replace(HEADER, sop_class_uid="1.2.840.113619.4.999"))
    with pytest.raises(UnsupportedImage, match=r"SOP class 1\.2\.840\.113619\.4\.999"):
        build_cad_sr(replace(exam, images=(odd, *exam.images[1:])), bench.run)


def texts(report: Dataset) -> list[str]:
    return [str(i.TextValue) for _, i in walk(report) if i.get("ValueType") == "TEXT"]


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "failed"])
@BOTH
def test_without_a_stated_prevalence_no_percentage_stands_alone(bench, build, name):
    run = replace(bench.run, prevalence_stated=False)
    exam = scenarios(bench)[name]
    report = build(exam, run)
    probabilities = (_dicom_codes.PROBABILITY, _dicom_codes.IMPRESSION_CERTAINTY)
    numbers = {code_of(i, "ConceptNameCodeSequence") for _, i in walk(report)}
    assert not numbers & {*probabilities}
    assert numbers & {*probabilities} != {
        code_of(i, "ConceptNameCodeSequence") for _, i in walk(build(exam, bench.run))
    } & {*probabilities}
    told = [text for text in texts(report) if "robability of cancer" in text]
    assert told
    for text in told:
        assert "for a prevalence of 0.6% among breasts, that of the model's own data" in text
    (words,) = {text for text in told if text.startswith("Triage: ")}
    assert words.index("specificity") < words.index("Probability of cancer")


@BOTH
def test_a_stated_prevalence_is_told_as_the_site_s(bench, build):
    words = [t for t in texts(build(given_exam(bench), bench.run)) if t.startswith("Triage: ")]
    assert "for a prevalence of 0.6% among breasts, as this site states" in words[0]
    assert words[0].startswith(
        "Triage: intermediate (lower threshold: sensitivity 95%, specificity 50% in validation;"
        " upper threshold: sensitivity not known, specificity 90% in validation)."
    )


@BOTH
def test_why_an_exam_is_not_called_low_is_told(bench, build):
    caution = Caution("low_withheld", "not called low, because not scored: LMLO")
    report = build(given_exam(bench, images=3, cautions=(caution,)), bench.run)
    assert any("Not called low, because not scored: LMLO." in text for text in texts(report))


@pytest.mark.parametrize(
    ("patient_id", "name"),
    [
        ("A^B=C", "O'Neil^Mary^^Dr"),
        ("患者-7", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ('é/"<x>&', "Müller^Änne"),
    ],
)
@BOTH
def test_unusual_ids_come_back_unchanged(bench, tmp_path, dciodvfy, build, patient_id, name):
    exam = given_exam(bench, patient_id=patient_id)
    images = tuple(
        replace(
            image,
            ref=replace(image.ref, patient_id=patient_id),
            header=replace(image.header, patient_name=name),
        )
        for image in exam.images
    )
    path = tmp_path / "report.dcm"
    path.write_bytes(encode(build(replace(exam, images=images), bench.run)))
    read = pydicom.dcmread(path)
    assert (read.SpecificCharacterSet, read.PatientID) == ("ISO_IR 192", patient_id)
    assert str(read.PatientName) == name
    assert dciodvfy(path) == []


@pytest.mark.parametrize("wrong", ["A\\B", "A\nB", "A\x1bB", "A\udce9", "x" * 65])
@BOTH
def test_ids_that_dicom_cannot_carry_are_refused(bench, build, wrong):
    exam = given_exam(bench)
    images = tuple(replace(i, ref=replace(i.ref, patient_id=wrong)) for i in exam.images)
    with pytest.raises(MissingAttribute, match=r"\[PatientID\]"):
        build(replace(exam, images=images), bench.run)


def test_what_breaks_its_form_but_names_nobody_is_left_empty(bench):
    broken = replace(
        HEADER,
        accession_number="x" * 17,
        study_date="2026-10-01",
        study_time="25",
        patient_sex="female",
        patient_birth_date="31.1.1960",
        content_date="soon",
    )
    exam = given_exam(bench)
    images = tuple(replace(image, header=broken) for image in exam.images)
    report = build_cad_sr(replace(exam, images=images), bench.run)
    keywords = "AccessionNumber StudyDate StudyTime PatientSex PatientBirthDate".split()  # noqa: SIM905
    assert [report[keyword].value for keyword in keywords] == [""] * 5
    assert "Study Date" not in dump(report)


def test_an_exam_without_identifiers_is_refused_and_the_rest_goes_on(bench):
    picture = bench.exam()
    sinks = ("dicom-cad-sr", "dicom-sr", "json")
    summary = bench.write([picture, given_exam(bench), bench.failed()], *sinks)
    assert summary.exit_code == 3
    assert len(summary.refusals) == 4
    assert all("SOPClassUID" in text or "SOPInstanceUID" in text for text in summary.refusals)
    assert (bench.out / "results.json").read_text("utf-8").count('"category"') == 3
    for sink in sinks[:2]:
        files = [path.name for path in (bench.out / sink).glob("*.dcm")]
        with (bench.out / sink / "index.csv").open(encoding="utf-8", newline="") as stream:
            assert [row["file"] for row in csv.DictReader(stream)] == files
        assert len(files) == 1


@BOTH
def test_pseudonyms_and_several_studies_are_refused(bench, build):
    hidden = pseudonymise(given_exam(bench), b"key")
    with pytest.raises(MissingAttribute, match="do not pseudonymise"):
        build(hidden, bench.run)
    exam = given_exam(bench)
    stray = replace(exam.images[0], ref=replace(exam.images[0].ref, study_instance_uid="1.2.9"))
    with pytest.raises(UnsupportedImage, match="several patients or studies"):
        build(replace(exam, images=(stray, *exam.images[1:])), bench.run)


def test_a_missing_extra_is_named(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ConfigError, match=r"pip install 'mammolens\[dicom\]'"):
        bench.write([], "dicom-sr")
    assert bench.write([given_exam(bench)], "dicom-cad-sr").refusals == ()


@pytest.fixture(scope="module")
def real_study(sample_dir, make_exam, tmp_path_factory) -> Path:
    """A sample exam as one proper study."""
    folder = tmp_path_factory.mktemp("study")
    make_exam.make_exam(sample_dir / "sfm-malign-0", folder)
    return folder


@pytest.fixture
def written(bench, dciodvfy):
    """Give a function that writes one exam to one sink, has it validated and reads it back."""

    def write(stream, sink: str) -> Dataset:
        summary = write_run(stream, bench.out, bench.run, [sink])
        assert summary.refusals == ()
        (path,) = (bench.out / sink).glob("*.dcm")
        assert dciodvfy(path) == []
        return pydicom.dcmread(path)

    return write


@pytest.mark.parametrize("sink", ["dicom-cad-sr", "dicom-sr"])
def test_a_real_exam_from_file_to_report(written, real_study, sink):
    model = ModelPackage.load("mammolens-2")
    options = AnalysisOptions(display=False)
    report = written(analyze_paths([real_study], model, options), sink)
    images = {str(f.SOPInstanceUID): f for f in map(pydicom.dcmread, real_study.glob("*.dcm"))}
    first = next(iter(images.values()))
    for keyword in ("PatientID", "PatientName", "AccessionNumber", "StudyInstanceUID", "StudyTime"):
        assert report[keyword].value == first[keyword].value
    items = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    listed = {str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items}
    assert listed == set(images)
    places = [item for _, item in walk(report) if item.get("GraphicType") == "POLYLINE"]
    assert places
    for place in places:
        columns, rows = place.GraphicData[::2], place.GraphicData[1::2]
        assert max(columns) <= first.Columns
        assert max(rows) <= first.Rows


def test_a_failing_model_is_a_failed_report(written, real_study, package, monkeypatch):
    def fail(*_, **__):
        raise ModelError("the graph gave up", source="model.onnx")

    monkeypatch.setattr("mammolens.analysis.exam.score_prepared", fail)
    stream = analyze_paths([real_study], ModelPackage.load(package), AnalysisOptions(display=False))
    report = written(stream, "dicom-cad-sr")
    text = dump(report)
    assert "111245 DCM No algorithms succeeded" in text
    assert "111224 DCM Failed" in text
    assert text.count("-> 1.2.") == 4
    assert "111047" not in text
    assert "read it like a high one" in text


@pytest.mark.parametrize("sink", ["dicom-cad-sr", "dicom-sr"])
def test_raw_and_damaged_images_are_a_failed_report(written, package, make_dicom, tmp_path, sink):
    folder = tmp_path / "study"
    raw = {"SOPClassUID": FOR_PROCESSING, "PresentationIntentType": "FOR PROCESSING"}
    study_wide = {"StudyDate": "20261001", "PatientBirthDate": "19600131", "PatientSex": "F"}
    make_dicom.save(folder / "raw.dcm", SOPInstanceUID="1.2.3.5", **raw, **study_wide)
    whole = make_dicom.save(folder / "cut.dcm", SOPInstanceUID="1.2.3.6", **study_wide)
    whole.write_bytes(whole.read_bytes()[:-4000])
    stream = analyze_paths([folder], ModelPackage.load(package), AnalysisOptions(display=False))
    report = written(stream, sink)
    text = dump(report)
    assert "111245 DCM No algorithms succeeded" in text
    assert "1.2.3.5" in text
    assert "1.2.3.6" in text
    assert "111047" not in text


def test_an_exam_whose_numbers_are_none_is_a_failed_report(bench):
    exam = given_exam(bench)
    sick = replace(exam.images[0], map_level=float("nan"))
    bench.write([replace(exam, images=(sick, *exam.images[1:]))], "dicom-cad-sr")
    report = pydicom.dcmread(bench.out / "dicom-cad-sr" / "P1.dcm")
    assert "111245 DCM" in dump(report)
    assert dump(report).count("-> 1.2.") == 4


def test_a_patient_id_of_several_parts_is_never_shortened(bench, package, make_dicom, tmp_path):
    make_dicom.save(tmp_path / "a.dcm", PatientID=["P1", "P2"])
    stream = analyze_paths([tmp_path], ModelPackage.load(package), AnalysisOptions(display=False))
    summary = write_run(stream, bench.out, bench.run, ["dicom-cad-sr"])
    assert [text for text in summary.refusals if "PatientID" in text]
    assert list((bench.out / "dicom-cad-sr").glob("*.dcm")) == []
