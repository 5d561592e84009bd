"""CMMD: sides and views from headers, and a breast without a row is unknown."""

import sys

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.sources import build_source
from mammolens.errors import ConfigError, InvalidManifest

pytest.importorskip("openpyxl", reason="sheets need: pip install 'mammolens[data]'")


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.cmmd(tmp_path / "cmmd", make_dicom, make_ljpeg)
    return tmp_path / "cmmd"


def test_the_archive_as_it_is_unpacked(tree):
    manifest = build_source("cmmd", tree)
    benign, malignant, other = sorted(manifest.records, key=lambda r: r.image_id)
    assert (benign.patient_id, benign.tumour, benign.malignant) == ("D1-0001", True, False)
    assert (benign.laterality, benign.view_position) == (Laterality.RIGHT, ViewPosition.CC)
    assert (malignant.malignant, malignant.age_years) == (True, 60)
    assert (other.laterality, other.tumour, other.malignant) == (Laterality.RIGHT, None, None)
    words = [str(caution) for caution in manifest.cautions]
    assert words[0].startswith("no_row: 1 images")
    assert words[1] == "no_image: 1 listed breasts have no image here: D2-0009 L"


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_the_sheet_may_be_saved_as_csv(tree, make_sources, delimiter):
    (tree / "CMMD_clinicaldata_revision.xlsx").unlink()
    path = tree / "CMMD_clinicaldata_revision.csv"
    make_sources.table(path, make_sources.CMMD_HEAD, make_sources.CMMD_ROWS, delimiter)
    assert sum(r.malignant is True for r in build_source("cmmd", tree).records) == 1


def test_cancer_in_either_row_of_a_breast_is_cancer(tree, make_sources):
    rows = [*make_sources.CMMD_ROWS, ("D1-0001", "R", 44, 2, "mass", "Malignant", "")]
    make_sources.sheet(
        tree / "CMMD_clinicaldata_revision.xlsx", make_sources.CMMD_HEAD, [rows[3], *rows[:3]]
    )
    found = {r.patient_id: r.malignant for r in build_source("cmmd", tree).records[:1]}
    assert found == {"D1-0001": True}


def test_a_damaged_file_is_left_out_and_named(tree):
    path = next(tree.rglob("*.dcm"))
    path.write_bytes(b"\0" * 200)
    manifest = build_source("cmmd", tree)
    assert len(manifest.records) == 2
    assert "unreadable: 1 files" in str(manifest.cautions[0])


def test_an_unknown_word_is_refused(tree, make_sources):
    rows = [("D1-0001", "R", 44, 2, "mass", "Probably", "")]
    make_sources.sheet(tree / "CMMD_clinicaldata_revision.xlsx", make_sources.CMMD_HEAD, rows)
    with pytest.raises(InvalidManifest, match=r"'Probably'.*classification"):
        build_source("cmmd", tree)


def test_a_damaged_sheet_is_refused(tree):
    (tree / "CMMD_clinicaldata_revision.xlsx").write_bytes(b"no zip")
    with pytest.raises(InvalidManifest, match="sheet cannot be read"):
        build_source("cmmd", tree)


def test_without_openpyxl_the_message_says_what_to_install(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigError, match=r"pip install 'mammolens\[data\]'"):
        build_source("cmmd", tree)
