"""Heat maps, regions, marks and key images: where they lie, what they say, whose they are."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.core import (
    Finding,
    Laterality,
    Photometric,
    Scores,
    SourceHeader,
    TriageCategory,
    ViewPosition,
    VoiLut,
    Window,
)
from mammolens.errors import ConfigError, MissingAttribute, UnsupportedImage
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.run import describe_run, run_exams
from mammolens.sinks import SINKS, write_run
from mammolens.sinks._dicom_common import encode
from mammolens.sinks.dicom_ko import key_images, views_of_interest
from mammolens.sinks.dicom_pr import marks
from mammolens.sinks.dicom_sc import overlay_capture
from mammolens.sinks.dicom_seg import finding_mask, segmentation

PER_IMAGE = ("dicom-sc", "dicom-seg", "dicom-pr")
ALL = (*PER_IMAGE, "dicom-ko")
BOXES = {"R": (120.0, 200.0, 168.0, 248.0), "L": (216.0, 48.0, 264.0, 96.0)}


def read(folder: Path) -> dict[str, pydicom.Dataset]:
    return {path.stem: pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))}


def reread(made: pydicom.Dataset) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(encode(made)))


@pytest.mark.parametrize("side", ["R", "L"])
def test_everything_lies_on_the_planted_source_pixels(study, side):
    planted = BOXES[side]
    image = study.image(side, "CC", planted)
    assert image.geometry.flipped is (side == "R")
    cell = 8 / image.geometry.scale[0]
    exam = study.exam(image)

    made = reread(segmentation(image, study.bench.run))
    assert made.pixel_array.shape == image.geometry.source_shape
    rows, cols = np.nonzero(made.pixel_array)
    found = rows.min(), cols.min(), rows.max() + 1, cols.max() + 1
    assert found == pytest.approx(planted, abs=cell)

    (annotation,) = marks(image, exam, study.bench.run).GraphicAnnotationSequence
    (mark,) = annotation.GraphicObjectSequence
    points = np.array(mark.GraphicData).reshape(-1, 2)
    (c0, r0), (c1, r1) = points.min(0), points.max(0)
    assert (r0, c0, r1, c1) == pytest.approx(planted, abs=cell)
    assert (r0, c0, r1, c1) == pytest.approx(image.findings[0].box_source_px, abs=0.01)

    picture = reread(overlay_capture(image, exam, study.bench.run)).pixel_array.astype(int)
    line = np.nonzero(np.ptp(picture[: image.display.pixels.shape[0]], axis=2) > 60)
    scale = image.display.scale
    ends = [(place.min(), place.max() + 1) for place in line]
    centre = [sum(end) / 2 / s for end, s in zip(ends, scale, strict=True)]
    middle = [(planted[0] + planted[2]) / 2, (planted[1] + planted[3]) / 2]
    assert centre == pytest.approx(middle, abs=cell / 2)


def test_a_region_is_where_the_map_is_strong_in_its_box():
    strength = np.zeros((40, 30), np.float32)
    strength[10:20, 5:10] = 1.0
    strength[10:20, 10:15] = 0.5
    strength[30:35, 20:25] = 9.0
    mask = finding_mask(strength, Finding((10.0, 5.0, 20.0, 15.0), 2.0))
    assert mask[10:20, 5:10].all()
    assert mask.sum() == 50
    silent = finding_mask(np.zeros((40, 30), np.float32), Finding((38.5, 28.0, 40.0, 30.0), 1.0))
    assert np.argwhere(silent).tolist() == [[38, 28], [38, 29], [39, 28], [39, 29]]


def test_results_stand_in_the_study_of_their_image(study):
    summary = study.bench.write([study.exam()], *ALL)
    assert summary.refusals == ()
    for sink in ALL:
        made = read(study.bench.out / sink)
        assert made
        for name, result in made.items():
            assert (result.PatientID, result.PatientName) == ("P1", "Doe^Jane^Q^Dr^Jr"), name
            assert result.StudyInstanceUID == "1.2.840.99.1"
            assert (result.AccessionNumber, result.StudyDate) == ("A77", "20260228")
            assert result.SpecificCharacterSet == "ISO_IR 192"
            assert "research use only" in result.SeriesDescription
            assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID
            uids = [result.SOPInstanceUID, result.SeriesInstanceUID]
            assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert [*read(study.bench.out / "dicom-sc")] == ["P1-LCC", "P1-LMLO", "P1-RCC", "P1-RMLO"]
    assert [*read(study.bench.out / "dicom-seg")] == ["P1-RCC", "P1-RMLO"]
    assert [*read(study.bench.out / "dicom-ko")] == ["P1"]


def test_an_overlay_says_which_breast_and_view_it_shows(study):
    image = study.image("R", "MLO", BOXES["R"])
    made = overlay_capture(image, study.exam(image), study.bench.run, number=3)
    assert (made.ImageLaterality, made.ViewPosition) == ("R", "MLO")
    assert made.ViewCodeSequence[0].CodeValue == "399368009"
    assert list(made.PatientOrientation) == ["P", "FL"]
    assert (made.BurnedInAnnotation, made.Modality) == ("YES", "OT")
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == image.ref.sop_instance_uid
    assert [float(mm) for mm in made.PixelSpacing] == pytest.approx([0.1, 0.1])
    assert made.Rows > image.display.pixels.shape[0]
    assert made.InstanceNumber == 3


@pytest.mark.parametrize("sink", [name for name in SINKS if SINKS[name].sop_class])
def test_a_sink_writes_the_class_that_peers_are_asked_to_take(study, sink):
    study.bench.write([study.exam()], sink)
    made = read(study.bench.out / sink)
    assert {result.SOPClassUID for result in made.values()} == {SINKS[sink].sop_class}


@pytest.mark.parametrize("view", [None, *ViewPosition])
def test_an_overlay_of_every_view_is_taken_by_the_validator(study, dciodvfy, tmp_path, view):
    """A view without a code of its own (CV, AT) has no View Code Sequence, not an empty one."""
    image = study.image("R", "CC")
    image = replace(image, ref=replace(image.ref, view_position=view))
    made = overlay_capture(image, study.exam(image), study.bench.run)
    assert len(made.get("ViewCodeSequence", ["none"])) == 1
    (tmp_path / "made.dcm").write_bytes(encode(made))
    assert dciodvfy(tmp_path / "made.dcm") == []


def test_our_own_overlay_is_never_read_as_a_mammogram(study):
    study.bench.write([study.exam()], *PER_IMAGE)
    package = ModelPackage.load(DEFAULT_MODEL)
    items = list(analyze_paths([study.bench.out], package, AnalysisOptions()))
    assert items
    assert all(getattr(item, "scores", None) is None for item in items)


def test_one_series_a_side_so_that_laterality_is_true_of_it(study):
    study.bench.write([study.exam()], "dicom-pr")
    made = read(study.bench.out / "dicom-pr")
    series = {(state.SeriesInstanceUID, state.Laterality) for state in made.values()}
    assert len(series) == 2
    assert [made[f"P1-{view}"].InstanceNumber for view in ("RCC", "LCC", "RMLO", "LMLO")] == [
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize("sink", ALL)
def test_a_repeat_gives_the_same_uids_and_another_content_others(study, sink):
    def uids(*images, **changes) -> list[str]:
        study.bench.write([study.exam(*images, **changes)], sink)
        return [made.SOPInstanceUID for made in read(study.bench.out / sink).values()]

    first = uids()
    later = replace(study.bench, run=replace(study.bench.run, created=study.bench.run.created))
    assert uids() == first
    assert later.run == study.bench.run
    moved = (96.0, 200.0, 144.0, 248.0)
    other = study.image("R", "CC", moved, scores=Scores(0.2, 0.1, 0.7))
    assert not {*uids(other, scores=Scores(0.2, 0.1, 0.7))} & {*first}


def test_uids_do_not_move_with_the_time_of_the_run(study):
    image, run_later = study.image("R", "CC", BOXES["R"]), study.bench.run
    run_later = replace(run_later, created=run_later.created.replace(year=2027))
    exam = study.exam(image)
    for make in (overlay_capture, marks):
        first, again = make(image, exam, study.bench.run), make(image, exam, run_later)
        assert first.SOPInstanceUID == again.SOPInstanceUID
        assert first.ContentDate != again.ContentDate


def test_marks_have_words_and_state_the_prevalence(study):
    exam = study.exam()
    texts = {}
    for image in exam.images:
        (annotation,) = marks(image, exam, study.bench.run).GraphicAnnotationSequence
        texts[image.ref.path] = [t.UnformattedTextValue for t in annotation.TextObjectSequence]
    label, block = texts["in/RCC.dcm"]
    assert label == "AI 3.0x"
    assert block.splitlines() == [
        "RCC P(malignant) 50% at a prevalence of 0.6%",
        "Exam: high",
        "1 marked; x = times the level from which a mark counts",
        "mammolens-1 0.1.0. Research use only, not a medical device",
    ]
    (alone,) = texts["in/LCC.dcm"]
    assert "does not make the image negative" in alone


@pytest.mark.parametrize("side", ["R", "L"])
def test_the_words_stand_away_from_the_chest_wall(study, side):
    image = study.image(side, "CC")
    (annotation,) = marks(image, study.exam(image), study.bench.run).GraphicAnnotationSequence
    left, _ = annotation.TextObjectSequence[-1].BoundingBoxTopLeftHandCorner
    right, _ = annotation.TextObjectSequence[-1].BoundingBoxBottomRightHandCorner
    assert (left, right) == ((0, 150) if side == "R" else (150, 300))


def test_marks_show_the_grey_values_of_the_source(study):
    def state(**changes) -> pydicom.Dataset:
        image = study.image("R", "CC", **changes)
        return marks(image, study.exam(image), study.bench.run)

    plain = state()
    assert plain.PresentationLUTShape == "IDENTITY"
    assert "SoftcopyVOILUTSequence" not in plain
    windowed = state(voi=Window(500.0, 300.0), photometric=Photometric.MONOCHROME1)
    assert windowed.PresentationLUTShape == "INVERSE"
    assert windowed.SoftcopyVOILUTSequence[0].WindowCenter == 500
    table = state(voi=VoiLut(3, np.array([0, 40, 200], np.float32)))
    (lut,) = table.SoftcopyVOILUTSequence[0].VOILUTSequence
    assert list(lut.LUTDescriptor) == [3, 3, 16]
    assert np.frombuffer(lut.LUTData, "<u2").tolist() == [0, 13107, 65535]
    header = study.image().header
    rescaled = state(header=replace(header, rescale=(2.0, -10.0)))
    assert (rescaled.RescaleSlope, rescaled.RescaleIntercept) == (2, -10)
    with pytest.raises(UnsupportedImage, match=r"in/RCC\.dcm.*ModalityLUTSequence"):
        state(header=replace(header, rescale=None))
    with pytest.raises(UnsupportedImage, match="VOILUTSequence"):
        state(voi=VoiLut(-3, np.array([0, 100], np.float32)))


def test_key_images_are_for_high_exams_only(study):
    exam = study.exam()
    made = key_images(exam, study.bench.run)
    assert made.ConceptNameCodeSequence[0].CodeValue == "113000"
    referred = [
        instance.ReferencedSOPInstanceUID
        for place in made.CurrentRequestedProcedureEvidenceSequence
        for series in place.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]
    right = [i.ref.sop_instance_uid for i in exam.images if i.ref.laterality is Laterality.RIGHT]
    assert sorted(referred) == sorted(right)
    for category in (TriageCategory.INTERMEDIATE, TriageCategory.LOW):
        assert key_images(replace(exam, category=category), study.bench.run) is None
    assert key_images(study.failed(), study.bench.run) is None
    none_alone = replace(exam, breasts=())
    assert len(views_of_interest(none_alone, study.bench.run)) == 4


def test_a_failed_exam_has_no_picture_region_mark_or_key_image(study):
    summary = study.bench.write([study.failed()], *ALL)
    assert summary.refusals == ()
    assert not list(study.bench.out.rglob("*.dcm"))


@pytest.mark.parametrize("sink", ALL)
def test_an_image_without_identifiers_is_refused_by_name_and_the_rest_is_written(study, sink):
    exam = study.exam()
    bare = replace(exam.images[0], ref=replace(exam.images[0].ref, sop_instance_uid=None))
    partly = replace(exam, images=(bare, *exam.images[1:]))
    summary = study.bench.write([partly, study.exam()], sink, "json")
    (refusal,) = summary.refusals
    assert refusal.startswith(f"{sink}: in/RCC.dcm: ")
    assert "[SOPInstanceUID]" in refusal
    assert summary.exit_code == 3
    assert (study.bench.out / "results.json").is_file()
    made = [*read(study.bench.out / sink)]
    assert (
        made
        == {
            "dicom-sc": [f"P1-{v}" for v in ("2-LCC", "2-LMLO", "2-RCC", "2-RMLO", "LCC", "LMLO")]
            + ["P1-RMLO"],
            "dicom-pr": [f"P1-{v}" for v in ("2-LCC", "2-LMLO", "2-RCC", "2-RMLO", "LCC", "LMLO")]
            + ["P1-RMLO"],
            "dicom-seg": ["P1-2-RCC", "P1-2-RMLO", "P1-RMLO"],
            "dicom-ko": ["P1-2"],
        }[sink]
    )


def test_an_picture_that_was_not_kept_gives_no_black_overlay(study):
    image = study.image("R", "CC", BOXES["R"], display=None)
    with pytest.raises(UnsupportedImage, match="no picture"):
        overlay_capture(image, study.exam(image), study.bench.run)


def test_pseudonyms_and_sinks_that_name_the_patient_exclude_each_other(tmp_path):
    for sink in (*ALL, "fhir", "hl7"):
        with pytest.raises(ConfigError, match=f"{sink} need the patient's identity"):
            run_exams(
                [tmp_path], tmp_path, None, ["json", sink], AnalysisOptions(pseudonymise=True)
            )
    assert not list(tmp_path.iterdir())


def test_an_emptied_header_is_refused(study):
    image = study.image("R", "CC", BOXES["R"], header=SourceHeader())
    with pytest.raises(MissingAttribute, match="SOPClassUID"):
        overlay_capture(image, study.exam(image), study.bench.run)


def test_a_japanese_name_comes_back_whole(study):
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    images = [
        replace(image, header=replace(image.header, patient_name=name))
        for image in study.exam().images
    ]
    study.bench.write([study.exam(*images)], *ALL)
    for path in study.bench.out.rglob("*.dcm"):
        assert str(pydicom.dcmread(path).PatientName) == name


def test_without_highdicom_the_lack_is_named(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    monkeypatch.setattr("mammolens.sinks._registry.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'mammolens\[dicom\]'"):
        study.bench.write([study.exam()], "dicom-seg")
    assert study.bench.write([study.exam()], "dicom-sc").refusals == ()


def test_importing_the_sinks_loads_no_highdicom():
    code = (
        "import sys, mammolens.sinks as s;"
        "[sink.check() for sink in s.SINKS.values() if not sink.needs];"
        "print('highdicom' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_index_tells_files_of_exams_and_a_later_run_removes_them(study):
    folder = study.bench.out / "dicom-sc"
    study.bench.write([study.exam()], "dicom-sc")
    foreign = folder / "mine.dcm"
    foreign.write_bytes(b"not of this sink")
    with (folder / "index.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["study_instance_uid"] for row in rows} == {"1.2.840.99.1"}
    assert {row["file"] for row in rows} == {path.name for path in folder.glob("P1*.dcm")}
    outside = study.bench.out / "outside.dcm"
    outside.write_bytes(b"not of this sink either")
    with (folder / "index.csv").open("a") as stream:
        stream.write("../outside.dcm,P1,1.2.3\n")
    study.bench.write([], "dicom-sc")
    assert outside.is_file()
    assert sorted(path.name for path in folder.iterdir()) == ["index.csv", "mine.dcm"]


def test_a_hostile_patient_id_makes_no_path(study):
    exam = study.exam(patient_id="../../etc/P^1&2")
    study.bench.write([exam], "dicom-sc")
    assert {path.parent for path in study.bench.out.rglob("*.dcm")} == {
        study.bench.out / "dicom-sc"
    }


def test_the_validator_would_find_an_error(study, dciodvfy, tmp_path):
    image = study.image("R", "CC", BOXES["R"])
    made = overlay_capture(image, study.exam(image), study.bench.run)
    del made.ConversionType
    (tmp_path / "broken.dcm").write_bytes(encode(made))
    assert any("ConversionType" in error for error in dciodvfy(tmp_path / "broken.dcm"))


def test_raw_images_give_a_failed_exam_that_says_whose_it_is(study, make_dicom, package):
    raw = study.bench.out.parent / "raw"
    make_dicom.save(
        raw / "RCC.dcm",
        SOPClassUID=make_dicom.FOR_PROCESSING,
        AccessionNumber="A9",
        SOPInstanceUID="1.2.9",
    )
    exams = list(analyze_paths([raw], ModelPackage.load(package), AnalysisOptions()))
    summary = study.bench.write(exams, *ALL, "fhir", "hl7")
    assert (summary.n_failed, summary.refusals) == (1, ())
    assert not list(study.bench.out.rglob("*.dcm"))
    (bundle,) = (study.bench.out / "fhir").glob("*.json")
    assert '"dataAbsentReason"' in bundle.read_text("utf-8")
    (message,) = (study.bench.out / "hl7").glob("*.hl7")
    obr = next(
        row for row in message.read_bytes().decode("utf-8").split("\r") if row.startswith("OBR")
    )
    assert (obr.split("|")[3], obr.split("|")[25]) == ("A9", "I")


def test_drawn_objects_have_no_errors(study, dciodvfy):
    study.bench.write([study.exam()], *ALL)
    files = sorted(study.bench.out.rglob("*.dcm"))
    assert len(files) == 4 + 2 + 4 + 1
    assert {path.name: dciodvfy(path) for path in files} == {path.name: [] for path in files}


def test_two_views_of_unknown_orientation_have_no_errors(study, dciodvfy):
    images = [
        replace(
            image,
            header=replace(image.header, patient_orientation=("MLO",), patient_name=None),
            ref=replace(image.ref, spacing_mm=None),
        )
        for image in study.exam().images[:2]
    ]
    study.bench.write([study.exam(*images)], "dicom-sc", "dicom-pr", "dicom-ko")
    for path in sorted(study.bench.out.rglob("*.dcm")):
        assert dciodvfy(path) == [], path


@pytest.fixture(scope="module")
def real_run(sample_dir, make_exam, tmp_path_factory) -> Iterator[Path]:
    """Every object of a real exam, as the built-in model sees it, taken for a high one."""
    source = tmp_path_factory.mktemp("study")
    make_exam.make_exam(sample_dir / "sfm-malign-0", source)
    package = ModelPackage.load(DEFAULT_MODEL)
    (exam,) = analyze_paths([source], package, AnalysisOptions())
    exam = replace(exam, category=TriageCategory.HIGH)
    out = tmp_path_factory.mktemp("out")
    assert write_run([exam], out, describe_run(package, None), ALL).refusals == ()
    return out


def test_objects_of_a_real_exam_have_no_errors(real_run, dciodvfy):
    files = sorted(real_run.rglob("*.dcm"))
    assert len(files) >= 10
    assert {path.name: dciodvfy(path) for path in files} == {path.name: [] for path in files}


def test_dcmtk_takes_the_marks_of_a_real_exam(real_run):
    for path in sorted((real_run / "dicom-pr").glob("*.dcm")):
        try:
            done = subprocess.run(
                ["dcmpschk", str(path)], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            pytest.skip("dcmpschk is not installed: apt-get install dcmtk")
        said = done.stdout + done.stderr
        assert "Test passed" in said
        assert "E:" not in said
