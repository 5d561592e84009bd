"""VinDr-Mammo: BI-RADS of the breast, boxes, the official split."""

import pytest

from mammolens.data.lesions import LesionKind
from mammolens.data.manifest import Split
from mammolens.data.sources import build_source
from mammolens.errors import InvalidManifest


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.vindr(tmp_path / "vindr", make_dicom, make_ljpeg)
    return tmp_path / "vindr"


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


def test_the_release_as_it_is_unpacked(tree):
    manifest = build_source("vindr", tree)
    found = by_id(manifest)
    labels = {i: (r.tumour, r.malignant, r.birads) for i, r in found.items()}
    assert labels == {
        "a1": (True, True, "4"),
        "a2": (False, False, "1"),
        "a3": (True, None, "3"),
        "a4": (True, False, "2"),
    }
    assert (found["a1"].split, found["a3"].split) == (Split.TRAIN, Split.TEST)
    assert (found["a1"].patient_id, found["a1"].density) == ("s1", "C")
    assert [c.name for c in manifest.cautions] == ["labels_are_birads", "patient_is_exam"]


def test_boxes_have_the_kind_of_the_lesion(tree):
    found = by_id(build_source("vindr", tree))
    mass = found["a1"].lesions[0]
    assert (mass.kind, mass.malignant) == (LesionKind.MASS, True)
    assert mass.box_source_px == (20.0, 10.5, 50.0, 30.5)
    asymmetry = found["a3"].lesions[0]
    assert (asymmetry.kind, asymmetry.malignant) == (LesionKind.ASYMMETRY, None)
    assert found["a2"].lesions == ()


def test_boxes_follow_pictures_of_another_size(tree, make_sources):
    (tree / "images" / "s1" / "a1.dicom").unlink()
    make_sources.save(tree / "images" / "s1" / "a1.png", make_sources.drawn(48, 80))
    record = by_id(build_source("vindr", tree))["a1"]
    assert record.lesions[0].box_source_px == (10.0, 10.5, 25.0, 30.5)
    assert record.pixel_aspect == 2.0


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        ("breast-level_annotations.csv", "BI-RADS 4", "BI-RADS 9", r"'BI-RADS 9'.*breast_birads"),
        ("breast-level_annotations.csv", "training", "maybe", r"'maybe'.*split"),
        ("finding_annotations.csv", "['Focal Asymmetry']", "nothing", "finding_categories"),
        ("finding_annotations.csv", "10.5", "left", r"line 2 says 'left' \[xmin\]"),
    ],
)
def test_a_faulty_table_is_refused_by_name(tree, table, old, new, words):
    path = tree / table
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InvalidManifest, match=words):
        build_source("vindr", tree)
