"""Reliability: predicted and observed shares in bins, and the mean gap between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.bootstrap import Statistics
from mammolens.metrics.checks import BoolArray, FloatArray, IntArray, check_probabilities

__all__ = [
    "MINIMUM_FOR_ECE",
    "calibration_error_statistics",
    "reliability_curve",
    "reliability_statistics",
]

MINIMUM_FOR_ECE = 400
"""Fewest rows for an expected calibration error (ECE). With 40 rows, even a perfectly calibrated
model has an ECE of 0.13."""

_BINS = 10


class ReliabilityCurve(NamedTuple):
    """The bins with rows: mean probability, observed share and number of rows, each (k,)."""

    predicted: FloatArray
    observed: FloatArray
    n_rows: IntArray


class _Bins(NamedTuple):
    """Weight, mean probability and observed share of every bin: (draws, bins), NaN if empty."""

    weight: FloatArray
    predicted: FloatArray
    observed: FloatArray


def reliability_curve(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> ReliabilityCurve:
    """Give mean probabilities and observed shares in ten bins of equal width, if not empty.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_statistic`.

    Examples
    --------
    >>> reliability_curve([0, 1, 1], [0.15, 0.92, 0.98]).observed.tolist()
    [0.0, 1.0]
    """
    known, values = check_probabilities(labels, probabilities)
    found = _binning(known, values)(np.ones((1, known.size)))
    weight, predicted, observed = (part[0] for part in found)
    filled = weight > 0
    return ReliabilityCurve(predicted[filled], observed[filled], weight[filled].astype(np.int64))


def reliability_statistics(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistics:
    """Give the observed share of each bin, named by its number, for `patient_bootstraps`."""
    binned = _binning(*check_probabilities(labels, probabilities))

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        return {str(number): share for number, share in enumerate(binned(weights).observed.T)}

    return statistics


def calibration_error_statistics(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistics:
    """Give ``ece``, the mean gap of the reliability curve weighted by count, and ``squared_error``.

    The latter is the mean squared gap without the gaps of chance.

    By chance there is a gap in every bin, even for a perfect model, so its ECE is never 0. The
    squared error subtracts the expected chance from each squared gap. Its mean is unbiased: near 0
    for a perfect model, and possibly negative. Use `Interval.centred` for the intervals, because
    each resample adds gaps by chance.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_statistic`, or if there are fewer than `MINIMUM_FOR_ECE` rows:
        below that the figure measures the sample's size.

    Source
    ------
    Kumar, Liang, Ma 2019, arXiv:1909.10155, definition 4.1 (debiased estimator).
    """
    known, values = check_probabilities(labels, probabilities)
    if known.size < MINIMUM_FOR_ECE:
        raise InvalidManifest(
            f"{known.size} rows are too few for an ECE",
            remedy=f"Give at least {MINIMUM_FOR_ECE} rows, or report the Brier score",
        )
    binned = _binning(known, values)

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        weight, predicted, observed = binned(weights)
        shares = weight / weight.sum(axis=1, keepdims=True)
        gaps = np.abs(predicted - observed)
        chance = observed * (1 - observed) / np.maximum(weight - 1, 1)
        return {
            "ece": np.nansum(shares * gaps, axis=1),
            "squared_error": np.nansum(shares * (gaps**2 - chance), axis=1),
        }

    return statistics


def _binning(known: BoolArray, values: FloatArray) -> Callable[[FloatArray], _Bins]:
    """Assign rows to bins once; give a function from weights to the content of the bins."""
    place = np.minimum((values * _BINS).astype(np.int64), _BINS - 1)
    inside = (place[:, None] == np.arange(_BINS)).astype(np.float64)
    columns = np.hstack([inside, inside * values[:, None], inside * known[:, None]])

    def binned(weights: FloatArray) -> _Bins:
        weight, *sums = np.split(weights @ columns, 3, axis=1)
        empty = np.full(weight.shape, np.nan)
        predicted, observed = (
            np.divide(total, weight, out=empty.copy(), where=weight > 0) for total in sums
        )
        return _Bins(weight, predicted, observed)

    return binned
