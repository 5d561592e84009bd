"""The sections of an evaluation, in one table, and the warnings that go with them.

`SECTIONS` is the only place where a section is registered. Each is computed for all data sets
together, and again for each data set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mammolens.bench.evidence import Evidence
from mammolens.bench.sections.figures import calibration_figures, task_figures
from mammolens.bench.sections.operating_points import confusions, operating_points
from mammolens.bench.sections.readers import readers
from mammolens.bench.sections.recalibration import conformal, recalibration
from mammolens.bench.sections.workload import curves, decision, workload
from mammolens.bench.units import UNITS, figures, without_age
from mammolens.metrics.bootstrap import FEW

__all__ = ["SECTIONS", "Section", "judge", "warnings_of"]

Section = Callable[[Evidence], dict[str, Any]]


def judge(evidence: Evidence) -> dict[str, Any]:
    """Give the figures of each task, and every section under its name."""
    return {
        **task_figures(evidence),
        **_without_age(evidence),
        **{name: section(evidence) for name, section in SECTIONS.items()},
    }


def warnings_of(evidence: Evidence, name: str) -> list[str]:
    """Give the warnings that apply to every figure of these data."""
    found = []
    for task in evidence.tasks:
        thin = [words for unit in UNITS if (words := _thin(evidence, task, unit))]
        if thin:
            found.append(
                f"WARNING: {name}, {task}: {', '.join(thin)}; with fewer than {FEW} of a class an "
                "interval is shown but not to be trusted"
            )
    scores = {one.scores for one in evidence.results if one.scores}
    if len(scores) == 1 < len(evidence.results):
        found.append(f"WARNING: {name}: every image has the same scores: they say nothing")
    placeless = sum(one.record.laterality is None for one in evidence.results)
    if placeless and not evidence.of_lesions:
        found.append(
            f"{name}: {placeless} of {len(evidence.results)} images have no laterality; each "
            "counts as a breast of its own"
        )
    patients = {one.record.patient for one in evidence.results}
    if len(patients) == len(evidence.results) > 1 and not evidence.of_lesions:
        found.append(
            f"{name}: every image is a patient of its own; if patients have several images here, "
            "intervals are too narrow"
        )
    return found


def _thin(evidence: Evidence, task: str, unit: str) -> str:
    sample = evidence.sample(task, unit)
    positive = int(sample.labels.sum())
    few, kind = min((positive, "positive"), (len(sample.units) - positive, "negative"))
    return f"{few} {kind} by {unit}" if 0 < few < FEW else ""


def _calibration(evidence: Evidence) -> dict[str, Any]:
    draws, seed = evidence.settings.draws, evidence.settings.seed
    return {
        **calibration_figures(evidence.results, draws=draws, seed=seed),
        "recalibration": recalibration(evidence),
    }


def _without_age(evidence: Evidence) -> dict[str, Any]:
    """Give the figures of the pictures alone, if the model uses an age."""
    prior = evidence.card.calibration.age if evidence.card else None
    if prior is None or not any(one.age_years is not None for one in evidence.results):
        return {}
    bare = without_age(evidence.results, prior) or evidence.results
    draws, seed = evidence.settings.draws, evidence.settings.seed
    return {"without_age": figures(bare, draws=draws, seed=seed)}


SECTIONS: Final[dict[str, Section]] = {
    "operating_points": operating_points,
    "confusion": confusions,
    "calibration": _calibration,
    "conformal": conformal,
    "readers": readers,
    "decision": decision,
    "workload": workload,
    "curves": curves,
}
"""Name in metrics.json → what gives it."""
