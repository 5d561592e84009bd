"""Read what data sets need beside mammograms: size, patient and series of a picture, and masks."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.errors import InputError, NotAnImage
from mammolens.images.decoders.jpeg import stream_size
from mammolens.images.decoders.tiff import tiff_form
from mammolens.images.dicom import HEAD_BYTES, looks_like_dicom
from mammolens.images.dicom.bounded_header import bounded_file, read_bounded, wanted_of
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.files import ImageFile
from mammolens.images.raster import PGM_HEADER, PNG_SIGNATURE, decode_raster
from mammolens.images.remembered import remembered

__all__ = ["PictureFacts", "read_facts", "read_mask"]

HEAD_OF_STREAM_BYTES = 1 << 20


class PictureFacts(NamedTuple):
    """Stored rows and columns; patient and series from a DICOM header, else ``None``."""

    rows: int
    columns: int
    patient_id: str | None = None
    series_description: str | None = None


def read_facts(path: Path) -> PictureFacts:
    """Read the facts of a DICOM, PNG, JPEG, PGM or TIFF file, of a mammogram or a mask.

    Raises
    ------
    NotAnImage, UnsupportedImage
        If the file is missing, not a picture, or damaged before its size.
    """
    if (known := remembered("read_facts", path)) is not None:
        assert isinstance(known, PictureFacts)
        return known
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            if looks_like_dicom(head):
                return _dicom_facts(path)
            data = head + stream.read(HEAD_OF_STREAM_BYTES)
            if head[:4] in (b"II*\x00", b"MM\x00*"):
                form = tiff_form(ImageFile(path).read_bytes(), str(path))
                return PictureFacts(form.rows, form.columns)
    except OSError as error:
        raise _unreadable(path, f"cannot be read ({error.strerror})") from error
    if data.startswith(PNG_SIGNATURE) and len(data) >= 24:
        columns, rows = struct.unpack_from(">II", data, 16)
        return PictureFacts(rows, columns)
    if data.startswith(b"\xff\xd8\xff"):
        size = stream_size(data, str(path))
        return PictureFacts(size.rows, size.columns)
    if match := PGM_HEADER.match(data):
        return PictureFacts(int(match[3]), int(match[2]))
    raise _unreadable(path, "is neither DICOM nor PNG, JPEG, PGM or TIFF")


def _dicom_facts(path: Path) -> PictureFacts:
    wanted = ("Rows", "Columns", "PatientID", "SeriesDescription")
    try:
        with path.open("rb") as stream, quiet_pydicom():
            bounded = read_bounded(stream, str(path), wanted_of(frozenset(wanted)))
            found = bounded.dataset()
            rows, columns = int(found.Rows), int(found.Columns)
            patient, series = (str(found.get(keyword, "")).strip() for keyword in wanted[2:])
    except (InputError, OSError):
        raise
    except Exception as error:
        # pydicom raises struct, key, value and attribute errors for damaged files.
        raise _unreadable(path, f"has a damaged header ({type(error).__name__})") from error
    return PictureFacts(rows, columns, patient or None, series or None)


def _unreadable(path: Path, what: str) -> NotAnImage:
    return NotAnImage(f"the file {what}", source=str(path), remedy="Copy it again")


_PIXELS: Final = """
SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns
BitsAllocated BitsStored HighBit PixelRepresentation
"""
_WANTED: Final = frozenset(_PIXELS.split())


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask from a PNG, JPEG, PGM, TIFF or DICOM file.

    Returns
    -------
    Bool (rows, columns), true where the value is above half of the largest value.

    Raises
    ------
    InputError
        If the file is not a picture, or is damaged.
    """
    file = ImageFile(path)
    data = file.read_bytes()
    if looks_like_dicom(data[:HEAD_BYTES]):
        pixels = _dicom_pixels(data, file.name)
    else:
        pixels = decode_raster(data, file.name)[0]
    mask: npt.NDArray[np.bool_] = np.asarray(pixels > pixels.max() / 2.0, np.bool_)
    return mask


def _dicom_pixels(data: bytes, source: str) -> npt.NDArray[np.generic]:
    from pydicom import dcmread

    try:
        with quiet_pydicom():
            small = bounded_file(data, source, wanted_of(_WANTED))[0]
            pixels: npt.NDArray[np.generic] = dcmread(io.BytesIO(small)).pixel_array
    except InputError:
        raise
    except Exception as error:
        raise NotAnImage(
            f"the mask cannot be decoded: {error}", source=source, remedy="Copy or export it again"
        ) from error
    if pixels.ndim != 2:
        raise NotAnImage(f"the mask has the shape {pixels.shape}", source=source)
    return pixels
