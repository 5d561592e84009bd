"""Operating points: thresholds that are fixed on validation data and then used unchanged.

A row is called positive if its score is at least the threshold. A conformal rule has two
thresholds, and gives no answer between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from math import ceil

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.checks import (
    FloatArray,
    check_binary,
    check_fraction,
    check_probabilities,
    require_both_classes,
)
from mammolens.metrics.ranking import roc_curve

__all__ = [
    "ConformalAnswer",
    "ConformalRule",
    "conformal_answers",
    "fit_conformal",
    "threshold_at_cost",
    "threshold_at_recall",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
]

_BY_LEANING = np.array(["unsure", "positive", "negative"])
"""Answer by index (positive is possible) − (negative is possible): 0, 1 or −1."""


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


class ConformalAnswer(str, Enum):
    """The answer of a rule for one row; a human reader must read `UNSURE` rows."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNSURE = "unsure"


@dataclass(frozen=True)
class ConformalRule:
    """The thresholds of the two classes; a class is possible if its probability reaches its own.

    `coverage` is the promised coverage of each class. `n` is the number of rows (negative,
    positive) that the rule was fixed on.
    """

    least_positive: float
    least_negative: float
    coverage: float
    n: tuple[int, int]


def fit_conformal(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, coverage: float = 0.9
) -> ConformalRule:
    """Compute the thresholds from validation rows.

    This is split conformal prediction for each class (Mondrian). So the promise is valid among
    patients with the disease and among patients without it, not only over all. It assumes
    exchangeable rows: on another population the coverage must be measured again.

    Parameters
    ----------
    labels, probabilities
        (n,); rows that the model was not fitted on, if possible one for each patient.
    coverage
        Share of each class whose answer must include the truth.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_statistic`, or if a class has too few rows for the coverage:
        k rows promise at most k / (k + 1).

    Source
    ------
    Vovk 2012, arXiv:1209.2673; Angelopoulos and Bates 2023, doi:10.1561/2200000101.

    Examples
    --------
    >>> rule = fit_conformal([0] * 9 + [1] * 9, np.r_[np.linspace(0.1, 0.5, 9),
    ...                                              np.linspace(0.4, 0.9, 9)], 0.8)
    >>> round(rule.least_positive, 4), round(rule.least_negative, 4)
    (0.4625, 0.55)
    """
    known, values = check_probabilities(labels, probabilities)
    require_both_classes(known)
    check_fraction(coverage, "coverage")
    return ConformalRule(
        least_positive=_least(values[known], coverage, "positive"),
        least_negative=_least(1.0 - values[~known], coverage, "negative"),
        coverage=coverage,
        n=(int(np.count_nonzero(~known)), int(np.count_nonzero(known))),
    )


def conformal_answers(rule: ConformalRule, probabilities: npt.ArrayLike) -> npt.NDArray[np.str_]:
    """Answer for probabilities (n,) at once: the value of a `ConformalAnswer` for each."""
    values = np.asarray(probabilities, np.float64)
    positive = values >= rule.least_positive
    negative = 1.0 - values >= rule.least_negative
    return _BY_LEANING[positive.astype(np.int64) - negative]


def _least(own: FloatArray, wanted: float, name: str) -> float:
    """Find the probability of their own class that a share `wanted` of the rows reaches.

    The share is corrected for the finite sample: k rows can promise at most k / (k + 1).
    """
    below = math.floor((own.size + 1) * (1.0 - wanted) + 1e-9)
    if below < 1:
        raise InvalidManifest(
            f"{own.size} {name} rows cannot promise a coverage of {wanted:g}",
            keyword="coverage",
            remedy=f"Give at least {math.ceil(wanted / (1 - wanted) - 1e-9)} rows, or promise less",
        )
    return float(np.sort(own)[below - 1])
