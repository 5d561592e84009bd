"""Intervals by resampling patients: the images of one woman are drawn together or not at all.

A statistic is a function of row weights, so one draw is one row of integer multiplicities and
thousands of draws are a few array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.checks import FloatArray, check_fraction, check_labels

__all__ = ["FEW", "Interval", "Statistic", "patient_bootstrap"]

Statistic = Callable[[FloatArray], FloatArray]
"""Weights (draws, n), one row per draw, to values (draws,); NaN where it is undefined."""

FEW = 10
"""Below this many rows of a class an interval is flagged."""

_CHUNK_ELEMENTS = 2_000_000
_MOST_ATTEMPTS = 20


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile interval and what it stands on.

    `low` and `high` are ``None`` where no interval can be had: a single patient, or a statistic
    that no resample defines. `draws` is how many resamples stand behind the interval, `redrawn`
    how many were replaced because the statistic was undefined in them (one class only).
    """

    value: float
    low: float | None
    high: float | None
    n: int
    n_positive: int
    n_groups: int
    draws: int
    redrawn: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before trusting it; empty for a sound interval."""
        found = []
        if self.n_positive < FEW:
            found.append(f"few positives: {self.n_positive}")
        if self.n - self.n_positive < FEW:
            found.append(f"few negatives: {self.n - self.n_positive}")
        if self.low is None:
            found.append("no interval: too few patients to resample")
        elif self.low == self.high:
            found.append("all resamples agree: the true uncertainty is larger than this interval")
        if self.redrawn:
            found.append(f"{self.redrawn} resamples were undefined and drawn again")
        return tuple(found)

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (no interval)"
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def patient_bootstrap(
    statistic: Statistic,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Give a statistic with its percentile interval from resampling whole patients.

    Parameters
    ----------
    statistic
        Function of weights (m, n) → values (m,); all ones give the figure itself.
    labels
        (n,), bool or 0/1; only counted.
    groups
        (n,), hashable key of the patient of each row.
    draws
        Resamples; one in which the statistic is NaN is drawn again and counted.
    seed
        Of the generator; the same seed gives the same interval.
    level
        Share of the resamples between the two ends.

    Raises
    ------
    InvalidManifest
        If lengths differ or the statistic is undefined on the data themselves.
    ConfigError
        If `draws` or `level` is impossible.

    Source
    ------
    Field and Welsh 2007, cluster bootstrap, doi:10.1111/j.1467-9868.2007.00593.x.

    Examples
    --------
    >>> rate = lambda weights: weights @ np.array([0, 0, 1, 1]) / weights.sum(axis=1)
    >>> str(patient_bootstrap(rate, [0, 0, 1, 1], ["a", "a", "b", "b"]))
    '0.500 (0.000–1.000)'
    """
    known = check_labels(labels)
    members = _group_index(groups)
    if members.size != known.size:
        raise InvalidManifest(f"{known.size} labels but {members.size} patients")
    if draws < 1:
        raise ConfigError(f"{draws} draws", keyword="draws", remedy="Give 2000")
    check_fraction(level, "level")
    value = float(statistic(np.ones((1, known.size)))[0])
    if not np.isfinite(value):
        raise InvalidManifest(
            "the statistic is undefined on these data",
            remedy="Add cases of the class that is missing",
        )
    n_groups = int(members.max()) + 1
    found, redrawn = (
        _resample(statistic, members, draws, seed) if n_groups > 1 else (np.empty(0), 0)
    )
    low, high = (
        np.quantile(found, [(1 - level) / 2, (1 + level) / 2]).tolist()
        if found.size
        else (None, None)
    )
    positives = int(np.count_nonzero(known))
    return Interval(value, low, high, known.size, positives, n_groups, found.size, redrawn)


def _resample(
    statistic: Statistic, members: npt.NDArray[np.intp], draws: int, seed: int
) -> tuple[FloatArray, int]:
    kept: list[FloatArray] = []
    missing, redrawn = draws, 0
    for weights in _draw_weights(members, draws, seed):
        values = statistic(weights[:missing])
        defined = values[np.isfinite(values)]
        redrawn += values.size - defined.size
        missing -= defined.size
        kept.append(defined)
        if missing == 0:
            break
    return np.concatenate(kept), redrawn


def _draw_weights(members: npt.NDArray[np.intp], draws: int, seed: int) -> Iterator[FloatArray]:
    """Row multiplicities (chunk, n), at most `_MOST_ATTEMPTS` times `draws` of them in all."""
    generator = np.random.default_rng(seed)
    n_groups = int(members.max()) + 1
    chunk = max(1, min(draws, _CHUNK_ELEMENTS // members.size))
    for _ in range(0, draws * _MOST_ATTEMPTS, chunk):
        picks = generator.integers(n_groups, size=(chunk, n_groups))
        picks += np.arange(chunk)[:, None] * n_groups
        counts = np.bincount(picks.ravel(), minlength=chunk * n_groups)
        yield counts.reshape(chunk, n_groups)[:, members].astype(np.float64)


def _group_index(groups: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Number the patients from 0 in the order in which they first appear."""
    keys = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)  # type: ignore[arg-type]
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
