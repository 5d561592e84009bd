"""Pixel data whose packing contradicts the header: read if the bytes prove their form."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate

from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.images import read_image

JPEG = "1.2.840.10008.1.2.4."
LOSSLESS, JPEG_LS, JPEG_2000 = JPEG + "70", JPEG + "80", JPEG + "90"
RLE = "1.2.840.10008.1.2.5"
EXPLICIT, IMPLICIT, BIG = (f"1.2.840.10008.1.2{end}" for end in (".1", "", ".2"))
DEFLATED = EXPLICIT + ".99"
END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(data: bytes) -> bytes:
    data += b"\0" * (len(data) % 2)
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(data)) + data


def pieces(stream: bytes, count: int) -> list[bytes]:
    step = len(stream) // count // 2 * 2
    return [stream[n * step : (n + 1) * step if n < count - 1 else None] for n in range(count)]


def packed(make_dicom, syntax: str, value: bytes, **attributes) -> bytes:
    """A file whose pixel data of undefined length are `value`."""
    made = make_dicom.dataset(**attributes)
    stream = b"\xff\xd8" + b"mark" * 10
    whole = make_dicom.file_bytes(made, syntax, stream)
    start = whole.index(encapsulate([stream]))
    return whole[:start] + value


def renamed(data: bytes, real: str, declared: str) -> bytes:
    """The file's transfer syntax under another name, of any length (PS3.10 7.1)."""
    old, new = (uid.encode() + b"\0" * (len(uid) % 2) for uid in (real, declared))
    at = data.index(b"UI" + struct.pack("<H", len(old)) + old) + 2
    length = struct.unpack_from("<I", data, 140)[0] + len(new) - len(old)
    head = data[:140] + struct.pack("<I", length) + data[144:at]
    return head + struct.pack("<H", len(new)) + new + data[at + 2 + len(old) :]


def read(tmp_path, data: bytes):
    path = tmp_path / "a.dcm"
    path.write_bytes(data)
    return read_image(path)


def names(image) -> set[str]:
    assert not any(caution.doubt for caution in image.cautions)
    return {caution.name for caution in image.cautions}


@pytest.mark.parametrize("syntax", [LOSSLESS, JPEG_LS, JPEG_2000])
@pytest.mark.parametrize("table", ["none", "fragments", "wrong", "zeros", "end", "absent"])
@pytest.mark.parametrize("count", [1, 4])
def test_offset_tables_are_not_believed(make_dicom, tmp_path, syntax, table, count) -> None:
    stream = make_dicom.ENCODERS[syntax](make_dicom.picture())
    parts = [item(part) for part in pieces(stream, count)]
    starts = np.cumsum([0] + [len(part) for part in parts]).tolist()
    offsets = {
        "none": b"",
        "fragments": struct.pack(f"<{count}I", *starts[:-1]),
        "wrong": struct.pack("<I", 4711),
        "zeros": bytes(8),
        "end": struct.pack("<2I", 0, starts[-1]),
    }
    first = b"" if table == "absent" else item(offsets[table])
    image = read(tmp_path, packed(make_dicom, syntax, first + b"".join(parts) + END))
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())
    assert names(image) == set()


@pytest.mark.parametrize("syntax", [LOSSLESS, JPEG_LS, JPEG_2000, RLE])
@pytest.mark.parametrize("behind", [b"", END[:3], b"\r\n--boundary--", bytes(64)])
def test_a_missing_end_of_the_sequence_is_tolerated_by_name(
    make_dicom, tmp_path, syntax, behind
) -> None:
    value = item(b"") + item(make_dicom.ENCODERS[syntax](make_dicom.picture()))
    image = read(tmp_path, packed(make_dicom, syntax, value + behind))
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())
    assert names(image) == {"sequence_unfinished"}


@pytest.mark.parametrize("syntax", [LOSSLESS, JPEG_LS, RLE])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_an_unfinished_sequence_of_an_unfinished_stream_is_an_error(
    make_dicom, tmp_path, syntax, share
) -> None:
    value = item(b"") + item(make_dicom.ENCODERS[syntax](make_dicom.picture()))
    with pytest.raises(NotAnImage):
        read(tmp_path, packed(make_dicom, syntax, value[: int(len(value) * share)]))


@pytest.mark.parametrize("frames", [None, 0, 1])
@pytest.mark.parametrize("syntax", [LOSSLESS, JPEG_2000, RLE])
def test_several_frames_in_one_object_are_refused_for_every_number_of_frames(
    make_dicom, tmp_path, frames, syntax
) -> None:
    encode = make_dicom.ENCODERS[syntax]
    first, second = encode(make_dicom.picture()), encode(make_dicom.picture(seed=1))
    value = item(b"") + item(first) + item(second) + END
    with pytest.raises(UnsupportedImage, match="2 frames"):
        read(tmp_path, packed(make_dicom, syntax, value, NumberOfFrames=frames))


@pytest.mark.parametrize("frames", [0, -1])
def test_number_of_frames_zero_is_read_as_one_frame(make_dicom, tmp_path, frames: int) -> None:
    image = read_image(make_dicom.save(tmp_path / "a.dcm", NumberOfFrames=frames))
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())
    assert names(image) == {"frames_not_counted"}


@pytest.mark.parametrize("declared", [EXPLICIT, LOSSLESS, JPEG_LS, JPEG_2000, RLE])
@pytest.mark.parametrize("real", [LOSSLESS, JPEG_LS, JPEG_2000, RLE])
def test_the_first_bytes_of_a_stream_decide_its_codec(make_dicom, tmp_path, declared, real) -> None:
    stream = make_dicom.ENCODERS[real](make_dicom.picture())
    value = item(b"") + item(stream) + END
    data = packed(make_dicom, LOSSLESS, value)
    image = read(tmp_path, renamed(data, LOSSLESS, declared))
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())
    assert names(image) == (set() if declared == real else {"transfer_syntax_differs"})


@pytest.mark.parametrize("declared", [LOSSLESS, JPEG_LS, JPEG_2000, RLE])
def test_uncompressed_values_under_a_compressed_syntax(make_dicom, tmp_path, declared) -> None:
    data = make_dicom.file_bytes(make_dicom.dataset(), EXPLICIT)
    image = read(tmp_path, renamed(data, EXPLICIT, declared))
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())
    assert names(image) == {"transfer_syntax_differs"}


@pytest.mark.parametrize("declared", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("real", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_the_data_set_says_itself_how_it_is_written(make_dicom, tmp_path, declared, real) -> None:
    data = make_dicom.file_bytes(make_dicom.dataset(), real)
    image = read(tmp_path, renamed(data, real, declared))
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())
    assert image.ref.patient_id == "P1"
    assert names(image) == (set() if declared == real else {"transfer_syntax_differs"})


def test_a_damaged_deflated_data_set_is_an_error(make_dicom, tmp_path) -> None:
    data = make_dicom.file_bytes(make_dicom.dataset(), DEFLATED)
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    plain = zlib.decompress(data[start:], -zlib.MAX_WBITS)
    for body in (data[start : start + 200], b"\xff" * 400, plain[:40]):
        with pytest.raises(InputError):
            read(tmp_path, data[:start] + body)


def test_a_jp2_file_is_read_for_its_code_stream(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture()
    boxed = bytes(imagecodecs.jpeg2k_encode(wanted, codecformat="JP2", reversible=True, level=0))
    # A box of colours that is longer than any reader looks ahead.
    profile = struct.pack(">I4s", 8 + 9000, b"xml ") + bytes(9000)
    at = boxed.index(b"jp2c") - 4
    for stream in (boxed, boxed[:at] + profile + boxed[at:]):
        value = item(b"") + item(stream) + END
        image = read(tmp_path, packed(make_dicom, JPEG_2000, value))
        np.testing.assert_array_equal(image.pixels, wanted)
        assert names(image) == {"jp2_container"}
    for stream in (boxed[:at], boxed[:40], boxed[:at] + b"\0\0\0\4rest" + bytes(99)):
        with pytest.raises(NotAnImage):
            read(tmp_path, packed(make_dicom, JPEG_2000, item(b"") + item(stream) + END))


@pytest.mark.parametrize("value", [b"", END, item(b"") + END, item(bytes(8)) + item(b"") + END])
def test_pixel_data_without_a_frame_are_an_error(make_dicom, tmp_path, value: bytes) -> None:
    with pytest.raises(NotAnImage, match="PixelData"):
        read(tmp_path, packed(make_dicom, LOSSLESS, value))


def test_a_stream_without_wrapping_is_read(make_dicom, tmp_path) -> None:
    made = make_dicom.dataset()
    stream = make_dicom.ENCODERS[LOSSLESS](make_dicom.picture())
    made.PixelData = stream + b"\0" * (len(stream) % 2)
    made["PixelData"].VR = "OB"
    image = read(tmp_path, make_dicom.file_bytes(made, EXPLICIT))
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())
    assert names(image) == {"transfer_syntax_differs"}
