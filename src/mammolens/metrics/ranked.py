"""Counts of positives and negatives from the highest score down, for many resamples at once.

Every ranking figure needs two counts at each distinct score: how many positives, and how many
negatives, score at least as high. They are computed once for all weights of a bootstrap, and each
figure is a formula of these counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.metrics.bootstrap import Statistic
from mammolens.metrics.checks import FloatArray, check_binary
from mammolens.metrics.probability import shares

__all__ = [
    "RankedCounts",
    "ranked_area",
    "ranked_counts",
    "ranked_partial_area",
    "ranked_precision",
    "ranked_sensitivity",
    "ranked_single_reading",
    "ranked_specificity",
    "ranked_statistic",
    "ranked_worklist",
]

_SLACK = 1e-9
"""0.95 × 20 is 19.000000000000004 in some orders of multiplication, which must not become 20."""


class RankedCounts(NamedTuple):
    """Weight of positives (`caught`) and of negatives (`alarms`) at or above each distinct score.

    Both are (k + 1, draws). Scores fall from row to row; the first row is above all scores (0).
    """

    caught: FloatArray
    alarms: FloatArray


RankingFormula = Callable[[RankedCounts], FloatArray]
"""A function: counts → values (draws,), NaN if a draw lacks a class that the figure needs."""


def ranked_counts(
    labels: npt.ArrayLike, scores: npt.ArrayLike
) -> Callable[[FloatArray], RankedCounts]:
    """Sort rows once; give a function from weights (draws, n) to their counts.

    Parameters
    ----------
    labels
        (n,), bool or 0/1.
    scores
        (n,), finite, higher is more suspicious.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`, except that one class may be missing.

    Examples
    --------
    >>> counts = ranked_counts([0, 1, 1], [0.2, 0.2, 0.9])(np.ones((1, 3)))
    >>> counts.caught[:, 0].tolist(), counts.alarms[:, 0].tolist()
    ([0.0, 1.0, 2.0], [0.0, 0.0, 1.0])
    """
    known, values = check_binary(labels, scores)
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    positive = known[order]

    def counts(weights: FloatArray) -> RankedCounts:
        drawn = weights.T[order]
        return RankedCounts(
            _summed(drawn * positive[:, None], last), _summed(drawn * ~positive[:, None], last)
        )

    return counts


def ranked_statistic(
    labels: npt.ArrayLike, scores: npt.ArrayLike, formula: RankingFormula
) -> Statistic:
    """Give one formula as a function of row weights, for `patient_bootstrap`."""
    counts = ranked_counts(labels, scores)
    return lambda weights: formula(counts(weights))


def ranked_area(counts: RankedCounts) -> FloatArray:
    """Give the area under the ROC curve: P(positive scores higher than negative), ties half."""
    caught, alarms = counts
    middle = (caught[1:] + caught[:-1]) / 2
    area = np.einsum("kd,kd->d", np.diff(alarms, axis=0), middle)
    return shares(area, caught[-1] * alarms[-1])


def ranked_partial_area(lowest_specificity: float) -> RankingFormula:
    """Area under the ROC curve where specificity is high, rescaled: 0.5 is chance, 1 is best.

    Only false-positive rates up to 1 − `lowest_specificity` count.

    Source
    ------
    McClish 1989, doi:10.1177/0272989X8900900307.
    """
    most = 1.0 - lowest_specificity

    def formula(counts: RankedCounts) -> FloatArray:
        rates, hits = _rates(counts.alarms), _rates(counts.caught)
        inside = int((rates < most).any(axis=1).sum()) + 1
        rates, hits = rates[:inside], hits[:inside]
        width = np.diff(rates, axis=0)
        kept = np.diff(np.minimum(rates, most), axis=0)
        part = np.divide(kept, width, out=np.zeros_like(width), where=width > 0)
        rise = np.diff(hits, axis=0) * part
        area = np.einsum("kd,kd->d", kept, hits[:-1] + rise / 2)
        chance = most * most / 2
        return np.asarray(0.5 * (1.0 + (area - chance) / (most - chance)), np.float64)

    return formula


def ranked_precision(counts: RankedCounts) -> FloatArray:
    """Average precision: the area under precision–recall as a sum of steps.

    Its chance level is the share of positives: state it beside the figure.

    Source
    ------
    Davis and Goadrich 2006, doi:10.1145/1143844.1143874.
    """
    caught = counts.caught
    called = caught[1:] + counts.alarms[1:]
    precision = np.divide(caught[1:], called, out=np.zeros_like(called), where=called > 0)
    return shares(np.einsum("kd,kd->d", np.diff(caught, axis=0), precision), caught[-1])


def ranked_sensitivity(specificity: float | FloatArray) -> RankingFormula:
    """Give the best sensitivity of the thresholds that reach a specificity, for each draw.

    `specificity` is one number for all draws, or (draws,).
    """

    def formula(counts: RankedCounts) -> FloatArray:
        caught, alarms = counts
        most = (1.0 - specificity) * alarms[-1] + _SLACK
        place = (alarms <= most).sum(axis=0) - 1
        return _both(shares(_at(caught, place), caught[-1]), counts)

    return formula


def ranked_specificity(sensitivity: float | FloatArray) -> RankingFormula:
    """Give the best specificity of the thresholds that reach a sensitivity, for each draw.

    `sensitivity` is one number for all draws, or (draws,).
    """

    def formula(counts: RankedCounts) -> FloatArray:
        alarms = counts.alarms
        place = _first_reaching(counts.caught, sensitivity)
        return _both(1.0 - shares(_at(alarms, place), alarms[-1]), counts)

    return formula


def ranked_single_reading(sensitivity: float, prevalence: float) -> RankingFormula:
    """Share of exams that one reader could read alone while the other reads all the rest.

    They lie below the highest threshold that keeps `sensitivity` of the cancers above it.
    """

    def formula(counts: RankedCounts) -> FloatArray:
        caught, alarms = counts
        place = _first_reaching(caught, sensitivity)
        missed = 1.0 - shares(_at(caught, place), caught[-1])
        cleared = 1.0 - shares(_at(alarms, place), alarms[-1])
        return np.asarray(missed * prevalence + cleared * (1.0 - prevalence), np.float64)

    return formula


def ranked_worklist(share: float, prevalence: float) -> RankingFormula:
    """Give the share of cancers in the first `share` of a worklist; ties are divided evenly."""

    def formula(counts: RankedCounts) -> FloatArray:
        hits = _rates(counts.caught)
        work = prevalence * hits + (1.0 - prevalence) * _rates(counts.alarms)
        after = np.clip((work < share).sum(axis=0), 1, len(work) - 1)
        left, right = _at(work, after - 1), _at(work, after)
        part = np.divide(share - left, right - left, out=np.ones_like(left), where=right > left)
        low = _at(hits, after - 1)
        return np.asarray(low + np.minimum(part, 1.0) * (_at(hits, after) - low), np.float64)

    return formula


def _summed(parts: FloatArray, last: npt.NDArray[np.intp]) -> FloatArray:
    found = np.zeros((last.size + 1, parts.shape[1]))
    running = np.cumsum(parts, axis=0)
    found[1:] = running if last.size == len(parts) else running[last]
    return found


def _rates(counts: FloatArray) -> FloatArray:
    return shares(counts, np.broadcast_to(counts[-1], counts.shape))


def _first_reaching(caught: FloatArray, sensitivity: float | FloatArray) -> npt.NDArray[np.intp]:
    wanted = sensitivity * caught[-1] - _SLACK
    return np.asarray(np.minimum((caught < wanted).sum(axis=0), len(caught) - 1), np.intp)


def _at(counts: FloatArray, place: npt.NDArray[np.intp]) -> FloatArray:
    return np.asarray(counts[place, np.arange(counts.shape[1])], np.float64)


def _both(values: FloatArray, counts: RankedCounts) -> FloatArray:
    there = (counts.caught[-1] > 0) & (counts.alarms[-1] > 0)
    return np.where(there, values, np.nan)
