"""The detector: Shiryaev–Roberts on online conformal p-values, for many streams at once.

**Evidence.** The p-value of a value is its rank among all values of its stream so far. While exams
come in no particular order, p-values are independent and uniform, whatever is measured. A bet gains
on average nothing from such p-values (its integral is 1), and grows if they are unusual. The
detector adds the gains of bets that began at every exam so far. Its threshold bounds how often it
alarms on a stable stream: the sum minus the number of exams is a martingale, so the mean run length
until it reaches A is at least A. With weights that add up to 1, the same holds for many detectors
together, however they depend on each other.

**Memory.** Values are counted on a fixed scale (`measures`), and ties are broken at random: the
p-values stay exactly uniform, and a state never grows.

Sources: Shin, Ramdas, Rinaldo, E-detectors, doi 10.51387/23-NEJSDS51 (bound of the run length);
Vovk, Testing randomness online, doi 10.1214/20-STS817 (conformal p-values and bets).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens.monitor.measures import BINS

__all__ = ["BETS", "LEAST", "Evidence", "bet_gains", "evidence_of", "fresh", "step"]

LEAST: Final = 50
"""Exams that a stream must have before anything is said of it: with fewer, a rank says little. A
larger number delays the first alarm of a new machine; a smaller one makes `since` less certain."""
BETS: Final = (
    *("lower", "lower", "higher", "higher"),
    *("lower", "higher", "wider", "narrower"),
)
"""What each bet gains on: values lower or higher than before, at both ends, or in the middle."""
_POWERS: Final = (0.2, 0.5)
"""Exponents of the one-sided bets: the first gains quickly on extreme values, the second on small
changes. Usual values for mixtures of power bets."""
_SLOPE: Final = 0.8
"""Slope of the linear bets, which lose least while nothing changes."""
_ENDS: Final = 0.3
"""Exponent of the bets on both ends and on the middle."""
_LEAST_P: Final = 1e-9
"""Smaller p-values count as this one; it only makes a bet gain less."""

_MOST: Final = 1e200
"""Far above every threshold; gains stop there, before numbers overflow."""

_Floats = npt.NDArray[np.float64]
_Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """What is known of m streams; K is the number of `BETS`.

    Attributes
    ----------
    counts
        (m, BINS): values by their step of the scale.
    total
        (m,): sum of the values.
    wealth
        (m, K): Shiryaev–Roberts sum of each bet.
    run
        (m, K): gain of the bet since the exam from which on it gains most (CUSUM).
    since
        (m, K): number of that exam, as the caller counts; 0 before the first.
    run_count, run_sum
        (m, K): number and sum of the values since then.
    """

    counts: _Whole
    total: _Floats
    wealth: _Floats
    run: _Floats
    since: _Whole
    run_count: _Whole
    run_sum: _Floats

    @property
    def seen(self) -> _Whole:
        """(m,): number of values."""
        return np.asarray(self.counts.sum(axis=1))

    def taking(self, rows: npt.NDArray[np.bool_], other: Evidence) -> Evidence:
        """Replace the rows (m,) that are true by those of `other`."""
        return Evidence(
            *(
                np.where(rows if a.ndim == 1 else rows[:, None], getattr(other, f.name), a)
                for f in fields(self)
                for a in [getattr(self, f.name)]
            )
        )


def fresh(streams: int) -> Evidence:
    """Give the evidence of streams of which nothing is known."""
    bets = (streams, len(BETS))
    return Evidence(
        counts=np.zeros((streams, BINS), np.int64),
        total=np.zeros(streams),
        wealth=np.zeros(bets),
        run=np.zeros(bets),
        since=np.zeros(bets, np.int64),
        run_count=np.zeros(bets, np.int64),
        run_sum=np.zeros(bets),
    )


def step(
    before: Evidence, values: _Floats, bins: npt.NDArray[np.intp], ties: _Floats, number: int
) -> Evidence:
    """Take in one value of each stream.

    Parameters
    ----------
    values, bins
        (m,): the values and their steps of the scale; a stream whose value is NaN stays as it is.
    ties
        (m,): uniform random numbers in [0, 1), which break ties.
    number
        Number of the exam, for `Evidence.since`.
    """
    taken = ~np.isnan(values)
    every = np.arange(len(values))
    seen = before.seen
    up_to = np.cumsum(before.counts, axis=1)[every, bins]
    same = before.counts[every, bins]
    higher = seen - up_to
    p = (higher + ties * (same + 1)) / (seen + 1)
    gains = bet_gains(p)
    gains[seen < LEAST] = 1.0
    has_begun = (seen >= LEAST)[:, None]
    begins = before.run <= 1.0  # CUSUM: a bet that has gained nothing begins again here.
    value = np.nan_to_num(values)[:, None]
    counts = before.counts.copy()
    counts[every, bins] += 1
    after = Evidence(
        counts=counts,
        total=before.total + value[:, 0],
        wealth=np.where(has_begun, np.minimum((1.0 + before.wealth) * gains, _MOST), 0.0),
        run=np.where(has_begun, np.minimum(np.maximum(before.run, 1.0) * gains, _MOST), 0.0),
        since=np.where(begins, number, before.since),
        run_count=np.where(begins, 1, before.run_count + 1),
        run_sum=np.where(begins, value, before.run_sum + value),
    )
    return before.taking(taken, after)


def evidence_of(state: Evidence) -> _Floats:
    """Give the evidence (m,) for a change of each stream, which thresholds are compared with."""
    return np.asarray(state.wealth.mean(axis=1))


def bet_gains(p: _Floats) -> _Floats:
    """Give the gain (m, K) of each bet on p-values (m,); high values of a stream have a low p.

    Examples
    --------
    >>> even = (np.arange(100_000) + 0.5) / 100_000
    >>> bool((bet_gains(even).mean(axis=0) < 1.001).all())
    True
    """
    low = np.clip(p, _LEAST_P, 1.0)
    high = np.clip(1.0 - p, _LEAST_P, 1.0)
    ends = np.clip(2.0 * np.minimum(p, 1.0 - p), _LEAST_P, 1.0)
    middle = np.clip(1.0 - ends, _LEAST_P, 1.0)
    tilt = _SLOPE * (1.0 - 2.0 * p)
    return np.stack(
        [
            *(e * high ** (e - 1.0) for e in _POWERS),
            *(e * low ** (e - 1.0) for e in _POWERS),
            1.0 - tilt,
            1.0 + tilt,
            _ENDS * ends ** (_ENDS - 1.0),
            _ENDS * middle ** (_ENDS - 1.0),
        ],
        axis=-1,
    )
