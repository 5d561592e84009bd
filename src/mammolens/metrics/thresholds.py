"""Operating points: thresholds are fixed on validation data, then applied elsewhere unchanged.

A row is called positive if its score is at least the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from mammolens.metrics.binary import binary_statistic
from mammolens.metrics.bootstrap import Interval, patient_bootstrap
from mammolens.metrics.checks import (
    FloatArray,
    check_binary,
    check_fraction,
    require_both_classes,
)

__all__ = [
    "OperatingPoint",
    "ppv_at_prevalence",
    "recall_rate_at_prevalence",
    "sensitivity_specificity",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
]


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold comes to on one set of cases."""

    threshold: float
    sensitivity: Interval
    specificity: Interval


def threshold_at_sensitivity(
    labels: npt.ArrayLike, scores: npt.ArrayLike, target: float = 0.95
) -> float:
    """Give the threshold with the best specificity among those that reach a sensitivity.

    It lies half-way between two observed scores, so rounding it does not change a decision.

    Parameters
    ----------
    labels
        (n,), bool or 0/1.
    scores
        (n,), finite.
    target
        Share of the positives to be called, between 0 and 1.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`.
    ConfigError
        If `target` is impossible.

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


def sensitivity_specificity(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    groups: npt.ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> OperatingPoint:
    """Give sensitivity and specificity of a fixed threshold, with intervals over patients.

    Parameters
    ----------
    labels, scores
        (n,), as for `threshold_at_sensitivity`.
    threshold
        Scores at or above it are called positive.
    groups
        (n,), the patient of each row.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`.

    Examples
    --------
    >>> point = sensitivity_specificity([0, 0, 1, 1], [1, 4, 3, 8], 3.5, list("abcd"), draws=50)
    >>> point.sensitivity.value, point.specificity.value
    (0.5, 0.5)
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    called = values >= threshold
    sensitivity, specificity = (
        patient_bootstrap(
            binary_statistic(name, known, called), known, groups, draws=draws, seed=seed
        )
        for name in ("recall", "specificity")
    )
    return OperatingPoint(threshold, sensitivity, specificity)


def recall_rate_at_prevalence(
    sensitivity: float, specificity: float, prevalence: float = 0.005
) -> float:
    """Give the share of women recalled in a population of another prevalence.

    Raises
    ------
    ConfigError
        If `prevalence` is impossible.

    Examples
    --------
    >>> round(recall_rate_at_prevalence(0.869, 0.889), 4)
    0.1148
    """
    check_fraction(prevalence, "prevalence")
    return sensitivity * prevalence + (1 - specificity) * (1 - prevalence)


def ppv_at_prevalence(
    sensitivity: float, specificity: float, prevalence: float = 0.005
) -> float | None:
    """Give the share of the recalled who are ill; ``None`` if nobody is recalled.

    Raises
    ------
    ConfigError
        If `prevalence` is impossible.

    Examples
    --------
    >>> round(ppv_at_prevalence(0.869, 0.889), 4)
    0.0379
    """
    recalled = recall_rate_at_prevalence(sensitivity, specificity, prevalence)
    return sensitivity * prevalence / recalled if recalled > 0 else None


def _at_least(target: float, count: int) -> int:
    # 0.95 × 20 is 19.000000000000004 in some orders of multiplication: do not ask for a 20th.
    return max(1, ceil(target * count - 1e-9))


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
