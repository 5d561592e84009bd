"""Calibration: how well probabilities agree with observed shares, and functions that mend them.

`fit_temperature` fits one number, `fit_isotonic` any rising function. `added_log_odds` measures
how much a covariate, such as the age, adds to the log-odds of a model.

Labels may be partial: a row allows a set of classes (RSNA's "no cancer" allows normal and benign).
Its loss is then −log of the sum of the probabilities of these classes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.errors import InvalidManifest
from mammolens.metrics.bootstrap import (
    Interval,
    Statistic,
    Statistics,
    mean_statistic,
    patient_bootstraps,
)
from mammolens.metrics.checks import (
    BoolArray,
    FloatArray,
    check_binary,
    check_probabilities,
    check_scores,
    require_both_classes,
)
from mammolens.metrics.probability import fit_logistic, log_odds

__all__ = [
    "Isotonic",
    "added_log_odds",
    "brier_statistic",
    "calibration_line_statistics",
    "fit_isotonic",
    "fit_temperature",
    "log_loss_statistic",
]

_LOWEST, _HIGHEST = 0.05, 20.0  # temperatures
_GOLDEN = (5**0.5 - 1) / 2
_NARROWEST = 1e-12  # spread of log-odds that are all the same
_SEPARABLE = 1e-6
"""Mean of p (1 − p) below which the classes count as separable; the slope grows without end."""
_RIDGE = 1e-6
"""Weight of the penalty. It is so small that it only keeps the intercept of a group with one class
finite."""


def brier_statistic(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistic:
    """Give the mean squared distance of probabilities from labels, for `patient_bootstrap`.

    Parameters
    ----------
    labels, probabilities
        (n,).

    Returns
    -------
    A function of row weights (m, n) → values (m,).

    Raises
    ------
    InvalidManifest
        If lengths differ, a label is unknown, or a probability lies outside 0–1.

    Examples
    --------
    >>> brier_statistic([0, 1], [0.5, 1.0])(np.ones((1, 2))).tolist()
    [0.125]
    """
    known, values = check_probabilities(labels, probabilities)
    return mean_statistic((values - known) ** 2)


def log_loss_statistic(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistic:
    """Give the mean −log of the probability of what is true, for `patient_bootstrap`.

    The logarithm is natural. Probabilities are kept one float64 step away from 0 and 1, so the
    figure stays finite. Parameters, result and errors are those of `brier_statistic`.

    Examples
    --------
    >>> log_loss_statistic([0, 1], [0.5, 0.5])(np.ones((1, 2))).round(4).tolist()
    [0.6931]
    """
    known, values = check_probabilities(labels, probabilities)
    step = np.finfo(np.float64).eps
    return mean_statistic(-np.log(np.clip(np.where(known, values, 1 - values), step, 1 - step)))


def calibration_line_statistics(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike
) -> Statistics | None:
    """Give the line of a logistic recalibration as functions of row weights, for the bootstrap.

    The labels are fitted by a logistic function of the log-odds. A calibrated model has ``slope`` 1
    and ``intercept`` 0. Both are NaN in a draw whose classes are separable.

    Parameters
    ----------
    labels, probabilities
        (n,); probabilities are kept 1e-9 away from 0 and 1.

    Returns
    -------
    A function of row weights (m, n) → ``slope`` and ``intercept``, each (m,); ``None`` if the rows
    themselves are separable.

    Raises
    ------
    InvalidManifest
        As `brier_statistic`, or if one class is missing.

    Source
    ------
    Cox 1958, doi:10.1093/biomet/45.3-4.562.
    """
    known, values = check_probabilities(labels, probabilities)
    require_both_classes(known)
    positives, negatives = values[known], values[~known]
    if negatives.max() <= positives.min() or positives.max() <= negatives.min():
        return None
    odds = log_odds(values)
    middle, width = float(odds.mean()), max(float(odds.std()), _NARROWEST)
    design = np.stack([(odds - middle) / width, np.ones(known.size)], axis=1)
    whole = fit_logistic(design, known, np.ones((1, known.size)), start=(1.0, 0.0))
    start = whole.coefficients[0] if whole.converged[0] else (1.0, 0.0)

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        fits = fit_logistic(design, known, weights, start=start)
        sound = fits.converged & (fits.information > _SEPARABLE)
        scaled_slope, at_middle = np.where(sound, fits.coefficients.T, np.nan)
        slope = scaled_slope / width
        return {"slope": slope, "intercept": at_middle - slope * middle}

    return statistics


def fit_temperature(logits: npt.ArrayLike, allowed: npt.ArrayLike) -> float:
    """Fit the scalar T that minimises the loss of logits / T.

    The loss of a row is −log of the summed probabilities of the classes that its label allows.

    With partial labels the loss need not have a single minimum, so a grid over log T finds the
    region of the minimum, and a golden-section search the minimum. T is searched in 0.05–20; it is
    at an end of this range if the model separates the classes completely, or its outputs carry no
    information.

    Parameters
    ----------
    logits
        (n, k), finite.
    allowed
        (n, k), bool; every row allows at least one class.

    Raises
    ------
    InvalidManifest
        If shapes differ, a logit is not finite, or a row allows nothing, or every row allows
        every class.

    Source
    ------
    Guo et al. 2017, arXiv:1706.04599.

    Examples
    --------
    >>> fitted = fit_temperature([[4.0, 0.0], [4.0, 0.0], [0.0, 4.0]], [[1, 0], [0, 1], [0, 1]])
    >>> round(fitted, 3)
    5.771
    """
    values, mask = _check_partial(logits, allowed)
    if mask.all():
        raise InvalidManifest(
            "every label allows every class, so there is nothing to fit",
            remedy="Calibrate on rows with known labels",
        )

    def loss_at(log_temperature: float) -> float:
        return _partial_loss(values / np.exp(log_temperature), mask)

    grid = np.linspace(np.log(_LOWEST), np.log(_HIGHEST), 121)
    best = int(np.argmin([loss_at(point) for point in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    while high - low > 1e-9:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if loss_at(left) <= loss_at(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def _check_partial(logits: npt.ArrayLike, allowed: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    values, mask = np.asarray(logits, dtype=np.float64), np.asarray(allowed, dtype=bool)
    if values.ndim != 2 or values.shape != mask.shape or values.size == 0:
        raise InvalidManifest(f"logits {values.shape} and allowed classes {mask.shape} do not pair")
    if not np.isfinite(values).all():
        raise InvalidManifest("logits that are not finite numbers", remedy="Leave failures out")
    if not mask.any(axis=1).all():
        raise InvalidManifest("a label allows no class", remedy="Correct the contradicting label")
    return values, mask


def _partial_loss(values: FloatArray, mask: BoolArray) -> float:
    everything = np.logaddexp.reduce(values, axis=1)
    permitted = np.logaddexp.reduce(np.where(mask, values, -np.inf), axis=1)
    return float(np.mean(everything - permitted))


@dataclass(frozen=True)
class Isotonic:
    """Rising probabilities (k,) at strictly rising scores (k,), linear in between."""

    scores: FloatArray
    probabilities: FloatArray

    def apply(self, scores: npt.ArrayLike) -> FloatArray:
        """Give probabilities (n,) for scores (n,); outside the range, the value at its end.

        Raises
        ------
        InvalidManifest
            If a score is not finite.
        """
        return np.interp(check_scores(scores), self.scores, self.probabilities)


def fit_isotonic(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Isotonic:
    """Fit the rising function of the scores that has the least squared distance to the labels.

    Parameters
    ----------
    labels, scores
        (n,); validation rows only.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.auc`, or if all scores are the same.

    Source
    ------
    Pool adjacent violators: Ayer et al. 1955, doi:10.1214/aoms/1177728423.

    Examples
    --------
    >>> fit_isotonic([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.9]).apply([0.1, 0.5, 0.9]).tolist()
    [0.0, 0.5, 1.0]
    """
    known, values = check_binary(labels, scores)
    require_both_classes(known)
    places, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if places.size < 2:
        raise InvalidManifest(
            f"all {values.size} scores are {places[0]:g}, so no function can be fitted",
            remedy="Check the model: a constant score carries no information",
        )
    means = np.bincount(inverse, weights=known) / counts
    blocks: list[tuple[float, float, int]] = []
    for mean, weight in zip(means, counts, strict=True):
        block = (float(mean), float(weight), 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            total = before[1] + block[1]
            pooled = (before[0] * before[1] + block[0] * block[1]) / total
            block = (pooled, total, before[2] + block[2])
        blocks.append(block)
    fitted = np.repeat([block[0] for block in blocks], [block[2] for block in blocks])
    return Isotonic(places, fitted)


def added_log_odds(
    labels: npt.ArrayLike,
    log_odds: npt.ArrayLike,
    values: npt.ArrayLike,
    groups: Sequence[Hashable],
    patients: npt.ArrayLike,
    *,
    draws: int = 500,
    seed: int = 0,
) -> Interval | None:
    """Give the slope of a covariate in a logistic regression in which log-odds are an offset.

    Every group has its own intercept, so that a covariate that only separates the groups gets no
    slope. The interval comes from resampling patients. A resample whose slope cannot be estimated
    is drawn again and counted.

    Parameters
    ----------
    labels
        (n,), bool.
    log_odds
        (n,), log-odds of the model; they are the offset.
    values
        (n,), the covariate; the slope is per unit of it.
    groups, patients
        n each: the data set and the patient of each row.

    Returns
    -------
    The slope in log-odds per unit; ``None`` if it cannot be estimated, because the fit does not
    converge (the covariate separates the classes, for example).

    Raises
    ------
    InvalidManifest
        If lengths differ, a value is not finite, or all labels are equal.

    Examples
    --------
    >>> ages = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    >>> labels, patients = [0, 0, 1, 0, 1, 1], list("abcdef")
    >>> slope = added_log_odds(labels, [0.0] * 6, ages, ["x"] * 6, patients, draws=10)
    >>> round(slope.value, 3)  # odds of 1:2 become 2:1
    1.386
    """
    known = np.asarray(labels, np.float64)
    offsets, along = np.asarray(log_odds, np.float64), np.asarray(values, np.float64)
    shapes = {known.shape, offsets.shape, along.shape, (len(groups),), np.shape(patients)}
    if len(shapes) > 1 or not np.isfinite(np.concatenate([known, offsets, along])).all():
        raise InvalidManifest("labels, log-odds, values and groups do not pair, or are not finite")
    if len(set(known.tolist())) < 2:
        raise InvalidManifest("all labels are alike: there is nothing to fit")
    names = sorted({str(group) for group in groups})
    member = np.array([[str(group) == name for name in names] for group in groups], np.float64)
    design = np.column_stack([along - along.mean(), member])

    def statistics(weights: FloatArray) -> dict[str, FloatArray]:
        fits = fit_logistic(design, known, weights, offsets=offsets, ridge=_RIDGE)
        return {"slope": np.where(fits.converged, fits.coefficients[:, 0], np.nan)}

    return patient_bootstraps(statistics, known > 0, patients, draws=draws, seed=seed)["slope"]
