"""Grouping, copies, order and checks of views; images of two patients are never in one exam."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.exams import STANDARD_VIEWS, load_exam, plan_exams
from mammolens.images import ImageFile, find_files

CT = "1.2.840.10008.5.1.4.1.1.2"
PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
TOMO = "1.2.840.10008.5.1.4.1.1.13.1.3"


def names(cautions) -> set[str]:
    return {caution.name for caution in cautions}


def plan_folder(folder: Path):
    files, unreadable = find_files([folder])
    assert unreadable == []
    return plan_exams(files)


@pytest.fixture
def save(make_dicom, tmp_path):
    """Write one view; its pixels depend on `seed` alone."""

    def write(name: str, seed: int = 0, **attributes) -> Path:
        attributes = {"SOPInstanceUID": f"1.2.3.{seed + 10}"} | attributes
        return make_dicom.save(
            tmp_path / name, make_dicom.picture(seed=seed), make_dicom.RLE, **attributes
        )

    return write


@pytest.fixture
def save_four(save):
    """Write the four standard views of a study, in an arbitrary order."""

    def write(**attributes) -> list[Path]:
        return [
            save(
                f"{number}.dcm",
                number,
                **({"ImageLaterality": side, "ViewPosition": view} | attributes),
            )
            for number, (side, view) in enumerate(
                [("L", "MLO"), ("R", "MLO"), ("L", "CC"), ("R", "CC")]
            )
        ]

    return write


def test_one_study_is_one_exam_in_the_standard_order(save_four, tmp_path) -> None:
    save_four()
    (plan,), unplaced = plan_folder(tmp_path)
    exam, unreadable = load_exam(plan)
    assert (exam.patient_id, exam.study_instance_uid) == ("P1", "1.2.3")
    assert tuple(exam.views) == STANDARD_VIEWS
    assert (exam.cautions, unreadable, unplaced) == ((), (), [])
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_planning_decodes_nothing(save_four, tmp_path, monkeypatch) -> None:
    save_four()
    monkeypatch.delattr("mammolens.images.dicom.reader.stored_values")
    (plan,), _ = plan_folder(tmp_path)
    assert len(plan.files) == 4


def test_other_views_come_last_and_missing_ones_are_named(save, tmp_path) -> None:
    save("a.dcm", 1, ViewPosition="ML")
    save("b.dcm", 2, ViewPosition="XCCL", ImageLaterality="R")
    save("c.dcm", 3, ViewPosition="MLO")
    (plan,), _ = plan_folder(tmp_path)
    exam, _ = load_exam(plan)
    assert [view for _, view in exam.views] == [
        ViewPosition.MLO,
        ViewPosition.ML,
        ViewPosition.XCCL,
    ]
    assert [str(c) for c in exam.cautions] == ["missing_view: not among the images: RCC, LCC, RMLO"]


def test_unknown_laterality_is_named_and_kept_apart(save, tmp_path) -> None:
    save("a.dcm", 1, ImageLaterality=None)
    save("b.dcm", 2)
    (plan,), _ = plan_folder(tmp_path)
    exam, _ = load_exam(plan)
    assert list(exam.views) == [(Laterality.LEFT, ViewPosition.CC), (None, ViewPosition.CC)]
    assert names(exam.cautions) == {"missing_view", "laterality_unknown"}


def test_two_patients_in_one_study_are_kept_apart(save, tmp_path) -> None:
    save("a.dcm", 1, PatientID="A")
    save("b.dcm", 2, PatientID="B")
    save("c.dcm", 3, PatientID="A", ViewPosition="MLO")
    plans, _ = plan_folder(tmp_path)
    assert [(p.patient_id, [f.path.name for f in p.files]) for p in plans] == [
        ("A", ["a.dcm", "c.dcm"]),
        ("B", ["b.dcm"]),
    ]
    assert all(names(p.cautions) == {"two_patients_in_study"} for p in plans)


OTHER = {
    "PatientName": "Roe^Rita",
    "PatientBirthDate": "19720202",
    "StudyDate": "20210909",
    "AccessionNumber": "B7",
    "PatientAge": "071Y",
    "AcquisitionDate": "20210910",
}


@pytest.mark.parametrize("placeholder", ["ANONYMOUS", "000000", "", None, "xxxx", "Deidentified"])
@pytest.mark.parametrize("fact", OTHER)
def test_images_with_a_placeholder_id_are_apart_if_another_attribute_differs(
    save, tmp_path, placeholder, fact
) -> None:
    same = {"PatientID": placeholder, "PatientName": "", "PatientBirthDate": ""}
    save("a.dcm", 1, **same)
    save("b.dcm", 2, **{**same, fact: OTHER[fact]})
    plans, _ = plan_folder(tmp_path)
    assert [len(p.files) for p in plans] == [1, 1]
    assert all(c.doubt for p in plans for c in p.cautions if c.name == "two_patients_in_study")
    assert all("two_patients_in_study" in names(p.cautions) for p in plans)


@pytest.mark.parametrize("fact", ["StudyDate", "AccessionNumber"])
def test_different_attributes_within_an_exam_of_a_known_patient_are_a_doubt(
    save, tmp_path, fact
) -> None:
    mine = {"StudyDate": "20200101", "AccessionNumber": "A1", "PatientAge": "060Y"}
    save("a.dcm", 1, **mine)
    save("b.dcm", 2, ViewPosition="MLO", **{**mine, fact: OTHER[fact]})
    (plan,), _ = plan_folder(tmp_path)
    (doubt,) = [c for c in plan.cautions if c.doubt]
    assert doubt.name == "identity_disagrees"
    assert fact in doubt.message
    assert OTHER[fact] not in doubt.message


def test_one_age_on_both_sides_of_a_birthday_is_one_patient(save, tmp_path) -> None:
    save("a.dcm", 1, PatientAge="060Y")
    save("b.dcm", 2, PatientAge="061Y", ViewPosition="MLO")
    (plan,), _ = plan_folder(tmp_path)
    assert plan.cautions == ()


@pytest.mark.parametrize("one", [("ab12", "AB12"), ("00123", "123"), ("P1", "")])
def test_ids_that_are_spelt_in_two_ways_are_kept_apart_and_doubted(save, tmp_path, one) -> None:
    for number, (patient, view) in enumerate(zip(one * 2, ("CC", "CC", "MLO", "MLO"), strict=True)):
        save(f"{number}.dcm", number, PatientID=patient, ViewPosition=view)
    plans, _ = plan_folder(tmp_path)
    assert len(plans) == 2
    assert all(any(c.doubt for c in p.cautions) for p in plans)


def test_several_pictures_of_a_view_without_patient_id_are_a_doubt(save, tmp_path) -> None:
    for number in range(2):
        save(f"{number}.dcm", number, PatientID="ANONYMOUS")
    (plan,), _ = plan_folder(tmp_path)
    exam, _ = load_exam(plan)
    (doubt,) = [c for c in exam.cautions if c.name == "patient_unknown"]
    assert doubt.doubt
    assert "LCC" in doubt.message


def test_a_document_with_another_name_is_not_a_second_patient(save, tmp_path) -> None:
    save("a.dcm", 1)
    save("sr.dcm", 2, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", PatientName="DOE^J.^^Mrs")
    plans, _ = plan_folder(tmp_path)
    assert not any(c.doubt for p in plans for c in p.cautions)


@pytest.mark.parametrize(
    ("name", "content", "doubted"),
    [
        ("cut.dcm", b"\0" * 200, True),
        ("IM0001", b"\0" * 200, True),
        ("IM0002", b"\0" * 128 + b"DICM" + b"\xff" * 40, True),
        ("film.png", b"text", True),
        ("notes", b"These are notes about the study. " * 9, False),
        ("form.bin", b"%PDF-1.7" + b"\x80" * 200, False),
    ],
)
def test_a_file_that_may_be_a_picture_of_the_exam_is_a_doubt(
    save, tmp_path, name, content, doubted
) -> None:
    save("a.dcm", 1)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "elsewhere").mkdir()
    save("elsewhere/b.dcm", 2, PatientID="B", StudyInstanceUID="1.9")
    plans, unplaced = plan_folder(tmp_path)
    assert len(unplaced) == 1
    beside = {p.patient_id: names(p.cautions) for p in plans}
    assert ("unplaced_file" in beside.pop("B")) is False
    assert all(("unplaced_file" in found) is doubted for found in beside.values())


def test_two_studies_of_one_patient_are_two_exams(save, tmp_path) -> None:
    save("a.dcm", 1, StudyInstanceUID="1.1")
    save("b.dcm", 2, StudyInstanceUID="1.2")
    plans, _ = plan_folder(tmp_path)
    assert [p.study_instance_uid for p in plans] == ["1.1", "1.2"]


def test_without_study_uid(save, tmp_path) -> None:
    for number, (patient, date) in enumerate([("A", "2001"), ("A", "2001"), ("A", "2002")]):
        save(
            f"{number}.dcm",
            number,
            PatientID=patient,
            StudyDate=date + "0101",
            StudyInstanceUID=None,
        )
    save("x.dcm", 5, PatientID=None, StudyInstanceUID=None)
    save("y.dcm", 6, PatientID="removed", StudyInstanceUID=None)
    plans, _ = plan_folder(tmp_path)
    assert [(p.patient_id, len(p.files)) for p in plans] == [("A", 2), ("A", 1), (None, 2)]
    assert names(plans[0].cautions) == {"missing_study_uid"}
    (doubt,) = plans[2].cautions
    assert (doubt.name, doubt.doubt) == ("patient_unknown", True)


def test_anonymous_patients_are_named_by_inbreast_names(save, tmp_path) -> None:
    for number, view in enumerate(("CC", "ML")):
        save(
            f"2058690{number}_6c613a14b80a8591_MG_R_{view}_ANON.dcm",
            number,
            PatientID="removed",
            ImageLaterality=None,
            ViewPosition=None,
        )
    (plan,), _ = plan_folder(tmp_path)
    exam, _ = load_exam(plan)
    assert plan.patient_id == "6c613a14b80a8591"
    assert [view for _, view in exam.views] == [ViewPosition.CC, ViewPosition.MLO]
    assert "patient_from_name" in names(exam.cautions)


def test_cbis_cases(save, tmp_path) -> None:
    for number, part in enumerate(
        (
            "Mass-Test_P_00173_LEFT_CC",
            "Calc-Training_P_00173_RIGHT_MLO",
            "Mass-Test_P_00820_LEFT_CC",
        )
    ):
        save(
            f"{number}/000000.dcm",
            number,
            PatientID=part,
            StudyInstanceUID=f"9.{number}",
            ImageLaterality=None,
            ViewPosition=None,
        )
    plans, _ = plan_folder(tmp_path)
    assert [(p.patient_id, p.study_instance_uid, len(p.files)) for p in plans] == [
        ("P_00173", None, 2),
        ("P_00820", None, 1),
    ]
    assert names(plans[0].cautions) == {"cbis_case_grouping"}


def test_tomosynthesis_is_listed_and_the_2d_views_are_kept(save, save_four, tmp_path) -> None:
    save_four()
    path = save("tomo.dcm", 8, SOPClassUID=TOMO, NumberOfFrames=30)
    (plan,), unplaced = plan_folder(tmp_path)
    assert unplaced == []
    assert len(plan.files) == 4
    assert [(u.path, u.error) for u in plan.unreadable] == [(str(path), "UnsupportedImage")]


@pytest.mark.parametrize(
    "attributes", [{"SOPClassUID": PROCESSING}, {"SOPClassUID": CT, "Modality": "CT"}]
)
def test_an_exam_of_refused_images_is_still_an_exam(save, tmp_path, attributes) -> None:
    save("a.dcm", 1, **attributes)
    (plan,), unplaced = plan_folder(tmp_path)
    assert (plan.files, unplaced, len(plan.unreadable)) == ((), [], 1)
    exam, unreadable = load_exam(plan)
    assert (exam.mammograms, unreadable) == ((), ())


def test_files_that_belong_to_no_exam_are_listed(save, tmp_path) -> None:
    text = tmp_path / "a.dcm"
    text.write_text("just words")
    nobody = save("b.dcm", 1, Modality="CT", PatientID=None, StudyInstanceUID=None)
    plans, unplaced = plan_folder(tmp_path)
    assert plans == []
    assert [(u.path, u.error) for u in unplaced] == [
        (str(text), "NotAnImage"),
        (str(nobody), "NotAMammogram"),
    ]


def test_a_copy_is_dropped_with_a_caution(save, tmp_path) -> None:
    save("a.dcm", 1)
    save("b.dcm", 1, PatientAge="050Y")
    (plan,), _ = plan_folder(tmp_path)
    exam, unreadable = load_exam(plan)
    assert [m.ref.path for m in exam.mammograms] == [str(tmp_path / "a.dcm")]
    assert "duplicate_instance" in names(exam.cautions)
    assert unreadable == ()


def test_one_uid_with_two_pictures_keeps_the_first(save, tmp_path) -> None:
    save("b.dcm", 2, SOPInstanceUID="1.2.9")
    save("a.dcm", 1, SOPInstanceUID="1.2.9")
    (plan,), _ = plan_folder(tmp_path)
    exam, unreadable = load_exam(plan)
    assert [m.ref.path for m in exam.mammograms] == [str(tmp_path / "a.dcm")]
    assert "duplicate_uid_different_pixels" in names(exam.cautions)
    assert [item.path for item in unreadable] == [str(tmp_path / "b.dcm")]


def test_equal_pixels_of_one_view_are_one_image(save, tmp_path) -> None:
    save("a.dcm", 1)
    save("b.dcm", 1, SOPInstanceUID="1.2.99")
    (plan,), _ = plan_folder(tmp_path)
    exam, _ = load_exam(plan)
    assert len(exam.mammograms) == 1
    assert "duplicate_pixels" in names(exam.cautions)


@pytest.mark.parametrize(("good", "cut"), [("a.dcm", "b.dcm"), ("b.dcm", "a.dcm")])
def test_a_truncated_copy_never_replaces_a_good_one(save, tmp_path, good, cut) -> None:
    whole = save(good, 1).read_bytes()
    (tmp_path / cut).write_bytes(whole[:-200])
    (plan,), _ = plan_folder(tmp_path)
    assert len(plan.files) == 2
    exam, unreadable = load_exam(plan)
    assert [m.ref.path for m in exam.mammograms] == [str(tmp_path / good)]
    assert [(u.path, u.error) for u in unreadable] == [(str(tmp_path / cut), "NotAnImage")]


def test_an_exam_whose_files_all_fail_is_empty(save, tmp_path) -> None:
    path = save("a.dcm", 1)
    path.write_bytes(path.read_bytes()[:-200])
    (plan,), _ = plan_folder(tmp_path)
    exam, unreadable = load_exam(plan)
    assert exam.views == {}
    assert len(unreadable) == 1


@pytest.mark.parametrize(
    ("files", "patients"),
    [
        (("A_1004_1.LEFT_CC", "A_1004_1.RIGHT_CC", "A_1005_1.LEFT_CC"), ["A_1004", "A_1005"]),
        (("10_11111", "10_22222", "11_33333"), ["10", "11"]),
        (("mdb001", "mdb002", "mdb003"), ["mias001", "mias002"]),
        (("x_L_CC", "x_R_CC", "y_L_CC"), [None, None]),
        (("LCC", "RCC"), [None]),
        (("one", "two"), [None, None]),
    ],
)
def test_pictures_are_grouped_by_their_names(make_dicom, tmp_path, files, patients) -> None:
    for seed, name in enumerate(files):
        pixels = make_dicom.picture(bits=8, seed=seed)
        (tmp_path / f"{name}.pgm").write_bytes(b"P5 80 96 255\n" + pixels.tobytes())
    plans, unplaced = plan_folder(tmp_path)
    assert ([p.patient_id for p in plans], unplaced) == (patients, [])
    assert sum(len(p.files) for p in plans) == len(files)
    grouped = [p for p in plans if p.patient_id is None and len(p.files) > 1]
    assert all(names(p.cautions) == {"grouped_by_name"} for p in grouped)


def test_equal_names_in_two_folders_are_two_exams(make_dicom, tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("LCC", "RCC"):
            (tmp_path / folder / f"{name}.pgm").write_bytes(b"x")
    files = [
        ImageFile(tmp_path / folder / f"{name}.pgm") for folder in "ab" for name in ("LCC", "RCC")
    ]
    for file in files:
        file.path.write_bytes(b"P5 80 96 255\n" + make_dicom.picture(bits=8).tobytes())
    plans, _ = plan_exams(files)
    assert [p.files for p in plans] == [tuple(files[:2]), tuple(files[2:])]


@pytest.mark.slow
def test_the_sample_exams(sample_dir) -> None:
    plans, unplaced = plan_folder(sample_dir)
    assert ([p.patient_id for p in plans], unplaced) == (["P_00173", "P_00820"], [])
    for plan in plans:
        exam, unreadable = load_exam(plan)
        assert tuple(exam.views) == STANDARD_VIEWS
        assert names(exam.cautions) == {"cbis_case_grouping"}
        assert unreadable == ()
        assert all(m.pixels.dtype == np.uint16 for m in exam.mammograms)
