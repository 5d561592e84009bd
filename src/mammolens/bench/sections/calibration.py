"""Calibration of P(malignant) of images: slope, intercept, Brier score and ECE, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.units import ImageResult, interval_json, intervals_json
from mammolens.metrics import (
    Interval,
    brier_statistic,
    calibration_error_statistics,
    calibration_line_statistics,
    patient_bootstraps,
)
from mammolens.metrics.reliability import MINIMUM_FOR_ECE

__all__ = ["calibration_errors", "calibration_figures"]

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
    patients = [one.record.patient_name for one in known]
    found: dict[str, Any] = {
        "n": len(known),
        "n_positive": int(labels.sum()),
        "n_patients": len(set(patients)),
        "slope": None,
    }
    if len(set(labels.tolist())) < 2:
        return {**found, "note": "no calibration: labels are of one class"}
    line = calibration_line_statistics(labels, values)
    brier = brier_statistic(labels, values)
    enough = labels.size >= MINIMUM_FOR_ECE
    errors = calibration_error_statistics(labels, values) if enough else None

    def statistics(weights: _Float) -> dict[str, _Float]:
        return {
            "brier": brier(weights),
            **(errors(weights) if errors else {}),
            **(line(weights) if line else {}),
        }

    measured = patient_bootstraps(statistics, labels, patients, draws=draws, seed=seed)
    ece = calibration_errors(measured.pop("ece", None), measured.pop("squared_error", None))["ece"]
    found |= {**intervals_json(measured), "ece": ece}
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
