"""RSNA 2022: no cancer is not normal; square re-releases are squeezed."""

import shutil

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.sources import build_source
from mammolens.errors import InvalidManifest


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.rsna(tmp_path / "rsna", make_dicom, make_ljpeg)
    return tmp_path / "rsna"


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


def test_the_challenge_as_it_is_unpacked(tree):
    found = by_id(build_source("rsna", tree))
    first, second, third = (found[i] for i in sorted(found))
    assert (first.image_id, first.birads, first.density) == ("10006_1459541791", "0", "B")
    assert (second.tumour, second.malignant, second.birads) == (None, False, None)
    assert (second.age_years, second.machine) == (61, "29")
    assert (third.tumour, third.malignant, third.age_years) == (True, True, None)
    assert (third.laterality, third.view_position) == (Laterality.RIGHT, ViewPosition.AT)
    assert {r.pixel_aspect for r in found.values()} == {1.0}


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_flat_square_pictures_are_squeezed_and_others_are_not(tree, make_sources, suffix):
    shutil.rmtree(tree / "train_images")
    make_sources.save(tree / f"10006_462822612{suffix}", make_sources.drawn(64, 64))
    make_sources.save(tree / f"10006_1459541791{suffix}", make_sources.drawn(80, 64))
    manifest = build_source("rsna", tree)
    aspects = {r.image_id: r.pixel_aspect for r in manifest.records}
    assert aspects == {"10006_462822612": 1.25, "10006_1459541791": 1.0}
    names = [caution.name for caution in manifest.cautions]
    assert names == ["no_image", "squeezed"]


def test_an_image_without_a_row_is_left_out_and_named(tree, make_sources):
    make_sources.save(tree / "train_images" / "777" / "888.png")
    manifest = build_source("rsna", tree)
    assert len(manifest.records) == 3
    assert "no_row: 1 images" in str(manifest.cautions[0])


def test_two_releases_side_by_side_are_refused(tree, make_sources):
    make_sources.save(tree / "png" / "10006_462822612.png")
    with pytest.raises(InvalidManifest, match="exists twice"):
        build_source("rsna", tree)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",cancer,", ",tumor,", "columns are missing: cancer"),
        ("61.0,0,", "61.0,maybe,", r"'maybe'.*\[cancer\]"),
        ("61.0", "old", r"line 2 says 'old' \[age\]"),
    ],
)
def test_a_faulty_table_is_refused_by_name(tree, old, new, words):
    table = tree / "train.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(InvalidManifest, match=words):
        build_source("rsna", tree)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace(",61.0,0,", ",61,0,0,"), "line 2 has 15 cells"),
        (
            lambda t: t.replace("10006,462822612", "10006,4.62823E+08"),
            r"line 2 says '4\.62823E\+08' \[image_id\]",
        ),
        (lambda t: t.replace("10006", "P10006"), r"line 2 says 'P10006'.*whole number"),
        (lambda t: t.replace(",29,False", ",29,"), ""),
        (lambda t: t.replace(",0,,29,False", ",,29,False,"), r"line 2 says '29' \[density\]"),
        (lambda t: t.replace(",1,1,1,,", ",0,1,1,,"), r"line 4 says '0' .*where invasive is 1"),
    ],
)
def test_a_row_that_has_slipped_is_refused(tree, change, words):
    """Two of these names once turned every cancer into a 0 without a message."""
    table = tree / "train.csv"
    table.write_text(change(table.read_text()))
    if not words:
        assert sum(record.malignant is True for record in build_source("rsna", tree).records) == 1
        return
    with pytest.raises(InvalidManifest, match=words):
        build_source("rsna", tree)
