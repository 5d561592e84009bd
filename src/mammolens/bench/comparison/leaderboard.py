"""Figures of all models on the same rows, and the differences of a reference from the others.

Every data set, task and unit is counted separately. Within one of these all models share the draws
of the bootstrap over patients, so that differences are paired draw by draw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.comparison.candidates import Candidate
from mammolens.bench.units import TASKS, Sample, interval_json, resampled_json, units_of
from mammolens.errors import InvalidManifest
from mammolens.metrics import (
    Interval,
    auc_statistic,
    binary_statistic,
    confusion,
    delong_test,
    mcnemar,
    patient_bootstraps,
)
from mammolens.metrics.bootstrap import FEW

__all__ = ["POINT", "POINT_UNITS", "common_rows", "compare_models", "samples_of"]

DECISION_FIGURES: Final = ("accuracy", "precision", "recall", "specificity", "f1")
POINT: Final = "high"
"""The operating point at which decisions are compared: chosen for a specificity of 90 %."""

POINT_UNITS: Final = {"breast": "of patients", "image": "of lesions"}
"""Unit of the comparison → the patients or lesions that this specificity was chosen for."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Judged:
    """The sample of each model, by name, for one data set, task and unit.

    All samples have the same units, and so the same labels and patients as the `first`.
    """

    samples: Mapping[str, Sample]
    thresholds: Mapping[str, Mapping[str, float]]
    draws: int
    seed: int

    @property
    def first(self) -> Sample:
        return next(iter(self.samples.values()))


def common_rows(candidates: Sequence[Candidate]) -> tuple[list[Candidate], dict[str, int]]:
    """Keep only the images that every model could score.

    Returns
    -------
    The models with the images that are left, and name → number of images without a score.

    Raises
    ------
    InvalidManifest
        If no image is left.
    """
    missing = {
        one.name: {
            place
            for results in one.results.values()
            for place, result in enumerate(results)
            if result.scores is None
        }
        for one in candidates
    }
    lost = set().union(*missing.values())
    kept = [
        replace(
            one,
            results={
                task: tuple(result for place, result in enumerate(results) if place not in lost)
                for task, results in one.results.items()
            },
        )
        for one in candidates
    ]
    if not any(results for one in kept for results in one.results.values()):
        raise InvalidManifest(
            "no image could be scored by every model",
            keyword="path",
            remedy="Check the folder of the table: paths are relative to it",
        )
    return kept, {name: len(places) for name, places in missing.items()}


def samples_of(
    candidates: Sequence[Candidate], dataset: str, task: str, unit: str
) -> dict[str, Sample]:
    """Give the units of a data set for each model that answers the task, by its name.

    All samples have the same units in the same order.
    """
    return {
        one.name: Sample.of(
            units_of((r for r in one.results[task] if r.record.dataset == dataset), task, unit),
            task,
        )
        for one in candidates
        if task in one.results
    }


def compare_models(
    candidates: Sequence[Candidate],
    reference: str,
    units: Sequence[str],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Give ``{data set: {task: {unit: …}}}``, ready for JSON.

    Each unit has its counts, ``models`` (name → ``auc``, and for malignancy ``points`` with the
    figures of decisions and their confusion), and ``differences`` of the reference from the others.

    Parameters
    ----------
    candidates
        The models, with the same rows in the same order; see `common_rows`.
    units
        Units from `mammolens.bench.units.UNITS`.
    """
    rows = next(iter(candidates[0].results.values()))
    thresholds = {one.name: one.thresholds for one in candidates}
    return {
        dataset: {
            task: {
                unit: _judge(_Judged(samples, thresholds, draws, seed), reference, task, unit)
                for unit in units
                if (samples := samples_of(candidates, dataset, task, unit))
            }
            for task in TASKS
        }
        for dataset in sorted({one.record.dataset for one in rows})
    }


def _judge(judged: _Judged, reference: str, task: str, unit: str) -> dict[str, Any]:
    first = judged.first
    found: dict[str, Any] = {**first.counts, "models": {}, "differences": []}
    if first.one_class:
        return {**found, "note": f"no AUC: {first.one_class}"}
    areas, gaps = _areas(judged, reference)
    for name in judged.samples:
        found["models"][name] = {"auc": interval_json(areas[name])}
        if task == "malignancy":
            found["models"][name]["points"] = _points(judged, name)
    if reference in judged.samples:
        found["differences"] = [
            _difference(judged, reference, other, gap, task, unit) for other, gap in gaps.items()
        ]
    notes = areas[next(iter(areas))].notes
    return {**found, "note": "; ".join(notes)} if notes else found


def _areas(judged: _Judged, reference: str) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Give the AUC of each model, and the AUC of the reference minus that of each other model."""
    first = judged.first
    areas = {name: auc_statistic(one.labels, one.scores) for name, one in judged.samples.items()}

    def statistics(weights: _Floats) -> dict[str, _Floats]:
        values = {name: area(weights) for name, area in areas.items()}
        own = values.get(reference)
        gaps = {} if own is None else {f"- {n}": own - values[n] for n in values if n != reference}
        return values | gaps

    found = patient_bootstraps(
        statistics, first.labels, first.patients, draws=judged.draws, seed=judged.seed
    )
    known = {name: one for name, one in found.items() if one is not None}
    gaps = {name[2:]: one for name, one in known.items() if name not in areas}  # [2:]: no "- "
    return {name: known[name] for name in areas}, gaps


def _points(judged: _Judged, name: str) -> dict[str, Any]:
    """Give the figures of decisions at each threshold of a model."""
    sample, found = judged.samples[name], {}
    for point, threshold in judged.thresholds[name].items():
        calls = sample.scores >= threshold
        measured = resampled_json(
            {f: binary_statistic(f, sample.labels, calls) for f in DECISION_FIGURES},
            *(sample.labels, sample.patients),
            draws=judged.draws,
            seed=judged.seed,
        )
        counts = confusion(sample.labels, calls)
        found[point] = {
            "threshold": threshold,
            **measured,
            "confusion": {part: int(count) for part, count in counts._asdict().items()},
        }
    return found


def _difference(
    judged: _Judged, reference: str, other: str, gap: Interval, task: str, unit: str
) -> dict[str, Any]:
    one, two = judged.samples[reference], judged.samples[other]
    found: dict[str, Any] = {
        "model": other,
        "auc_difference": interval_json(gap),
        "p_value": _p_value(gap),
        "few": _few(one),
    }
    if unit == "image" and min(one.labels.sum(), (~one.labels).sum()) > 1:
        test = delong_test(one.labels, one.scores, two.scores)
        names = ("value", "low", "high", "p_value")
        found["delong_ignoring_clustering"] = {name: getattr(test, name) for name in names}
    if task == "malignancy":
        calls = (
            sample.scores >= judged.thresholds[name][POINT]
            for name, sample in ((reference, one), (other, two))
        )
        decided = mcnemar(one.labels, *calls)
        found["mcnemar"] = {
            "point": POINT,
            "only_reference_right": decided.only_first_right,
            "only_other_right": decided.only_second_right,
            "p_value": decided.p_value,
        }
    return found


def _few(sample: Sample) -> bool:
    """Say whether a class has too few patients for a reliable bootstrap."""
    kinds = set(zip(sample.patients, sample.labels.tolist(), strict=True))
    patients = Counter(label for _, label in kinds)
    return min(patients[True], patients[False]) < FEW


def _p_value(gap: Interval) -> float | None:
    """Give the two-sided p-value of no difference.

    The difference is taken as normal, with the standard error of its bootstrap interval.
    """
    if gap.low is None or gap.high is None or gap.high <= gap.low:
        return None
    error = (gap.high - gap.low) / (2 * NormalDist().inv_cdf(0.975))
    return 2 * NormalDist().cdf(-abs(gap.value) / error)
