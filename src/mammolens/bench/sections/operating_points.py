"""Figures of decisions: at the card's thresholds, and at thresholds that reach a wanted goal.

A wanted threshold is fixed on other patients (see `bench.evidence`), so that it is not judged on
the rows that chose it. Its interval does not include the chance in that choice. `confusions` counts
the decisions of the three classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.settings import parse_point
from mammolens.bench.units import Sample, intervals_json
from mammolens.errors import InvalidManifest
from mammolens.metrics import confusion, confusion_matrix, decision_statistics
from mammolens.metrics.probability import shares
from mammolens.model.card import CLASSES

__all__ = ["confusions", "decide", "operating_points"]

_Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Decided:
    """Decisions about the units of a sample, and the thresholds that made them."""

    calls: _Bool
    thresholds: tuple[float, ...]
    fixed_on: str


def card_points(evidence: Evidence) -> dict[str, float]:
    """The thresholds on P(malignant) that the model's card states, by name."""
    if evidence.card is None:
        return {}
    points = evidence.card.operating_points
    return {"low": points.low.threshold, "high": points.high.threshold}


def decide(evidence: Evidence, task: str, unit: str, point: str) -> Decided:
    """Decide about every unit of a sample at one point, by the name that metrics.json gives it.

    Raises
    ------
    InvalidManifest
        If a threshold cannot be fixed on other patients.
    ConfigError
        If the point does not exist.
    """
    sample, stated = evidence.sample(task, unit), card_points(evidence)
    if point in stated:
        return Decided(sample.scores >= stated[point], (stated[point],), _by_card(evidence))
    wanted, prevalence = parse_point(point), evidence.settings.prevalence
    found = evidence.fit_elsewhere(
        sample,
        lambda labels, scores: wanted.threshold(labels, scores, prevalence),
        lambda threshold, scores: scores >= threshold,
        evidence.other_sample(task, unit),
    )
    return Decided(found.values, found.rules, found.fitted_on)


def _by_card(evidence: Evidence) -> str:
    assert evidence.card is not None
    return f"the model's card: {evidence.card.operating_points.fixed_on}"


def operating_points(evidence: Evidence) -> dict[str, Any]:
    """Give point → task → unit → counts and every figure of decisions, with intervals.

    Each point also has ``threshold``, ``sensitivity`` and ``specificity`` of malignancy for the
    main unit (the patient, or the lesion).
    """
    found: dict[str, Any] = {}
    for name, threshold in card_points(evidence).items():
        found[name] = _point(evidence, name, ("malignancy",)) | {"threshold": threshold}
    for wanted in evidence.settings.points:
        found[wanted.name] = _point(evidence, wanted.name, evidence.tasks)
    return found


def _point(evidence: Evidence, point: str, tasks: tuple[str, ...]) -> dict[str, Any]:
    units = evidence.decided_units
    judged = {t: {unit: _judge(evidence, t, unit, point) for unit in units} for t in tasks}
    main = judged["malignancy"][units[-1]]
    note = {"note": main["note"]} if "note" in main else {}
    return {
        "threshold": main["thresholds"][0] if len(main["thresholds"]) == 1 else None,
        "unit": units[-1],
        "sensitivity": main["recall"],
        "specificity": main["specificity"],
        **note,
        **judged,
    }


def _judge(evidence: Evidence, task: str, unit: str, point: str) -> dict[str, Any]:
    sample = evidence.sample(task, unit)
    found = {"fixed_on": None, "thresholds": [], **_figures(evidence, sample, None)}
    if sample.one_class:
        return {**found, "note": f"no decisions: {sample.one_class}"}
    try:
        decided = decide(evidence, task, unit, point)
    except InvalidManifest as error:
        return {**found, "note": f"no threshold: {error.message}"}
    return {
        "fixed_on": decided.fixed_on,
        "thresholds": list(decided.thresholds),
        **_figures(evidence, sample, decided.calls),
    }


def _figures(evidence: Evidence, sample: Sample, calls: _Bool | None) -> dict[str, Any]:
    names = decision_statistics([0, 1], [0, 1])(np.ones((1, 2)))  # any rows show them
    found: dict[str, Any] = {
        **{name: sample.counts[name] for name in ("n", "n_positive", "n_patients")},
        "prevalence": evidence.settings.prevalence,
    }
    if calls is None:
        return {**found, **dict.fromkeys(names)}
    counts = confusion(sample.labels, calls)._asdict()
    statistics = decision_statistics(sample.labels, calls, evidence.settings.prevalence)
    intervals = evidence.intervals(sample, statistics)
    notes = intervals["specificity"].notes if intervals["specificity"] else ()
    warned = [note for note in notes if note.startswith(("few", "no interval"))]
    return {
        **found,
        **{name: int(count) for name, count in counts.items()},
        **intervals_json(intervals),
        **({"note": "; ".join(warned)} if warned else {}),
    }


def confusions(evidence: Evidence) -> dict[str, Any]:
    """Give ``classes`` (of images whose class is fully known) and task → point → unit → counts."""
    stated = tuple(card_points(evidence))
    wanted = tuple(point.name for point in evidence.settings.points)
    return {
        "classes": _classes(evidence),
        **{
            task: {
                point: {
                    unit: _counts(evidence, task, unit, point) for unit in evidence.decided_units
                }
                for point in ((*stated, *wanted) if task == "malignancy" else wanted)
            }
            for task in evidence.tasks
        },
    }


def _classes(evidence: Evidence) -> dict[str, Any]:
    known = [one for one in evidence.results if one.scores and sum(one.record.allowed) == 1]
    found: dict[str, Any] = {"labels": list(CLASSES), "n": len(known), "matrix": None}
    if "tumour" not in evidence.tasks or not known:
        return {**found, "note": "no scores of three classes, or no image whose class is known"}
    truth = np.array([one.record.allowed.index(True) for one in known])
    called = np.array(
        [np.argmax([s.normal, s.benign, s.malignant]) for one in known if (s := one.scores)]
    )
    patients = [one.record.patient_name for one in known]
    of_class = (truth[:, None] == np.arange(len(CLASSES))).astype(np.float64)
    right = (truth == called).astype(np.float64)

    def statistics(weights: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        members, hits = weights @ of_class, weights @ (of_class * right[:, None])
        each = shares(hits, members)
        return {
            "accuracy": hits.sum(axis=1) / weights.sum(axis=1),
            **dict(zip(CLASSES, each.T, strict=True)),
        }

    written = intervals_json(evidence.resampled(statistics, truth == len(CLASSES) - 1, patients))
    return {
        **found,
        "n_patients": len(set(patients)),
        "matrix": confusion_matrix(truth, called, len(CLASSES)).tolist(),
        "accuracy": written.pop("accuracy"),
        "recall": written,
    }


def _counts(evidence: Evidence, task: str, unit: str, point: str) -> dict[str, Any]:
    sample = evidence.sample(task, unit)
    counts = {name: sample.counts[name] for name in ("n", "n_positive")}
    if sample.one_class:
        return {**counts, "note": f"no decisions: {sample.one_class}"}
    try:
        calls = decide(evidence, task, unit, point).calls
    except InvalidManifest as error:
        return {**counts, "note": f"no threshold: {error.message}"}
    found = confusion(sample.labels, calls)._asdict()
    return {**counts, **{name: int(count) for name, count in found.items()}}
