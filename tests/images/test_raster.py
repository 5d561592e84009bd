"""PNG, JPEG, PGM and TIFF: exact values if lossless; unreadable files are refused."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from mammolens.core import Photometric
from mammolens.errors import InputError, NotAMammogram, NotAnImage, UnsupportedImage
from mammolens.images import ImageFile, read_header, read_image


def encoded(suffix: str, pixels, *options: int) -> bytes:
    done, data = cv2.imencode(suffix, pixels, list(options))
    assert done
    return data.tobytes()


def read(tmp_path, data: bytes, name: str = "p_L_CC.bin"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_image(path)


TIFF = cv2.IMWRITE_TIFF_COMPRESSION
LOSSLESS = {
    "png": (".png", ()),
    "pgm": (".pgm", ()),
    "pgm in digits": (".pgm", (cv2.IMWRITE_PXM_BINARY, 0)),
    "tiff": (".tiff", (TIFF, 1)),
    "tiff lzw": (".tiff", (TIFF, 5)),
    "tiff deflate": (".tiff", (TIFF, 8)),
    "tiff packbits": (".tiff", (TIFF, 32773)),
}


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("bits", [8, 16])
def test_lossless_pixels_are_exact(make_dicom, tmp_path, kind: str, bits: int) -> None:
    suffix, options = LOSSLESS[kind]
    wanted = make_dicom.picture(97, 83, bits)
    image = read(tmp_path, encoded(suffix, wanted, *options))
    assert image.pixels.dtype == wanted.dtype
    np.testing.assert_array_equal(image.pixels, wanted)
    assert image.photometric is Photometric.MONOCHROME2
    assert {c.name for c in image.cautions} == {"laterality_from_name", "view_from_name"}
    assert len(image.ref.digest) == 64


def test_jpeg(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture(97, 83, 8)
    for options in ((), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)):
        found = read(tmp_path, encoded(".jpg", wanted, cv2.IMWRITE_JPEG_QUALITY, 95, *options))
        assert np.abs(found.pixels.astype(int) - wanted).max() < 40


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".jpg"])
def test_colour(make_dicom, tmp_path, suffix: str) -> None:
    grey = make_dicom.picture(bits=8)
    image = read(tmp_path, encoded(suffix, np.dstack([grey] * 3)))
    assert "grey_as_colour" in {c.name for c in image.cautions}
    assert np.abs(image.pixels.astype(int) - grey).max() < (60 if suffix == ".jpg" else 1)
    colour = np.dstack([grey, grey // 2, grey])
    with pytest.raises(NotAMammogram, match="colour"):
        read(tmp_path, encoded(suffix, colour))


def test_transparency(make_dicom, tmp_path) -> None:
    grey = make_dicom.picture(bits=8)
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    np.testing.assert_array_equal(read(tmp_path, encoded(".png", opaque)).pixels, grey)
    opaque[5, 5, 3] = 7
    with pytest.raises(UnsupportedImage, match="transparent"):
        read(tmp_path, encoded(".png", opaque))


def test_white_is_zero_is_monochrome1(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture(bits=8)
    data = bytearray(encoded(".tiff", wanted, TIFF, 1))
    at = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    data[at : at + 2] = b"\0\0"
    image = read(tmp_path, bytes(data))
    assert image.photometric is Photometric.MONOCHROME1
    np.testing.assert_array_equal(image.pixels, wanted)


def test_several_pages(make_dicom, tmp_path) -> None:
    path = tmp_path / "a.tiff"
    assert cv2.imwritemulti(str(path), [make_dicom.picture(), make_dicom.picture()])
    with pytest.raises(UnsupportedImage, match="pages"):
        read_image(path)


def test_floating_point_tiff(make_dicom, tmp_path) -> None:
    with pytest.raises(UnsupportedImage, match="TIFF with 32 bits"):
        read(tmp_path, encoded(".tiff", make_dicom.picture().astype(np.float32)))


@pytest.mark.parametrize("kind", [*LOSSLESS, "jpg"])
@pytest.mark.parametrize("share", [0.05, 0.4, 0.8, 0.97])
def test_truncated(make_dicom, tmp_path, capfd, kind: str, share: float) -> None:
    suffix, options = LOSSLESS.get(kind, (".jpg", ()))
    data = encoded(suffix, make_dicom.picture(bits=8), *options)
    with pytest.raises(NotAnImage):
        read(tmp_path, data[: int(len(data) * share)])
    assert capfd.readouterr() == ("", "")


def png_header(rows: int, columns: int) -> bytes:
    import zlib

    chunk = b"IHDR" + struct.pack(">IIBBBBB", columns, rows, 16, 0, 0, 0, 0)
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + struct.pack(">I", zlib.crc32(chunk)) + end


@pytest.mark.parametrize(("rows", "columns"), [(20_000, 20_000), (30_000, 100), (1, 1), (0, 0)])
def test_sizes_are_refused_before_decoding(tmp_path, rows: int, columns: int) -> None:
    frame = struct.pack(">HBHHB", 11, 8, rows, columns, 1)
    for data in (
        png_header(rows, columns),
        b"P5 %d %d 255\n" % (columns, rows),
        b"\xff\xd8\xff\xc0" + frame + b"\1\x11\0" + b"\xff\xd9",
    ):
        with pytest.raises(InputError, match=f"{rows} x {columns}"):
            read(tmp_path, data)


def test_an_animated_or_annotated_png_prints_nothing(make_dicom, tmp_path, capfd) -> None:
    data = encoded(".png", make_dicom.picture(bits=8))
    import zlib

    profile = b"iCCPbroken\0\0nonsense"
    chunk = struct.pack(">I", len(profile) - 4) + profile + struct.pack(">I", zlib.crc32(profile))
    image = read(tmp_path, data[:33] + chunk + data[33:])
    np.testing.assert_array_equal(image.pixels, make_dicom.picture(bits=8))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P5 80 96 0\n", "maximum"),
        (b"P5 80 96 70000\n", "maximum"),
        (b"P2 80 96 255\n" + b"12 x " * 9000, "truncated or damaged"),
        (b"P2 80 96 255\n" + b"300 " * 9000, "above its maximum"),
        (b"P5 eighty", "header"),
    ],
)
def test_impossible_pgm(tmp_path, data: bytes, words: str) -> None:
    with pytest.raises(NotAnImage, match=words):
        read(tmp_path, data)


def test_pgm_comments(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture(bits=8)
    data = b"P5\n# made by hand\n80 96\n# max\n255\n" + wanted.tobytes()
    np.testing.assert_array_equal(read(tmp_path, data).pixels, wanted)


def test_constant_pictures(tmp_path) -> None:
    with pytest.raises(NotAMammogram, match="every pixel"):
        read(tmp_path, b"P5 80 96 255\n" + bytes(80 * 96))


def test_header_of_a_picture_is_its_name(make_dicom, tmp_path) -> None:
    path = tmp_path / "A_1004_1.LEFT_MLO.png"
    path.write_bytes(encoded(".png", make_dicom.picture()))
    info = read_header(ImageFile(path))
    assert info.ref.patient_id == "A_1004"
    assert (info.ref.laterality.value, info.ref.view_position.value) == ("L", "MLO")
    assert info.ref.digest is None
