"""Intervals from resampling patients: all images of one patient are drawn together or not at all.

A statistic is a function of row weights. One draw of the bootstrap is one row of weights: how often
each row of the data is drawn. So thousands of draws take only a few array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.checks import FloatArray, check_labels
from mammolens.wording import estimate

__all__ = [
    "FEW",
    "LEVEL",
    "Interval",
    "Statistic",
    "Statistics",
    "mean_statistic",
    "patient_bootstrap",
    "patient_bootstraps",
    "side_by_side",
]

Statistic = Callable[[FloatArray], FloatArray]
"""Weights (draws, n), one row per draw, to values (draws,); NaN where it is undefined."""

Statistics = Callable[[FloatArray], Mapping[str, FloatArray]]
"""Several statistics of the same weights, each under its name."""

LEVEL = 0.95
"""Share of the resamples that an interval contains."""

FEW = 10
"""If a class has fewer rows than this, the interval gets a note."""

_CHUNK_ELEMENTS = 200_000
_MOST_ATTEMPTS = 20


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile interval and the numbers of its data.

    `low` and `high` are ``None`` if no interval exists: there is only one patient, or the statistic
    is undefined in all resamples. `n` is the number of rows, `n_groups` that of patients. `draws`
    is the number of resamples behind the interval, `redrawn` the number of resamples that were
    replaced because the statistic was undefined in them, for example with one class only. `bias` is
    the mean of the resamples minus `value`.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    n_positive: int
    n_groups: int
    draws: int
    redrawn: int = 0
    bias: float = 0.0

    @property
    def centred(self) -> Interval:
        """The interval shifted by −`bias`, for figures that resampling itself increases.

        A calibration error is such a figure: each resample adds gaps by chance, and without the
        shift the whole interval can be above the figure.
        """
        if self.low is None or self.high is None:
            return self
        return replace(self, low=self.low - self.bias, high=self.high - self.bias, bias=0.0)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about the interval for its reader; empty for a sound interval."""
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
        return estimate(self.value, self.low, self.high)


def mean_statistic(values: npt.ArrayLike) -> Statistic:
    """Give the mean of values (n,) as a function of row weights."""
    row = np.asarray(values, np.float64)
    return lambda weights: np.asarray((weights @ row) / weights.sum(axis=1), np.float64)


def patient_bootstrap(
    statistic: Statistic,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Give a statistic with its percentile interval from resampling whole patients.

    Parameters
    ----------
    statistic
        Function of weights (m, n) → values (m,). Weights of 1 give the figure itself.
    labels
        (n,), bool or 0/1; they are only counted.
    groups
        (n,), hashable key of the patient of each row.
    draws
        Number of resamples. A resample in which the statistic is NaN is drawn again and counted.
    seed
        Seed of the random generator; the same seed gives the same interval.

    Raises
    ------
    InvalidManifest
        If lengths differ, or the statistic is undefined on the data.
    ConfigError
        If `draws` is below 1.

    Source
    ------
    Field and Welsh 2007, cluster bootstrap, doi:10.1111/j.1467-9868.2007.00593.x.

    Examples
    --------
    >>> rate = lambda weights: weights @ np.array([0, 0, 1, 1]) / weights.sum(axis=1)
    >>> str(patient_bootstrap(rate, [0, 0, 1, 1], ["a", "a", "b", "b"]))
    '0.500 (0.000–1.000)'
    """
    (found,) = patient_bootstraps(
        lambda weights: {"": statistic(weights)}, labels, groups, draws=draws, seed=seed
    ).values()
    if found is None:
        raise InvalidManifest(
            "the statistic is undefined on these data",
            remedy="Add cases of the class that is missing",
        )
    return found


def patient_bootstraps(
    statistics: Statistics,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """Give several statistics with their intervals from the same resamples of patients.

    Each statistic gets the same interval as from `patient_bootstrap`, but the weights are computed
    once for all. A statistic that is undefined on the data gives ``None``.

    Parameters
    ----------
    statistics
        Function of weights (m, n) → name → values (m,).
    labels, groups, draws, seed
        As for `patient_bootstrap`.

    Raises
    ------
    InvalidManifest
        If lengths differ.
    ConfigError
        If `draws` is below 1.

    Examples
    --------
    >>> rate = lambda weights: {"rate": weights @ np.array([0, 0, 1, 1]) / weights.sum(axis=1)}
    >>> found = patient_bootstraps(rate, [0, 0, 1, 1], ["a", "a", "b", "b"])
    >>> str(found["rate"])
    '0.500 (0.000–1.000)'
    """
    known = check_labels(labels)
    members = _group_index(groups)
    if members.size != known.size:
        raise InvalidManifest(f"{known.size} labels but {members.size} patients")
    if draws < 1:
        raise ConfigError(f"{draws} draws", keyword="draws", remedy="Give 2000")
    values = {name: float(v[0]) for name, v in statistics(np.ones((1, known.size))).items()}
    defined = [name for name, value in values.items() if np.isfinite(value)]
    n_groups, positives = int(members.max()) + 1, int(np.count_nonzero(known))
    drawn = _resample(statistics, defined, members, draws, seed) if n_groups > 1 else {}
    found: dict[str, Interval | None] = dict.fromkeys(values)
    for name in defined:
        resamples, redrawn = drawn.get(name, (np.empty(0), 0))
        low, high = (
            np.quantile(resamples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
            if resamples.size
            else (None, None)
        )
        bias = float(resamples.mean()) - values[name] if resamples.size else 0.0
        n = (known.size, positives, n_groups, resamples.size, redrawn)
        found[name] = Interval(values[name], low, high, *n, bias)
    return found


def side_by_side(statistics: Mapping[str, Statistic]) -> Statistics:
    """Combine named statistics into one function of the weights."""
    return lambda weights: {name: one(weights) for name, one in statistics.items()}


def _resample(
    statistics: Statistics,
    names: list[str],
    members: npt.NDArray[np.intp],
    draws: int,
    seed: int,
) -> dict[str, tuple[FloatArray, int]]:
    """Give name → (values of at most `draws` resamples, number of replaced resamples)."""
    kept: dict[str, list[FloatArray]] = {name: [] for name in names}
    missing, redrawn = dict.fromkeys(names, draws), dict.fromkeys(names, 0)
    for weights in _draw_weights(members, draws, seed):
        most = max(missing.values(), default=0)
        if most == 0:
            break
        for name, values in statistics(weights[:most]).items():
            if name in kept and missing[name]:
                wanted = values[: missing[name]]
                sound = wanted[np.isfinite(wanted)]
                redrawn[name] += wanted.size - sound.size
                missing[name] -= sound.size
                kept[name].append(sound)
    return {name: (np.concatenate(found), redrawn[name]) for name, found in kept.items()}


def _draw_weights(members: npt.NDArray[np.intp], draws: int, seed: int) -> Iterator[FloatArray]:
    """Yield row weights (chunk, n); in total at most `_MOST_ATTEMPTS` times `draws` rows."""
    generator = np.random.default_rng(seed)
    n_groups = int(members.max()) + 1
    chunk = max(1, min(draws, _CHUNK_ELEMENTS // members.size))
    for _ in range(0, draws * _MOST_ATTEMPTS, chunk):
        picks = generator.integers(n_groups, size=(chunk, n_groups))
        picks += np.arange(chunk)[:, None] * n_groups
        counts = np.bincount(picks.ravel(), minlength=chunk * n_groups)
        # The transposed layout has the draws of one row of data side by side in memory. Sorting
        # or adding over rows of data is then faster.
        yield counts.reshape(chunk, n_groups).T.astype(np.float64)[members].T


def _group_index(groups: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Number the patients from 0 in the order in which they first appear."""
    keys = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)  # type: ignore[arg-type]
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
