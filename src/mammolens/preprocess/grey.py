"""Grey values: VOI, inversion, normalisation inside the breast, noise, local contrast; and sizes.

Resizing and placing pixels are the last two steps that a whole breast and a marked region share.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry, Mammogram, Photometric, VoiFunction, VoiLut, Window
from mammolens.preprocess.config import Denoise

__all__ = [
    "apply_voi",
    "denoise",
    "enhance_contrast",
    "normalise",
    "opposite",
    "place",
    "resize",
    "to_grey",
]

_WHITE = 65535.0


def to_grey(pixels: npt.NDArray[Any], mammogram: Mammogram) -> npt.NDArray[np.float32]:
    """Apply VOI, then inversion, then make padding black.

    Parameters
    ----------
    pixels
        Modality values (h, w): those of `mammogram`, or a part of them, or a reduced copy.
    mammogram
        Gives the VOI, the photometric interpretation and the range of padding values.

    Returns
    -------
    Float32 (h, w), 0–1, breast brighter than the background if the header is right.
    """
    values = apply_voi(pixels, mammogram.voi)
    if mammogram.photometric is Photometric.MONOCHROME1:
        values = np.float32(1.0) - values
    if mammogram.padding is not None:
        low, high = mammogram.padding
        values = np.where((pixels >= low) & (pixels <= high), np.float32(0.0), values)
    return values


def opposite(photometric: Photometric) -> Photometric:
    """Return MONOCHROME2 for MONOCHROME1, and the reverse."""
    if photometric is Photometric.MONOCHROME1:
        return Photometric.MONOCHROME2
    return Photometric.MONOCHROME1


def apply_voi(
    pixels: npt.NDArray[np.generic], voi: Window | VoiLut | None
) -> npt.NDArray[np.float32]:
    """Apply a VOI window or table.

    Parameters
    ----------
    pixels
        Modality values, any shape and real dtype.
    voi
        ``None`` stretches the smallest value to 0 and the largest to 1.

    Returns
    -------
    Float32 of the same shape, 0–1.

    Source: PS3.3 C.11.2.1.2 (linear, linear exact, sigmoid) and C.11.1.1 (table).

    Examples
    --------
    >>> apply_voi(np.array([0, 50, 100]), Window(50.0, 100.0, VoiFunction.LINEAR_EXACT))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    values = pixels.astype(np.float32)
    if voi is None:
        low, high = float(values.min()), float(values.max())
        return _float32((values - low) / max(high - low, 1e-12))
    if isinstance(voi, VoiLut):
        low, high = float(voi.values.min()), float(voi.values.max())
        index = np.clip(np.rint(values) - voi.first, 0, len(voi.values) - 1).astype(np.intp)
        return _float32((voi.values[index] - low) / max(high - low, 1e-12))
    if voi.function is VoiFunction.SIGMOID:
        exponent = np.clip(-4.0 * (values - voi.center) / voi.width, -80, 80)
        return _float32(1.0 / (1.0 + np.exp(exponent)))
    if voi.function is VoiFunction.LINEAR:
        center, width = voi.center - 0.5, max(voi.width - 1.0, 1e-6)
    else:
        center, width = voi.center, voi.width
    return _float32(np.clip((values - center) / width + 0.5, 0.0, 1.0))


def normalise(
    grey: npt.NDArray[np.float32],
    mask: npt.NDArray[np.bool_],
    low_percentile: float,
    high_percentile: float,
) -> npt.NDArray[np.uint16]:
    """Stretch the greys between two percentiles of the breast to 0–65535; zero outside the mask.

    Parameters
    ----------
    grey
        Float32 (H, W), breast brighter than the background.
    mask
        Bool (H, W), true within the breast.

    Returns
    -------
    Uint16 (H, W), 0–65535.
    """
    low, high = np.percentile(grey[mask], (low_percentile, high_percentile))
    stretched = np.clip((grey - low) * (_WHITE / max(float(high - low), 1e-12)), 0.0, _WHITE)
    return np.where(mask, stretched, 0.0).astype(np.uint16)


def denoise(
    pixels: npt.NDArray[np.uint16], method: Denoise, size_px: int
) -> npt.NDArray[np.uint16]:
    """Remove noise from uint16 (H, W) pixels; `size_px` is the filter's width, 3 or 5."""
    if method is Denoise.NONE:
        return pixels
    if method is Denoise.MEDIAN:
        return np.asarray(cv2.medianBlur(pixels, size_px), np.uint16)
    if method is Denoise.BILATERAL:
        smooth = cv2.bilateralFilter(_float32(pixels), size_px, 0.05 * _WHITE, float(size_px))
        return np.asarray(np.clip(smooth, 0, _WHITE), np.uint16)
    strength, window = [0.02 * _WHITE], 4 * size_px + 1
    clean = cv2.fastNlMeansDenoising(
        pixels,
        h=strength,
        templateWindowSize=size_px,
        searchWindowSize=window,
        normType=cv2.NORM_L1,
    )
    return np.asarray(clean, np.uint16)


def enhance_contrast(
    pixels: npt.NDArray[np.uint16], clip: float, tiles: int
) -> npt.NDArray[np.uint8]:
    """Reduce uint16 (H, W) to uint8, and equalise locally with a clip limit (CLAHE).

    Greys are counted in 256 bins for sources of every depth. With 65,536 bins, no bin of a picture
    with many greys would reach the limit, so nothing would be limited. In a picture made from
    8 bits, every used bin would be over the limit, so nothing would be equalised.

    Source: Zuiderveld 1994, Contrast Limited Adaptive Histogram Equalization.
    """
    grey = (pixels >> 8).astype(np.uint8)
    if clip > 0:
        return np.asarray(cv2.createCLAHE(clip, (tiles, tiles)).apply(grey), np.uint8)
    return grey


def _float32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32)


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
