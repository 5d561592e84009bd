"""Resizing and placing pixels: the last two steps that a whole breast and a marked region share."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry

__all__ = ["place", "resize"]

_OPENCV_TYPES = (np.uint8, np.uint16, np.int16, np.float32, np.float64)
"""Types that `cv2.resize` accepts; pixels of any other type are converted to float32 first."""


def resize(pixels: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Resize to `shape` (rows, columns): by area if the picture shrinks, else bilinearly."""
    if pixels.dtype not in _OPENCV_TYPES:
        pixels = pixels.astype(np.float32)
    shrinks = shape[0] <= pixels.shape[0] and shape[1] <= pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (shape[1], shape[0]), interpolation=how))


def place(picture: npt.NDArray[Any], geometry: Geometry) -> npt.NDArray[Any]:
    """Copy a picture of shape `geometry.scaled_shape` into the prepared frame, zero around it."""
    canvas = np.zeros(geometry.prepared_shape, picture.dtype)
    (dr, dc), (h, w) = geometry.offset_px, geometry.scaled_shape
    canvas[dr : dr + h, dc : dc + w] = picture
    return canvas
