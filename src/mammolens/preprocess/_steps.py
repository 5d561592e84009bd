"""The steps that whole breasts and single regions share: VOI, inversion, resizing, placing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Caution, Geometry, Mammogram, Photometric
from mammolens.errors import NotAMammogram
from mammolens.preprocess.breast import looks_inverted
from mammolens.preprocess.grey import apply_voi

__all__ = ["opposite", "place", "resizable", "resize", "to_grey", "upright", "usable_voi"]

_THUMBNAIL_PX = 512


def upright(
    mammogram: Mammogram,
) -> tuple[Mammogram, npt.NDArray[np.float32], int, tuple[Caution, ...]]:
    """Settle VOI and inversion on a thumbnail.

    Returns
    -------
    The mammogram with the VOI and interpretation to use, the thumbnail (h, w, 0–1), how many
    pixels one of its own stands for along either side, and what was decided against the header.
    """
    mammogram, cautions = usable_voi(mammogram)
    stride = max(1, math.ceil(max(mammogram.pixels.shape) / _THUMBNAIL_PX))
    raw = mammogram.pixels[::stride, ::stride]
    thumbnail = to_grey(raw, mammogram)
    if looks_inverted(thumbnail):
        mammogram = replace(mammogram, photometric=opposite(mammogram.photometric))
        thumbnail = to_grey(raw, mammogram)
        cautions += (
            Caution(
                "inverted_picture",
                "the picture is dark on bright against its PhotometricInterpretation; inverted",
            ),
        )
    return mammogram, thumbnail, stride, cautions


def usable_voi(mammogram: Mammogram) -> tuple[Mammogram, tuple[Caution, ...]]:
    """Drop a window that would leave the picture flat; refuse a picture that is flat itself."""
    sample = mammogram.pixels[::16, ::16] if min(mammogram.pixels.shape) > 64 else mammogram.pixels
    if not np.isfinite(np.asarray(sample, np.float64)).all() or np.ptp(sample) == 0:
        raise NotAMammogram(
            "the picture is flat: every pixel has the same value",
            source=mammogram.ref.path,
            keyword="PixelData",
            remedy="Send the image again from the modality",
        )
    if mammogram.voi is None or float(np.std(apply_voi(sample, mammogram.voi))) > 0.01:
        return mammogram, ()
    caution = Caution("window_ignored", "the VOI leaves the picture flat; its full range was used")
    return replace(mammogram, voi=None), (caution,)


def to_grey(pixels: npt.NDArray[Any], mammogram: Mammogram) -> npt.NDArray[np.float32]:
    """VOI, then inversion, then padding to black."""
    values = apply_voi(pixels, mammogram.voi)
    if mammogram.photometric is Photometric.MONOCHROME1:
        values = np.float32(1.0) - values
    if mammogram.padding is not None:
        low, high = mammogram.padding
        values = np.where((pixels >= low) & (pixels <= high), np.float32(0.0), values)
    return values


def opposite(photometric: Photometric) -> Photometric:
    """The other of the two interpretations."""
    if photometric is Photometric.MONOCHROME1:
        return Photometric.MONOCHROME2
    return Photometric.MONOCHROME1


def resizable(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """OpenCV resizes 8- and 16-bit integers and floats; the rest becomes float32."""
    if pixels.dtype in (np.uint8, np.uint16, np.int16, np.float32, np.float64):
        return pixels
    return pixels.astype(np.float32)


def resize(pixels: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Resize to (rows, columns): by area where it shrinks, else bilinearly."""
    shrinks = shape[0] <= pixels.shape[0] and shape[1] <= pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (shape[1], shape[0]), interpolation=how))


def place(picture: npt.NDArray[Any], geometry: Geometry) -> npt.NDArray[Any]:
    """Lay a picture of the scaled shape into the prepared frame, zero around it."""
    canvas = np.zeros(geometry.prepared_shape, picture.dtype)
    (dr, dc), (h, w) = geometry.offset_px, geometry.scaled_shape
    canvas[dr : dr + h, dc : dc + w] = picture
    return canvas
