"""How well scores rank and predict, for each task and unit, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.units import TASKS, UNITS, ImageResult, Sample, interval_json, intervals_json
from mammolens.metrics import (
    Interval,
    Statistics,
    brier_statistic,
    calibration_error_statistics,
    calibration_line_statistics,
    log_loss_statistic,
    patient_bootstraps,
    probabilistic_f1_statistic,
    ranked_counts,
)
from mammolens.metrics.ranked import (
    ranked_area,
    ranked_partial_area,
    ranked_precision,
    ranked_sensitivity,
    ranked_specificity,
)
from mammolens.metrics.reliability import MINIMUM_FOR_ECE

__all__ = [
    "READERS_SENSITIVITY",
    "READERS_SPECIFICITY",
    "calibration_errors",
    "calibration_figures",
    "quality_statistics",
    "task_figures",
]

_Bool = npt.NDArray[np.bool_]
_Float = npt.NDArray[np.float64]
READERS_SENSITIVITY: Final = 0.869
READERS_SPECIFICITY: Final = 0.889
"""Of 1.68 million screening examinations of the Breast Cancer Surveillance Consortium, Lehman et
al. 2017, doi:10.1148/radiol.2016161174."""
LOWEST_SPECIFICITY: Final = 0.8  # of the partial AUC
_SENSITIVITY_AT = "sensitivity_at_specificity"
_SPECIFICITY_AT = "specificity_at_sensitivity"
_RANKED: Final = {
    "auc": ranked_area,
    "partial_auc": ranked_partial_area(LOWEST_SPECIFICITY),
    "average_precision": ranked_precision,
    f"{_SENSITIVITY_AT}/{READERS_SPECIFICITY:g}": ranked_sensitivity(READERS_SPECIFICITY),
    f"{_SPECIFICITY_AT}/{READERS_SENSITIVITY:g}": ranked_specificity(READERS_SENSITIVITY),
    f"{_SPECIFICITY_AT}/0.95": ranked_specificity(0.95),
}
_UNRANKED: Final = {
    "probabilistic_f1": probabilistic_f1_statistic,
    "brier": brier_statistic,
    "log_loss": log_loss_statistic,
}


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


def task_figures(evidence: Evidence) -> dict[str, Any]:
    """Give task → unit → figures, each ``None`` where labels are of one class.

    ``n`` counts the units with a known label and a score; ``note`` says what a reader must know
    before trusting the rest.
    """
    return {
        task: {unit: _figure(evidence, evidence.sample(task, unit)) for unit in UNITS}
        for task in TASKS
    }


def figure_statistics(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Statistics:
    """Give every figure of a sample as a function of row weights.

    Rows are sorted, and resamples counted, once for all figures that rank.

    Parameters
    ----------
    labels, probabilities
        (n,).
    """
    counts = ranked_counts(labels, probabilities)
    sums = {name: make(labels, probabilities) for name, make in _UNRANKED.items()}
    errors = error_statistics(labels, probabilities)

    def statistics(weights: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        counted = counts(weights)
        return {
            **{name: formula(counted) for name, formula in _RANKED.items()},
            **{name: statistic(weights) for name, statistic in sums.items()},
            **errors(weights),
        }

    return statistics


def _figure(evidence: Evidence, sample: Sample) -> dict[str, Any]:
    names = (*_RANKED, *_UNRANKED, "ece", "ece_debiased")
    found: dict[str, Any] = {"auc": None, **sample.counts, **intervals_json(dict.fromkeys(names))}
    if sample.one_class:
        return {**found, "note": f"no AUC: {sample.one_class}"}
    intervals = evidence.intervals(sample, figure_statistics(sample.labels, sample.scores))
    found |= calibration_errors(intervals.pop("ece", None), intervals.pop("squared_error", None))
    found |= intervals_json({name: one for name, one in intervals.items() if one})
    notes = list(intervals["auc"].notes) if intervals["auc"] else []
    if np.ptp(sample.scores) == 0:
        notes.append(f"all {sample.scores.size} scores are the same: they rank nothing")
    if sample.scores.size < MINIMUM_FOR_ECE:
        found["ece_note"] = f"no ECE of {sample.scores.size} < {MINIMUM_FOR_ECE} units"
    return {**found, "note": "; ".join(notes)} if notes else found
