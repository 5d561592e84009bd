"""Exact intervals of shares: Clopper and Pearson, widened if several rows belong to one patient."""

from __future__ import annotations

from math import lgamma
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens.metrics.bootstrap import LEVEL, Interval
from mammolens.metrics.checks import BoolArray, FloatArray

__all__ = ["clopper_pearson", "clustered_shares"]

_MOST_STEPS: Final = 60
"""Steps to an end of an interval; halving alone would then be exact to 2⁻⁶⁰."""
_MOST_TERMS: Final = 5000
_SMALL: Final = 1e-300
_PRECISION: Final = 1e-13


def clopper_pearson(
    successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """Give the exact intervals of binomial shares, by default with a coverage of 95 %.

    Parameters
    ----------
    successes, trials
        (m,), numbers of successes and of trials, with 0 ≤ successes ≤ trials and trials > 0. They
        may be fractions, as effective numbers of clustered data are.

    Returns
    -------
    tuple of arrays
        Lower and upper ends, each (m,), from 0 to 1.

    Source
    ------
    Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.

    Examples
    --------
    >>> low, high = clopper_pearson([0, 8], [10, 10])
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.444], [0.308, 0.975])
    """
    hits, total = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    tail = (1.0 - level) / 2.0
    low, high = np.zeros_like(hits), np.ones_like(hits)
    some, missing = hits > 0, hits < total
    low[some] = _beta_quantile(tail, hits[some], (total - hits + 1.0)[some])
    high[missing] = _beta_quantile(1.0 - tail, hits[missing] + 1.0, (total - hits)[missing])
    return low, high


def clustered_shares(
    hits: npt.ArrayLike, counted: npt.ArrayLike, groups: npt.ArrayLike
) -> list[Interval | None]:
    """Give several shares of the same rows with intervals that allow for rows of one patient.

    The number of rows is divided by the design effect of the patients, which is at least 1, and the
    exact interval is that of this effective number. If no row or every row is a hit, the effective
    number is that of the patients. With one row of each patient, it is the interval of Clopper and
    Pearson.

    Parameters
    ----------
    hits, counted
        (m, n), bool. Share i is the number of its hits divided by the number of its counted rows.
        Every hit must be counted.
    groups
        (n,), whole numbers from 0: the patient of each row.

    Returns
    -------
    list of Interval or None
        One for each share. It is ``None`` if no row is counted. `Interval.draws` is 0, because
        nothing is resampled.

    Source
    ------
    Korn and Graubard 1998, Survey Methodology 24(2):193–201.

    Examples
    --------
    >>> (found,) = clustered_shares([[True] * 8 + [False] * 2], [[True] * 10], range(10))
    >>> str(found)
    '0.800 (0.444–0.975)'
    """
    top, below = np.atleast_2d(np.asarray(hits, bool)), np.atleast_2d(np.asarray(counted, bool))
    assert not (top & ~below).any(), "a hit is not counted"
    members = np.asarray(groups, np.intp)
    defined = [row for row in range(len(below)) if below[row].any()]
    if not defined:
        return [None] * len(below)
    sizes = [_effective_size(top[row], below[row], members) for row in defined]
    n, positive = below[defined].sum(axis=1), top[defined].sum(axis=1)
    effective = np.array([size for size, _ in sizes])
    low, high = clopper_pearson(positive / n * effective, effective)
    found: list[Interval | None] = [None] * len(below)
    for place, row in enumerate(defined):
        found[row] = Interval(
            float(positive[place] / n[place]),
            float(low[place]),
            float(high[place]),
            int(n[place]),
            int(positive[place]),
            sizes[place][1],
            draws=0,
        )
    return found


def _effective_size(
    hits: BoolArray, counted: BoolArray, members: npt.NDArray[np.intp]
) -> tuple[float, int]:
    """Give the effective number of rows of a share, and the number of its patients."""
    rows = members[counted]
    per_patient = np.bincount(rows)
    n, n_patients = rows.size, int(np.count_nonzero(per_patient))
    share = float(hits.sum() / n)
    if n_patients == n:
        return float(n), n_patients
    if share in (0.0, 1.0) or n_patients == 1:
        return float(n_patients), n_patients
    residuals = np.bincount(rows, weights=hits[counted] - share)
    variance = n_patients / (n_patients - 1) * float((residuals**2).sum()) / n**2
    effect = max(1.0, variance / (share * (1.0 - share) / n))
    return n / effect, n_patients


def _beta_quantile(chance: float, a: FloatArray, b: FloatArray) -> FloatArray:
    """Give the quantiles of beta distributions by Newton steps, with bisection if one fails."""
    low, high = np.zeros_like(a), np.ones_like(a)
    x = a / (a + b)
    scale = _log_scale(a, b)
    for _ in range(_MOST_STEPS):
        gap = _beta_cdf(x, a, b, scale) - chance
        low, high = np.where(gap < 0, x, low), np.where(gap < 0, high, x)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            slope = np.exp(scale + (a - 1.0) * np.log(x) + (b - 1.0) * np.log1p(-x))
            step = x - gap / slope
        inside = (step > low) & (step < high)  # false for NaN too
        moved = np.where(inside, step, (low + high) / 2.0)
        done = bool((np.abs(moved - x) < _PRECISION).all())
        x = moved
        if done:
            break
    return x


def _log_scale(a: FloatArray, b: FloatArray) -> FloatArray:
    """Give the logarithm of 1 / B(a, b)."""
    return np.array([lgamma(p + q) - lgamma(p) - lgamma(q) for p, q in zip(a, b, strict=True)])


def _beta_cdf(x: FloatArray, a: FloatArray, b: FloatArray, scale: FloatArray) -> FloatArray:
    """Give the regularised incomplete beta function; all arguments (m,).

    Source: Abramowitz and Stegun 26.5.8, continued fraction.
    """
    turned = x > (a + 1.0) / (a + b + 2.0)
    first, second = np.where(turned, b, a), np.where(turned, a, b)
    at = np.where(turned, 1.0 - x, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        front = np.exp(scale + first * np.log(at) + second * np.log1p(-at))
    part = front * _continued_fraction(at, first, second) / first
    return np.asarray(np.where(turned, 1.0 - part, part), np.float64)


def _continued_fraction(x: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Evaluate the continued fraction of the incomplete beta function (Lentz's method)."""
    c = np.ones_like(x)
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value = value * d * c
        if bool((np.abs(d * c - 1.0) < _PRECISION).all()):
            break
    return np.asarray(value, np.float64)


def _away_from_zero(values: FloatArray) -> FloatArray:
    return np.where(np.abs(values) < _SMALL, _SMALL, values)
