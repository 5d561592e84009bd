"""Isotonic recalibration: a rising function without an assumed form, so it needs many rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.checks import FloatArray, check_binary, check_scores, require_both_classes

__all__ = ["Isotonic", "fit_isotonic"]


@dataclass(frozen=True)
class Isotonic:
    """Rising probabilities (k,) at strictly rising scores (k,), linear in between."""

    scores: FloatArray
    probabilities: FloatArray

    def apply(self, scores: npt.ArrayLike) -> FloatArray:
        """Give probabilities (n,) for scores (n,); outside the range, the value at its end.

        Raises
        ------
        InvalidManifest
            If a score is not finite.
        """
        return np.interp(check_scores(scores), self.scores, self.probabilities)


def fit_isotonic(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Isotonic:
    """Fit the rising function of the scores that has the least squared distance to the labels.

    Parameters
    ----------
    labels, scores
        (n,); validation rows only.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`, or if all scores are the same.

    Source
    ------
    Pool adjacent violators: Ayer et al. 1955, doi:10.1214/aoms/1177728423.

    Examples
    --------
    >>> fit_isotonic([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.9]).apply([0.1, 0.5, 0.9]).tolist()
    [0.0, 0.5, 1.0]
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    places, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if places.size < 2:
        raise InvalidManifest(
            f"all {values.size} scores are {places[0]:g}, so no function can be fitted",
            remedy="Check the model: a constant score carries no information",
        )
    means = np.bincount(inverse, weights=known) / counts
    blocks: list[tuple[float, float, int]] = []
    for mean, weight in zip(means, counts, strict=True):
        block = (float(mean), float(weight), 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            pooled = (before[0] * before[1] + block[0] * block[1]) / total
            block = (pooled, total, before[2] + block[2])
        blocks.append(block)
    fitted = np.repeat([block[0] for block in blocks], [block[2] for block in blocks])
    return Isotonic(places, fitted)
