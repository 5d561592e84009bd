"""Net benefit of acting on the scores, and the reading that they would save, at a prevalence.

Public data sets have far more cancers than a screening population. So patients with and without
cancer are weighted by their shares in such a population. `curves` thins the curves of a model to
points that a report can draw.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.units import UNITS, Sample, interval_json, intervals_json
from mammolens.metrics import (
    Statistic,
    decision_statistics,
    precision_recall_curve,
    ranked_counts,
    reliability_curve,
    reliability_statistics,
    roc_curve,
)
from mammolens.metrics.ranked import ranked_single_reading, ranked_worklist

__all__ = ["MOST_POINTS", "curves", "decision", "net_benefit_statistic", "workload"]

_Float = npt.NDArray[np.float64]

_MULTIPLES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Odds of the thresholds at which net benefit has an interval, in units of the prevalence's."""
_FIRST: Final = (0.1, 0.2)  # shares of the worklist that are read first
_KEPT: Final = (0.90, 0.95, 0.99)  # sensitivities that reading by one reader must keep
_CURVE_POINTS = 60
MOST_POINTS: Final = 120
_DIGITS = 5  # of the numbers of a curve


class DecisionCurve(NamedTuple):
    """Net benefit per patient at each threshold probability: by the model, of recalling all, and
    of recalling none (0); each array is (k,)."""

    thresholds: _Float
    model: _Float
    recall_all: _Float


def decision(evidence: Evidence) -> dict[str, Any]:
    """Give unit → net benefit per patient of recalling patients at or above a risk.

    Probabilities of malignancy are converted from the prevalence of the model to the stated one, as
    ``mammolens analyze --prevalence`` does. Each threshold has ``model`` with its interval and
    ``recall_all``; recalling none gives 0.

    Source
    ------
    Vickers and Elkin 2006, doi:10.1177/0272989X06295361.
    """
    return {unit: _decision(evidence, unit) for unit in evidence.decided_units}


def workload(evidence: Evidence) -> dict[str, Any]:
    """Give unit → what a triage by the scores would save.

    That is the sensitivity of the first part of a ranked worklist, and, for each sensitivity that
    is kept, the share of exams that one reader could read alone and the share that two would read.
    """
    return {unit: _workload(evidence, unit) for unit in evidence.decided_units}


def net_benefits(evidence: Evidence, sample: Sample) -> DecisionCurve:
    """Give the decision curve at the stated prevalence, for risks from 0.1 to 50 times it."""
    odds = _odds(evidence.settings.prevalence)
    thresholds = _risks(np.geomspace(odds / 10, odds * 50, _CURVE_POINTS))
    ones = np.ones((1, sample.labels.size))
    model = [float(net_benefit_statistic(evidence, sample, t)(ones)[0]) for t in thresholds]
    return DecisionCurve(thresholds, np.array(model), _recall_all(evidence, thresholds))


def prior_of_scores(evidence: Evidence, sample: Sample) -> float:
    """Give the prevalence for which the scores are valid: the card's, or that of the sample."""
    return evidence.card.prior_malignant if evidence.card else float(sample.labels.mean())


def _decision(evidence: Evidence, unit: str) -> dict[str, Any]:
    sample = evidence.sample("malignancy", unit)
    found = _head(evidence, sample)
    if sample.one_class:
        return {**found, "note": f"no net benefit: {sample.one_class}", "thresholds": []}
    risks = _risks(_odds(evidence.settings.prevalence) * np.array(_MULTIPLES))
    benefits = [net_benefit_statistic(evidence, sample, risk) for risk in risks]
    intervals = evidence.intervals(
        sample, lambda weights: {str(i): one(weights) for i, one in enumerate(benefits)}
    )
    return {
        **found,
        "probabilities_stand_for": prior_of_scores(evidence, sample),
        "thresholds": [
            {
                "threshold": float(risk),
                "false_recalls_per_cancer": float((1 - risk) / risk),
                "model": one and interval_json(one),
                "recall_all": float(everyone),
            }
            for risk, one, everyone in zip(
                risks, intervals.values(), _recall_all(evidence, risks), strict=True
            )
        ],
    }


def _workload(evidence: Evidence, unit: str) -> dict[str, Any]:
    sample, prevalence = evidence.sample("malignancy", unit), evidence.settings.prevalence
    found = _head(evidence, sample)
    if sample.one_class:
        return {**found, "note": f"no worklist: {sample.one_class}"}
    counts = ranked_counts(sample.labels, sample.scores)
    formulas = {
        **{f"first/{share:g}": ranked_worklist(share, prevalence) for share in _FIRST},
        **{f"read_once/{kept:g}": ranked_single_reading(kept, prevalence) for kept in _KEPT},
    }

    def statistics(weights: _Float) -> dict[str, _Float]:
        counted = counts(weights)
        values = {name: formula(counted) for name, formula in formulas.items()}
        twice = {f"read_twice/{k:g}": 1.0 - values[f"read_once/{k:g}"] for k in _KEPT}
        return values | twice

    written = intervals_json(evidence.intervals(sample, statistics))
    return {
        **found,
        "sensitivity_of_first": written["first"],
        "read_once_at_sensitivity": written["read_once"],
        "read_twice_at_sensitivity": written["read_twice"],
    }


def _head(evidence: Evidence, sample: Sample) -> dict[str, Any]:
    counts = {name: sample.counts[name] for name in ("n", "n_positive", "n_patients")}
    return {**counts, "prevalence": evidence.settings.prevalence}


def net_benefit_statistic(evidence: Evidence, sample: Sample, risk: float) -> Statistic:
    """Give the net benefit at one threshold of risk and the stated prevalence, for the bootstrap.

    Raises
    ------
    InvalidManifest
        As `mammolens.metrics.decision_statistics`.
    """
    prevalence = evidence.settings.prevalence
    shift = _odds(prevalence) / _odds(prior_of_scores(evidence, sample))
    # The converted probability is at least the risk; multiplied out, so that nothing divides by 0.
    calls = sample.scores * shift * (1 - risk) >= risk * (1 - sample.scores)
    figures = decision_statistics(sample.labels, calls, prevalence)
    cost = risk / (1 - risk) * (1 - prevalence)

    def statistic(weights: _Float) -> _Float:
        found = figures(weights)
        return found["recall"] * prevalence - (1 - found["specificity"]) * cost

    return statistic


def _recall_all(evidence: Evidence, risks: _Float) -> _Float:
    prevalence = evidence.settings.prevalence
    return prevalence - (1 - prevalence) * risks / (1 - risks)


def _odds(share: float) -> float:
    return share / (1 - share)


def _risks(odds: _Float) -> _Float:
    return odds / (1 + odds)


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
    return {
        name: [float(f"{v:.{_DIGITS}g}") if np.isfinite(v) else None for v in values[kept].tolist()]
        for name, values in columns.items()
    }


def _thinned(along: _Float, up: _Float) -> npt.NDArray[np.intp]:
    """Give the indices of points that are about evenly spaced along a curve, with both ends."""
    walked = np.r_[0.0, np.cumsum(np.abs(np.diff(along)) + np.abs(np.diff(up)))]
    if walked.size <= MOST_POINTS:
        return np.arange(walked.size)
    places = np.searchsorted(walked, np.linspace(0.0, walked[-1], MOST_POINTS))
    return np.unique(np.clip(places, 0, walked.size - 1))
