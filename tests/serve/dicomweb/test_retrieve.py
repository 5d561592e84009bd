"""WADO-RS: every codec, byte for byte and pixel for pixel, and what stands between."""

from __future__ import annotations

import json
from io import BytesIO

import cv2
import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from .conftest import parts_of

STUDY = "1.2.826.7"
SERIES = f"/studies/{STUDY}/series/{STUDY}.1"
INSTANCE = f"{SERIES}/instances/{STUDY}.1.1"
JPEG = "1.2.840.10008.1.2.4."
EXPLICIT, HTJ2K = "1.2.840.10008.1.2.1", JPEG + "201"
NATIVE = [f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2")]
PACKED = [
    "1.2.840.10008.1.2.5",
    *(JPEG + n for n in ("50", "51", "57", "70", "80", "81", "90", "91", "201", "202", "203")),
]


def related(kind: str, syntax: str | None = None) -> str:
    return f'multipart/related; type="{kind}"' + (f"; transfer-syntax={syntax}" if syntax else "")


@pytest.fixture
def view(archive, make_dicom):
    """Give a function that lets the node receive one view; gives its bytes and its pixels."""

    def make(syntax: str, bits: int = 12, rows: int = 97, columns: int = 83):
        bits = 8 if syntax == JPEG + "50" else bits
        picture = make_dicom.picture(rows, columns, bits)
        made = make_dicom.dataset(
            picture,
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=f"{STUDY}.1",
            SOPInstanceUID=f"{STUDY}.1.1",
            BitsStored=bits,
            HighBit=bits - 1,
        )
        content = make_dicom.file_bytes(made, syntax)
        archive.receive(content)
        return content, decoded(content, syntax, picture)

    return make


def decoded(content: bytes, syntax: str, picture: np.ndarray) -> np.ndarray:
    """Decode with another program than the one that is tested, where values may change."""
    if syntax in (JPEG + n for n in ("50", "51", "81", "91", "203")):
        from pydicom.encaps import get_frame

        frame = get_frame(dcmread(BytesIO(content)).PixelData, 0, number_of_frames=1)
        name = {"50": "jpeg8", "51": "jpeg8", "81": "jpegls", "91": "jpeg2k", "203": "jpeg2k"}
        return getattr(imagecodecs, f"{name[syntax.removeprefix(JPEG)]}_decode")(frame)
    return picture


@pytest.mark.parametrize("syntax", NATIVE + PACKED)
def test_an_object_comes_back_byte_for_byte(archive, view, syntax):
    content, _ = view(syntax)
    for address in (f"/studies/{STUDY}", SERIES, INSTANCE):
        for wanted in ("*", syntax):
            done = archive.get(address, accept=related("application/dicom", wanted))
            assert done.status_code == 200
            ((media, given),) = parts_of(done)
            assert media == f"application/dicom; transfer-syntax={syntax}"
            assert given == content
    done = archive.get(INSTANCE, accept="application/dicom; transfer-syntax=*")
    assert (done.content, done.headers["content-type"]) == (content, media)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", NATIVE + PACKED)
def test_an_object_comes_uncompressed_pixel_for_pixel(archive, view, syntax, bits):
    content, pixels = view(syntax, bits if syntax != JPEG + "51" else 12)
    done = archive.get(INSTANCE, accept=related("application/dicom"))
    ((media, given),) = parts_of(done)
    assert media == f"application/dicom; transfer-syntax={EXPLICIT}"
    before, after = dcmread(BytesIO(content)), dcmread(BytesIO(given))
    assert after.file_meta.TransferSyntaxUID == EXPLICIT
    np.testing.assert_array_equal(after.pixel_array, pixels)
    for dataset in (before, after):
        del dataset.PixelData
    assert before == after


@pytest.mark.parametrize("syntax", NATIVE + PACKED)
def test_an_object_comes_as_htj2k_pixel_for_pixel(archive, view, syntax):
    _, pixels = view(syntax)
    done = archive.get(INSTANCE, accept=related("application/dicom", HTJ2K))
    ((media, given),) = parts_of(done)
    assert media.endswith(HTJ2K)
    after = dcmread(BytesIO(given))
    from pydicom.encaps import get_frame

    frame = get_frame(after.PixelData, 0, number_of_frames=1)
    np.testing.assert_array_equal(imagecodecs.htj2k_decode(frame), pixels)


@pytest.mark.parametrize("syntax", NATIVE + PACKED)
def test_frames_come_stored_uncompressed_and_as_htj2k(archive, view, syntax):
    content, pixels = view(syntax)
    address = f"{INSTANCE}/frames/1"
    for accept in ("*/*", related("application/octet-stream"), "application/octet-stream"):
        done = archive.get(address, accept=accept)
        assert done.status_code == 200, done.text
        given = done.content
        if accept.startswith("application"):
            assert done.headers["content-type"].endswith(EXPLICIT)
        else:
            ((media, given),) = parts_of(done)
            assert media == f"application/octet-stream; transfer-syntax={EXPLICIT}"
        kind = np.dtype(f"<u{pixels.dtype.itemsize}")
        np.testing.assert_array_equal(np.frombuffer(given, kind).reshape(pixels.shape), pixels)
    ((media, given),) = parts_of(archive.get(address, accept=related("image/jphc", HTJ2K)))
    assert media == f"image/jphc; transfer-syntax={HTJ2K}"
    np.testing.assert_array_equal(imagecodecs.htj2k_decode(given), pixels)
    ((media, given),) = parts_of(
        archive.get(address, accept=related("application/octet-stream", "*"))
    )
    if syntax in PACKED:
        from pydicom.encaps import get_frame

        assert media.endswith(syntax)
        stored = get_frame(dcmread(BytesIO(content)).PixelData, 0, number_of_frames=1)
        assert given == stored


def test_the_viewers_own_wishes_are_served(archive, view):
    view("1.2.840.10008.1.2.5")
    rle, jphc = "image/dicom-rle", "image/jphc"
    accept = ", ".join(
        (
            related(rle, "1.2.840.10008.1.2.5"),
            related(jphc, HTJ2K) + ";q=0.9",
            related("application/octet-stream", EXPLICIT) + ";q=0.5",
        )
    )
    ((media, _),) = parts_of(archive.get(f"{INSTANCE}/frames/1", accept=accept))
    assert media.startswith(rle)
    accept = f"{related(rle)};q=0.9, {related(jphc)}"
    ((media, _),) = parts_of(archive.get(f"{INSTANCE}/frames/1", accept=accept))
    assert media.startswith(jphc)


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2.5", JPEG + "90"])
@pytest.mark.parametrize("fragments", [1, 3])
def test_frames_of_a_stack(archive, make_dicom, syntax, fragments):
    from pydicom.encaps import encapsulate

    pictures = [make_dicom.picture(65, 67, seed=n) for n in range(5)]
    made = make_dicom.dataset(
        pictures[0],
        SOPClassUID=make_dicom.TOMOSYNTHESIS,
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.1",
        SOPInstanceUID=f"{STUDY}.1.1",
        NumberOfFrames=5,
    )
    made.PixelData = b"".join(one.tobytes() for one in pictures)
    if syntax != EXPLICIT:
        frames = [make_dicom.ENCODERS[syntax](one) for one in pictures]
        made.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=True)
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
    made.file_meta = Dataset()
    out = BytesIO()
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import dcmwrite
    from pydicom.uid import UID

    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    dcmwrite(out, made, implicit_vr=False, little_endian=True, enforce_file_format=True)
    archive.receive(out.getvalue())
    given = parts_of(archive.get(f"{INSTANCE}/frames/5,1,3"))
    assert len(given) == 3
    for (_, data), number in zip(given, (4, 0, 2), strict=True):
        assert data == pictures[number].tobytes()
    assert archive.get(f"{INSTANCE}/frames/6").status_code == 404
    ((_, whole),) = parts_of(archive.get(INSTANCE))
    np.testing.assert_array_equal(dcmread(BytesIO(whole)).pixel_array, np.stack(pictures))
    ((_, bulk),) = parts_of(archive.get(f"{INSTANCE}/bulkdata/7FE00010"))
    assert bulk == b"".join(one.tobytes() for one in pictures)
    if syntax != EXPLICIT:
        accept = related("application/octet-stream", "*")
        stored = parts_of(archive.get(f"{INSTANCE}/bulkdata/7fe00010", accept=accept))
        assert [data for _, data in stored] == [f + b"\0" * (len(f) % 2) for f in frames]


def test_metadata_say_everything_and_where_the_rest_is(archive, make_dicom):
    long = bytes(range(256)) * 64
    made = make_dicom.dataset(
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.1",
        SOPInstanceUID=f"{STUDY}.1.1",
        SpecificCharacterSet="ISO_IR 100",
        PatientName="Müller^Änne",
    )
    made.add_new(0x00091010, "OB", long)
    made.add_new(0x00090010, "LO", "SOMEBODY")
    content = make_dicom.file_bytes(made)
    archive.receive(content)
    for address in (f"/studies/{STUDY}", SERIES, INSTANCE):
        done = archive.get(f"{address}/metadata")
        assert done.headers["content-type"] == "application/dicom+json"
        (found,) = done.json()
        base = f"http://127.0.0.1/dicom-web{INSTANCE}"
        assert found["7FE00010"] == {"vr": "OW", "BulkDataURI": f"{base}/bulkdata/7FE00010"}
        assert found["00091010"] == {"vr": "OB", "BulkDataURI": f"{base}/bulkdata/00091010"}
        assert found["00080005"]["Value"] == ["ISO_IR 192"]
        assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Änne"}]
        assert "00020010" not in found
        ours = {tag: value for tag, value in found.items() if "BulkDataURI" not in value}
        del ours["00081190"], ours["00080005"]
        expected = dcmread(BytesIO(content))
        del expected.PixelData, expected[0x00091010], expected.SpecificCharacterSet
        assert Dataset.from_json(json.dumps(ours)) == expected
    done = archive.get(f"{INSTANCE}/bulkdata/00091010", accept="application/octet-stream")
    assert done.content == long
    assert archive.get(f"{INSTANCE}/bulkdata/00091011").status_code == 404
    assert archive.get(f"{INSTANCE}/bulkdata/00100010").status_code == 404


def test_a_study_has_all_its_objects(archive):
    archive.exam(STUDY)
    given = parts_of(archive.get(f"/studies/{STUDY}", accept=related("application/dicom", "*")))
    assert {data for _, data in given} == {*archive.received.values()}
    assert len(archive.get(f"/studies/{STUDY}/metadata").json()) == 4


def test_what_cannot_be_given_in_a_form_is_left_out_and_said(archive, make_dicom):
    archive.exam(STUDY, syntax="1.2.840.10008.1.2.5")
    made = make_dicom.dataset(
        SOPClassUID=make_dicom.TOMOSYNTHESIS,
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"{STUDY}.7",
        SOPInstanceUID=f"{STUDY}.7.1",
    )
    archive.receive(make_dicom.file_bytes(made, JPEG + "100", b"\0" * 64))
    assert (
        archive.get(f"/studies/{STUDY}", accept=related("application/dicom", "*")).status_code
        == 200
    )
    done = archive.get(f"/studies/{STUDY}")
    assert (done.status_code, len(parts_of(done))) == (206, 4)
    assert archive.get(f"/studies/{STUDY}/series/{STUDY}.7").status_code == 406
    assert archive.get(INSTANCE, accept=related("application/dicom", "1.2.3")).status_code == 406
    assert archive.get(INSTANCE, accept="image/png").status_code == 406


@pytest.mark.parametrize("media", ["image/jpeg", "image/png"])
def test_rendered_pictures(archive, view, media):
    _, pixels = view(EXPLICIT, 12, 300, 200)

    def shown(query: str = "", kind: str = "rendered") -> np.ndarray:
        done = archive.get(f"{INSTANCE}/{kind}{query}", accept=media)
        assert (done.status_code, done.headers["content-type"]) == (200, media)
        return cv2.imdecode(np.frombuffer(done.content, np.uint8), cv2.IMREAD_GRAYSCALE)

    assert shown().shape == (300, 200)
    near = {"image/png": 0, "image/jpeg": 24}[media]
    for function in ("linear", "linear-exact", "sigmoid"):
        found = shown(f"?window=1000,2000,{function}").astype(int)
        c, w, x = 1000.0, 2000.0, pixels.astype(float)
        expected = {
            "linear": (x - (c - 0.5)) / (w - 1) + 0.5,
            "linear-exact": (x - c) / w + 0.5,
            "sigmoid": 1 / (1 + np.exp(-4 * (x - c) / w)),
        }[function]
        expected = np.rint(np.clip(expected, 0, 1) * 255)
        assert np.abs(found - expected).max() <= max(near, 1)
    assert shown("?viewport=100,100").shape == (100, 67)
    region = shown("?viewport=50,50,10,20,50,50&window=1000,2000,linear-exact")
    expected = np.rint(np.clip((pixels[20:70, 10:60] - 1000.0) / 2000 + 0.5, 0, 1) * 255)
    assert np.abs(region.astype(int) - expected).max() <= max(near, 1)
    mirrored = shown("?viewport=50,50,10,20,-50,50&window=1000,2000,linear-exact")
    assert np.abs(mirrored.astype(int) - region[:, ::-1]).max() <= max(near, 1)
    assert max(shown(kind="thumbnail").shape) == 256
    for address in (f"/studies/{STUDY}", SERIES):
        assert archive.get(f"{address}/thumbnail", accept=media).status_code == 200
    assert shown(kind="frames/1/rendered").shape == (300, 200)
