"""What the monitor takes from a result: the measures of the exam, its machine and its model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mammolens.core import Prediction, Source, TriageCategory
from mammolens.monitor.measures import NAMES

__all__ = [
    "UNKNOWN",
    "ExamValues",
    "category_values",
    "disagreement",
    "exam_values",
    "machine_record",
]

UNKNOWN: Final = "unknown"
"""Machine or software whose header does not say what it is."""
_STANDARD: Final = 4
"""RCC, LCC, RMLO, LMLO."""
_LONGEST: Final = 120
_CERTAIN: Final = 1e-6


@dataclass(frozen=True)
class ExamValues:
    """The measures of one exam, and what they may depend on."""

    values: Mapping[str, float]
    machine: str = UNKNOWN
    software: str = UNKNOWN
    model: str = ""
    site: str = ""
    label: str = field(default="", compare=False)


def exam_values(prediction: Prediction) -> ExamValues:
    """Take the measures from a result: those of images as their mean over the exam."""
    scores = prediction.scores
    values = category_values(prediction.category.value, scores.malignant if scores else None)
    measured: dict[str, list[float]] = defaultdict(list)
    for image in prediction.images:
        for name, value in image.measures.items():
            measured[name].append(value)
    values |= {name: sum(several) / len(several) for name, several in measured.items()}
    if prediction.images:
        views = {
            (image.ref.laterality, image.ref.view_position)
            for image in prediction.images
            if image.ref.laterality
            and image.ref.view_position
            and image.ref.view_position.value in ("CC", "MLO")
        }
        values["missing_views"] = float(_STANDARD - len(views))
    sources = [Source(image.ref, image.header) for image in prediction.images]
    sources += [item.source for item in prediction.unreadable if item.source is not None]
    machine, software = _machine(sources[0]) if sources else (UNKNOWN, UNKNOWN)
    model = prediction.model
    words = f"{model.name} {model.version} {model.digest[:12]} at {prediction.prevalence:.6g}"
    return ExamValues(values, machine, software, words)


def category_values(category: str, malignancy: float | None) -> dict[str, float]:
    """Turn category and P(malignant) into measures; of a failed exam only that it failed.

    Examples
    --------
    >>> category_values("high", 0.5)
    {'failed': 0.0, 'high': 1.0, 'low': 0.0, 'score': 0.0}
    """
    if malignancy is None or category == TriageCategory.FAILED.value:
        return {"failed": 1.0}
    p = min(max(malignancy, _CERTAIN), 1.0 - _CERTAIN)
    return {
        "failed": 0.0,
        "high": float(category == TriageCategory.HIGH.value),
        "low": float(category == TriageCategory.LOW.value),
        "score": math.log(p / (1.0 - p)),
    }


def disagreement(category: str | None, recall: bool | None) -> dict[str, float]:
    """Say whether readers recall an exam that is not high, or do not recall one that is.

    Empty where the category or the decision is unknown.
    """
    if recall is None or category is None or category == TriageCategory.FAILED.value:
        return {}
    return {"disagreement": float(recall != (category == TriageCategory.HIGH.value))}


def machine_record(prediction: Prediction) -> dict[str, Any]:
    """Give what ``results.json`` holds of an exam for the monitor."""
    found = exam_values(prediction)
    return {
        "machine": found.machine,
        "machine_software": found.software,
        "measures": {
            name: None if (value := found.values.get(name)) is None else round(value, 5)
            for name in NAMES
            if name != "disagreement"
        },
    }


def _machine(source: Source) -> tuple[str, str]:
    ref, header = source.ref, source.header
    kind = _words(ref.manufacturer, header.manufacturer_model)
    machine = _words(kind, header.station_name)
    software = _words(kind, header.software_versions)
    return machine or UNKNOWN, software or UNKNOWN


def _words(*parts: str | None) -> str:
    text = " ".join(part for part in parts if part)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]
