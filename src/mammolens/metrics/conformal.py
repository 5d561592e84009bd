"""Saying "unsure": sets of answers that hold the truth as often as promised.

Split conformal prediction per class (Mondrian), so that the promise holds among the ill and among
the healthy, not only on the whole. It holds for exchangeable rows: on another population the
coverage must be measured again.
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
    """What a rule says of a row; `UNSURE` goes to a human reader."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNSURE = "unsure"


_BY_LEANING = np.array(["unsure", "positive", "negative"])
"""Looked up by (positive is possible) − (negative is possible): 0, 1 or −1."""


@dataclass(frozen=True)
class ConformalRule:
    """A class is kept possible while its probability is at least its threshold.

    `coverage` is what was promised for each class, `n` the rows (negative, positive) that it was
    fixed on.
    """

    least_positive: float
    least_negative: float
    coverage: float
    n: tuple[int, int]


def fit_conformal(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, coverage: float = 0.9
) -> ConformalRule:
    """Fix the thresholds on validation rows.

    Parameters
    ----------
    labels, probabilities
        (n,); rows that the model was not fitted on, best one a patient.
    coverage
        Share of each class whose answer must hold the truth.

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
    """The probability of the own class that `wanted` of such rows reach, finite sample kept."""
    below = math.floor((own.size + 1) * (1.0 - wanted) + 1e-9)
    if below < 1:
        raise InvalidManifest(
            f"{own.size} {name} rows cannot promise a coverage of {wanted:g}",
            keyword="coverage",
            remedy=f"Give at least {math.ceil(wanted / (1 - wanted) - 1e-9)} rows, or promise less",
        )
    return float(np.sort(own)[below - 1])
