"""Whether P(malignant) of images means what it says: slope, Brier score and ECE, with what they
stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.bench.units import ImageResult, interval_json
from mammolens.metrics import (
    Interval,
    Statistic,
    brier_statistic,
    calibration_error_statistics,
    calibration_line,
    patient_bootstraps,
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
    ``slope`` and ``intercept`` of the logistic recalibration, ``brier`` and ``ece`` (where there
    are rows enough for it to say something), each with its interval over patients, and ``n``;
    with a ``note`` instead of a slope where none can be had.
    """
    known = [one for one in results if one.scores and one.record.malignant is not None]
    labels = np.array([one.record.malignant is True for one in known], bool)
    values = np.array([one.scores.malignant for one in known if one.scores], np.float64)
    patients = ["/".join(one.record.patient) for one in known]
    found: dict[str, Any] = {
        "n": len(known),
        "n_positive": int(labels.sum()),
        "n_patients": len(set(patients)),
        "slope": None,
    }
    if len(set(labels.tolist())) < 2:
        return {**found, "note": "no calibration: labels are of one class"}
    line = _line(labels, values) if calibration_line(labels, values) else None
    brier = brier_statistic(labels, values)
    enough = labels.size >= MINIMUM_FOR_ECE
    errors = calibration_error_statistics(labels, values) if enough else None

    def statistics(weights: _Float) -> dict[str, _Float]:
        return {
            "brier": brier(weights),
            **(errors(weights) if errors else {}),
            **(line(weights)._asdict() if line else {}),
        }

    measured = patient_bootstraps(statistics, labels, patients, draws=draws, seed=seed)
    ece = calibration_errors(measured.pop("ece", None), measured.pop("squared_error", None))["ece"]
    found |= {name: one and interval_json(one) for name, one in measured.items()} | {"ece": ece}
    return found if line else found | {"note": "no slope: the probabilities separate the classes"}


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
    line = _line(labels, probabilities)
    return lambda weights: line(weights).slope


def _line(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Callable[[_Float], _Lines]:
    known = np.asarray(labels, bool).astype(np.float64)[:, None]
    clipped = np.clip(np.asarray(probabilities, np.float64), 1e-9, 1 - 1e-9)
    odds = np.log(clipped / (1 - clipped))
    middle, width = float(odds.mean()), max(float(odds.std()), 1e-12)
    normed = ((odds - middle) / width)[:, None]
    whole = _newton(np.ones((1, odds.size)), known, normed, (0.0, 1.0))
    start = (0.0, 1.0) if np.isnan(whole.slope[0]) else (whole.intercept[0], whole.slope[0])

    def line(weights: _Float) -> _Lines:
        found = _newton(weights, known, normed, start)
        slope = found.slope / width
        return _Lines(slope, found.intercept - slope * middle)

    return line


class _Lines(NamedTuple):
    """Slopes and intercepts (draws,); NaN where the classes are separable."""

    slope: _Float
    intercept: _Float


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
    return _Lines(np.where(sound, along, np.nan), np.where(sound, at, np.nan))
