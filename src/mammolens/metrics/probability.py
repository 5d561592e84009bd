"""Scores and probabilities: softmax, sigmoid, log-odds, and the fit of logistic regressions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.metrics.checks import BoolArray, FloatArray

__all__ = ["LogisticFits", "fit_logistic", "log_odds", "shares", "sigmoid", "softmax"]

_EDGE = 1e-9
"""Probabilities are kept so far away from 0 and 1: a log-odds of ±20.7 is the most that counts."""

_STEPS = 50
_LONGEST = 2.0
"""Newton's steps are cut at this length: far from the solution they overshoot."""

_TOLERANCE = 1e-12
_DAMPING = 1e-12


class LogisticFits(NamedTuple):
    """Coefficients (m, k) of m fits, and which of them have come to rest, bool (m,).

    `information` (m,) is the weighted mean of p (1 − p): it goes to 0 where the classes can be
    separated and coefficients run away.
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
    """Probabilities (…, k) of logits (…, k).

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
    """Probabilities of log-odds, of any shape.

    Examples
    --------
    >>> sigmoid([0.0, -1000.0]).round(3).tolist()
    [0.5, 0.0]
    """
    found: FloatArray = 1 / (1 + np.exp(-np.clip(np.asarray(log_odds, np.float64), -500, 500)))
    return found


def log_odds(probabilities: npt.ArrayLike) -> FloatArray:
    """Natural log-odds of probabilities, of any shape; these are kept 1e-9 away from 0 and 1.

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
        (n, k), what the coefficients are multiplied with; of about unit size.
    labels
        (n,), bool or 0/1.
    weights
        (m, n), of the rows, for each of m fits: the draws of a bootstrap, or one row of ones.
    offsets
        (n,), log-odds that are added with a weight of 1.
    ridge
        One number or (k,): half of it times the squared coefficient is added to the mean loss.
    start
        One number or (k,), coefficients to begin with.

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
