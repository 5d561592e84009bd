"""How faithful a map is to its network: deletion, insertion, and the similarity of two maps.

The inputs are arrays and a function that scores pictures, whatever method made the maps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.metrics.comparison import midranks

__all__ = [
    "BLUR_PX",
    "STEPS",
    "Curves",
    "deletion_insertion",
    "global_similarity",
    "rank_correlation",
]

STEPS: Final = 8
"""Number of equal parts of the breast that are blurred or restored, one after the other."""

BLUR_PX: Final = 24.0
"""Standard deviation, in pixels, of the blur that removes the content of a place."""

Heat = npt.NDArray[np.float32]
Score = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]
"""Uint8 pictures (n, 1, H, W) → a score (n,) of each."""


class Curves(NamedTuple):
    """Areas under the score while the breast is blurred, hottest places first (low is good), and
    while it is restored in the same order (high is good)."""

    deletion: float
    insertion: float


def deletion_insertion(
    score: Score, picture: npt.NDArray[np.uint8], breast: npt.NDArray[np.bool_], heat: Heat
) -> Curves:
    """Blur the breast's cells in the order of a map, and restore them in the same order.

    Parameters
    ----------
    picture, breast
        (H, W), uint8 and bool.
    heat
        Float32 (h, w); cells of equal value are in a seeded random order.

    Source
    ------
    Petsiuk 2018, RISE, arXiv 1806.07421; blurred places as for its insertion.
    """
    blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), BLUR_PX), np.uint8)
    inside = np.flatnonzero(_touched(breast, heat.shape))
    chance = np.random.default_rng(0).random(len(inside))
    order = inside[np.lexsort((chance, -heat.ravel()[inside]))]
    taken = np.zeros((STEPS + 1, heat.size), np.uint8)
    for step in range(1, STEPS + 1):
        taken[step, order[: round(step * len(order) / STEPS)]] = 1
    high, wide = (side // cells for side, cells in zip(picture.shape, heat.shape, strict=True))
    masks = taken.reshape(-1, *heat.shape).repeat(high, 1).repeat(wide, 2)
    deleted = np.where(masks, blurred, picture)[:, None]
    inserted = np.where(masks, picture, blurred)[:, None]
    scores = score(np.concatenate([deleted, inserted]).astype(np.uint8))
    away, back = np.split(np.asarray(scores, np.float64), 2)
    return Curves(_area(away), _area(back))


def rank_correlation(first: Heat, second: Heat, breast: npt.NDArray[np.bool_]) -> float | None:
    """Give Spearman's correlation of two maps (h, w) over the cells of the breast (H, W).

    ``None`` if either map is constant there.
    """
    inside = _touched(breast, first.shape)
    a, b = first.ravel()[inside], second.ravel()[inside]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(midranks(a), midranks(b))[0, 1])


def global_similarity(first: Heat, second: Heat) -> float:
    """Give the structural similarity of two maps (h, w) ≥ 0, each divided by its peak.

    Source
    ------
    Wang 2004, SSIM, doi:10.1109/TIP.2003.819861, equation 13, over the whole map.

    Examples
    --------
    >>> heat = np.eye(3, dtype=np.float32)
    >>> round(global_similarity(heat, heat), 6), global_similarity(heat, 1 - heat) < 0
    (1.0, True)
    """
    a, b = (np.asarray(one, np.float64) / max(float(one.max()), 1e-12) for one in (first, second))
    c1, c2 = 0.01**2, 0.03**2
    covariance = float(((a - a.mean()) * (b - b.mean())).mean())
    light = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
    return float(light * (2 * covariance + c2) / (a.var() + b.var() + c2))


def _touched(breast: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Say which cells (h · w,) of a map are partly or wholly in the breast (H, W)."""
    rows, cols = shape
    high, wide = breast.shape[0] // rows, breast.shape[1] // cols
    blocks = breast[: rows * high, : cols * wide].reshape(rows, high, cols, wide)
    touched: npt.NDArray[np.bool_] = blocks.any((1, 3)).ravel()
    return touched


def _area(scores: npt.NDArray[np.float64]) -> float:
    return float((scores[:-1] + scores[1:]).sum() / (2 * (len(scores) - 1)))
