"""The model compared with radiologists: those of a large registry, and the readers of the images.

BI-RADS is an ordinal reading: 1 and 2 (negative, benign), 3 (probably benign), 0 (further imaging
is needed), 4 and 5. A 0 is a recall and says less than a biopsy: it is placed between 3 and 4. A
6 (already proven) is not a reading. The grades 0, 4 and 5 count as recalled.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.evidence import Evidence
from mammolens.bench.sections.figures import READERS_SENSITIVITY, READERS_SPECIFICITY
from mammolens.bench.units import ImageResult, Sample, intervals_json
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.metrics import (
    confusion,
    decision_statistics,
    ranked_counts,
    roc_curve,
    threshold_at_specificity,
)
from mammolens.metrics.bootstrap import FEW
from mammolens.metrics.ranked import ranked_area, ranked_sensitivity, ranked_specificity

__all__ = ["BIRADS_SCALE", "labels_are_birads", "readers"]

BIRADS_SCALE: Final = ("1", "2", "3", "0", "4", "5")
"""From least to most suspicious; the module docstring explains the place of 0."""

_RECALLED: Final = BIRADS_SCALE.index("0")
_DERIVED: Final = frozenset({"inbreast", "vindr"})
"""Sources whose labels are BI-RADS: their readers cannot be judged by themselves."""

_ENOUGH_TO_TELL = 20
_SOURCE = "BCSC, 1.68 million screening examinations: Lehman 2017, doi:10.1148/radiol.2016161174"
_Float = npt.NDArray[np.float64]


def readers(evidence: Evidence) -> dict[str, Any]:
    """Compare the model with radiologists, by unit.

    ``registry`` is the model at the operating point of the BCSC's radiologists. ``birads`` compares
    it with the radiologists who read these images.
    """
    units = evidence.decided_units
    return {
        "registry": {
            "source": _SOURCE,
            "sensitivity": READERS_SENSITIVITY,
            "specificity": READERS_SPECIFICITY,
            "note": "other patients, whose cancers were fewer and less selected: differences also "
            "measure that; the registry's figures are taken as exact",
            **{unit: _registry(evidence, unit) for unit in units},
        },
        "birads": {"scale": list(BIRADS_SCALE), **{u: _birads(evidence, u) for u in units}},
    }


def labels_are_birads(results: Iterable[ImageResult]) -> dict[str, str]:
    """Data set → why its malignant label is the reading itself.

    These are the sources that are known for it, and those whose label is BI-RADS 4 and above
    without exception (among readings other than 0 and 3).
    """
    seen: dict[str, set[tuple[bool, bool]]] = defaultdict(set)
    count: dict[str, int] = defaultdict(int)
    names: set[str] = set()
    for one in results:
        record = one.record
        names.add(record.dataset)
        grade = _grade(record)
        if grade in ("1", "2", "4", "5") and record.malignant is not None:
            seen[record.dataset].add((grade in ("4", "5"), record.malignant))
            count[record.dataset] += 1
    found = dict.fromkeys(sorted(names & _DERIVED), "its malignant label is BI-RADS itself")
    for name in sorted(names - _DERIVED):
        if seen[name] == {(True, True), (False, False)} and count[name] >= _ENOUGH_TO_TELL:
            found[name] = f"its malignant label follows BI-RADS in all {count[name]} readings"
    return found


def _registry(evidence: Evidence, unit: str) -> dict[str, Any]:
    sample = evidence.sample("malignancy", unit)
    counts = {name: sample.counts[name] for name in ("n", "n_positive", "n_patients")}
    if sample.one_class:
        return {**counts, "note": f"no comparison: {sample.one_class}"}
    count = ranked_counts(sample.labels, sample.scores)
    at_specificity = ranked_sensitivity(READERS_SPECIFICITY)
    at_sensitivity = ranked_specificity(READERS_SENSITIVITY)

    def statistics(weights: _Float) -> dict[str, _Float]:
        counted = count(weights)
        sensitivity, specificity = at_specificity(counted), at_sensitivity(counted)
        return {
            "sensitivity": sensitivity,
            "sensitivity_difference": sensitivity - READERS_SENSITIVITY,
            "specificity": specificity,
            "specificity_difference": specificity - READERS_SPECIFICITY,
        }

    return {**counts, **intervals_json(evidence.intervals(sample, statistics))}


def _birads(evidence: Evidence, unit: str) -> dict[str, Any]:
    derived = labels_are_birads(evidence.results)
    whole = evidence.sample("malignancy", unit)
    own = whole.where([one.patient[0] not in derived for one in whole.units])
    grades = np.array([_highest(one.records) for one in own.units], np.int64)
    sample, grades = own.where(grades >= 0), grades[grades >= 0]
    found: dict[str, Any] = {
        **{name: sample.counts[name] for name in ("n", "n_positive", "n_patients")},
        "n_without_reading": len(own.units) - len(sample.units),
        "n_positive_without_reading": int(own.labels.sum() - sample.labels.sum()),
        "refused": derived,
    }
    if not len(own.units) and derived:
        return {**found, "note": "the label is the reader here, so the reader is not judged by it"}
    if not len(sample.units):
        return {**found, "note": "no radiologist's BI-RADS is known of these units"}
    if sample.one_class:
        return {**found, "note": f"no comparison: {sample.one_class} where a reading is known"}
    recalled = grades >= _RECALLED
    notes = _doubts(sample, len(own.units) - len(sample.units), recalled)
    return {
        **found,
        **({"note": "; ".join(notes)} if notes else {}),
        **_compared(evidence, sample, grades),
        "roc": _ordinal_roc(sample, grades),
        "changes": _changes(evidence, unit, sample, recalled),
    }


def _doubts(sample: Sample, n_without: int, recalled: npt.NDArray[np.bool_]) -> list[str]:
    """Give reasons why the readers' figures may not be typical of radiologists."""
    doubts = []
    if n_without:
        doubts.append(f"{n_without} units have no reading: these may not be missing by chance")
    if recalled[sample.labels].all():
        doubts.append("no cancer with a reading was missed: cancers may have been chosen by it")
    few = min(int(sample.labels.sum()), int((~sample.labels).sum()))
    if few < FEW:
        doubts.append(f"only {few} units of a class: the intervals are not to be trusted")
    return doubts


def _compared(evidence: Evidence, sample: Sample, grades: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Readers and model on the same units, paired draw by draw."""
    called = decision_statistics(sample.labels, grades >= _RECALLED, evidence.settings.prevalence)
    read, scored = ranked_counts(sample.labels, grades), ranked_counts(sample.labels, sample.scores)

    def statistics(weights: _Float) -> dict[str, _Float]:
        point, model = called(weights), scored(weights)
        areas = ranked_area(read(weights)), ranked_area(model)
        sensitivity = ranked_sensitivity(point["specificity"])(model)
        specificity = ranked_specificity(point["recall"])(model)
        return {
            "readers/auc": areas[0],
            "readers/sensitivity": point["recall"],
            "readers/specificity": point["specificity"],
            "model/auc": areas[1],
            "model/sensitivity_at_their_specificity": sensitivity,
            "model/specificity_at_their_sensitivity": specificity,
            "difference/auc": areas[1] - areas[0],
            "difference/sensitivity": sensitivity - point["recall"],
            "difference/specificity": specificity - point["specificity"],
        }

    return intervals_json(evidence.intervals(sample, statistics))


def _ordinal_roc(sample: Sample, grades: npt.NDArray[np.int64]) -> dict[str, Any]:
    """The readers' ROC: one point for recalling from each BI-RADS on."""
    curve = roc_curve(sample.labels, grades)
    return {
        "false_positive_rate": curve.false_positive_rate.tolist(),
        "true_positive_rate": curve.true_positive_rate.tolist(),
        "recall_from": [None, *(BIRADS_SCALE[int(g)] for g in curve.thresholds[1:])],
    }


def _changes(
    evidence: Evidence, unit: str, sample: Sample, recalled: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Count the units whose recall would change if the model decided at their specificity."""
    healthy = ~sample.labels
    specificity = float((~recalled[healthy]).mean())
    if not 0.0 < specificity < 1.0:
        return {"note": f"the readers' specificity is {specificity:g}: no threshold stands for it"}
    try:
        decided = evidence.fit_elsewhere(
            sample,
            lambda labels, scores: threshold_at_specificity(labels, scores, specificity),
            lambda threshold, scores: scores >= threshold,
            evidence.other_sample("malignancy", unit),
        )
    except InvalidManifest as error:
        return {"note": f"no threshold: {error.message}"}
    called, ill = decided.values.astype(bool), sample.labels
    return {
        "fixed_on": decided.fitted_on,
        "readers": {k: int(v) for k, v in confusion(ill, recalled)._asdict().items()},
        "model": {k: int(v) for k, v in confusion(ill, called)._asdict().items()},
        "false_negatives_found": int((ill & ~recalled & called).sum()),
        "true_positives_lost": int((ill & recalled & ~called).sum()),
        "false_positives_spared": int((healthy & recalled & ~called).sum()),
        "true_negatives_recalled": int((healthy & ~recalled & called).sum()),
    }


def _grade(record: Record) -> str | None:
    """The digit of a BI-RADS such as ``4a`` or ``2.0``; ``None`` without a reading."""
    found = re.match(r"\s*([0-5])(?![0-9])", record.birads or "")
    return found[1] if found else None


def _highest(records: Iterable[Record]) -> int:
    """Place on the scale of the most suspicious reading of a unit; −1 without any."""
    grades = (_grade(record) for record in records)
    return max((BIRADS_SCALE.index(grade) for grade in grades if grade), default=-1)
