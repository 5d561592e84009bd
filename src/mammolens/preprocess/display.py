"""Pictures for people: a `Mammogram` becomes a `Display`. A model never sees these pictures.

`prepare` makes the model's input, linear between two percentiles. For a person, dense tissue would
be white on white there: film is digitised far into its bright shoulder. So if the file has no
window, the tone curve is chosen from the breast itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.core import Display, Mammogram, Photometric, PreparedView
from mammolens.preprocess.breast import find_breast
from mammolens.preprocess.grey import resize, to_grey
from mammolens.preprocess.picture_trust import usable_voi

__all__ = ["Tone", "display_of", "make_display", "make_thumbnail", "tone_of"]

_THUMBNAIL_PX: Final = 512
_WHITE: Final = 0.999
_BURNT_SHARE: Final = 0.05
"""White share of the breast above which the file's window is not used. Chosen by hand, not
measured: with a sound window, hardly anything but calcifications, markers and implants is white. A
larger share keeps more of the senders' windows, and more white tissue."""
_MIDTONE: Final = 0.42
"""Grey (0–1) to which the median of the breast is moved: about the lightness of mid grey on a
screen, as in the windows that vendors send. Chosen by hand. A larger value makes films brighter and
dense tissue flatter."""
_STEEPEST: Final = 2.2
"""Largest exponent of the tone curve. With a larger one, fat and skin become black. Chosen by
hand."""
_BLOCK_ROWS: Final = 512
"""Rows whose greys are computed at once: it bounds the memory for floats."""
_TABLE_SIZE: Final = 1 << 16


@dataclass(frozen=True)
class Tone:
    """A tone curve in modality values: ``((v - black) / (white - black)) ** power``, within 0–1.

    It leads to the greys that are shown. `black` is above `white` for a picture that is inverted.
    """

    black: float
    white: float
    power: float


def display_of(mammogram: Mammogram, view: PreparedView, max_side_px: int | None = None) -> Display:
    """Turn a mammogram into a picture for people, with the VOI, padding and inversion of `view`."""
    mammogram = replace(mammogram, voi=view.voi, other_voi=(), padding=view.padding)
    return make_display(mammogram, view.photometric, max_side_px)


def make_display(
    mammogram: Mammogram, photometric: Photometric, max_side_px: int | None = None
) -> Display:
    """Turn a mammogram into a picture for people: VOI applied, breast bright, square pixels.

    The window of the file is used, unless it makes too much of the breast white. Without a window,
    the picture is stretched over the greys of the breast and darkened by a power until the median
    of the breast is a middle grey. So differences in dense tissue stay visible on film.

    Parameters
    ----------
    photometric
        The photometric interpretation that `prepare` decided on.
    max_side_px
        Longest side of the picture; ``None`` keeps the resolution of the source.

    Raises
    ------
    NotAMammogram
        If the picture is flat.
    """
    mammogram, small, shape = _reduced(mammogram, photometric, max_side_px)
    mammogram, (low, high, power) = _toned(mammogram, small)
    ends = _ends(small)

    def toned(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        grey = _with_ends(values, ends, mammogram)
        stretched = np.clip((grey - low) / max(high - low, 1e-6), 0.0, 1.0)
        return np.asarray(np.rint(stretched**power * 255.0), np.uint8)

    rows, cols = mammogram.pixels.shape
    return Display(_pointwise(small, ends, toned), (shape[0] / rows, shape[1] / cols))


def tone_of(
    mammogram: Mammogram, photometric: Photometric, max_side_px: int | None = None
) -> Tone | None:
    """Give the tone curve that `make_display` would use, for a viewer that applies it itself.

    Returns
    -------
    ``None`` where `make_display` uses the window of the file instead.

    Raises
    ------
    NotAMammogram
        If the picture is flat.
    """
    mammogram, small, _ = _reduced(mammogram, photometric, max_side_px)
    mammogram, (low, high, power) = _toned(mammogram, small)
    if mammogram.voi is not None:
        return None
    first, last = (float(end) for end in _ends(small))
    if photometric is Photometric.MONOCHROME1:
        first, last = last, first
    black, white = first + low * (last - first), first + high * (last - first)
    return Tone(black, white, power)


def make_thumbnail(
    mammogram: Mammogram, photometric: Photometric, max_side_px: int
) -> npt.NDArray[np.uint8]:
    """Reduce a mammogram for measurements: VOI applied, linear in the file's values.

    Returns
    -------
    uint8 (rows, columns), square pixels. Without a VOI, the 0.5th percentile is black and the
    99.8th is white.

    Raises
    ------
    NotAMammogram
        If the picture is flat.
    """
    mammogram, small, _ = _reduced(mammogram, photometric, max_side_px)
    values = to_grey(small, mammogram)
    if mammogram.voi is None:
        low, high = np.percentile(values, (0.5, 99.8))
        values = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    return np.asarray(np.rint(values * 255.0), np.uint8)


def _reduced(
    mammogram: Mammogram, photometric: Photometric, max_side_px: int | None
) -> tuple[Mammogram, npt.NDArray[Any], tuple[int, int]]:
    """Give the mammogram with a usable VOI, its reduced square pixels, and their shape."""
    mammogram, _ = usable_voi(replace(mammogram, photometric=photometric))
    rows, cols = mammogram.pixels.shape
    tall = rows * mammogram.ref.pixel_aspect
    factor = 1.0 if max_side_px is None else min(1.0, max_side_px / max(tall, cols))
    shape = max(1, round(tall * factor)), max(1, round(cols * factor))
    if shape == (rows, cols):
        return mammogram, mammogram.pixels, shape
    return mammogram, resize(mammogram.pixels, shape), shape


def _ends(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray([pixels.min(), pixels.max()], pixels.dtype)


def _toned(
    mammogram: Mammogram, small: npt.NDArray[Any]
) -> tuple[Mammogram, tuple[float, float, float]]:
    """The mammogram without a VOI that burns out the breast, and the tone curve over its greys."""
    stride = max(1, math.ceil(max(small.shape) / _THUMBNAIL_PX))
    sample = small[::stride, ::stride]
    if mammogram.voi is not None and _burnt(to_grey(sample, mammogram)):
        mammogram = replace(mammogram, voi=None)
    if mammogram.voi is not None:
        return mammogram, (0.0, 1.0, 1.0)
    return mammogram, _curve(_with_ends(sample, _ends(small), mammogram))


def _with_ends(
    values: npt.NDArray[Any], ends: npt.NDArray[Any], mammogram: Mammogram
) -> npt.NDArray[np.float32]:
    """Greys (0–1) of some values; without a VOI the picture's extremes, `ends`, set the scale."""
    whole = np.concatenate([values.ravel(), ends])
    return to_grey(whole, mammogram)[: values.size].reshape(values.shape)


def _burnt(thumbnail: npt.NDArray[np.float32]) -> bool:
    region = find_breast(thumbnail)
    return region is not None and float(np.mean(thumbnail[region.mask] >= _WHITE)) > _BURNT_SHARE


def _curve(thumbnail: npt.NDArray[np.float32]) -> tuple[float, float, float]:
    """Black, white and exponent of the tone curve, from a thumbnail (h, w, 0–1)."""
    region = find_breast(thumbnail)
    breast = thumbnail if region is None else thumbnail[region.mask]
    low, high = float(np.percentile(thumbnail, 0.5)), float(np.percentile(breast, 99.8))
    if region is None or high <= low:
        return low, float(np.percentile(thumbnail, 99.8)), 1.0
    median = (float(np.median(breast)) - low) / (high - low)
    if not _MIDTONE < median < 1.0:
        return low, high, 1.0
    return low, high, min(_STEEPEST, math.log(_MIDTONE) / math.log(median))


def _pointwise(
    pixels: npt.NDArray[Any], ends: npt.NDArray[Any], toned: Any
) -> npt.NDArray[np.uint8]:
    """Apply the tone curve to every pixel; for integers by a table, which is much faster."""
    first, last = ends.tolist()
    picture = np.empty(pixels.shape, np.uint8)
    whole = np.issubdtype(pixels.dtype, np.integer) and last - first < _TABLE_SIZE
    table = toned(np.arange(first, last + 1).astype(pixels.dtype)) if whole else None
    for row in range(0, pixels.shape[0], _BLOCK_ROWS):
        block = pixels[row : row + _BLOCK_ROWS]
        picture[row : row + _BLOCK_ROWS] = (
            toned(block) if table is None else table[block.astype(np.int64) - int(first)]
        )
    return picture
