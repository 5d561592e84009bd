"""CBIS-DDSM: stale paths, swapped masks, several abnormalities, patients in two official sets."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.lesions import LesionKind
from mammolens.data.manifest import Split
from mammolens.data.sources import build_source
from mammolens.data.sources.cbis_ddsm import build
from mammolens.data.splits import refuse_leak
from mammolens.errors import InvalidManifest
from mammolens.images import read_mask

SHARED = Path(__file__).parents[4] / "shared" / "data"
NATIVE = SHARED / "native" / "cbis_ddsm"
HEADS = {
    "mass": "patient_id,breast_density,left or right breast,image view,abnormality id,"
    "abnormality type,mass shape,mass margins,assessment,pathology,subtlety,image file path,"
    "cropped image file path,ROI mask file path",
    "calc": "patient_id,breast density,left or right breast,image view,abnormality id,"
    "abnormality type,calc type,calc distribution,assessment,pathology,subtlety,image file path,"
    "cropped image file path,ROI mask file path",
}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DESCRIPTIONS = {
    "film": "full mammogram images",
    "crop": "cropped images",
    "mask": "ROI mask images",
}
ROWS = {
    ("mass", "train"): [
        ("P_00001", "LEFT", "CC", 1, "IRREGULAR", 4, "BENIGN_WITHOUT_CALLBACK"),
        ("P_00001", "LEFT", "CC", 2, "ARCHITECTURAL_DISTORTION", 5, "MALIGNANT"),
        ("P_00002", "RIGHT", "MLO", 1, "OVAL", 0, "BENIGN"),
        ("P_00003", "LEFT", "MLO", 1, "OVAL", 3, "BENIGN"),
    ],
    ("mass", "test"): [("P_00004", "LEFT", "CC", 1, "ROUND", 4, "MALIGNANT")],
    ("calc", "train"): [("P_00002", "RIGHT", "MLO", 1, "PLEOMORPHIC", 4, "MALIGNANT")],
    ("calc", "test"): [("P_00003", "RIGHT", "CC", 1, "ROUND", 2, "BENIGN")],
}


def case_name(kind: str, part: str, row: tuple) -> str:
    where = "Training" if part == "train" else "Test"
    return f"{kind.title()}-{where}_{row[0]}_{row[1]}_{row[2]}"


def uid(*parts: object) -> str:
    return "1.3.6.1.4.1.9590.100.1.2." + ".".join(str(abs(hash(p)) % 10**9) for p in parts)


def write_tables(folder: Path, rows=ROWS) -> None:
    """The four tables, with the line breaks inside cells that the real ones have."""
    folder.mkdir(parents=True, exist_ok=True)
    for (kind, part), listed in rows.items():
        lines = [HEADS[kind]]
        for row in listed:
            case = case_name(kind, part, row)
            film = f"{case}/{uid(case, 'study')}/{uid(case)}/000000.dcm"
            crop = f"{case}_{row[3]}/{uid(case, 's', row[3])}/{uid(case, row[3])}/000001.dcm"
            mask = crop.replace("000001", "000000")
            what = "mass" if kind == "mass" else "calcification"
            lines.append(
                f"{row[0]},3,{row[1]},{row[2]},{row[3]},{what},{row[4]},N/A,{row[5]},{row[6]},4,"
                f'{film},"{crop}\n",{mask}'
            )
        name = f"{kind}_case_description_{part}_set.csv"
        (folder / name).write_text("\n".join(lines) + "\n")


def shown(picture, seed: int = 0):
    """Film, crop and mask of an abnormality."""
    film = picture.picture(96, 80, bits=8, seed=seed)
    mask = np.zeros((96, 80), np.uint8)
    mask[20:50, 10:60] = 255
    return {"film": film, "mask": mask, "crop": film[15:85, 5:75]}


@pytest.fixture
def archive(tmp_path, make_dicom) -> Path:
    """The archive's tree; one case has crop and mask in one series, which differ in size only."""
    root = tmp_path / "manifest-1"
    write_tables(root)
    for (kind, part), listed in ROWS.items():
        for seed, row in enumerate(listed):
            case, pictures = case_name(kind, part, row), shown(make_dicom, seed)

            def save(what, folder, name, pictures=pictures, description=None):
                make_dicom.save(
                    *(root / "CBIS-DDSM" / folder / name, pictures[what]),
                    SOPClassUID=SECONDARY_CAPTURE,
                    SeriesDescription=description or DESCRIPTIONS[what],
                    PatientID=folder.partition("/")[0],
                    ImageLaterality=None,
                    ViewPosition=None,
                    BitsStored=8,
                    HighBit=7,
                )

            number = f"{case}_{row[3]}"
            save("film", f"{case}/08-07-2016-DDSM-NA-1/1.0-full", "1-1.dcm")
            if row[3] == 2:
                save(
                    "crop",
                    f"{number}/s/2.0-ROI mask images-1",
                    "1-1.dcm",
                    description="ROI mask images",
                )
                save(
                    "mask",
                    f"{number}/s/2.0-ROI mask images-1",
                    "1-2.dcm",
                    description="cropped images",
                )
            else:
                save("crop", f"{number}/s/1.0-cropped images-1", "1-1.dcm")
                save("mask", f"{number}/s/2.0-ROI mask images-1", "1-1.dcm")
    return root


@pytest.fixture
def kaggle(tmp_path, make_dicom) -> Path:
    """The JPEG re-release: ``jpeg/<series>/``, ``csv/`` with ``dicom_info.csv``."""
    root = tmp_path / "archive"
    write_tables(root / "csv")
    head = ["file_path", "image_path", "PatientID", "SeriesDescription", "Rows", "Columns"]
    lines = []
    for (kind, part), listed in ROWS.items():
        for row in listed:
            case, pictures = case_name(kind, part, row), shown(make_dicom)
            for what, name in (
                ("film", case),
                ("crop", f"{case}_{row[3]}"),
                ("mask", f"{case}_{row[3]}"),
            ):
                series = uid(case) if what == "film" else uid(case, row[3])
                path = root / "jpeg" / series / f"{1 + (what == 'mask')}-{100 + row[3]}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), pictures[what])
                inner = f"CBIS-DDSM/jpeg/{series}/{path.name}"
                said = "" if row[0] == "P_00004" else DESCRIPTIONS[what]
                rows, columns = pictures[what].shape
                lines.append([inner.replace("jpg", "dcm"), inner, name, said, rows, columns])
    with (root / "csv" / "dicom_info.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([head, *lines])
    return root


@pytest.fixture
def flat(tmp_path, make_dicom) -> Path:
    """Pictures named like their case, masks in a folder of their own."""
    root = tmp_path / "flat"
    write_tables(root)
    (root / "masks").mkdir()
    for (kind, part), listed in ROWS.items():
        for row in listed:
            case, pictures = case_name(kind, part, row), shown(make_dicom)
            cv2.imwrite(str(root / f"{case}.png"), pictures["film"])
            cv2.imwrite(str(root / "masks" / f"{case}_{row[3]}.png"), pictures["mask"])
    return root


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


@pytest.mark.parametrize("layout", ["archive", "kaggle", "flat"])
def test_every_layout_gives_the_same_films_and_masks(layout, request):
    root = request.getfixturevalue(layout)
    manifest = build_source("cbis-ddsm", root)
    found = by_id(manifest)
    assert set(found) == {
        *("P_00001_LEFT_CC", "P_00002_RIGHT_MLO", "P_00003_RIGHT_CC", "P_00004_LEFT_CC"),
    }
    merged = found["P_00001_LEFT_CC"]
    assert (merged.tumour, merged.malignant, merged.birads, merged.density) == (
        *(True, True, "5", "3"),
    )
    assert (merged.laterality, merged.view_position) == (Laterality.LEFT, ViewPosition.CC)
    assert [(x.kind, x.malignant) for x in merged.lesions] == [
        (LesionKind.MASS, False),
        (LesionKind.DISTORTION, True),
    ]
    for record in manifest.records:
        assert read_mask(record.path).shape == (96, 80)
        for lesion in record.lesions:
            mask = read_mask(lesion.mask_path)
            assert mask.shape == (96, 80)
            assert mask.sum() == pytest.approx(30 * 50, rel=0.05)
    assert found["P_00004_LEFT_CC"].split is Split.TEST
    assert found["P_00001_LEFT_CC"].split is Split.TRAIN


@pytest.mark.parametrize("layout", ["archive", "kaggle", "flat"])
def test_a_film_of_both_kinds_is_one_record_and_malignant_if_either_is(layout, request):
    record = by_id(build(request.getfixturevalue(layout)))["P_00002_RIGHT_MLO"]
    assert record.malignant is True
    assert [(x.kind, x.malignant) for x in record.lesions] == [
        (LesionKind.MASS, False),
        (LesionKind.CALCIFICATION, True),
    ]
    assert len({lesion.mask_path for lesion in record.lesions}) == 2
    assert record.birads == "4"


def test_a_patient_in_two_sets_keeps_the_test_films_and_is_named(archive):
    manifest = build(archive)
    refuse_leak(manifest.records)
    kept = [r for r in manifest.records if r.patient_id == "P_00003"]
    assert [(r.image_id, r.split) for r in kept] == [("P_00003_RIGHT_CC", Split.TEST)]
    (said,) = [c for c in manifest.cautions if c.name == "patients_in_training_and_test"]
    assert "1 patients" in said.message
    assert "1 films that are for training only are left out" in said.message
    assert "P_00003" in said.message


def test_masks_are_found_by_size_not_by_name(archive):
    manifest = build(archive)
    assert "P_00001_LEFT_CC_2" in str([c for c in manifest.cautions if c.name == "masks_swapped"])


def test_the_jpeg_release_without_its_table_of_headers(kaggle):
    (kaggle / "csv" / "dicom_info.csv").unlink()
    record = by_id(build(kaggle))["P_00001_LEFT_CC"]
    assert [read_mask(lesion.mask_path).shape for lesion in record.lesions] == [(96, 80)] * 2


def test_folders_may_lose_their_names_if_headers_keep_them(archive):
    for number, folder in enumerate(sorted((archive / "CBIS-DDSM").iterdir())):
        folder.rename(folder.with_name(f"s{number}"))
    assert len(build(archive).records) == 4


def test_masks_of_another_size_than_their_film_are_left_out(archive, make_dicom):
    (mask,) = (archive / "CBIS-DDSM" / "Mass-Test_P_00004_LEFT_CC_1").rglob("2.0*/1-1.dcm")
    make_dicom.save(
        mask, np.eye(120, 100, dtype=np.uint8) * 255, SeriesDescription="ROI mask images"
    )
    manifest = build(archive)
    assert by_id(manifest)["P_00004_LEFT_CC"].lesions == ()
    assert by_id(manifest)["P_00004_LEFT_CC"].malignant is True
    assert "masks_of_other_size" in [caution.name for caution in manifest.cautions]


def test_missing_files_are_counted_and_named(flat):
    (flat / "Mass-Test_P_00004_LEFT_CC.png").unlink()
    (flat / "mass_case_description_test_set.csv").unlink()
    cv2.imwrite(str(flat / "Calc-Test_P_09999_LEFT_CC.png"), np.eye(90, dtype=np.uint8) * 255)
    cv2.imwrite(str(flat / "holiday.png"), np.eye(90, dtype=np.uint8) * 255)
    (flat / "Calc-Train_note.png").write_text("no picture")
    (flat / "Mass-Training_P_00001_LEFT_CC.png").unlink()
    manifest = build(flat)
    said = {caution.name: caution.message for caution in manifest.cautions}
    assert "P_00001_LEFT_CC" in said["images_missing"]
    assert "P_09999_LEFT_CC" in said["images_unlisted"]
    assert said["pictures_unplaced"].startswith("2 ")
    assert "mass test" in said["tables_missing"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("MALIGNANT", "SUSPICIOUS", r"line 4 says 'SUSPICIOUS'.*\[pathology\].*benign"),
        ("P_00002,3", "2,3", r"\[patient_id\]"),
        (",RIGHT,", ",BOTH,", r"\[left or right breast\]"),
        (",MLO,1,", ",XCC,1,", r"\[image view\]"),
        (",CC,2,", ",CC,two,", r"\[abnormality id\]"),
        ("pathology", "verdict", "columns are missing: pathology"),
    ],
)
def test_a_faulty_table_is_refused_by_name(flat, old, new, words):
    table = flat / "mass_case_description_train_set.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(InvalidManifest, match=words):
        build(flat)


def test_without_tables_or_films_there_is_no_manifest(tmp_path):
    with pytest.raises(InvalidManifest, match="no case table"):
        build(tmp_path)
    write_tables(tmp_path)
    with pytest.raises(InvalidManifest, match="none of the source"):
        build(tmp_path)


@pytest.mark.skipif(not NATIVE.is_dir(), reason="CBIS-DDSM's own tables are not here")
def test_the_real_tables_agree_with_labels_derived_elsewhere(tmp_path):
    """Films of the patients of 60 training crops, and every patient who is in two sets."""
    with (SHARED / "cbis_masses" / "manifest.csv").open(newline="") as stream:
        crops = list(csv.DictReader(stream))[::14]
    women = {row["patient_id"] for row in crops}
    sides: dict[str, set[str]] = {}
    films: dict[str, str] = {}
    for table in NATIVE.iterdir():
        (tmp_path / table.name).symlink_to(table)
        with table.open(newline="") as stream:
            for row in csv.DictReader(stream):
                sides.setdefault(row["patient_id"], set()).add("test" in table.name)
                films[row["image file path"].partition("/")[0]] = row["patient_id"]
    shared = {woman for woman, where in sides.items() if len(where) > 1}
    assert len(shared) == 31
    picture = cv2.imencode(".png", np.eye(64, dtype=np.uint8) * 255)[1].tobytes()
    for film, woman in films.items():
        if woman in women | shared:
            (tmp_path / f"{film}.png").write_bytes(picture)
    manifest = build(tmp_path)
    refuse_leak(manifest.records)
    assert str(manifest.cautions[0]).startswith("patients_in_training_and_test: 31 patients ")
    found = by_id(manifest)
    checked = 0
    for crop in crops:
        record = found.get(crop["image_id"].removeprefix("Mass-Training_").rpartition("_")[0])
        if crop["patient_id"] not in shared:
            checked += 1
            assert record is not None
            assert record.malignant or crop["malignant"] == "0"
            assert record.split is Split.TRAIN
            assert record.density in (crop["density"].partition(".")[0], None)
    assert checked > 50
    assert {r.split for r in manifest.records if r.patient_id in shared} == {Split.TEST}


def test_a_mask_without_a_preamble_is_read(make_dicom, tmp_path):
    whole, bare = tmp_path / "mask.dcm", tmp_path / "bare.dcm"
    make_dicom.save(whole)
    bare.write_bytes(whole.read_bytes()[132:])
    assert (read_mask(bare) == read_mask(whole)).all()
