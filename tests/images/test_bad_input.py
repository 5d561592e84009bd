"""Files that cannot be scored are refused with file, cause, keyword and remedy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from mammolens.errors import (
    InputError,
    MissingAttribute,
    NotAMammogram,
    NotAnImage,
    UnsupportedImage,
)
from mammolens.images import ImageFile, identify, read_header, read_image
from mammolens.images.dicom import describe_dicom

CT = "1.2.840.10008.5.1.4.1.1.2"
PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
TOMO = "1.2.840.10008.5.1.4.1.1.13.1.3"
CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SR = "1.2.840.10008.5.1.4.1.1.88.22"

REFUSED = {
    "ct": ({"SOPClassUID": CT, "Modality": "CT"}, NotAMammogram, "Modality"),
    "chest film": (
        {"SOPClassUID": CR, "Modality": "CR", "BodyPartExamined": "CHEST"},
        NotAMammogram,
        "Modality",
    ),
    "no modality": ({"SOPClassUID": CR, "Modality": None}, NotAMammogram, "Modality"),
    "dx as mg": ({"SOPClassUID": DX}, UnsupportedImage, "SOPClassUID"),
    "processing class": ({"SOPClassUID": PROCESSING}, NotAMammogram, "FOR PROCESSING"),
    "processing intent": (
        {"PresentationIntentType": "FOR PROCESSING"},
        NotAMammogram,
        "PresentationIntentType",
    ),
    "tomosynthesis": (
        {"SOPClassUID": TOMO, "NumberOfFrames": 2},
        UnsupportedImage,
        "2D or synthetic 2D views",
    ),
    "several frames": ({"NumberOfFrames": 2}, UnsupportedImage, "NumberOfFrames"),
    "quality control": ({"QualityControlImage": "YES"}, NotAMammogram, "QualityControlImage"),
    "lesion mask": ({"SeriesDescription": "ROI mask images"}, NotAMammogram, "lesion mask"),
    "palette": (
        {"PhotometricInterpretation": "PALETTE COLOR"},
        NotAMammogram,
        "PhotometricInterpretation",
    ),
    "no rows": ({"Rows": None}, MissingAttribute, "Rows"),
    "no bits": ({"BitsAllocated": None}, MissingAttribute, "BitsAllocated"),
    "32 bits": ({"BitsAllocated": 32}, UnsupportedImage, "BitsAllocated"),
    "1 bit": ({"BitsAllocated": 1}, UnsupportedImage, "BitsAllocated"),
    "impossible bits": ({"BitsStored": 17}, NotAnImage, "BitsStored"),
    "impossible high bit": ({"HighBit": 3}, NotAnImage, "BitsStored"),
    "1 x 1": ({"Rows": 1, "Columns": 1}, NotAMammogram, "1 x 1"),
    "thin": ({"Rows": 8, "Columns": 960}, NotAMammogram, "8 x 960"),
    "20,000 x 20,000": ({"Rows": 20_000, "Columns": 20_000}, UnsupportedImage, "20000 x 20000"),
    "60,000 x 100": ({"Rows": 60_000, "Columns": 100}, UnsupportedImage, "60000 x 100"),
    "no picture": ({"SOPClassUID": SR, "Modality": "SR"}, NotAMammogram, "SR"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_from_the_header_alone(make_dicom, tmp_path, case: str) -> None:
    attributes, error, words = REFUSED[case]
    path = make_dicom.save(tmp_path / "bad.dcm", **attributes)
    file = ImageFile(path)
    for read in (read_header, read_image):
        with pytest.raises(error, match=words) as caught:
            read(file)
        assert type(caught.value) is error
        assert caught.value.source == str(path)
        assert caught.value.remedy
    info = identify(file)
    assert type(info.refusal) is error
    assert info.ref.patient_id == "P1"


def test_a_huge_size_allocates_nothing(make_dicom, tmp_path) -> None:
    paths = [
        make_dicom.save(tmp_path / f"{n}.dcm", None, syntax, Rows=20_000, Columns=20_000)
        for n, syntax in enumerate(make_dicom.NATIVE)
    ]
    pgm = tmp_path / "a.pgm"
    pgm.write_bytes(b"P5 20000 20000 255\n" + bytes(100))
    tracemalloc.start()
    for path in [*paths, pgm]:
        with pytest.raises(UnsupportedImage, match="20000 x 20000"):
            read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("syntax", [f"1.2.840.10008.1.2.4.{n}" for n in (70, 80, 90)])
def test_a_stream_of_another_size_than_the_header_is_an_error(make_dicom, tmp_path, syntax) -> None:
    stream = make_dicom.ENCODERS[syntax](make_dicom.picture(128, 80))
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(make_dicom.dataset(), syntax, stream))
    with pytest.raises(NotAnImage, match="128 x 80"):
        read_image(path)


@pytest.mark.parametrize("value", [0, 1000, 4095])
def test_constant_images(make_dicom, tmp_path, value: int) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", np.full((96, 80), value, np.uint16))
    with pytest.raises(NotAMammogram, match="every pixel"):
        read_image(path)


def test_masks(make_dicom, tmp_path) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", (make_dicom.picture() > 500) * np.uint16(1000))
    with pytest.raises(NotAMammogram, match="mask"):
        read_image(path)


def test_colour_screenshots(make_dicom, tmp_path) -> None:
    grey = make_dicom.picture(bits=8)
    colour = np.dstack([grey, grey, grey])
    colour[20:30, 20:30, 0] = 255
    for number, syntax in enumerate((make_dicom.EXPLICIT, make_dicom.JPEG + "50")):
        path = make_dicom.save(tmp_path / f"{number}.dcm", colour, syntax)
        with pytest.raises(NotAMammogram, match="colour"):
            read_image(path)
    with pytest.raises(NotAMammogram, match="colour"):
        read_image(
            make_dicom.save(
                tmp_path / "p.dcm",
                colour.transpose(2, 0, 1).reshape(96, 80, 3),
                PlanarConfiguration=1,
            )
        )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"just some words\n" * 50, "neither DICOM nor"),
        (b"\0" * 4096, "neither DICOM nor"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "frame header|truncated"),
        (b"P5 96", "PGM"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"\0" * 128 + b"DICM", "truncated|damaged"),
        (b"\x08\0" + b"text that only begins like DICOM " * 40, "damaged|truncated"),
    ],
)
def test_files_with_an_image_suffix_that_are_not_pictures_are_refused(
    tmp_path, data: bytes, words: str
) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(data)
    with pytest.raises(NotAnImage, match=words):
        read_image(path)


def test_missing_files(tmp_path) -> None:
    for read in (read_image, read_header, identify):
        with pytest.raises(NotAnImage, match="no such file"):
            read(ImageFile(tmp_path / "gone.dcm"))
    with pytest.raises(NotAnImage, match="not a file that can be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.3, 0.7, 0.95, 0.999])
def test_truncated_files(make_dicom, tmp_path, number: int, share: float) -> None:
    syntaxes = (*make_dicom.NATIVE, make_dicom.RLE, make_dicom.JPEG + "90")
    data = make_dicom.file_bytes(make_dicom.dataset(), syntaxes[number])
    kept = int(len(data) * share)
    path = tmp_path / "a.dcm"
    path.write_bytes(data[:kept])
    if number >= len(make_dicom.NATIVE) and len(data) - kept <= 8:
        # Only the mark of the end is cut off: the compressed picture is whole.
        np.testing.assert_array_equal(read_image(path).pixels, make_dicom.picture())
        return
    with pytest.raises(InputError):
        read_image(path)


def test_a_header_without_pixels(make_dicom, tmp_path) -> None:
    made = make_dicom.dataset()
    del made.PixelData
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom.file_bytes(made))
    with pytest.raises(NotAnImage, match="PixelData"):
        read_image(path)


def test_a_deflated_data_set_without_end_is_limited(make_dicom, tmp_path) -> None:
    path = make_dicom.save(tmp_path / "a.dcm", None, make_dicom.DEFLATED)
    with path.open("rb") as stream, pytest.raises(UnsupportedImage, match="deflated"):
        describe_dicom(stream, "a.dcm", None, most_bytes=1000)


def test_files_beyond_the_limit(make_dicom, tmp_path, monkeypatch) -> None:
    path = make_dicom.save(tmp_path / "a.dcm")
    monkeypatch.setattr("mammolens.images.files.MAX_BYTES", 1000)
    with pytest.raises(UnsupportedImage, match="larger"):
        read_image(path)
