"""mini-MIAS: origin at the bottom, several rows, pairs of one patient, lateralities of the film."""

import csv
import shutil
from pathlib import Path

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.lesions import LesionKind
from mammolens.data.sources import build_source
from mammolens.errors import InvalidManifest

SHARED = Path(__file__).parents[4] / "shared" / "data"
INFO = SHARED / "native" / "mias" / "Info.txt"


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.mias(tmp_path / "all-mias", make_dicom, make_ljpeg)
    return tmp_path / "all-mias"


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


def test_circles_are_counted_from_the_top_left(tree):
    first = by_id(build_source("mias", tree))["mdb001"]
    assert first.lesions[0].circle_source_px == (1024 - 425, 535, 197)
    assert first.lesions[0].kind is LesionKind.MASS
    assert first.lesion_centre_px == (599, 535)


def test_the_worst_of_several_rows_labels_the_image(tree):
    record = by_id(build_source("mias", tree))["mdb003"]
    assert [lesion.malignant for lesion in record.lesions] == [False, True]
    assert (record.tumour, record.malignant) == (True, True)
    assert record.lesion_centre_px == (600, 300)


def test_a_finding_without_place_is_labelled_but_not_marked(tree):
    found = by_id(build_source("mias", tree))
    note_three, no_numbers = found["mdb004"], found["mdb005"]
    assert (note_three.malignant, note_three.lesions) == (True, ())
    assert (no_numbers.tumour, no_numbers.malignant, no_numbers.lesions) == (True, False, ())


def test_pairs_are_one_patient_and_odd_numbers_are_left(tree):
    found = by_id(build_source("mias", tree))
    assert [found[f"mdb00{n}"].patient_id for n in (1, 2, 3)] == ["mias001", "mias001", "mias002"]
    sides = [found[f"mdb00{n}"].laterality for n in (1, 2)]
    assert sides == [Laterality.LEFT, Laterality.RIGHT]
    assert all(r.view_position is ViewPosition.MLO for r in found.values())
    assert (found["mdb002"].tumour, found["mdb002"].density) == (False, "G")


def test_missing_images_are_named(tree):
    cautions = [str(caution) for caution in build_source("mias", tree).cautions]
    assert cautions == ["no_image: 1 listed images are missing: mdb006"]


def test_circles_do_not_go_with_pictures_of_another_size(tree, make_sources):
    make_sources.save(tree / "mdb001.pgm", make_sources.drawn(512, 512))
    manifest = build_source("mias", tree)
    assert by_id(manifest)["mdb001"].lesions == ()
    assert by_id(manifest)["mdb001"].tumour is True
    assert "circles_left_out: 1 images" in str(manifest.cautions[-1])


@pytest.mark.parametrize("line", ["mdb007 G CIRC B 535 425", "mdb007 X NORM", "mdb007 G LUMP B"])
def test_a_line_that_means_nothing_is_refused_by_number(tree, line):
    info = tree / "Info.txt"
    number = len(info.read_text().splitlines()) + 1
    info.write_text(info.read_text() + line + "\n")
    with pytest.raises(InvalidManifest, match=f"line {number} cannot"):
        build_source("mias", tree)


@pytest.mark.skipif(not INFO.is_file(), reason="the real Info.txt is not here")
def test_the_real_list_agrees_with_labels_derived_elsewhere(tmp_path, make_sources):
    shutil.copy(INFO, tmp_path)
    for number in range(1, 323):
        save = make_sources.drawn(8, 8)
        make_sources.save(tmp_path / f"mdb{number:03d}.png", save)
    found = by_id(build_source("mias", tmp_path))
    assert len(found) == 322
    assert sum(r.malignant for r in found.values()) == 52
    assert sum(r.tumour for r in found.values()) == 115
    with (SHARED / "mias" / "manifest.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            record = found[row["image_id"]]
            assert (record.tumour, record.malignant) == (
                row["tumour"] == "1",
                row["malignant"] == "1",
            )
            assert (record.patient_id, record.laterality.value) == (
                row["patient_id"],
                row["laterality"],
            )
