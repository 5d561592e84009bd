"""What leaves for a PACS or RIS, in words: the category first, and no percentage by itself.

A percentage means nothing without the prevalence that it is stated for. Where the site has stated
its own, it stands beside every number; where not, the number stands in one sentence with the
prevalence of the model's data, and nowhere else.
"""

from __future__ import annotations

from typing import Final

from mammolens.core import Prediction, TriageCategory
from mammolens.sinks import RunInfo, TriageThreshold
from mammolens.wording import percent, printable

__all__ = [
    "category_thresholds",
    "prevalence_words",
    "probability_words",
    "threshold_words",
    "withheld",
]

_NAMES: Final = {"low": "lower threshold", "high": "upper threshold"}
_BOUNDS: Final = {
    TriageCategory.HIGH: ("high",),
    TriageCategory.INTERMEDIATE: ("low", "high"),
    TriageCategory.LOW: ("low",),
    TriageCategory.FAILED: (),
}


def category_thresholds(prediction: Prediction, run: RunInfo) -> list[str]:
    """Say of each threshold that bounds an exam's category what it did in validation.

    Examples
    --------
    >>> from mammolens.sinks import TriageThreshold
    >>> threshold_words(TriageThreshold("high", 0.2, 0.68, 0.95))
    'upper threshold: sensitivity 68%, specificity 95% in validation'
    """
    names = _BOUNDS[prediction.category]
    return [threshold_words(point) for point in run.thresholds if point.name in names]


def threshold_words(point: TriageThreshold) -> str:
    """Say what a threshold did in validation."""

    def figure(name: str, value: float | None) -> str:
        return f"{name} {'not known' if value is None else percent(value)}"

    figures = figure("sensitivity", point.sensitivity), figure("specificity", point.specificity)
    name = _NAMES.get(point.name, point.name)
    return f"{name}: {', '.join(figures)} in validation"


def probability_words(probability: float, prediction: Prediction, run: RunInfo) -> str:
    """Say a probability together with the prevalence that it is stated for."""
    return f"{percent(probability)} {prevalence_words(prediction, run)}"


def prevalence_words(prediction: Prediction, run: RunInfo) -> str:
    """Say which prevalence a percentage is stated for, to stand in its sentence."""
    stated = "as this site states" if run.prevalence_stated else "that of the model's own data"
    return f"for a prevalence of {percent(prediction.prevalence)} among breasts, {stated}"


def withheld(prediction: Prediction) -> list[str]:
    """Say, in a sentence, why an exam below the lower threshold is not called low; else nothing."""
    messages = (printable(c.message) for c in prediction.cautions if c.name == "low_withheld")
    return [f"{words[:1].upper()}{words[1:]}." for words in messages]
