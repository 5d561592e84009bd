"""Net benefit of acting on the scores, and the reading that they would save, at a prevalence.

Public data sets have far more cancers than a screening population. So patients with and without
cancer are weighted by their shares in such a population.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.units import Sample, interval_json, intervals_json
from mammolens.metrics import Statistic, decision_statistics, ranked_counts
from mammolens.metrics.ranked import ranked_single_reading, ranked_worklist

__all__ = ["decision", "net_benefit_statistic", "net_benefits", "prior_of_scores", "workload"]

_Float = npt.NDArray[np.float64]

_MULTIPLES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Odds of the thresholds at which net benefit has an interval, in units of the prevalence's."""


class DecisionCurve(NamedTuple):
    """Net benefit per patient at each threshold probability: by the model, of recalling all, and
    of recalling none (0); each array is (k,)."""

    thresholds: _Float
    model: _Float
    recall_all: _Float


_FIRST: Final = (0.1, 0.2)
_KEPT: Final = (0.90, 0.95, 0.99)
_CURVE_POINTS = 60


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
