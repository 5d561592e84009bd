"""How well scores rank and predict, for each task and unit, with intervals over patients."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.sections.calibration import calibration_errors, error_statistics
from mammolens.bench.units import TASKS, UNITS, Sample, intervals_json
from mammolens.metrics import (
    Statistics,
    brier_statistic,
    log_loss_statistic,
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
    "LOWEST_SPECIFICITY",
    "READERS_SENSITIVITY",
    "READERS_SPECIFICITY",
    "figure_statistics",
    "task_figures",
]

READERS_SENSITIVITY: Final = 0.869
READERS_SPECIFICITY: Final = 0.889
"""Of 1.68 million screening examinations of the Breast Cancer Surveillance Consortium, Lehman et
al. 2017, doi:10.1148/radiol.2016161174."""

LOWEST_SPECIFICITY: Final = 0.8

_SENSITIVITY_AT = "sensitivity_at_specificity"
_SPECIFICITY_AT = "specificity_at_sensitivity"
_FORMULAS: Final = {
    "auc": ranked_area,
    "partial_auc": ranked_partial_area(LOWEST_SPECIFICITY),
    "average_precision": ranked_precision,
    f"{_SENSITIVITY_AT}/{READERS_SPECIFICITY:g}": ranked_sensitivity(READERS_SPECIFICITY),
    f"{_SPECIFICITY_AT}/{READERS_SENSITIVITY:g}": ranked_specificity(READERS_SENSITIVITY),
    f"{_SPECIFICITY_AT}/0.95": ranked_specificity(0.95),
}
_SUMS: Final = {
    "probabilistic_f1": probabilistic_f1_statistic,
    "brier": brier_statistic,
    "log_loss": log_loss_statistic,
}


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
    sums = {name: make(labels, probabilities) for name, make in _SUMS.items()}
    errors = error_statistics(labels, probabilities)

    def statistics(weights: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        counted = counts(weights)
        return {
            **{name: formula(counted) for name, formula in _FORMULAS.items()},
            **{name: statistic(weights) for name, statistic in sums.items()},
            **errors(weights),
        }

    return statistics


def _figure(evidence: Evidence, sample: Sample) -> dict[str, Any]:
    names = (*_FORMULAS, *_SUMS, "ece", "ece_debiased")
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
