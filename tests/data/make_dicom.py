"""Tiny synthetic mammograms as DICOM, in any transfer syntax, with any attribute changed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"
FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"
CT = "1.2.840.10008.5.1.4.1.1.2"

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4."
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)

Array = npt.NDArray[np.generic]


def picture(rows: int = 96, columns: int = 80, bits: int = 12, seed: int = 0) -> Array:
    """A half disc, bright and structured, on a dark ground: ``(rows, columns)``."""
    y, x = np.mgrid[:rows, :columns]
    distance = np.hypot((y - rows / 2) / (rows / 2), x / columns)
    rng = np.random.default_rng(seed)
    breast = np.where(distance < 0.9, 0.6 - 0.3 * distance + 0.02 * rng.random((rows, columns)), 0)
    return np.rint(breast * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def rle(pixels: Array) -> bytes:
    """One frame of DICOM RLE Lossless (PS3.5 Annex G)."""
    planes = pixels.view(np.uint8).reshape(*pixels.shape, -1)[..., ::-1]
    segments = []
    for index in range(planes.shape[2]):
        lines = (imagecodecs.packbits_encode(line.tobytes()) for line in planes[..., index])
        segment = b"".join(map(bytes, lines))
        segments.append(segment + b"\0" * (len(segment) % 2))
    starts = [64 + sum(map(len, segments[:i])) for i in range(len(segments))]
    return struct.pack("<16I", len(segments), *(starts + [0] * 15)[:15]) + b"".join(segments)


def codec(name: str, **options: Any) -> Callable[[Array], bytes]:
    def encode(pixels: Array) -> bytes:
        return bytes(getattr(imagecodecs, f"{name}_encode")(pixels, **options))

    return encode


ENCODERS: dict[str, Callable[[Array], bytes]] = {
    RLE: rle,
    JPEG + "50": codec("jpeg8", level=95),
    JPEG + "51": codec("jpeg8", level=95, bitspersample=12),
    JPEG + "57": codec("jpeg8", lossless=True, predictor=4),
    JPEG + "70": codec("jpeg8", lossless=True, predictor=1),
    JPEG + "80": codec("jpegls"),
    JPEG + "81": codec("jpegls", level=2),
    JPEG + "90": codec("jpeg2k", codecformat="J2K", reversible=True, level=0),
    JPEG + "91": codec("jpeg2k", codecformat="J2K", level=80),
    JPEG + "201": codec("htj2k", reversible=True),
    JPEG + "202": codec("htj2k", reversible=True),
    JPEG + "203": codec("htj2k", reversible=False, level=1e-5),
}
LOSSY = {JPEG + "50": 40, JPEG + "51": 60, JPEG + "81": 2, JPEG + "91": 60, JPEG + "203": 60}
"""Transfer syntaxes that may change values, and by how much on these pictures."""


def dataset(pixels: Array | None = None, **attributes: Any) -> Dataset:
    """A Digital Mammography image, left CC; a keyword given as ``None`` is left out.

    `pixels` go in natively; `file_bytes` compresses them.
    """
    pixels = picture() if pixels is None else pixels
    bits = pixels.dtype.itemsize * 8
    values: dict[str, Any] = {
        "SOPClassUID": FOR_PRESENTATION,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "PatientID": "P1",
        "PatientName": "Doe^Jane",
        "ImageLaterality": "L",
        "ViewPosition": "CC",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1 if pixels.ndim == 2 else pixels.shape[2],
        "PhotometricInterpretation": "MONOCHROME2" if pixels.ndim == 2 else "RGB",
        "BitsAllocated": bits,
        "BitsStored": min(bits, 12),
        "HighBit": min(bits, 12) - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    if pixels.ndim == 3:
        values["PlanarConfiguration"] = 0
    made = Dataset()
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(made, keyword, value)
    made.PixelData = pixels.tobytes()
    made["PixelData"].VR = "OW" if bits == 16 else "OB"
    return made


def file_bytes(made: Dataset, syntax: str = EXPLICIT, encoded: bytes | None = None) -> bytes:
    """A whole DICOM file; compressed syntaxes encode the native pixels, or take `encoded`."""
    made = Dataset(made)
    if syntax == BIG_ENDIAN and made.BitsAllocated == 16:
        made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
        made["PixelData"].VR = "OW"
    if syntax not in NATIVE:
        frame = ENCODERS[syntax](_native(made)) if encoded is None else encoded
        made.PixelData = encapsulate([frame])
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = made.get("SOPClassUID", FOR_PRESENTATION)
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.2.3.4")
    buffer = BytesIO()
    if syntax == DEFLATED:
        return deflated(file_bytes(made, EXPLICIT))
    dcmwrite(
        buffer,
        made,
        implicit_vr=syntax == IMPLICIT,
        little_endian=syntax != BIG_ENDIAN,
        enforce_file_format=True,
    )
    return buffer.getvalue()


def deflated(plain: bytes) -> bytes:
    """The same file with its data set deflated (PS3.5 A.5)."""
    length = struct.unpack_from("<I", plain, 140)[0]
    meta, body = plain[: 144 + length], plain[144 + length :]
    old = ExplicitVRLittleEndian.encode() + b"\0"
    new = DEFLATED.encode()
    at = meta.index(b"UI" + struct.pack("<H", len(old)) + old) + 2
    meta = meta[:at] + struct.pack("<H", len(new)) + new + meta[at + 2 + len(old) :]
    meta = meta[:140] + struct.pack("<I", length + len(new) - len(old)) + meta[144:]
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return meta + packer.compress(body) + packer.flush()


def save(
    path: Path, pixels: Array | None = None, syntax: str = EXPLICIT, **attributes: Any
) -> Path:
    """Write `dataset` to `path`, and give the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file_bytes(dataset(pixels, **attributes), syntax))
    return path


def _native(made: Dataset) -> Array:
    shape = (made.Rows, made.Columns)
    if made.SamplesPerPixel > 1:
        shape += (made.SamplesPerPixel,)
    return np.frombuffer(made.PixelData, f"u{made.BitsAllocated // 8}").reshape(shape)
