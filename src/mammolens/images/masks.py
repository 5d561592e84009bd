"""Read masks: pictures that mark a region of a mammogram."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens.errors import InputError, NotAnImage
from mammolens.images.dicom import looks_like_dicom
from mammolens.images.dicom.bounded_header import bounded_file, wanted_of
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.files import ImageFile
from mammolens.images.raster import decode_raster

__all__ = ["read_mask"]

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
    if looks_like_dicom(data[:256]):
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
