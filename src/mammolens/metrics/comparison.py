"""Tests that need no resampling: DeLong's, McNemar's, Holm's correction, and tests over time.

DeLong's and McNemar's tests assume independent rows. Use them with one row for each patient, or
state in the report that rows are not independent.

A usual test at 5 % that is repeated each month raises a false alarm sooner or later. With
`log_evidence` and `share_sequence`, the chance to be wrong at *any* look is at most `alpha`,
however often one looks and whenever one stops. The price is that more data is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.bootstrap import LEVEL
from mammolens.metrics.checks import (
    BoolArray,
    FloatArray,
    check_binary,
    check_labels,
    require_both_classes,
)

__all__ = ["DeLong", "McNemar", "delong_test", "holm", "log_evidence", "mcnemar", "share_sequence"]

_EXACT_BELOW = 1000


@dataclass(frozen=True)
class DeLong:
    """A difference of two AUCs with its standard error, 95 % interval and two-sided p-value.

    `p_value` tests the difference against 0. It is ``None`` if the standard error is 0.
    """

    value: float
    standard_error: float
    low: float
    high: float
    p_value: float | None


@dataclass(frozen=True)
class McNemar:
    """Rows where only the first, or only the second decision is right, and the p-value."""

    only_first_right: int
    only_second_right: int
    p_value: float


def delong_test(labels: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike) -> DeLong:
    """Test AUC(first) − AUC(second) on the same independent rows.

    Parameters
    ----------
    labels, first, second
        (n,), bool or 0/1, and the scores of both models.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`, or with fewer than two rows of a class.

    Source
    ------
    DeLong et al. 1988, doi:10.2307/2531595; computed by ranks as in Sun and Xu 2014,
    doi:10.1109/LSP.2014.2337313.

    Examples
    --------
    >>> delong_test([0, 0, 1, 1], [1, 2, 3, 4], [1, 2, 3, 4]).value
    0.0
    """
    known, one = check_binary(labels, first)
    _, other = check_binary(labels, second)
    areas, covariance = _delong(known, np.stack([one, other]))
    value = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = math.sqrt(max(variance, 0.0))
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    p_value = math.erfc(abs(value) / error / math.sqrt(2.0)) if error > 0 else None
    return DeLong(value, error, max(-1.0, value - reach), min(1.0, value + reach), p_value)


def mcnemar(labels: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike) -> McNemar:
    """Test whether two sets of decisions (n,) are right equally often on the same rows.

    Exact (binomial) below 1,000 discordant rows, chi-squared with continuity correction above.

    Raises
    ------
    InvalidManifest
        If lengths differ or a value is unknown.

    Source
    ------
    McNemar 1947, doi:10.1007/BF02295996.

    Examples
    --------
    >>> mcnemar([1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]).p_value
    0.25
    """
    truth, one, other = check_labels(labels), check_labels(first), check_labels(second)
    if not truth.size == one.size == other.size:
        raise InvalidManifest(f"{truth.size} labels, {one.size} and {other.size} decisions")
    only_first = int(np.count_nonzero((one == truth) & (other != truth)))
    only_second = int(np.count_nonzero((one != truth) & (other == truth)))
    return McNemar(only_first, only_second, _mcnemar_p(only_first, only_second))


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values (n,) for n tests; the result has the order of the input.

    Raises
    ------
    InvalidManifest
        If a value is outside 0–1.

    Source
    ------
    Holm 1979, Scandinavian Journal of Statistics 6, 65–70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise InvalidManifest(
            "p-values must be between 0 and 1, one for each test", keyword="p_values"
        )
    order = np.argsort(values, kind="stable")
    raised = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted


def _delong(known: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute the areas (k,) of scores (k, n), and the covariance (k, k) of the areas."""
    require_both_classes(known)
    m, n = int(np.count_nonzero(known)), int(np.count_nonzero(~known))
    if min(m, n) < 2:
        raise InvalidManifest(
            f"{m} positives and {n} negatives give no variance", remedy="Add cases"
        )
    ours, theirs = [], []
    for row in scores:
        whole = midranks(row)
        ours.append((whole[known] - midranks(row[known])) / n)
        theirs.append(1.0 - (whole[~known] - midranks(row[~known])) / m)
    positive, negative = np.stack(ours), np.stack(theirs)
    covariance = np.atleast_2d(np.cov(positive)) / m + np.atleast_2d(np.cov(negative)) / n
    return positive.mean(axis=1), covariance


def midranks(values: npt.NDArray[np.floating]) -> FloatArray:
    """Rank values (n,) from 1; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: FloatArray = (ends - (counts - 1) / 2.0)[place]
    return ranks


def _mcnemar_p(b: int, c: int) -> float:
    discordant = b + c
    if discordant == 0:
        return 1.0
    if discordant < _EXACT_BELOW:
        tail = sum(math.comb(discordant, k) for k in range(min(b, c) + 1))
        return min(1.0, float(2 * tail / 2**discordant))
    chi = (abs(b - c) - 1) ** 2 / discordant
    return math.erfc(math.sqrt(chi / 2.0))


def log_evidence(hits: npt.ArrayLike, members: npt.ArrayLike) -> FloatArray:
    """Natural logarithm of the evidence that two groups differ in a share, after each observation.

    It is the likelihood of both groups, each averaged over all shares (uniform prior), divided by
    the highest likelihood of one common share. If the shares are equal and do not change in time,
    the chance that it ever reaches ``log(1 / alpha)`` is at most `alpha`.

    Parameters
    ----------
    hits
        (n,) bool in the order of time: whether the observation is a hit.
    members
        (n,) bool: whether it belongs to the first group, else to the second.

    Returns
    -------
    (n,) float

    Source
    ------
    Wasserman, Ramdas & Balakrishnan 2020 (universal inference, section 8: the sequential form),
    doi:10.1073/pnas.1922664117; Robbins 1970 for the mixture, doi:10.1214/aoms/1177696786.

    Examples
    --------
    >>> hits = [True] * 20 + [False] * 20
    >>> [round(float(log_evidence(hits, who)[-1]), 1) for who in (hits, [True, False] * 20)]
    [21.6, -2.6]
    """
    hit, member = np.asarray(hits, bool), np.asarray(members, bool)
    own = _log_mixture(np.cumsum(hit & member), np.cumsum(~hit & member))
    others = _log_mixture(np.cumsum(hit & ~member), np.cumsum(~hit & ~member))
    top, below = np.cumsum(hit).astype(float), np.cumsum(~hit).astype(float)
    total = top + below
    best = _times_log(top, top / total) + _times_log(below, below / total)
    evidence: FloatArray = own + others - best
    return evidence


def share_sequence(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Interval of a share that covers it at every look at once, with a chance of 1 − `alpha`.

    Source
    ------
    Robbins 1970, doi:10.1214/aoms/1177696786; Howard et al. 2021, doi:10.1214/20-AOS1991.

    Examples
    --------
    >>> [round(end, 2) for end in share_sequence(50, 100, 0.05)]
    [0.34, 0.66]
    >>> share_sequence(0, 0, 0.05)
    (0.0, 1.0)
    """
    if not n:
        return 0.0, 1.0
    misses = n - hits
    mixture = float(_log_mixture(np.array([hits]), np.array([misses]))[0])
    limit = mixture - math.log(1.0 / alpha)

    def is_inside(share: float) -> bool:
        return hits * math.log(share) + misses * math.log1p(-share) > limit

    centre = min(max(hits / n, 1e-12), 1.0 - 1e-12)
    low = 0.0 if not hits else _edge(centre, 1e-15, is_inside)
    high = 1.0 if not misses else _edge(centre, 1.0 - 1e-15, is_inside)
    return low, high


def _edge(inside: float, outside: float, is_inside: Callable[[float], bool]) -> float:
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
    return outside


def _log_mixture(hits: npt.NDArray[np.int64], misses: npt.NDArray[np.int64]) -> FloatArray:
    """Logarithm of the likelihood, averaged over all shares: the beta function B(hits+1, misses+1).

    The arrays do not decrease.
    """
    most = int(hits[-1] + misses[-1]) + 2
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most)))])
    mixed: FloatArray = factorials[hits] + factorials[misses] - factorials[hits + misses + 1]
    return mixed


def _times_log(count: FloatArray, share: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 0, count * np.log(share), 0.0)
