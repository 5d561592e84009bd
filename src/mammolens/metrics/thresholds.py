"""Operating points: thresholds that are fixed on validation data and then used unchanged.

A row is called positive if its score is at least the threshold.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError
from mammolens.metrics.checks import (
    FloatArray,
    check_binary,
    check_fraction,
    require_both_classes,
)
from mammolens.metrics.ranking import roc_curve

__all__ = [
    "threshold_at_cost",
    "threshold_at_recall",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
]


def threshold_at_sensitivity(
    labels: npt.ArrayLike, scores: npt.ArrayLike, target: float = 0.95
) -> float:
    """Give the threshold with the best specificity among those that reach a sensitivity.

    It is half-way between two observed scores, so rounding it does not change a decision.

    Parameters
    ----------
    labels
        (n,), bool or 0/1.
    scores
        (n,), finite.
    target
        Share of the positives that must be called positive, between 0 and 1.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`.
    ConfigError
        If `target` is not between 0 and 1.

    Examples
    --------
    >>> threshold_at_sensitivity([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8], 0.95)
    0.2
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    check_fraction(target, "target")
    positives = np.sort(values[known])[::-1]
    lowest_called = positives[_at_least(target, positives.size) - 1]
    return _just_below(values, lowest_called)


def threshold_at_specificity(
    labels: npt.ArrayLike, scores: npt.ArrayLike, target: float = 0.90
) -> float:
    """Give the threshold with the best sensitivity among those that reach a specificity.

    Parameters, rounding and errors are those of `threshold_at_sensitivity`.

    Examples
    --------
    >>> threshold_at_specificity([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8], 0.5)
    0.2
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    check_fraction(target, "target")
    negatives = np.sort(values[~known])
    highest_cleared = negatives[_at_least(target, negatives.size) - 1]
    return _just_above(values, highest_cleared)


def threshold_at_recall(
    labels: npt.ArrayLike, scores: npt.ArrayLike, target: float = 0.1, prevalence: float = 0.005
) -> float:
    """Give the lowest threshold that recalls at most a share of patients at a given prevalence.

    Parameters, rounding and errors are those of `threshold_at_sensitivity`.

    Examples
    --------
    >>> threshold_at_recall([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8], 0.6, 0.5)
    0.35
    """
    check_fraction(target, "target")
    known, values = check_binary(labels, scores)
    curve = roc_curve(known, values)
    check_fraction(prevalence, "prevalence")
    caught, alarms = curve.true_positive_rate, curve.false_positive_rate
    recalled = caught * prevalence + alarms * (1.0 - prevalence)
    return _halfway(values, curve.thresholds[np.flatnonzero(recalled <= target + 1e-9)[-1]])


def threshold_at_cost(
    labels: npt.ArrayLike, scores: npt.ArrayLike, cost: float = 20.0, prevalence: float = 0.005
) -> float:
    """Give the threshold with the lowest cost, if a missed cancer costs `cost` false recalls.

    Of several thresholds with this cost it is the highest, so that the fewest patients are
    recalled.

    Parameters
    ----------
    labels, scores
        (n,), as for `threshold_at_sensitivity`.
    cost
        Number of false recalls, above 0.
    prevalence
        Share of patients with cancer in the population.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`.
    ConfigError
        If `cost` is not above 0, or `prevalence` is not between 0 and 1.

    Examples
    --------
    >>> threshold_at_cost([0, 0, 1, 1], [0.1, 0.4, 0.3, 0.8], 20, 0.5)
    0.2
    """
    known, values = check_binary(labels, scores)
    check_fraction(prevalence, "prevalence")
    if not 0.0 < cost < float("inf"):
        raise ConfigError(f"{cost} is not a cost", keyword="cost", remedy="Give a number above 0")
    curve = roc_curve(known, values)
    missed = cost * prevalence * (1.0 - curve.true_positive_rate)
    paid = missed + (1.0 - prevalence) * curve.false_positive_rate
    return _halfway(values, curve.thresholds[np.flatnonzero(paid <= paid.min() + 1e-12)[0]])


def _at_least(target: float, count: int) -> int:
    # 0.95 × 20 is 19.000000000000004 in some orders of multiplication, which must not become 20.
    return max(1, ceil(target * count - 1e-9))


def _halfway(values: FloatArray, score: float) -> float:
    """Give the threshold that calls rows with at least `score`; infinity calls no row."""
    if np.isinf(score):
        return float(np.nextafter(values.max(), np.inf))
    return _just_below(values, score)


def _just_below(values: FloatArray, score: float) -> float:
    lower = values[values < score]
    return _between(float(lower.max()), float(score)) if lower.size else float(score)


def _just_above(values: FloatArray, score: float) -> float:
    higher = values[values > score]
    if not higher.size:
        return float(np.nextafter(score, np.inf))
    return _between(float(score), float(higher.min()))


def _between(low: float, high: float) -> float:
    middle = low / 2 + high / 2
    return middle if low < middle <= high else high
