"""Every supported transfer syntax, encoded by other software where it exists."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images import ImageFile, read_header, read_image
from mammolens.images.dicom.pixels import READABLE_SYNTAXES

JPEG = "1.2.840.10008.1.2.4."
LOSSLESS_STREAMS = [
    "1.2.840.10008.1.2.5",
    *(JPEG + n for n in ("57", "70", "80", "90", "201", "202")),
]
LOSSY_STREAMS = [JPEG + n for n in ("50", "51", "81", "91", "203")]
NATIVE = [f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2")]


def test_the_list_is_complete(make_dicom: ModuleType) -> None:
    assert set(NATIVE + LOSSLESS_STREAMS + LOSSY_STREAMS) == READABLE_SYNTAXES
    assert set(make_dicom.ENCODERS) == set(LOSSLESS_STREAMS + LOSSY_STREAMS)


@pytest.mark.parametrize("syntax", NATIVE + LOSSLESS_STREAMS)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_pixels_are_exact(make_dicom, tmp_path, syntax: str, bits: int) -> None:
    wanted = make_dicom.picture(97, 83, bits)
    path = make_dicom.save(tmp_path / "a.dcm", wanted, syntax, BitsStored=bits, HighBit=bits - 1)
    found = read_image(path)
    assert found.pixels.dtype == wanted.dtype
    np.testing.assert_array_equal(found.pixels, wanted)
    assert found.header.transfer_syntax_uid == syntax
    assert found.cautions == ()
    assert not found.pixels.flags.writeable


@pytest.mark.parametrize("syntax", LOSSY_STREAMS)
def test_lossy_pixels_are_near(make_dicom, tmp_path, syntax: str) -> None:
    bits = 8 if syntax == JPEG + "50" else 12
    wanted = make_dicom.picture(97, 83, bits)
    path = make_dicom.save(tmp_path / "a.dcm", wanted, syntax, BitsStored=bits, HighBit=bits - 1)
    found = read_image(path).pixels
    assert found.dtype == wanted.dtype
    difference = np.abs(found.astype(int) - wanted)
    assert difference.max() <= make_dicom.LOSSY[syntax]
    assert difference.mean() <= make_dicom.LOSSY[syntax] / 2


@pytest.mark.parametrize("syntax", [JPEG + n for n in ("57", "70", "80", "90")])
def test_gdcm_decodes_the_same(make_dicom, tmp_path, syntax: str) -> None:
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("gdcm")
    wanted = make_dicom.picture(97, 83, 12)
    path = make_dicom.save(tmp_path / "a.dcm", wanted, syntax)
    peer = pydicom.dcmread(path)
    peer.pixel_array_options(decoding_plugin="gdcm")
    np.testing.assert_array_equal(read_image(path).pixels, peer.pixel_array)


def test_pydicom_encodes_rle_that_is_read(make_dicom, tmp_path) -> None:
    pydicom = pytest.importorskip("pydicom")
    path = make_dicom.save(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path)
    wanted = dataset.pixel_array
    dataset.compress(
        pydicom.uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False
    )
    dataset.save_as(path)
    np.testing.assert_array_equal(read_image(path).pixels, wanted)


def test_fragments_of_one_frame_are_joined(make_dicom, tmp_path) -> None:
    from pydicom.encaps import encapsulate

    wanted = make_dicom.picture()
    made = make_dicom.dataset(wanted)
    stream = make_dicom.ENCODERS[JPEG + "90"](wanted)
    whole = make_dicom.file_bytes(made, JPEG + "90", stream)
    parts = encapsulate([stream], fragments_per_frame=3, has_bot=False)
    path = tmp_path / "a.dcm"
    path.write_bytes(whole.replace(encapsulate([stream]), parts))
    np.testing.assert_array_equal(read_image(path).pixels, wanted)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.55", "1.2.9"])
def test_other_syntaxes_are_refused_by_name(make_dicom, tmp_path, syntax: str) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(make_dicom.dataset(), syntax, b"\0" * 64))
    with pytest.raises(UnsupportedImage, match="TransferSyntaxUID"):
        read_header(ImageFile(path))
    with pytest.raises(UnsupportedImage, match="TransferSyntaxUID"):
        read_image(path)


@pytest.mark.parametrize("syntax", LOSSLESS_STREAMS + LOSSY_STREAMS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_stream_cut_short_is_an_error(make_dicom, tmp_path, syntax: str, share: float) -> None:
    bits = 8 if syntax == JPEG + "50" else 12
    made = make_dicom.dataset(make_dicom.picture(bits=bits), BitsStored=bits, HighBit=bits - 1)
    stream = make_dicom.ENCODERS[syntax](make_dicom.picture(bits=bits))
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made, syntax, stream[: int(len(stream) * share)]))
    with pytest.raises(NotAnImage, match=r"a\.dcm"):
        read_image(path)


@pytest.mark.parametrize("syntax", [JPEG + n for n in ("50", "51", "57", "70")])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_jpeg_that_runs_dry_before_its_end_marker_is_an_error(
    make_dicom, tmp_path, syntax: str, share: float
) -> None:
    bits = 8 if syntax == JPEG + "50" else 12
    wanted = make_dicom.picture(bits=bits)
    stream = make_dicom.ENCODERS[syntax](wanted)
    made = make_dicom.dataset(wanted, BitsStored=bits, HighBit=bits - 1)
    cut = stream[: int(len(stream) * share)].rstrip(b"\xff") + b"\xff\xd9"
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made, syntax, cut))
    with pytest.raises(NotAnImage, match="ends before the picture"):
        read_image(path)


def test_a_jpeg_with_a_constant_corner_is_not_an_error(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture(96, 80, 8)
    wanted[-24:] = 0
    path = make_dicom.save(tmp_path / "a.dcm", wanted, JPEG + "50", BitsStored=8, HighBit=7)
    assert np.abs(read_image(path).pixels.astype(int) - wanted).max() < 40


def test_a_short_rle_segment_is_an_error_although_the_other_is_whole(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture()
    made = make_dicom.dataset(wanted)
    for row in (95, 40):
        short = make_dicom.rle(wanted[:row])
        whole = make_dicom.rle(wanted)
        at = int.from_bytes(short[8:12], "little"), int.from_bytes(whole[8:12], "little")
        mixed = short[: at[0]] + whole[at[1] :]
        path = tmp_path / "a.dcm"
        path.write_bytes(make_dicom.file_bytes(made, make_dicom.RLE, mixed))
        with pytest.raises(NotAnImage, match="ends before the picture"):
            read_image(path)


def test_rle_whose_last_pixel_equals_the_mark_is_read(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture(bits=16)
    wanted[-1, -1] = 0xA5A5
    path = make_dicom.save(tmp_path / "a.dcm", wanted, make_dicom.RLE, BitsStored=16, HighBit=15)
    np.testing.assert_array_equal(read_image(path).pixels, wanted)
