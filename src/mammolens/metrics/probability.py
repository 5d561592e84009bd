"""Scores and probabilities: softmax, sigmoid, log-odds, and logistic regressions.

`out_of_fold` judges a fit on patients that it has not seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.metrics.checks import BoolArray, FloatArray, IntArray

__all__ = [
    "fit_logistic",
    "log_odds",
    "out_of_fold",
    "patient_folds",
    "shares",
    "sigmoid",
    "softmax",
]

_EDGE = 1e-9
"""Smallest distance of probabilities from 0 and 1; the log-odds are then at most ±20.7."""

_STEPS = 50
"""Most steps of Newton's method; a fit that needs more has not converged."""

_LONGEST = 2.0
"""Longest step of a coefficient, because far from the solution Newton's method overshoots."""

_TOLERANCE = 1e-12
_DAMPING = 1e-12
_FOLDS = 5
_RIDGE, _INTERCEPT_RIDGE = 1.0, 1e-3
"""The penalty on the intercept is small, because the intercept follows the share of positives."""


class LogisticFits(NamedTuple):
    """Coefficients (m, k) of m fits, and which fits have converged, bool (m,).

    `information` (m,) is the weighted mean of p (1 − p). It goes to 0 if the classes are separable,
    so that coefficients grow without end. Do not use a fit that has not converged.
    """

    coefficients: FloatArray
    converged: BoolArray
    information: FloatArray


def shares(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    """Give part / whole, NaN where the whole is 0; of one shape.

    Examples
    --------
    >>> shares([1.0, 0.0], [4.0, 0.0]).tolist()
    [0.25, nan]
    """
    parts, wholes = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found: FloatArray = np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0)
    return found


def softmax(logits: npt.ArrayLike) -> FloatArray:
    """Give probabilities (…, k) of logits (…, k).

    Examples
    --------
    >>> softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    values = np.asarray(logits, np.float64)
    powers = np.exp(values - values.max(-1, keepdims=True))
    found: FloatArray = powers / powers.sum(-1, keepdims=True)
    return found


def sigmoid(log_odds: npt.ArrayLike) -> FloatArray:
    """Give probabilities of log-odds, of any shape.

    Examples
    --------
    >>> sigmoid([0.0, -1000.0]).round(3).tolist()
    [0.5, 0.0]
    """
    found: FloatArray = 1 / (1 + np.exp(-np.clip(np.asarray(log_odds, np.float64), -500, 500)))
    return found


def log_odds(probabilities: npt.ArrayLike) -> FloatArray:
    """Give natural log-odds of probabilities, of any shape, clipped 1e-9 away from 0 and 1.

    Examples
    --------
    >>> log_odds([0.5]).tolist()
    [0.0]
    """
    clipped = np.clip(np.asarray(probabilities, np.float64), _EDGE, 1 - _EDGE)
    odds: FloatArray = np.log(clipped / (1 - clipped))
    return odds


def fit_logistic(
    design: FloatArray,
    labels: npt.ArrayLike,
    weights: FloatArray,
    *,
    offsets: npt.ArrayLike = 0.0,
    ridge: npt.ArrayLike = 0.0,
    start: npt.ArrayLike = 0.0,
) -> LogisticFits:
    """Fit logistic regressions to weighted rows by Newton's method, all at once.

    Parameters
    ----------
    design
        (n, k), the columns that the coefficients multiply; of about unit size.
    labels
        (n,), bool or 0/1.
    weights
        (m, n), weights of the rows for each of m fits: draws of a bootstrap, or one row of ones.
    offsets
        (n,), log-odds that are added with a coefficient of 1.
    ridge
        One number or (k,): half of it times the squared coefficient is added to the mean loss.
    start
        One number or (k,), the first coefficients.

    Examples
    --------
    >>> design = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    >>> fits = fit_logistic(design, [0, 0, 1, 0, 1, 1], np.ones((1, 6)))
    >>> fits.coefficients.round(3).tolist(), fits.converged.tolist()
    ([[-0.693, 1.386]], [True])
    """
    known, (n, k) = np.asarray(labels, np.float64), design.shape
    added = np.asarray(offsets, np.float64)
    penalty = np.broadcast_to(np.asarray(ridge, np.float64), k)
    totals = weights.sum(1)
    pairs = (design[:, :, None] * design[:, None, :]).reshape(n, k * k)
    found = np.broadcast_to(np.asarray(start, np.float64), (len(weights), k)).copy()
    information, open_fits = np.zeros(len(weights)), np.arange(len(weights))
    for _ in range(_STEPS):
        own, total, drawn = found[open_fits], totals[open_fits, None], weights[open_fits]
        fitted = sigmoid(own @ design.T + added)
        gradient = (drawn * (known - fitted)) @ design - total * penalty * own
        spread = drawn * (fitted * (1 - fitted))
        information[open_fits] = spread.sum(1) / total[:, 0]
        moving = np.abs(gradient).max(1) > _TOLERANCE * total[:, 0]
        open_fits, total = open_fits[moving], total[moving]
        if not open_fits.size:
            break
        curvature = (spread[moving] @ pairs).reshape(-1, k, k)
        curvature += total[..., None] * np.diag(penalty + _DAMPING)
        step = np.linalg.solve(curvature, gradient[moving, :, None])[..., 0]
        found[open_fits] += np.clip(step, -_LONGEST, _LONGEST)
    converged = np.ones(len(weights), bool)
    converged[open_fits] = False
    return LogisticFits(found, converged, information)


def patient_folds(patients: Sequence[str]) -> IntArray:
    """Assign patients to five folds in the order of a hash; the order of rows does not matter.

    Returns
    -------
    The fold of each row, (n,).
    """
    order = sorted(set(patients), key=lambda patient: hashlib.sha256(patient.encode()).digest())
    fold = {patient: index % _FOLDS for index, patient in enumerate(order)}
    return np.array([fold[patient] for patient in patients], np.int64)


def out_of_fold(values: FloatArray, labels: BoolArray, folds: IntArray) -> FloatArray:
    """Give log-odds (n,) of each row from a fit without its patient's fold.

    It measures what a few features reveal, such as the source of a picture from its header.

    Parameters
    ----------
    values
        (n, d), features.
    labels, folds
        (n,), see `patient_folds`.
    """
    scores = np.zeros(len(labels))
    for fold in range(_FOLDS):
        held = folds == fold
        if held.any() and not held.all():
            centre, spread = values[~held].mean(0), np.maximum(values[~held].std(0), 1e-6)
            design = _design((values - centre) / spread)
            scores[held] = design[held] @ _coefficients(design[~held], labels[~held])
    return scores


def _design(values: FloatArray) -> FloatArray:
    """Give ones, the standardised features and their squares; both extremes may be informative."""
    bounded = np.clip(values, -5, 5)
    return np.hstack([np.ones((len(values), 1)), bounded, bounded**2])


def _coefficients(design: FloatArray, labels: BoolArray) -> FloatArray:
    rows, width = design.shape
    ridge = np.r_[_INTERCEPT_RIDGE, np.full(width - 1, _RIDGE)] / rows
    fits = fit_logistic(design, labels, np.ones((1, rows)), ridge=ridge)
    return np.asarray(fits.coefficients[0], np.float64)
