"""Sharpness, motion and noise of a breast, measured on the picture that the model sees.

`measure_texture` serves the verdict. All its measures are ratios within the breast, so that a
linear grey scale does not change them. They are measured at the scale of the prepared picture, or
at that of the source where this has fewer pixels: what is lost below that scale, no measure of the
prepared picture and no model sees.

`picture_measures` serves `mammolens.monitor`, which watches many exams for changes of a machine; it
decides nothing about a single picture. Its numbers are not those of the verdict: they also follow
the grey scale, are a part of ``results.json``, and docs/evidence/drift.md is measured with them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import PreparedView
from mammolens.quality._masks import deviation, narrower

__all__ = ["Texture", "measure_texture", "picture_measures"]

_RIM_PX = 15
"""Square by which the mask is narrowed: the skin line is an edge of its own."""
_FEWEST_PX = 2_000
"""A core with fewer pixels is not measured. Chosen by hand: about 45 × 45 pixels."""
_LEAST_DETAIL = 1.0
"""Deviation of middle structures in greys; with less, sharpness is not measured. Rounding to whole
greys alone gives fine structures one of 0.28, as much as 2^-1.7 of 0.9: below that, a blurred
picture would pass for a sharp one. Of 305 images of five sources none has less than 2.1."""
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Texture:
    """Measures of one breast.

    `sharpness` is the logarithm (base 2) of the deviation of structures of about 2 pixels divided
    by that of structures of about 6. `direction` is the largest logarithm (base 2) of fine detail
    across one direction divided by that along it, for two pairs of perpendicular directions;
    `angle_deg` is the direction in which detail is lost, counter-clockwise from the rows. `noise`
    is the robust deviation of the finest structures in greys of the prepared picture (0–255).
    """

    sharpness: float
    direction: float
    angle_deg: int
    noise: float


def measure_texture(view: PreparedView) -> Texture | None:
    """Measure the texture of a prepared breast; ``None`` if it shows too little, or no detail."""
    picture, mask = _at_own_scale(view)
    core = narrower(mask, _RIM_PX)
    if np.count_nonzero(core) < _FEWEST_PX:
        return None
    values = picture.astype(np.float32)
    small, large = (np.asarray(cv2.blur(values, (n, n)), np.float32) for n in (3, 9))
    fine, middle = values - small, small - large
    broad = deviation(middle, core)
    if broad < _LEAST_DETAIL:
        return None
    sharpness = float(np.log2(max(deviation(fine, core), 1e-3) / broad))
    noise = float(np.median(np.abs(fine[core]))) * 1.4826
    energies = _energies(small, core)
    pairs = [(np.log2(energies[n] / energies[n + 2]), n) for n in (0, 1)]
    ratio, pair = max(pairs, key=lambda one: abs(one[0]))
    # The direction with less energy is the one along which detail was smeared.
    lost = pair + 2 if ratio > 0 else pair
    return Texture(sharpness, float(abs(ratio)), 45 * lost, noise)


def _at_own_scale(view: PreparedView) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The prepared breast, reduced to the source's pixels where it was enlarged."""
    (dr, dc), (h, w) = view.geometry.offset_px, view.geometry.scaled_shape
    picture, mask = view.pixels[dr : dr + h, dc : dc + w], view.mask[dr : dr + h, dc : dc + w]
    r0, c0, r1, c1 = view.geometry.upright.crop_source_px
    size = min(w, c1 - c0), min(h, r1 - r0)
    if size == (w, h):
        return picture, mask
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    rows = ((np.arange(size[1]) + 0.5) * h / size[1]).astype(np.intp)
    cols = ((np.arange(size[0]) + 0.5) * w / size[0]).astype(np.intp)
    return np.asarray(small, np.uint8), mask[np.ix_(rows, cols)]


_STEPS = ((0, 2), (-1, 1), (2, 0), (1, 1))
"""Steps (row, column) along 0, 45, 90 and 135 degrees, counter-clockwise from the rows."""


def _energies(values: _Floats, core: npt.NDArray[np.bool_]) -> list[float]:
    """Mean absolute second difference in the core along each direction; never zero."""
    rows, cols = slice(2, -2), slice(2, -2)
    centre, inner = values[rows, cols], core[rows, cols]
    found = []
    for down, across in _STEPS:
        ahead = np.roll(values, (-down, -across), (0, 1))[rows, cols]
        behind = np.roll(values, (down, across), (0, 1))[rows, cols]
        bend = np.abs(ahead + behind - 2.0 * centre)
        found.append(max(float(bend[inner].mean()), 1e-3))
    return found


_WATCHED_RIM_PX: Final = 9
"""Rim of the breast's mask that is left out: its edge is a step of its own."""
_LEAST_PX: Final = 256
"""With fewer pixels inside the rim, a picture has no measures."""
_LEAST_SHARE: Final = 1e-5
_LAPLACE: Final = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
_NOISE: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Kernel of Immerkær's estimate of noise, doi 10.1006/cviu.1996.0060."""


def picture_measures(view: PreparedView) -> dict[str, float]:
    """Measure a prepared picture of a whole breast.

    Returns
    -------
    ``sharpness`` (log of the ratio of the deviations of Laplacian and greys), ``mean_grey`` (0–1),
    ``clipping`` (log10 of the share of black and white pixels) and ``noise`` (log10 of the
    deviation in grey levels). Empty for a marked region, or where the breast is too small.
    """
    if view.overview is None:
        return {}
    rim = np.ones((_WATCHED_RIM_PX, _WATCHED_RIM_PX), np.uint8)
    inside = cv2.erode(view.mask.astype(np.uint8), rim).astype(bool)
    breast = view.overview.grey[view.overview.mask]
    if np.count_nonzero(inside) < _LEAST_PX or breast.size < _LEAST_PX:
        return {}
    grey = view.pixels.astype(np.float32)
    edges = cv2.filter2D(grey, -1, _LAPLACE)[inside]
    fine = cv2.filter2D(grey, -1, _NOISE)[inside]
    deviation = float(grey[inside].std())
    if not deviation:
        return {}
    clipped = np.count_nonzero((breast == 0) | (breast == 255)) / breast.size
    noise = math.sqrt(math.pi / 2) / 6 * float(np.abs(fine).mean())
    return {
        "sharpness": math.log(max(float(np.std(edges)) / deviation, 1e-3)),
        "mean_grey": float(breast.mean()) / 255.0,
        "clipping": math.log10(max(clipped, _LEAST_SHARE)),
        "noise": math.log10(max(noise, 1e-2)),
    }
