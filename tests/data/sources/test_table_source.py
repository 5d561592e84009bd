"""Our own table as a source: it is complete, or it is refused."""

import pytest

from mammolens.data.sources import build_source
from mammolens.errors import InvalidManifest


@pytest.fixture
def tree(tmp_path, make_sources, make_dicom, make_ljpeg):
    make_sources.own_table(tmp_path / "own", make_dicom, make_ljpeg)
    return tmp_path / "own"


def test_a_folder_or_a_table_may_be_named(tree):
    assert build_source("table", tree) == build_source("table", tree / "manifest.csv")
    assert build_source("table", tree).records[0].lesions[0].box_source_px == (1, 2, 3, 4)


def test_a_missing_image_is_counted_and_named(tree):
    (tree / "images" / "2.png").unlink()
    with pytest.raises(InvalidManifest, match=r"1 of 2 images are missing, first .*2\.png"):
        build_source("table", tree)
