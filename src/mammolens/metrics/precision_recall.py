"""How pure the highest scores are: precision against recall, and a partial area under the ROC."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.metrics.bootstrap import Statistic
from mammolens.metrics.checks import (
    BoolArray,
    FloatArray,
    check_binary,
    check_fraction,
    check_probabilities,
    require_both_classes,
)
from mammolens.metrics.ranked import ranked_partial_area, ranked_precision, ranked_statistic

__all__ = [
    "PrecisionRecall",
    "average_precision",
    "average_precision_statistic",
    "partial_auc",
    "partial_auc_statistic",
    "precision_recall_curve",
    "probabilistic_f1",
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
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    hits = np.cumsum(known[order])[last]
    precision, recall = hits / (last + 1), hits / np.count_nonzero(known)
    return PrecisionRecall(precision[::-1], recall[::-1], ordered[last][::-1])


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Give the area under precision–recall as a sum of steps, without interpolation.

    Its chance level is the share of positives: state it beside the figure.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`.

    Source
    ------
    Davis and Goadrich 2006, doi:10.1145/1143844.1143874.

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    return float(average_precision_statistic(known, values)(_once(known))[0])


def average_precision_statistic(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """Give `average_precision` as a function of row weights, for `patient_bootstrap`."""
    return ranked_statistic(labels, scores, ranked_precision)


def partial_auc(
    labels: npt.ArrayLike, scores: npt.ArrayLike, lowest_specificity: float = 0.8
) -> float:
    """Give the area under the ROC where specificity is high, rescaled: 0.5 is chance, 1 is best.

    Parameters
    ----------
    labels, scores
        (n,), as for `mammolens.metrics.auc`.
    lowest_specificity
        Only false-positive rates up to 1 − this count.

    Source
    ------
    McClish 1989, doi:10.1177/0272989X8900900307.

    Examples
    --------
    >>> round(partial_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.5), 4)
    0.6667
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    return float(partial_auc_statistic(known, values, lowest_specificity)(_once(known))[0])


def partial_auc_statistic(
    labels: npt.ArrayLike, scores: npt.ArrayLike, lowest_specificity: float = 0.8
) -> Statistic:
    """Give `partial_auc` as a function of row weights, for `patient_bootstrap`."""
    check_fraction(lowest_specificity, "lowest_specificity")
    return ranked_statistic(labels, scores, ranked_partial_area(lowest_specificity))


def probabilistic_f1(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Give F1 with probabilities in place of decisions (the RSNA 2022 challenge's figure).

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_score`, or if one class is missing.

    Source
    ------
    Yacouby and Axman 2020, doi:10.18653/v1/2020.eval4nlp-1.9.

    Examples
    --------
    >>> probabilistic_f1([1, 0], [1.0, 0.0]), probabilistic_f1([1, 0], [0.5, 0.5])
    (1.0, 0.5)
    """
    known, values = check_probabilities(labels, probabilities)
    require_both_classes(known)
    return float(probabilistic_f1_statistic(known, values)(_once(known))[0])


def probabilistic_f1_statistic(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistic:
    """Give `probabilistic_f1` as a function of row weights, for `patient_bootstrap`."""
    known, values = check_probabilities(labels, probabilities)
    parts = np.stack([values * known, values + known], axis=1)

    def statistic(weights: FloatArray) -> FloatArray:
        caught, either = (weights @ parts).T
        ill = weights @ known.astype(np.float64)
        score = np.divide(2 * caught, either, out=np.zeros_like(either), where=either > 0)
        return np.where(ill > 0, score, np.nan)

    return statistic


def _once(labels: BoolArray) -> FloatArray:
    return np.ones((1, labels.size))
