"""Whether P(malignant) of images means what it says: slope, Brier score and ECE, with what they
stand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.bench.units import ImageResult, interval_json
from mammolens.metrics import (
    Interval,
    Statistic,
    brier_score,
    calibration_line,
    expected_calibration_error,
    patient_bootstrap,
)
from mammolens.metrics.reliability import MINIMUM_FOR_ECE

__all__ = ["calibration_errors", "calibration_figures", "slope_statistic"]

_STEPS = 50
_LONGEST = 2.0
_SEPARABLE = 1e-6
_Float = npt.NDArray[np.float64]


def calibration_figures(
    results: Sequence[ImageResult], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Calibration of P(malignant) of images with a known label.

    Returns
    -------
    ``slope`` (with interval over patients) and ``intercept`` of the logistic recalibration,
    ``brier``, ``ece`` (where there are rows enough for it to say something) and ``n``; with a
    ``note`` instead of a slope where none can be had.
    """
    known = [one for one in results if one.scores and one.record.malignant is not None]
    labels = np.array([one.record.malignant is True for one in known], bool)
    values = np.array([one.scores.malignant for one in known if one.scores], np.float64)
    patients = ["/".join(one.record.patient) for one in known]
    found: dict[str, Any] = {"n": len(known), "n_positive": int(labels.sum()), "slope": None}
    if len(set(labels.tolist())) < 2:
        return {**found, "note": "no calibration: labels are of one class"}
    found |= {
        "brier": brier_score(labels, values),
        "ece": expected_calibration_error(labels, values)
        if len(known) >= MINIMUM_FOR_ECE
        else None,
    }
    line = calibration_line(labels, values)
    if line is None:
        return {**found, "note": "no slope: the probabilities separate the classes"}
    interval = patient_bootstrap(
        slope_statistic(labels, values), labels, patients, draws=draws, seed=seed
    )
    return {**found, "slope": interval_json(interval), "intercept": line.intercept}


def calibration_errors(
    ece: Interval | None, squared_error: Interval | None
) -> dict[str, dict[str, float | None] | None]:
    """Write both errors of `calibration_error_statistics`: ``ece``, and as ``ece_debiased`` the
    root of the squared one. Intervals are centred and cut at 0."""
    return {
        "ece": _cut(ece, 1.0) if ece else None,
        "ece_debiased": _cut(squared_error, 0.5) if squared_error else None,
    }


def _cut(interval: Interval, power: float) -> dict[str, float | None]:
    found = interval_json(interval.centred)
    return {k: None if v is None else max(v, 0.0) ** power for k, v in found.items()}


def slope_statistic(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistic:
    """Slope of the logistic recalibration as a function of row weights, for the bootstrap.

    Newton's method on all draws at once; NaN where the classes of a draw are separable.

    Parameters
    ----------
    labels, probabilities
        (n,); probabilities are kept 1e-9 away from 0 and 1.

    Source
    ------
    Cox 1958, doi:10.1093/biomet/45.3-4.562.
    """
    known = np.asarray(labels, bool).astype(np.float64)[:, None]
    clipped = np.clip(np.asarray(probabilities, np.float64), 1e-9, 1 - 1e-9)
    odds = np.log(clipped / (1 - clipped))
    width = max(float(odds.std()), 1e-12)
    normed = ((odds - odds.mean()) / width)[:, None]
    whole = _newton(np.ones((1, odds.size)), known, normed, (0.0, 1.0))
    start = (0.0, 1.0) if np.isnan(whole.along[0]) else (whole.at[0], whole.along[0])

    def slope(weights: _Float) -> _Float:
        return _newton(weights, known, normed, start).along / width

    return slope


class _Lines(NamedTuple):
    """Intercepts and slopes (draws,); NaN where the classes are separable."""

    at: _Float
    along: _Float


def _newton(weights: _Float, known: _Float, normed: _Float, start: tuple[float, float]) -> _Lines:
    """Fit logistic lines to weighted rows (n, 1), for every row of `weights` (draws, n)."""
    drawn = weights.T
    rows = weights.sum(1)
    at, along = (np.full(len(weights), one) for one in start)
    first, second = normed[:, 0], normed[:, 0] ** 2
    for _ in range(_STEPS):
        fitted = 1 / (1 + np.exp(np.clip(-(along * normed + at), -500, 500)))
        missing = drawn * (known - fitted)
        pull = np.stack([missing.sum(0), first @ missing])
        spread = drawn * (fitted * (1 - fitted))
        a, b, c = spread.sum(0), first @ spread, second @ spread
        done = np.abs(pull).max(0) < 1e-8 * rows
        if done.all():
            break
        step = np.stack([c * pull[0] - b * pull[1], a * pull[1] - b * pull[0]])
        step = np.nan_to_num(step / np.maximum(a * c - b * b, 1e-300))
        step = np.where(done, 0.0, np.clip(step, -_LONGEST, _LONGEST))
        at, along = at + step[0], along + step[1]
    sound = done & (a > _SEPARABLE * rows)
    return _Lines(np.where(sound, at, np.nan), np.where(sound, along, np.nan))
