"""Permutation tests of whether a group differs from the rest: group names are exchanged at random.

A statistic is a function of row weights, so a group is a row of zeros and ones. Thousands of
exchanged groups take only a few array operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.bootstrap import Statistic
from mammolens.metrics.checks import BoolArray, FloatArray, IntArray, check_labels

__all__ = ["GapTest", "gap_statistic", "permutation_tests"]

_FIRST_CHUNK = 250
_CHUNK_ELEMENTS = 500_000
_ENOUGH = 50
"""After this number of draws that are at least as extreme, the p-value is certainly not small."""


@dataclass(frozen=True)
class GapTest:
    """The figure of a group minus that of the rest, its two-sided p-value and number of draws."""

    value: float
    p_value: float
    draws: int


def gap_statistic(statistic: Statistic, member: npt.ArrayLike) -> Statistic:
    """Give the figure of the rows in a group minus that of the others, for `patient_bootstrap`.

    Parameters
    ----------
    member
        (n,), bool: true for the rows in the group.
    """
    inside = check_labels(member).astype(np.float64)
    return lambda weights: statistic(weights * inside) - statistic(weights * (1.0 - inside))


def permutation_tests(
    statistics: Mapping[str, Statistic],
    labels: npt.ArrayLike,
    names: Sequence[str],
    name: str,
    patients: Sequence[str],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, GapTest]:
    """Test whether rows called `name` differ from the others in figures.

    Names are exchanged, and the rows of a patient stay together. A patient with one name exchanges
    it with other such patients that have the same labels (only positive, only negative, both). A
    patient with several names exchanges them among the patient's rows. The test is exact if, given
    the labels, scores do not depend on the name. All figures are tested by the same exchanges; the
    test of a figure ends early when its p-value is certainly not small.

    Parameters
    ----------
    statistics
        Name → function of weights (m, n) → values (m,); an undefined value counts as extreme.
    labels
        (n,), bool or 0/1.
    names, patients
        (n,), the group and the patient of each row.
    draws
        At most so many exchanges; p is at least 1 / (draws + 1).

    Raises
    ------
    InvalidManifest
        If lengths differ, or a figure is undefined in the group or the rest.
    ConfigError
        If `draws` is below one.

    Source
    ------
    Besag and Clifford 1991, doi:10.1093/biomet/78.2.301 (ending early).

    Examples
    --------
    >>> scores = np.array([1.0, 1, 1, 0, 0, 0])
    >>> mean = lambda weights: weights @ scores / weights.sum(axis=1)
    >>> found = permutation_tests({"mean": mean}, [1] * 6, [*"aaabbb"], "a", [*"012345"])
    >>> found["mean"].value, round(found["mean"].p_value, 1)  # 2 of 20 ways to choose three of six
    (1.0, 0.1)
    """
    known = check_labels(labels)
    if not known.size == len(names) == len(patients):
        raise InvalidManifest(f"{known.size} labels, {len(names)} names, {len(patients)} patients")
    if draws < 1:
        raise ConfigError(f"{draws} draws", keyword="draws", remedy="Give 10000")
    member = np.array([one == name for one in names])
    if member.all() or not member.any():
        raise InvalidManifest(f"all rows are in {name!r}, or none is, so a gap cannot be tested")
    seen = {
        measure: _GapCount(float(_gaps(statistic, member[None].astype(np.float64))[0]))
        for measure, statistic in statistics.items()
    }
    if not all(np.isfinite(one.value) for one in seen.values()):
        raise InvalidManifest(
            f"the figure is undefined in {name!r} or in the rest",
            remedy="Add cases of the class that is missing",
        )
    for groups in _exchanged(known, names, name, patients, draws, seed):
        unsettled = [measure for measure, one in seen.items() if not one.settled]
        if not unsettled:
            break
        for measure in unsettled:
            seen[measure].add(_gaps(statistics[measure], groups))
    return {measure: one.test() for measure, one in seen.items()}


class _GapCount:
    """The gap of a figure, and which exchanges gave a gap at least as wide."""

    def __init__(self, value: float) -> None:
        self.value = value
        self._extreme: BoolArray = np.empty(0, bool)

    def add(self, gaps: FloatArray) -> None:
        self._extreme = np.r_[self._extreme, ~(np.abs(gaps) < abs(self.value) - 1e-12)]

    @property
    def settled(self) -> bool:
        return bool(np.count_nonzero(self._extreme) >= _ENOUGH)

    def test(self) -> GapTest:
        if self.settled:
            last = int(np.flatnonzero(self._extreme)[_ENOUGH - 1]) + 1
            return GapTest(self.value, _ENOUGH / last, last)
        wide, drawn = np.count_nonzero(self._extreme), self._extreme.size
        return GapTest(self.value, float((wide + 1) / (drawn + 1)), drawn)


def _gaps(statistic: Statistic, groups: FloatArray) -> FloatArray:
    return statistic(groups) - statistic(1.0 - groups)


def _exchanged(
    known: BoolArray,
    names: Sequence[str],
    name: str,
    patients: Sequence[str],
    draws: int,
    seed: int,
) -> Iterator[FloatArray]:
    """Yield, as 0 and 1 (chunk, n), which rows have the name `name` after each exchange."""
    generator = np.random.default_rng(seed)
    owner, own_names, place = _by_patient(names, patients)
    strata = _strata(known, owner, own_names)
    several = np.array([len(own) > 1 and name in own for own in own_names])
    choices = np.array([len(own) for own in own_names])
    single = np.array([own == [name] for own in own_names])
    longest = max(1, _CHUNK_ELEMENTS // known.size)
    count, done = min(_FIRST_CHUNK, longest, draws), 0
    while count:
        called = np.tile(single, (count, 1))
        for stratum in strata:
            called[:, stratum] = generator.permuted(called[:, stratum], axis=1)
        drawn = (generator.random((count, choices.size)) * choices).astype(np.intp)
        groups = np.where(several[owner], drawn[:, owner] == place, called[:, owner])
        yield groups.astype(np.float64)
        done += count
        count = min(2 * count, longest, draws - done)


def _by_patient(
    names: Sequence[str], patients: Sequence[str]
) -> tuple[IntArray, list[list[str]], IntArray]:
    """Give each row's patient (n,), each patient's names, and each row's index in these (n,)."""
    numbers: dict[str, int] = {}
    owner = np.array([numbers.setdefault(patient, len(numbers)) for patient in patients], np.int64)
    own: list[list[str]] = [[] for _ in numbers]
    for patient, name in zip(owner, names, strict=True):
        if name not in own[patient]:
            own[patient].append(name)
    place = [own[patient].index(name) for patient, name in zip(owner, names, strict=True)]
    return owner, own, np.array(place, np.int64)


def _strata(known: BoolArray, owner: IntArray, own_names: list[list[str]]) -> list[IntArray]:
    """Group the patients of one name by their labels: only positive, only negative, both."""
    size = len(own_names)
    kinds = (np.bincount(owner, known, size) > 0) + 2 * (np.bincount(owner, ~known, size) > 0)
    one = np.array([len(own) == 1 for own in own_names])
    return [np.flatnonzero(one & (kinds == kind)) for kind in (1, 2, 3)]
