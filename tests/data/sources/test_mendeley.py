"""The 227-pixel set: one upright picture for each film, in all turns of a class."""

from dataclasses import replace

import numpy as np
import pytest

from mammolens.data.cache import prepare_record
from mammolens.data.sources import build_source
from mammolens.errors import InvalidManifest
from mammolens.preprocess import PreprocessConfig

PLAIN = PreprocessConfig(height=96, width=96, clahe_clip=0.0)


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.mendeley(tmp_path / "masses", make_dicom, make_ljpeg)
    return tmp_path / "masses"


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


def test_names_become_films_of_three_sets(tree):
    found = by_id(build_source("mendeley", tree))
    assert len(found) == 11
    film = found["C_0002_1.LEFT_MLO"]
    assert (film.dataset, film.patient_id, film.laterality.value) == ("ddsm", "C_0002", "L")
    assert (film.malignant, film.pixel_aspect) == (True, pytest.approx(5 / 3))
    assert (found["mdb028"].patient_id, found["mdb028"].laterality.value) == ("mias014", "R")
    assert found["20586908"].dataset == "inbreast"


def test_the_first_copy_is_kept(tree):
    manifest = build_source("mendeley", tree)
    assert all("(1)" in record.path.name for record in manifest.records)
    copies = next(c for c in manifest.cautions if c.name == "copies_left_out")
    assert copies.message.startswith("22 augmented copies")


def test_near_numbers_of_inbreast_stay_together(tree):
    found = by_id(build_source("mendeley", tree))
    assert found["20586908"].patient_id == found["20586934"].patient_id
    assert found["20586908"].patient_id != found["53580804"].patient_id


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_class_is_turned_upright(tree, make_sources, quarters):
    for path in (tree / "DDSM Dataset" / "Malignant Masses").glob("*"):
        upright = make_sources.drawn(227, 227, wall="right" if "0002" in path.name else "left")
        make_sources.save(path, np.rot90(upright, quarters))
    manifest = build_source("mendeley", tree)
    found = by_id(manifest)
    assert {r.rotation_deg for r in found.values() if r.image_id[0] == "C"} == {90 * quarters}
    assert {r.rotation_deg for r in found.values() if r.image_id[0] != "C"} == {0}
    turned = next(c.message for c in manifest.cautions if "malignant" in c.message)
    assert f"turned by {90 * quarters} degrees (3 of 3" in turned


def test_a_turned_picture_is_prepared_like_its_upright_self(tree, make_sources):
    record = by_id(build_source("mendeley", tree))["C_0001_1.LEFT_MLO"]
    assert record.rotation_deg == 90
    upright = make_sources.drawn(227, 227, 1)
    make_sources.save(tree / "upright.png", upright)
    make_sources.save(record.path, np.rot90(upright))
    expected = prepare_record(replace(record, path=tree / "upright.png", rotation_deg=0), PLAIN)
    np.testing.assert_array_equal(prepare_record(record, PLAIN).pixels, expected.pixels)


def test_a_class_of_unclear_orientation_stays_as_stored(tree, make_sources):
    for n, path in enumerate((tree / "DDSM Dataset" / "Benign Masses").glob("*(1)*")):
        make_sources.save(path, np.rot90(make_sources.drawn(227, 227), n))
    manifest = build_source("mendeley", tree)
    unclear = next(c for c in manifest.cautions if c.name == "orientation_unclear")
    assert "benign DDSM pictures stay as stored" in unclear.message
    assert by_id(manifest)["A_1101_1.RIGHT_MLO"].rotation_deg == 0


def test_a_film_in_both_classes_is_refused(tree, make_sources):
    make_sources.save(tree / "MIAS Dataset" / "Benign Masses" / "mdb028 (3).png")
    with pytest.raises(InvalidManifest, match="both classes, first mdb028"):
        build_source("mendeley", tree)


def test_unknown_names_are_listed(tree, make_sources):
    make_sources.save(tree / "MIAS Dataset" / "Benign Masses" / "scan.png")
    manifest = build_source("mendeley", tree)
    assert any(c.name == "unknown_name" and "scan.png" in c.message for c in manifest.cautions)
