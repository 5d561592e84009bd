"""Conformal prediction: answers that may be "unsure", with a promised coverage of the truth.

This is split conformal prediction for each class (Mondrian). So the promise is valid among patients
with the disease and among patients without it, not only over all. It assumes exchangeable rows: on
another population the coverage must be measured again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.checks import (
    FloatArray,
    check_fraction,
    check_probabilities,
    require_both_classes,
)

__all__ = [
    "ConformalAnswer",
    "ConformalRule",
    "conformal_answers",
    "fit_conformal",
]


class ConformalAnswer(str, Enum):
    """The answer of a rule for one row; a human reader must read `UNSURE` rows."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNSURE = "unsure"


_BY_LEANING = np.array(["unsure", "positive", "negative"])
"""Answer by index (positive is possible) − (negative is possible): 0, 1 or −1."""


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
