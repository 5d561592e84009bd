"""Sizes of pictures of every kind, read without decoding; other files are refused."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from mammolens.errors import InputError, NotAnImage
from mammolens.images import read_facts

GREY = (np.arange(70 * 90) % 251).astype(np.uint8).reshape(70, 90)


@pytest.mark.parametrize(
    "data",
    [
        imagecodecs.png_encode(GREY),
        imagecodecs.jpeg8_encode(GREY),
        imagecodecs.tiff_encode(GREY),
        b"P5\n# a note\n90 70\n255\n" + GREY.tobytes(),
    ],
    ids=["png", "jpeg", "tiff", "pgm"],
)
def test_pictures_without_headers(tmp_path, data):
    path = tmp_path / "picture"
    path.write_bytes(data)
    assert read_facts(path) == (70, 90, None, None)


def test_dicom_says_whose_and_what(tmp_path, make_dicom):
    path = make_dicom.save(tmp_path / "a.dcm", GREY, SeriesDescription="cropped images")
    assert read_facts(path) == (70, 90, "P1", "cropped images")


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff\xe0", b"\0" * 128 + b"DICM\2\0"])
def test_files_that_are_not_pictures_are_refused(tmp_path, data):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.jpg"):
        read_facts(path)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(NotAnImage, match=r"gone\.png.*cannot be read"):
        read_facts(tmp_path / "gone.png")
