"""Orientation from PatientOrientation, Exif and TIFF."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from mammolens.core import Orientation
from mammolens.images import read_image

OPPOSITE = {"A": "P", "P": "A", "L": "R", "R": "L", "H": "F", "F": "H"}
UPRIGHT = {
    ("L", "CC"): [("A", "R"), ("P", "R")],
    ("R", "CC"): [("P", "L"), ("A", "L")],
    ("L", "XCCL"): [("A", "R")],
    ("L", "MLO"): [("A", "FR"), ("A", "F"), ("P", "FR"), ("A", "R"), ("A", "RF"), ("AF", "FR")],
    ("R", "MLO"): [("P", "FL"), ("P", "F"), ("P", "L"), ("PH", "FL")],
    ("R", "ML"): [("P", "F")],
    ("L", "LM"): [("A", "F")],
    (None, "MLO"): [("A", "FR"), ("P", "F")],
    ("L", None): [("A", "FR"), ("A", "R")],
}
"""Patient Orientation of upright pictures, as vendors write it, by side and view."""


def turned_back(row: str, column: str) -> tuple[str, str]:
    """What the orientation becomes when the picture is turned counter-clockwise."""
    return column, "".join(OPPOSITE[letter] for letter in row)


@pytest.mark.parametrize("place", UPRIGHT)
@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_are_read_from_patient_orientation(
    make_dicom, tmp_path, place, quarters: int
) -> None:
    side, view = place
    for number, stated in enumerate(UPRIGHT[place]):
        right = stated[0][0] == "P"
        for _ in range(quarters):
            stated = turned_back(*stated)
        path = make_dicom.save(
            tmp_path / f"{number}.dcm",
            ImageLaterality=side,
            ViewPosition=view,
            PatientOrientation=list(stated),
        )
        found = read_image(path).orientation
        assert found == Orientation(quarters, right, "PatientOrientation"), stated


def test_lying_pictures_of_unknown_side_are_turned_to_stand_either_way(
    make_dicom, tmp_path
) -> None:
    path = make_dicom.save(
        tmp_path / "a.dcm", ImageLaterality=None, PatientOrientation=["R", "P"], ViewPosition="CC"
    )
    assert read_image(path).orientation.quarter_turns in (1, 3)


@pytest.mark.parametrize("stated", [None, "CC", "MLO", ""])
def test_an_orientation_that_is_not_stated_is_none(make_dicom, tmp_path, stated) -> None:
    image = read_image(make_dicom.save(tmp_path / "a.dcm", PatientOrientation=stated))
    assert image.orientation is None
    assert "orientation_unusable" not in {c.name for c in image.cautions}


@pytest.mark.parametrize(
    "stated", [["A", "P"], ["L", "F"], ["A"], ["X", "Y"], ["A", "F", "R"], ["A", "AR"], ["R", "H"]]
)
def test_an_impossible_orientation_is_ignored_with_a_caution(make_dicom, tmp_path, stated) -> None:
    image = read_image(make_dicom.save(tmp_path / "a.dcm", PatientOrientation=stated))
    assert image.orientation is None
    assert "orientation_unusable" in {c.name for c in image.cautions}


def exif(value: int, order: str = "<") -> bytes:
    """An Exif block with an orientation, after one other entry."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHHIHH", 1 + 1, 0x0100, 3, 1, 80, 0)
    entries += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, value, 0)
    return mark + struct.pack(f"{order}I", 8) + entries + bytes(4)


def jpeg(pixels: np.ndarray, block: bytes | None) -> bytes:
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    if block is None:
        return data
    body = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body + data[2:]


def png(pixels: np.ndarray, block: bytes | None) -> bytes:
    import zlib

    data = cv2.imencode(".png", pixels)[1].tobytes()
    if block is None:
        return data
    chunk = b"eXIf" + block
    made = struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + made + data[33:]


QUARTERS = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}


@pytest.mark.parametrize("encode", [jpeg, png])
@pytest.mark.parametrize("value", QUARTERS)
def test_pixels_stay_as_stored_and_exif_says_how_to_turn_them(
    make_dicom, tmp_path, encode, value: int
) -> None:
    pixels = make_dicom.picture(bits=8)
    plain, path = tmp_path / "plain_L_CC.bin", tmp_path / "a_L_CC.bin"
    plain.write_bytes(encode(pixels, None))
    for order in "<>":
        path.write_bytes(encode(pixels, exif(value, order)))
        image = read_image(path)
        np.testing.assert_array_equal(image.pixels, read_image(plain).pixels)
        wanted = Orientation(QUARTERS[value], None, "Exif Orientation")
        assert image.orientation == (wanted if value > 1 else None)


@pytest.mark.parametrize("encode", [jpeg, png])
@pytest.mark.parametrize(
    "block", [b"", b"II*\0", exif(9), exif(0), exif(6)[:20], b"nothing at all"]
)
def test_damaged_exif_says_nothing(make_dicom, tmp_path, encode, block: bytes) -> None:
    path = tmp_path / "a_L_CC.bin"
    path.write_bytes(encode(make_dicom.picture(bits=8), block))
    assert read_image(path).orientation is None


@pytest.mark.parametrize("value", QUARTERS)
def test_tiff_says_how_to_turn_it(make_dicom, tmp_path, value: int) -> None:
    pixels = make_dicom.picture(bits=8)
    rows, columns = pixels.shape
    tags = {256: columns, 257: rows, 258: 8, 259: 1, 262: 1, 273: 8, 274: value, 277: 1, 278: rows}
    tags[279] = pixels.size
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    data = b"II*\0" + struct.pack("<I", 8 + pixels.size) + pixels.tobytes() + directory
    path = tmp_path / "a_L_CC.tiff"
    path.write_bytes(data)
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert (image.orientation.quarter_turns if image.orientation else 0) == QUARTERS[value]


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".tiff"])
def test_swapped_bytes_of_a_picture_without_header_are_put_back(
    make_dicom, tmp_path, suffix: str
) -> None:
    wanted = make_dicom.picture(300, 200, 12)
    path = tmp_path / f"a_L_CC{suffix}"
    path.write_bytes(cv2.imencode(suffix, wanted.byteswap())[1].tobytes())
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, wanted)
    assert [c.name for c in image.cautions if c.doubt] == ["bytes_swapped"]


def test_a_pgm_says_by_its_maximum_that_bytes_are_swapped(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture(bits=8).astype(np.uint16)
    path = tmp_path / "a_L_CC.pgm"
    path.write_bytes(b"P5 80 96 300\n" + wanted.astype("<u2").tobytes())
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, wanted)
    assert [c.name for c in image.cautions if c.doubt] == ["bytes_swapped"]
