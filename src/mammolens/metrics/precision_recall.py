"""How pure the highest scores are: precision against recall, and F1 of probabilities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.metrics.bootstrap import Statistic
from mammolens.metrics.checks import (
    FloatArray,
    check_binary,
    check_probabilities,
    require_both_classes,
)
from mammolens.metrics.ranked import ranked_counts

__all__ = [
    "PrecisionRecall",
    "precision_recall_curve",
    "probabilistic_f1_statistic",
]


class PrecisionRecall(NamedTuple):
    """One point for every distinct score, recall falling from 1; each array is (k,)."""

    precision: FloatArray
    recall: FloatArray
    thresholds: FloatArray


def precision_recall_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> PrecisionRecall:
    """Give precision and recall at each threshold.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`.

    Examples
    --------
    >>> precision_recall_curve([0, 1, 1], [0.5, 0.2, 0.9]).precision.round(2).tolist()
    [0.67, 0.5, 1.0]
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    counts = ranked_counts(known, values)(np.ones((1, known.size)))
    caught, alarms = counts.caught[:0:-1, 0], counts.alarms[:0:-1, 0]
    return PrecisionRecall(caught / (caught + alarms), caught / caught[0], np.unique(values))


def probabilistic_f1_statistic(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistic:
    """Give F1 with probabilities in place of decisions, for `patient_bootstrap`.

    It is the figure of the RSNA 2022 challenge, as a function of row weights.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_statistic`.

    Source
    ------
    Yacouby and Axman 2020, doi:10.18653/v1/2020.eval4nlp-1.9.

    Examples
    --------
    >>> once = np.ones((1, 2))
    >>> probabilistic_f1_statistic([1, 0], [0.5, 0.5])(once).tolist()
    [0.5]
    """
    known, values = check_probabilities(labels, probabilities)
    parts = np.stack([values * known, values + known], axis=1)

    def statistic(weights: FloatArray) -> FloatArray:
        caught, either = (weights @ parts).T
        ill = weights @ known.astype(np.float64)
        score = np.divide(2 * caught, either, out=np.zeros_like(either), where=either > 0)
        return np.where(ill > 0, score, np.nan)

    return statistic
