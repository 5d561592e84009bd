"""The steps that whole breasts and single regions share: grey values, resizing, placing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry, Mammogram, Photometric
from mammolens.preprocess.grey import apply_voi

__all__ = ["opposite", "place", "resizable", "resize", "to_grey"]


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
