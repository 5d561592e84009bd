"""CDD-CESM: a row for each finding, outlines of the VGG annotator, two kinds of images."""

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.sources import build_source
from mammolens.errors import ConfigError, InvalidManifest

pytest.importorskip("openpyxl", reason="sheets need: pip install 'mammolens[data]'")


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.cesm(tmp_path / "cesm", make_dicom, make_ljpeg)
    return tmp_path / "cesm"


def test_the_archive_as_it_is_unpacked(tree):
    manifest = build_source("cesm", tree)
    malignant, normal = manifest.records
    assert (malignant.image_id, malignant.patient_id) == ("P1_L_DM_MLO", "P1")
    assert (malignant.tumour, malignant.malignant) == (True, True)
    assert (malignant.laterality, malignant.view_position) == (Laterality.LEFT, ViewPosition.MLO)
    assert (malignant.birads, malignant.density, malignant.age_years) == ("4", "B", 63)
    assert (normal.tumour, normal.malignant, normal.machine) == (False, False, "2")
    words = [str(caution) for caution in manifest.cautions]
    assert words == ["no_image: 1 annotated images are missing: P3_R_DM_CC"]


def test_outlines_become_boxes(tree):
    polygon, ellipse = build_source("cesm", tree).records[0].lesions
    assert polygon.box_source_px == (20, 10, 50, 31)
    assert ellipse.box_source_px == pytest.approx((30, 30, 70, 50))
    assert polygon.malignant is True


def test_subtracted_images_come_only_when_asked_for(tree):
    subtracted = build_source("cesm", tree, {"images": "subtracted"})
    assert [r.image_id for r in subtracted.records] == ["P1_L_CM_MLO"]
    assert subtracted.cautions == ()
    assert len(build_source("cesm", tree, {"images": "both"}).records) == 3
    with pytest.raises(ConfigError, match="Known are both, low-energy, subtracted"):
        build_source("cesm", tree, {"images": "all"})


def test_an_outline_on_a_normal_image_is_kept_and_named(tree):
    path = tree / "Radiology_hand_drawn_segmentations_v2.csv"
    circle = '"{""name"": ""circle"", ""cx"": 5, ""cy"": 6, ""r"": 2}"'
    path.write_text(path.read_text() + f"P2_R_DM_CC.jpg,1,{{}},1,0,{circle},{{}}\n")
    manifest = build_source("cesm", tree)
    assert manifest.records[1].lesions[0].box_source_px == (4, 3, 8, 7)
    assert manifest.cautions[-1].name == "outline_on_normal"


@pytest.mark.parametrize("shape", ["no json", '"{""name"": ""circle""}"'])
def test_an_outline_that_means_nothing_is_refused(tree, shape):
    path = tree / "Radiology_hand_drawn_segmentations_v2.csv"
    path.write_text(path.read_text() + f"P2_R_DM_CC.jpg,1,{{}},1,0,{shape},{{}}\n")
    with pytest.raises(InvalidManifest, match=r"line \d+ says .*region_shape_attributes"):
        build_source("cesm", tree)
