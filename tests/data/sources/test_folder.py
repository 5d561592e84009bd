"""A folder for each class: names, splits, and the patient of an image."""

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.manifest import Split
from mammolens.data.sources import build_source
from mammolens.errors import ConfigError, InvalidManifest


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.folder(tmp_path / "clinic", make_dicom, make_ljpeg)
    return tmp_path / "clinic"


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


def test_folders_give_label_and_split(tree):
    manifest = build_source("folder", tree, {"patient": r"/(\w+)-\d"})
    found = by_id(manifest)
    assert len(found) == 16
    record = found["train/No Cancer/trainNC-1_L_CC"]
    assert (record.tumour, record.malignant, record.split) == (None, False, Split.TRAIN)
    assert (record.laterality, record.view_position) == (Laterality.LEFT, ViewPosition.CC)
    assert record.dataset == "clinic"
    assert found["test/malignant/testmal-1_L_CC"].patient_id == "testmal"
    assert found["test/malignant/testmal-1_L_CC"].split is Split.TEST


def test_without_patients_the_caution_is_loud(tree):
    caution = build_source("folder", tree).cautions[0]
    assert caution.name == "PATIENTS_UNKNOWN"
    assert "16 images" in caution.message
    assert "A SPLIT MAY PUT ONE PATIENT ON BOTH SIDES" in caution.message


def test_patients_come_from_dicom_headers(tmp_path, make_dicom):
    for number, patient in enumerate(("anna", "anna", "bea")):
        make_dicom.save(tmp_path / "set" / "benign" / f"{number}.dcm", PatientID=patient)
    manifest = build_source("folder", tmp_path / "set")
    assert [r.patient_id for r in manifest.records] == ["anna", "anna", "bea"]
    assert manifest.cautions == ()


def test_a_patient_on_two_sides_is_named(tree):
    manifest = build_source("folder", tree, {"patient": r"(\d)_L_CC"})
    assert [str(c) for c in manifest.cautions] == [
        "patients_on_two_sides: 2 patients are on two sides of the split: 1, 2"
    ]


def test_other_class_names_are_stated_not_guessed(tmp_path, make_sources):
    make_sources.save(tmp_path / "0" / "a.png")
    make_sources.save(tmp_path / "1" / "b.png")
    with pytest.raises(InvalidManifest, match=r"2 images are not in a folder of a class"):
        build_source("folder", tmp_path)
    manifest = build_source("folder", tmp_path, {"classes": "0=no_cancer,1=cancer", "name": "x"})
    assert [(r.dataset, r.tumour, r.malignant) for r in manifest.records] == [
        ("x", None, False),
        ("x", True, True),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patient": "("}, "not a regular expression"),
        ({"patient": "abc"}, "has no group"),
        ({"classes": "0=healthy"}, "there is no class 'healthy'"),
    ],
)
def test_faulty_options_are_refused(tree, options, words):
    with pytest.raises(ConfigError, match=words):
        build_source("folder", tree, options)


def test_an_expression_that_misses_a_path_is_refused(tree):
    with pytest.raises(InvalidManifest, match="does not find a patient in 'test/"):
        build_source("folder", tree, {"patient": "(train)"})
