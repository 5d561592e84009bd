"""DDSM: cases with their headers, outlines as chain codes, and films with unknown labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.cache import prepare_record
from mammolens.data.lesions import LesionKind
from mammolens.data.sources import build_source
from mammolens.data.sources.ddsm import build, parse_overlay
from mammolens.errors import InvalidManifest
from mammolens.preprocess import PreprocessConfig

FILMS = ("LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO")
MASS = "LESION_TYPE MASS SHAPE IRREGULAR MARGINS SPICULATED"
GRAINS = "LESION_TYPE CALCIFICATION TYPE PLEOMORPHIC DISTRIBUTION CLUSTERED"


def overlay(*abnormalities: tuple[str, str, str], total: int | None = None) -> str:
    """An overlay in DDSM's words: lesion types, pathology, and outlines of each abnormality."""
    text = f"TOTAL_ABNORMALITIES {len(abnormalities) if total is None else total}\n"
    for number, (types, pathology, outline) in enumerate(abnormalities, start=1):
        text += f"ABNORMALITY {number}\n{types}\nASSESSMENT {number + 2}\nSUBTLETY 4\n"
        text += f"PATHOLOGY {pathology}\nTOTAL_OUTLINES {1 + outline.count('CORE')}\nBOUNDARY\n"
        text += f"{outline} #\n"
    return text


SQUARE = "40 30 2 2 2 4 4 4 6 6 6 0 0 0"
"""Starts at column 40, row 30: three right, three down, three left, three up."""


@pytest.fixture
def tree(tmp_path, make_ljpeg) -> Path:
    """A normal case, and a cancer case with outlines on the left views only."""
    small = make_ljpeg.film()
    root = tmp_path / "cases"
    make_ljpeg.save_case(
        *(root / "normals" / "normal_01" / "case0200", "A_0200_1", dict.fromkeys(FILMS, small)),
        digitizer="DBA 21",
    )
    cancer = root / "cancers" / "cancer_06" / "case1141"
    make_ljpeg.save_case(
        *(cancer, "A_1141_1", dict.fromkeys(FILMS, small)),
        digitizer="HOWTEK",
        marked=frozenset(FILMS[:2]),
        age="67",
    )
    core = f"{SQUARE} #\n\tCORE\n41 31 2 4 6 0"
    (cancer / "A_1141_1.LEFT_CC.OVERLAY").write_text(
        overlay((MASS, "MALIGNANT", core), (GRAINS, "BENIGN", "5 6 4 4"))
    )
    (cancer / "A_1141_1.LEFT_MLO.OVERLAY").write_text(
        overlay((GRAINS, "BENIGN_WITHOUT_CALLBACK", SQUARE))
    )
    return root


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


def test_the_tree_as_it_is_distributed(tree):
    manifest = build_source("ddsm", tree)
    found = by_id(manifest)
    assert len(found) == 8
    normal = found["A_0200_1.RIGHT_MLO"]
    assert (normal.tumour, normal.malignant, normal.machine) == (False, False, "DBA 21")
    assert (normal.laterality, normal.view_position) == (Laterality.RIGHT, ViewPosition.MLO)
    cancer = found["A_1141_1.LEFT_CC"]
    assert (cancer.patient_id, cancer.study_id, cancer.age_years) == ("A_1141", "A_1141_1", 67)
    assert (cancer.tumour, cancer.malignant, cancer.birads) == (True, True, "4")
    assert cancer.density == "3"
    benign = found["A_1141_1.LEFT_MLO"]
    assert (benign.tumour, benign.malignant, benign.birads) == (True, False, "3")


def test_outlines_become_boxes_core_or_not(tree):
    mass, grains = by_id(build(tree))["A_1141_1.LEFT_CC"].lesions
    assert (mass.kind, mass.malignant) == (LesionKind.MASS, True)
    assert mass.box_source_px == (30, 40, 34, 44)
    assert (grains.kind, grains.malignant) == (LesionKind.CALCIFICATION, False)
    assert grains.box_source_px == (6, 5, 9, 6)


def test_the_other_breast_of_a_case_with_a_finding_is_not_called_normal(tree):
    manifest = build(tree)
    other = by_id(manifest)["A_1141_1.RIGHT_CC"]
    assert (other.tumour, other.malignant) == (None, None)
    assert [str(c).split(":")[0] for c in manifest.cautions] == ["not_marked"]
    assert "2 films" in manifest.cautions[0].message


def test_a_case_outside_of_its_volume_is_not_called_normal(tree):
    case = tree / "normals" / "normal_01" / "case0200"
    assert all(record.tumour is None for record in build(case).records)
    volume = build(case.parent)
    assert all(record.tumour is False for record in volume.records)


def test_films_are_read_and_prepared(tree):
    record = by_id(build(tree))["A_1141_1.LEFT_CC"]
    prepared = prepare_record(record, PreprocessConfig(height=96, width=64))
    assert prepared.pixels.shape == (96, 64)
    assert len(np.unique(prepared.pixels)) > 10


@pytest.mark.parametrize(
    ("text", "malignant", "note"),
    [
        (overlay((MASS, "UNPROVEN", SQUARE)), None, "unproven"),
        (overlay((MASS, "BENIGN", SQUARE), total=2), None, "overlay_incomplete"),
        (overlay((MASS, "MALIGNANT", SQUARE), total=2), True, "overlay_incomplete"),
        (overlay((MASS, "BENIGN", "40 30 2 9 2")), False, "outline_damaged"),
        ("", None, "overlay_incomplete"),
    ],
)
def test_doubtful_outlines_do_not_make_a_film_benign(tree, text, malignant, note):
    path = tree / "cancers" / "cancer_06" / "case1141" / "A_1141_1.LEFT_CC.OVERLAY"
    path.write_text(text)
    manifest = build(tree)
    assert by_id(manifest)["A_1141_1.LEFT_CC"].malignant is malignant
    assert note in [caution.name for caution in manifest.cautions]


def test_missing_files_are_counted_and_named(tree):
    case = tree / "cancers" / "cancer_06" / "case1141"
    (case / "A_1141_1.LEFT_MLO.OVERLAY").unlink()
    (case / "A_1141_1.RIGHT_CC.LJPEG").rename(case / "A_1141_1.RIGHT_XCC.LJPEG")
    (tree / "broken.ics").write_text("filename X\n")
    manifest = build(tree)
    assert {c.name: c.message.split()[0] for c in manifest.cautions} == {
        "unreadable_case": "1",
        "films_missing": "1",
        "films_unlisted": "1",
        "overlay_missing": "1",
        "not_marked": "1",
    }
    announced = by_id(manifest)["A_1141_1.LEFT_MLO"]
    assert (announced.tumour, announced.malignant) == (None, None)


def test_a_folder_without_cases_is_refused(tmp_path):
    with pytest.raises(InvalidManifest, match="none of the source"):
        build(tmp_path)


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (MASS, LesionKind.MASS),
        (GRAINS, LesionKind.CALCIFICATION),
        ("LESION_TYPE MASS SHAPE ARCHITECTURAL_DISTORTION MARGINS N/A", LesionKind.DISTORTION),
        ("LESION_TYPE MASS SHAPE ASYMMETRIC_BREAST_TISSUE MARGINS N/A", LesionKind.ASYMMETRY),
        ("LESION_TYPE OTHER", LesionKind.OTHER),
        (f"{GRAINS}\n{MASS}", LesionKind.CALCIFICATION),
    ],
)
def test_kinds_of_lesions(types, kind):
    (found,) = parse_overlay(overlay((types, "BENIGN", SQUARE))).abnormalities
    assert found.kind is kind


@pytest.mark.parametrize(
    ("step", "box"),
    [
        ("0", (9, 10, 11, 11)),
        ("1", (9, 10, 11, 12)),
        ("2", (10, 10, 11, 12)),
        ("3", (10, 10, 12, 12)),
        ("4", (10, 10, 12, 11)),
        ("5", (10, 9, 12, 11)),
        ("6", (10, 9, 11, 11)),
        ("7", (9, 9, 11, 11)),
    ],
)
def test_directions_of_the_chain_code(step, box):
    """0 is up, then clockwise, as in DDSM's description."""
    (found,) = parse_overlay(overlay((MASS, "BENIGN", f"10 10 {step}"))).abnormalities
    assert found.box_source_px == box
