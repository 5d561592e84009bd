"""Modality LUT, VOI, padding, bits and the rest of the header, on exact small values."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammolens.core import Photometric, PixelOrigin, PresentationIntent, VoiFunction, VoiLut, Window
from mammolens.errors import NotAnImage
from mammolens.images import ImageFile, read_header, read_image


def names(image) -> set[str]:
    return {caution.name for caution in image.cautions}


def lut(first: int, values: list[int], bits: int = 16) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    return item


def test_identity_rescale_copies_nothing(make_dicom, tmp_path) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", RescaleSlope=1, RescaleIntercept=0)
    pixels = read_image(path).pixels
    assert pixels.dtype == np.uint16
    assert not pixels.flags.owndata
    np.testing.assert_array_equal(pixels, make_dicom.picture())


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(2, -100, np.int32), (-1, 4095, np.int32), (0.5, 1, "f4")]
)
def test_rescale(make_dicom, tmp_path, slope, intercept, dtype) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", RescaleSlope=slope, RescaleIntercept=intercept)
    pixels = read_image(path).pixels
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, make_dicom.picture() * float(slope) + intercept)


@pytest.mark.parametrize("slope", ["0", "nan", "inf", "-inf", "1e300", "abc"])
def test_impossible_rescale_is_refused_by_keyword(make_dicom, tmp_path, slope: str) -> None:
    data = make_dicom.file_bytes(make_dicom.dataset(RescaleSlope="7777777"))
    path = tmp_path / "a.dcm"
    path.write_bytes(data.replace(b"7777777", slope.encode().ljust(7)))
    for read in (read_image, read_header):
        with pytest.raises(NotAnImage, match="RescaleSlope"):
            read(ImageFile(path))


def test_modality_table(make_dicom, tmp_path) -> None:
    pixels = make_dicom.picture(bits=8).astype(np.uint16)
    table = [3 * value for value in range(10, 200)]
    path = make_dicom.save(tmp_path / "a.dcm", pixels, ModalityLUTSequence=[lut(10, table)])
    wanted = np.array(table)[np.clip(pixels.astype(int) - 10, 0, len(table) - 1)]
    np.testing.assert_array_equal(read_image(path).pixels, wanted)


def test_signed_pixels(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture().astype(np.int16) - 500
    raw = wanted.view(np.uint16) & 0x0FFF
    path = make_dicom.save(tmp_path / "a.dcm", raw, PixelRepresentation=1)
    np.testing.assert_array_equal(read_image(path).pixels, wanted)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"])
def test_signed_pixels_of_sixteen_bits_compressed(make_dicom, tmp_path, syntax: str) -> None:
    wanted = make_dicom.picture().astype(np.int16) - 500
    path = make_dicom.save(
        tmp_path / "a.dcm",
        wanted.view(np.uint16),
        syntax,
        PixelRepresentation=1,
        BitsStored=16,
        HighBit=15,
    )
    np.testing.assert_array_equal(read_image(path).pixels, wanted)


def test_overlay_bits_above_the_stored_ones_are_cleared(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture()
    raw = wanted.copy()
    raw[10:20, 10:20] |= 0x8000
    image = read_image(make_dicom.save(tmp_path / "a.dcm", raw))
    np.testing.assert_array_equal(image.pixels, wanted)
    assert "unused_bits_masked" in names(image)


def test_high_bit_above_the_stored_bits(make_dicom, tmp_path) -> None:
    wanted = make_dicom.picture()
    image = read_image(make_dicom.save(tmp_path / "a.dcm", wanted << 4 | 0xF, HighBit=15))
    np.testing.assert_array_equal(image.pixels, wanted)


def test_monochrome1_is_recorded_and_not_applied(make_dicom, tmp_path) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1")
    image = read_image(path)
    assert image.photometric is Photometric.MONOCHROME1
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())


@pytest.mark.parametrize("function", list(VoiFunction))
def test_one_window(make_dicom, tmp_path, function: VoiFunction) -> None:
    path = make_dicom.save(
        tmp_path / "a.dcm", WindowCenter="2048.5", WindowWidth=3000, VOILUTFunction=function.value
    )
    assert read_image(path).voi == Window(2048.5, 3000.0, function)


def test_several_windows_are_kept_in_their_order(make_dicom, tmp_path) -> None:
    image = read_image(
        make_dicom.save(tmp_path / "a.dcm", WindowCenter=[100, 200], WindowWidth=[10, 20])
    )
    assert image.voi == Window(100.0, 10.0)
    assert image.other_voi == (Window(200.0, 20.0),)
    assert [c.message for c in image.cautions if c.name == "several_windows"] == [
        "the header has 2 windows; the first that shows the breast is used"
    ]


@pytest.mark.parametrize(
    ("width", "function"), [(0, "LINEAR"), (-5, "LINEAR"), (0.5, "LINEAR"), (0, "SIGMOID")]
)
def test_an_impossible_window_is_ignored_by_name(make_dicom, tmp_path, width, function) -> None:
    path = make_dicom.save(
        tmp_path / "a.dcm", WindowCenter=9, WindowWidth=width, VOILUTFunction=function
    )
    image = read_image(path)
    assert image.voi is None
    assert "voi_ignored" in names(image)


def test_a_voi_table_goes_before_a_window(make_dicom, tmp_path) -> None:
    path = make_dicom.save(
        tmp_path / "a.dcm", WindowCenter=9, WindowWidth=9, VOILUTSequence=[lut(5, [0, 10, 40])]
    )
    voi = read_image(path).voi
    assert isinstance(voi, VoiLut)
    assert (voi.first, voi.values.tolist()) == (5, [0, 10, 40])


def test_a_broken_voi_table_is_ignored_by_name(make_dicom, tmp_path) -> None:
    item = lut(0, [1, 2, 3])
    item.LUTDescriptor = [500, 0, 16]
    image = read_image(make_dicom.save(tmp_path / "a.dcm", VOILUTSequence=[item]))
    assert "voi_ignored" in names(image)


def test_padding_is_in_modality_units(make_dicom, tmp_path) -> None:
    made = make_dicom.dataset(RescaleSlope=2, RescaleIntercept=-10)
    made.add_new("PixelPaddingValue", "US", 0)
    made.add_new("PixelPaddingRangeLimit", "US", 7)
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made))
    assert read_image(path).padding == (-10.0, 4.0)


def test_signed_padding(make_dicom, tmp_path) -> None:
    made = make_dicom.dataset(PixelRepresentation=1, BitsStored=16, HighBit=15)
    made.add_new("PixelPaddingValue", "SS", -2000)
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made))
    assert read_image(path).padding == (-2000.0, -2000.0)


@pytest.mark.parametrize(
    ("attributes", "aspect", "spacing"),
    [
        ({}, 1.0, None),
        ({"PixelAspectRatio": [4, 5]}, 0.8, None),
        ({"ImagerPixelSpacing": [0.1, 0.05]}, 2.0, (0.1, 0.05)),
        ({"ImagerPixelSpacing": [0.07, 0.07], "PixelSpacing": [9, 9]}, 1.0, (0.07, 0.07)),
        ({"PixelSpacing": [0.08, 0.08]}, 1.0, (0.08, 0.08)),
        ({"PixelAspectRatio": [1, 0]}, 1.0, None),
        ({"ImagerPixelSpacing": [0, 0]}, 1.0, None),
    ],
)
def test_aspect_and_spacing(make_dicom, tmp_path, attributes, aspect, spacing) -> None:
    ref = read_image(make_dicom.save(tmp_path / "a.dcm", **attributes)).ref
    assert ref.pixel_aspect == aspect
    assert ref.spacing_mm == spacing


def test_who_and_what(make_dicom, tmp_path) -> None:
    path = make_dicom.save(
        tmp_path / "a.dcm",
        PatientAge="061Y",
        Manufacturer="Maker",
        AcquisitionDate="20200102",
        AccessionNumber="A7",
        PatientSex="F",
    )
    info = read_header(ImageFile(path))
    image = read_image(path)
    assert info.ref.digest is None
    assert image.ref.digest is not None
    assert len(image.ref.digest) == 64
    assert (image.ref.age_years, image.ref.manufacturer) == (61.0, "Maker")
    assert image.ref.presentation_intent is PresentationIntent.FOR_PRESENTATION
    assert (image.ref.patient_id, image.ref.acquisition_date) == ("P1", "20200102")
    assert image.header.patient_name == "Doe^Jane"
    assert "Doe" not in repr(image.ref) + repr(image.header) + repr(image.cautions)
    assert (image.header.accession_number, image.header.patient_sex) == ("A7", "F")
    assert info.header == image.header
    assert info.cautions == image.cautions == ()


def test_synthetic_views_are_marked(make_dicom, tmp_path) -> None:
    image = read_image(
        make_dicom.save(
            tmp_path / "a.dcm", ImageType=["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]
        )
    )
    assert image.ref.origin is PixelOrigin.GENERATED_2D
    assert "synthetic_2d" in names(image)


def test_a_file_without_preamble_is_tolerated_by_name(make_dicom, tmp_path) -> None:
    whole = make_dicom.file_bytes(make_dicom.dataset(), make_dicom.IMPLICIT)
    length = int.from_bytes(whole[140:144], "little")
    for number, data in enumerate((whole[132:], whole[144 + length :])):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(data)
        image = read_image(path)
        assert "missing_preamble" in names(image)
        np.testing.assert_array_equal(image.pixels, make_dicom.picture())


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
)
def test_a_missing_transfer_syntax_is_inferred_by_name(make_dicom, tmp_path, syntax) -> None:
    whole = make_dicom.file_bytes(make_dicom.dataset(), syntax)
    length = int.from_bytes(whole[140:144], "little")
    path = tmp_path / "a.dcm"
    path.write_bytes(whole[:132] + whole[144 + length :])
    image = read_image(path)
    assert "missing_transfer_syntax" in names(image)
    np.testing.assert_array_equal(image.pixels, make_dicom.picture())


@pytest.mark.parametrize(
    ("attributes", "caution"),
    [
        ({"SOPClassUID": None}, None),
        ({"Modality": None}, "missing_modality"),
        ({"PhotometricInterpretation": None}, "missing_photometric"),
        ({"BodyPartExamined": "CHEST"}, "body_part"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "PresentationIntentType": None}, None),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1"}, None),
    ],
)
def test_each_tolerance_gives_a_caution(make_dicom, tmp_path, attributes, caution) -> None:
    image = read_image(make_dicom.save(tmp_path / "a.dcm", **attributes))
    assert names(image) == ({caution} if caution else set())


def test_values_that_break_the_standard_are_counted_not_quoted(make_dicom, tmp_path) -> None:
    data = make_dicom.file_bytes(make_dicom.dataset(PatientAge="061Y"))
    path = tmp_path / "a.dcm"
    path.write_bytes(data.replace(b"061Y", b"SECR").replace(b"1.2.3.1", b"SECRETS"))
    image = read_image(path)
    assert "irregular_header" in names(image)
    assert "SECR" not in str(image.cautions)
    assert image.ref.age_years is None


def test_extra_pixel_data_is_tolerated_by_name(make_dicom, tmp_path) -> None:
    made = make_dicom.dataset()
    made.PixelData += b"\0" * 100
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made))
    assert names(read_image(path)) == {"extra_pixel_data"}


def test_grey_in_three_equal_channels_is_tolerated_by_name(make_dicom, tmp_path) -> None:
    grey = make_dicom.picture(bits=8)
    image = read_image(make_dicom.save(tmp_path / "a.dcm", np.dstack([grey] * 3)))
    np.testing.assert_array_equal(image.pixels, grey)
    assert names(image) == {"grey_as_colour"}


def test_big_endian_bytes_in_words(make_dicom, tmp_path) -> None:
    grey = make_dicom.picture(bits=8)
    made = make_dicom.dataset(grey)
    made.PixelData = np.frombuffer(grey.tobytes(), "<u2").astype(">u2").tobytes()
    made["PixelData"].VR = "OW"
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made, make_dicom.BIG_ENDIAN))
    np.testing.assert_array_equal(read_image(path).pixels, grey)
