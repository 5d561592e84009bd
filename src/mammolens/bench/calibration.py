"""Whether P(malignant) of images means what it says: slope, Brier score and ECE, with what they
stand on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.units import ImageResult, interval_json
from mammolens.metrics import (
    Statistic,
    brier_score,
    calibration_line,
    expected_calibration_error,
    patient_bootstrap,
)
from mammolens.metrics.calibration import MINIMUM_FOR_ECE

__all__ = ["calibration_figures", "slope_statistic"]

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
    known = np.asarray(labels, bool).astype(np.float64)
    clipped = np.clip(np.asarray(probabilities, np.float64), 1e-9, 1 - 1e-9)
    odds = np.log(clipped / (1 - clipped))
    width = max(float(odds.std()), 1e-12)
    normed = (odds - odds.mean()) / width

    def slope(weights: _Float) -> _Float:
        rows = weights.sum(1)
        at, along = np.zeros(len(weights)), np.ones(len(weights))
        for _ in range(_STEPS):
            line = np.clip(along[:, None] * normed + at[:, None], -500, 500)
            fitted = 1 / (1 + np.exp(-line))
            missing = weights * (known - fitted)
            pull = np.stack([missing.sum(1), missing @ normed])
            spread = weights * fitted * (1 - fitted)
            a, b, c = spread.sum(1), spread @ normed, spread @ normed**2
            done = np.abs(pull).max(0) < 1e-8 * rows
            if done.all():
                break
            step = np.stack([c * pull[0] - b * pull[1], a * pull[1] - b * pull[0]])
            step = np.nan_to_num(step / np.maximum(a * c - b * b, 1e-300))
            step = np.where(done, 0.0, np.clip(step, -_LONGEST, _LONGEST))
            at, along = at + step[0], along + step[1]
        return np.where(done & (a > _SEPARABLE * rows), along / width, np.nan)

    return slope
