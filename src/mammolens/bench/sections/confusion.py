"""Confusion matrices: of the three classes, and of both tasks at each operating point."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.sections.operating_points import card_points, decide
from mammolens.bench.units import intervals_json
from mammolens.errors import InvalidManifest
from mammolens.metrics import confusion, confusion_matrix
from mammolens.metrics.probability import shares
from mammolens.model.card import CLASSES

__all__ = ["confusions"]


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
    own = (truth[:, None] == np.arange(len(CLASSES))).astype(np.float64)
    right = (truth == called).astype(np.float64)

    def statistics(weights: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        there, hit = weights @ own, weights @ (own * right[:, None])
        each = shares(hit, there)
        return {
            "accuracy": hit.sum(axis=1) / weights.sum(axis=1),
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
