"""Shares that are looked at again and again: tests and intervals that stay valid at every look.

A usual test at 5 % that is repeated each month raises a false alarm sooner or later. Here the
chance to be wrong at *any* look is at most `alpha`, however often one looks and whenever one stops.
The price is that more data is needed than for a test that is made once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["log_evidence", "share_sequence"]

FloatArray = npt.NDArray[np.float64]


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
