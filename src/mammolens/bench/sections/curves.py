"""The curves of the report (ROC, precision–recall, reliability, decision), with few points."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.sections.workload import net_benefits
from mammolens.bench.units import UNITS, Sample
from mammolens.metrics import (
    precision_recall_curve,
    reliability_curve,
    reliability_statistics,
    roc_curve,
)

__all__ = ["MOST_POINTS", "curves"]

MOST_POINTS: Final = 120
_DIGITS = 5
_Float = npt.NDArray[np.float64]


def curves(evidence: Evidence) -> dict[str, Any]:
    """Give task → unit → ``roc``, ``precision_recall``, ``reliability`` and, of malignancy,
    ``decision``; each is columns of equal length, at most `MOST_POINTS`. Empty where labels are
    of one class.
    """
    return {task: {unit: _drawn(evidence, task, unit) for unit in UNITS} for task in evidence.tasks}


def _drawn(evidence: Evidence, task: str, unit: str) -> dict[str, Any]:
    sample = evidence.sample(task, unit)
    if sample.one_class:
        return {}
    roc = roc_curve(sample.labels, sample.scores)
    ranked = precision_recall_curve(sample.labels, sample.scores)
    found = {
        "n": len(sample.units),
        "n_positive": int(sample.labels.sum()),
        "roc": _columns(roc._asdict(), roc.false_positive_rate, roc.true_positive_rate),
        "precision_recall": _columns(ranked._asdict(), ranked.recall, ranked.precision),
        "reliability": _reliability(evidence, sample),
    }
    if task == "malignancy" and unit in evidence.decided_units:
        found["decision"] = _columns(net_benefits(evidence, sample)._asdict())
    return found


def _reliability(evidence: Evidence, sample: Sample) -> dict[str, Any]:
    """Mean probability, observed share with its interval, and count of each bin of a tenth."""
    curve = reliability_curve(sample.labels, sample.scores)
    intervals = evidence.intervals(sample, reliability_statistics(sample.labels, sample.scores))
    ends = [one for one in intervals.values() if one]
    return {
        **_columns({"predicted": curve.predicted, "observed": curve.observed}),
        "low": [one.low for one in ends],
        "high": [one.high for one in ends],
        "n": curve.n_rows.tolist(),
    }


def _columns(columns: dict[str, _Float], *path: _Float) -> dict[str, list[float | None]]:
    kept = _thinned(*path) if path else slice(None)
    return {name: [_number(v) for v in values[kept].tolist()] for name, values in columns.items()}


def _thinned(along: _Float, up: _Float) -> npt.NDArray[np.intp]:
    """Give the indices of points that are about evenly spaced along a curve, with both ends."""
    walked = np.r_[0.0, np.cumsum(np.abs(np.diff(along)) + np.abs(np.diff(up)))]
    if walked.size <= MOST_POINTS:
        return np.arange(walked.size)
    places = np.searchsorted(walked, np.linspace(0.0, walked[-1], MOST_POINTS))
    return np.unique(np.clip(places, 0, walked.size - 1))


def _number(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None
