"""Calibration of P(malignant) of images: slope, intercept, Brier score and ECE, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.units import ImageResult, interval_json, intervals_json
from mammolens.metrics import (
    Interval,
    Statistics,
    brier_statistic,
    calibration_error_statistics,
    calibration_line_statistics,
    log_loss_statistic,
    patient_bootstraps,
)
from mammolens.metrics.reliability import MINIMUM_FOR_ECE

__all__ = [
    "calibration_errors",
    "calibration_figures",
    "error_statistics",
    "quality_statistics",
]

_Bool = npt.NDArray[np.bool_]
_Float = npt.NDArray[np.float64]


def calibration_figures(
    results: Sequence[ImageResult], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Calibration of P(malignant) of images with a known label.

    Returns
    -------
    ``n``, and with intervals over patients ``slope`` and ``intercept`` of the logistic
    recalibration, ``brier``, and ``ece`` if there are enough rows. If there is no slope, a ``note``
    says why.
    """
    known = [one for one in results if one.scores and one.record.malignant is not None]
    labels = np.array([one.record.malignant is True for one in known], bool)
    values = np.array([one.scores.malignant for one in known if one.scores], np.float64)
    patients = [one.record.patient_name for one in known]
    found: dict[str, Any] = {
        "n": len(known),
        "n_positive": int(labels.sum()),
        "n_patients": len(set(patients)),
        "slope": None,
    }
    if len(set(labels.tolist())) < 2:
        return {**found, "note": "no calibration: labels are of one class"}
    statistics = quality_statistics(labels, values)
    measured = patient_bootstraps(statistics, labels, patients, draws=draws, seed=seed)
    ece = calibration_errors(measured.pop("ece", None), measured.pop("squared_error", None))["ece"]
    del measured["log_loss"]
    if measured["slope"] is None:
        del measured["intercept"]
        found["note"] = "no slope: the probabilities separate the classes"
    return {**found, **intervals_json(measured), "ece": ece}


def quality_statistics(labels: _Bool, probabilities: _Float) -> Statistics:
    """Give the figures of calibration as functions of row weights, for the bootstrap.

    They are ``brier``, ``log_loss``, ``slope`` and ``intercept`` of the logistic recalibration
    (NaN where the probabilities separate the classes), and those of `error_statistics`.

    Parameters
    ----------
    labels, probabilities
        (n,); both labels occur.
    """
    brier = brier_statistic(labels, probabilities)
    log_loss = log_loss_statistic(labels, probabilities)
    line = calibration_line_statistics(labels, probabilities)
    errors = error_statistics(labels, probabilities)

    def statistics(weights: _Float) -> dict[str, _Float]:
        undefined = np.full(len(weights), np.nan)
        return {
            "brier": brier(weights),
            "log_loss": log_loss(weights),
            **(line(weights) if line else {"slope": undefined, "intercept": undefined}),
            **errors(weights),
        }

    return statistics


def error_statistics(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistics:
    """Give ``ece`` and ``squared_error``, or nothing if there are too few rows for them."""
    if np.size(probabilities) < MINIMUM_FOR_ECE:
        return lambda _: {}
    return calibration_error_statistics(labels, probabilities)


def calibration_errors(
    ece: Interval | None, squared_error: Interval | None
) -> dict[str, dict[str, float | None] | None]:
    """Write the intervals of `error_statistics`: ``ece``, and ``ece_debiased``, which is the root
    of the squared error. They are centred and cut at 0."""
    return {
        "ece": _cut(ece, 1.0) if ece else None,
        "ece_debiased": _cut(squared_error, 0.5) if squared_error else None,
    }


def _cut(interval: Interval, power: float) -> dict[str, float | None]:
    found = interval_json(interval.centred)
    return {k: None if v is None else max(v, 0.0) ** power for k, v in found.items()}
