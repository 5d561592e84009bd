"""Predicted against observed shares in bins, and how far apart they are on the whole."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics.bootstrap import Statistics
from mammolens.metrics.checks import BoolArray, FloatArray, IntArray, check_probabilities

__all__ = [
    "MINIMUM_FOR_ECE",
    "ReliabilityCurve",
    "calibration_error_statistics",
    "expected_calibration_error",
    "reliability_curve",
    "reliability_statistics",
]

MINIMUM_FOR_ECE = 400
"""With 40 rows even a perfectly calibrated model shows an ECE of 0.13."""

_normal_below = np.frompyfunc(lambda z: 0.5 * (1.0 + math.erf(z / math.sqrt(2.0))), 1, 1)


class ReliabilityCurve(NamedTuple):
    """Bins that hold rows: mean probability, observed share and count, each (k,)."""

    predicted: FloatArray
    observed: FloatArray
    n_rows: IntArray


class _Bins(NamedTuple):
    """Weight, mean probability and observed share of every bin: (draws, bins), NaN if empty."""

    weight: FloatArray
    predicted: FloatArray
    observed: FloatArray


def reliability_curve(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 10
) -> ReliabilityCurve:
    """Give observed shares against probabilities in bins of equal width; empty ones left out.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_score`.
    ConfigError
        If `bins` is below one.

    Examples
    --------
    >>> reliability_curve([0, 1, 1], [0.1, 0.9, 0.7], bins=2).observed.tolist()
    [0.0, 1.0]
    """
    known, values = check_probabilities(labels, probabilities)
    found = _binned(known, values, np.ones((1, known.size)), bins)
    weight, predicted, observed = (part[0] for part in found)
    filled = weight > 0
    return ReliabilityCurve(predicted[filled], observed[filled], weight[filled].astype(np.int64))


def reliability_statistics(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 10
) -> Statistics:
    """Give the observed share of each bin, named by its number, for `patient_bootstraps`."""
    known, values = check_probabilities(labels, probabilities)

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        observed = _binned(known, values, weights, bins).observed
        return {str(number): share for number, share in enumerate(observed.T)}

    return statistics


def expected_calibration_error(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 10
) -> float:
    """Give the mean gap of the reliability curve, weighted by count.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.brier_score`, or if there are fewer than `MINIMUM_FOR_ECE` rows:
        below that the figure measures the sample's size.
    """
    known, values = check_probabilities(labels, probabilities)
    statistics = calibration_error_statistics(known, values, bins)
    return float(statistics(np.ones((1, known.size)))["ece"][0])


def calibration_error_statistics(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 10
) -> Statistics:
    """Give ``ece``, and ``ece_debiased``: what is left when the gaps of chance are taken off.

    Binomial noise opens a gap in every bin of a perfect model. The debiased figure is twice the
    ECE minus its expectation if each observed share were drawn again from a normal distribution
    about itself; below zero it is zero.

    Raises
    ------
    InvalidManifest
        As `expected_calibration_error`.

    Source
    ------
    Kumar, Liang, Ma 2019, arXiv:1909.10155, appendix on the ℓ1 error; here in closed form (the
    mean of a folded normal distribution) instead of by simulation.
    """
    known, values = check_probabilities(labels, probabilities)
    if known.size < MINIMUM_FOR_ECE:
        raise InvalidManifest(
            f"an ECE of {known.size} rows says nothing",
            remedy=f"Give at least {MINIMUM_FOR_ECE} rows, or report the Brier score",
        )

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        weight, predicted, observed = _binned(known, values, weights, bins)
        shares = weight / weight.sum(axis=1, keepdims=True)
        gaps = np.abs(predicted - observed)
        spread = np.sqrt(observed * (1 - observed) / np.maximum(weight, 1))
        plain = np.nansum(shares * gaps, axis=1)
        expected = np.nansum(shares * _folded_mean(gaps, spread), axis=1)
        return {"ece": plain, "ece_debiased": np.maximum(2 * plain - expected, 0.0)}

    return statistics


def _binned(known: BoolArray, values: FloatArray, weights: FloatArray, bins: int) -> _Bins:
    if bins < 1:
        raise ConfigError(f"{bins} bins", keyword="bins", remedy="Give 10")
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    inside = (place[:, None] == np.arange(bins)).astype(np.float64)
    weight = weights @ inside
    predicted, observed = (
        np.divide(weights @ (inside * part[:, None]), weight, out=_empty(weight), where=weight > 0)
        for part in (values, known)
    )
    return _Bins(weight, predicted, observed)


def _empty(weight: FloatArray) -> FloatArray:
    return np.full(weight.shape, np.nan)


def _folded_mean(middle: FloatArray, spread: FloatArray) -> FloatArray:
    """Mean of |X| of normal X; where there is no spread, the middle itself."""
    z = np.divide(middle, spread, out=np.full(middle.shape, np.inf), where=spread > 0)
    below = _normal_below(-z).astype(np.float64)
    wide = spread * math.sqrt(2 / math.pi) * np.exp(-z * z / 2)
    return np.asarray(wide + middle * (1 - 2 * below), np.float64)
