"""Figures of localisation: hits and false marks (FROC), pointing game, energy in the lesion.

A mark hits a lesion if its centre is in the lesion's region. Several marks on one lesion count as
one hit, and marks on a lesion are never false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.bootstrap import Statistic
from mammolens.metrics.checks import BoolArray, FloatArray
from mammolens.metrics.probability import shares

__all__ = [
    "FrocCurve",
    "MarkedImage",
    "energy_in_lesion",
    "froc",
    "points_at_lesion",
    "sensitivity_at_false_marks_statistic",
]


@dataclass(frozen=True)
class MarkedImage:
    """The marks of one image.

    `lesions` has the highest score of the marks on each lesion, −inf for a lesion without a mark.
    `false_marks` has the scores of the marks that are on no lesion. An image without a lesion
    counts for false marks only.
    """

    lesions: tuple[float, ...]
    false_marks: tuple[float, ...]


class FrocCurve(NamedTuple):
    """Share of lesions hit and false marks per image at falling thresholds; arrays (k,)."""

    false_marks_per_image: FloatArray
    sensitivity: FloatArray
    thresholds: FloatArray


def froc(images: Sequence[MarkedImage]) -> FrocCurve:
    """Give the free-response ROC of a set of images.

    Raises
    ------
    InvalidManifest
        If no image has a lesion, or a score is NaN.

    Source
    ------
    Bunch et al. 1978, doi:10.1117/12.955926.

    Examples
    --------
    >>> curve = froc([MarkedImage((0.9,), (0.3,)), MarkedImage((-np.inf,), (0.5,))])
    >>> curve.sensitivity.tolist(), curve.false_marks_per_image.tolist()
    ([0.5, 0.5, 0.5], [0.0, 0.5, 1.0])
    """
    hits, false = _scores(images)
    levels = np.unique(np.r_[hits[np.isfinite(hits)], false])[::-1]
    reached = (hits[None] >= levels[:, None]).mean(axis=1)
    alarms = (false[None] >= levels[:, None]).sum(axis=1) / len(images)
    return FrocCurve(alarms.astype(np.float64), reached.astype(np.float64), levels)


def sensitivity_at_false_marks_statistic(
    images: Sequence[MarkedImage], allowed: float = 1.0
) -> Statistic:
    """Give the share of lesions hit at `allowed` false marks per image, for the bootstrap.

    It is a function of image weights (m, n) → shares (m,).

    Examples
    --------
    >>> images = [MarkedImage((0.9,), ()), MarkedImage((0.1,), (0.5,))]
    >>> sensitivity_at_false_marks_statistic(images, 0.25)(np.ones((1, 2))).tolist()
    [0.5]
    """
    _scores(images)
    flat = [(score, index, True) for index, one in enumerate(images) for score in one.lesions] + [
        (score, index, False) for index, one in enumerate(images) for score in one.false_marks
    ]
    flat.sort(key=lambda mark: -mark[0])
    scores = np.array([mark[0] for mark in flat])
    image = np.array([mark[1] for mark in flat], np.intp)
    lesion = np.array([mark[2] for mark in flat], np.float64)
    last = np.r_[scores[1:] != scores[:-1], True]
    found = np.isfinite(scores)

    def statistic(weights: FloatArray) -> FloatArray:
        drawn = weights[:, image]
        hits = np.cumsum(drawn * lesion * found, axis=1)
        alarms = np.cumsum(drawn * (1 - lesion), axis=1) / weights.sum(axis=1, keepdims=True)
        total = (drawn * lesion).sum(axis=1)
        reachable = (alarms <= allowed + 1e-12) & last
        best = np.max(np.where(reachable, hits, 0.0), axis=1)
        return shares(best, total)

    return statistic


def points_at_lesion(heat: npt.NDArray[np.floating], lesion: npt.NDArray[np.bool_]) -> bool | None:
    """Say whether the highest point of a map (H, W) is in the lesion (pointing game).

    A constant map has no highest point and gives ``None``.

    Source
    ------
    Zhang et al. 2018, doi:10.1007/s11263-017-1059-x.
    """
    _check_map(heat, lesion)
    if float(heat.max()) == float(heat.min()):
        return None
    return bool(lesion[heat == heat.max()].any())


def energy_in_lesion(heat: npt.NDArray[np.floating], lesion: npt.NDArray[np.bool_]) -> float | None:
    """Give the share of a map's positive sum that is in the lesion; ``None`` if the sum is 0.

    Report it together with the lesion's share of the breast, which a constant map would reach.

    Source
    ------
    Wang et al. 2020, Score-CAM, arXiv:1910.01279.
    """
    _check_map(heat, lesion)
    positive = np.clip(np.asarray(heat, np.float64), 0.0, None)
    total = float(positive.sum())
    return float(positive[lesion].sum()) / total if total > 0 else None


def _scores(images: Sequence[MarkedImage]) -> tuple[FloatArray, FloatArray]:
    hits = np.array([score for one in images for score in one.lesions], np.float64)
    false = np.array([score for one in images for score in one.false_marks], np.float64)
    if not hits.size:
        raise InvalidManifest("no image has a lesion", remedy="Give images with marked lesions")
    if np.isnan(hits).any() or np.isnan(false).any():
        raise InvalidManifest("the score of a mark is not a number", remedy="Leave out failures")
    return hits, false


def _check_map(heat: npt.NDArray[np.floating], lesion: BoolArray) -> None:
    if heat.shape != lesion.shape or heat.ndim != 2:
        raise InvalidManifest(f"map {heat.shape} and lesion {lesion.shape} do not pair")
    if not np.isfinite(heat).all():
        raise InvalidManifest("the map is not finite", remedy="Leave out failures")
    if not lesion.any():
        raise InvalidManifest("the lesion is empty", remedy="Leave out images without a lesion")
