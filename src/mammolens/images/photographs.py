"""Read a photograph in colour: JPEG or PNG from a phone, turned upright by its Exif orientation.

Only the door for photographs of films uses this. `read_image` refuses pictures in colour.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mammolens.core.images import freeze
from mammolens.errors import UnsupportedImage
from mammolens.images.files import ImageFile
from mammolens.images.raster import PNG_SIGNATURE, decode_stored

__all__ = ["Photograph", "read_photograph"]

_HEIC = b"ftyp"
"""Bytes 4 to 8 of HEIC, HEIF and AVIF files (ISO/IEC 14496-12, 4.3)."""


@dataclass(frozen=True)
class Photograph:
    """A photograph: `rgb` (rows, columns, 3) uint8, upright; `digest` is of the file's bytes."""

    name: str
    rgb: npt.NDArray[np.uint8]
    digest: str

    def __post_init__(self) -> None:
        freeze(self.rgb)


def read_photograph(file: ImageFile | Path) -> Photograph:
    """Read a JPEG or PNG file with 8 bits a channel.

    Raises
    ------
    NotAnImage
        It is missing, empty, truncated or damaged.
    UnsupportedImage
        It is of another kind, such as HEIC, or too large.
    NotAMammogram
        It has fewer than 64 pixels a side.
    """
    file = ImageFile(file) if isinstance(file, Path) else file
    data = file.read_bytes()
    if not data.startswith((PNG_SIGNATURE, b"\xff\xd8\xff")):
        kind = "a HEIC photograph" if data[4:8] == _HEIC else "a picture of this kind"
        raise UnsupportedImage(
            f"{kind} is not read",
            source=file.name,
            remedy="Send a JPEG; on an iPhone: Settings, Camera, Formats, Most Compatible",
        )
    decoded = decode_stored(data, file.name)
    pixels = decoded.pixels
    if pixels.dtype != np.uint8:
        raise UnsupportedImage(
            "a photograph with more than 8 bits a channel is not read",
            source=file.name,
            remedy="Send the JPEG of the phone",
        )
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        grey = pixels if pixels.ndim == 2 else pixels[..., 0]
        pixels = np.repeat(grey[..., None], 3, axis=2)
    turns = decoded.orientation.quarter_turns if decoded.orientation is not None else 0
    rgb = np.ascontiguousarray(np.rot90(pixels[..., :3], -turns), np.uint8)
    return Photograph(file.name, rgb, hashlib.sha256(data).hexdigest())
