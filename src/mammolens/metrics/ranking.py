"""How well scores rank positives above negatives: ROC and precision–recall curves, and AUC.

`probabilistic_f1_statistic` judges the scores as probabilities, in place of counts of decisions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.metrics.bootstrap import Interval, Statistic, patient_bootstrap
from mammolens.metrics.checks import (
    FloatArray,
    check_binary,
    check_probabilities,
    require_both_classes,
)
from mammolens.metrics.ranked import ranked_area, ranked_counts, ranked_statistic

__all__ = [
    "PrecisionRecall",
    "RocCurve",
    "auc",
    "auc_difference",
    "auc_interval",
    "auc_statistic",
    "auc_within",
    "precision_recall_curve",
    "probabilistic_f1_statistic",
    "roc_curve",
]


class RocCurve(NamedTuple):
    """One point for every distinct score, from (0, 0) to (1, 1); each array is (k,).

    A row counts as positive if its score is at least the threshold. The first threshold is
    infinite.
    """

    false_positive_rate: FloatArray
    true_positive_rate: FloatArray
    thresholds: FloatArray


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Give the area under the ROC curve: P(positive scores higher than negative), ties half.

    Parameters
    ----------
    labels
        (n,), bool or 0/1.
    scores
        (n,), finite, in any unit; a higher score is more suspicious.

    Raises
    ------
    InvalidManifest
        If lengths differ, a label is unknown, a score is not finite, or one class is missing.

    Source
    ------
    Mann and Whitney 1947, doi:10.1214/aoms/1177730491.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    return float(auc_statistic(known, values)(np.ones((1, known.size)))[0])


def auc_within(
    labels: npt.ArrayLike, scores: npt.ArrayLike, groups: npt.ArrayLike
) -> dict[str, tuple[float, int]]:
    """AUC within each group that has both labels, and its number of rows, by the group's name.

    Parameters
    ----------
    labels, scores
        (n,), as for `auc`.
    groups
        (n,), the name of each row's group.

    Examples
    --------
    >>> auc_within([0, 1, 0, 1], [1.0, 2, 9, 8], list("aabb"))
    {'a': (1.0, 2), 'b': (0.0, 2)}
    """
    known, values, names = np.asarray(labels, bool), np.asarray(scores), np.asarray(groups, str)
    found = {}
    for name in np.unique(names).tolist():
        rows = names == name
        if known[rows].any() and not known[rows].all():
            found[name] = auc(known[rows], values[rows]), int(rows.sum())
    return found


def auc_statistic(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Statistic:
    """Give the AUC as a function of row weights, for `patient_bootstrap`.

    A draw that lacks one class gives NaN.

    Raises
    ------
    InvalidManifest
        As `auc`, except that one class may be missing.
    """
    return ranked_statistic(labels, scores, ranked_area)


def auc_interval(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Give the AUC with its interval from a bootstrap over patients.

    Parameters
    ----------
    labels, scores
        (n,), as for `auc`.
    groups
        (n,), the patient of each row.
    draws, seed
        As for `patient_bootstrap`.

    Raises
    ------
    InvalidManifest
        As `auc`.

    Examples
    --------
    >>> interval = auc_interval([0, 1, 0, 1, 0, 1], [1, 2, 3, 4, 5, 6], list("aabbcc"), draws=200)
    >>> round(interval.value, 3), interval.n_groups, interval.notes[0][:14]
    (0.667, 3, 'few positives:')
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    statistic = auc_statistic(known, values)
    return patient_bootstrap(statistic, known, groups, draws=draws, seed=seed)


def auc_difference(
    labels: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Give AUC(first) − AUC(second) of two models on the same rows and the same resamples.

    Raises
    ------
    InvalidManifest
        As `auc`.
    """
    known, _ = check_binary(labels, first)
    require_both_classes(known)
    one, other = auc_statistic(known, first), auc_statistic(known, second)

    def statistic(weights: FloatArray) -> FloatArray:
        return one(weights) - other(weights)

    return patient_bootstrap(statistic, known, groups, draws=draws, seed=seed)


def roc_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> RocCurve:
    """Give the ROC curve, one point for every distinct score.

    Raises
    ------
    InvalidManifest
        As `auc`.

    Examples
    --------
    >>> curve = roc_curve([0, 1, 1], [0.2, 0.2, 0.9])
    >>> curve.true_positive_rate.tolist(), curve.false_positive_rate.tolist()
    ([0.0, 0.5, 1.0], [0.0, 0.0, 1.0])
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    counts = ranked_counts(known, values)(np.ones((1, known.size)))
    caught, alarms = counts.caught[:, 0], counts.alarms[:, 0]
    thresholds = np.r_[np.inf, np.unique(values)[::-1]]
    return RocCurve(alarms / alarms[-1], caught / caught[-1], thresholds)


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
        positives = weights @ known.astype(np.float64)
        score = np.divide(2 * caught, either, out=np.zeros_like(either), where=either > 0)
        return np.where(positives > 0, score, np.nan)

    return statistic
