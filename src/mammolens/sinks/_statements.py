"""Sentences and numbers that all results for a PACS or RIS share.

A percentage means nothing without the prevalence that it is valid for. If the site has stated its
own prevalence, results give probabilities as numbers with this prevalence. If not, a probability is
given only in a sentence that names the prevalence of the model's data.
"""

from __future__ import annotations

from typing import Final

from mammolens.core import Laterality, Prediction, TriageCategory
from mammolens.sinks import RunInfo, TriageThreshold
from mammolens.wording import percent, printable

__all__ = [
    "BREAST_NAMES",
    "category_thresholds",
    "percentage",
    "prevalence_words",
    "probability_words",
    "threshold_words",
    "withheld_words",
]

BREAST_NAMES: Final = {
    Laterality.RIGHT: "right breast",
    Laterality.LEFT: "left breast",
    None: "breast of unknown side",
}
_THRESHOLD_NAMES: Final = {"low": "lower threshold", "high": "upper threshold"}
_THRESHOLDS_OF: Final = {
    TriageCategory.HIGH: ("high",),
    TriageCategory.INTERMEDIATE: ("low", "high"),
    TriageCategory.LOW: ("low",),
    TriageCategory.FAILED: (),
}


def percentage(probability: float) -> float:
    """Give a probability in percent, within 0.01–99.99: no result is certain.

    Examples
    --------
    >>> percentage(0.25), percentage(0.0), percentage(1.0)
    (25.0, 0.01, 99.99)
    """
    return min(max(100.0 * float(probability), 0.01), 99.99)


def category_thresholds(prediction: Prediction, run: RunInfo) -> list[str]:
    """Describe each threshold that bounds an exam's category, with its results in validation."""
    names = _THRESHOLDS_OF[prediction.category]
    return [threshold_words(point) for point in run.thresholds if point.name in names]


def threshold_words(point: TriageThreshold) -> str:
    """Describe a threshold with its sensitivity and specificity in validation.

    Examples
    --------
    >>> threshold_words(TriageThreshold("high", 0.2, 0.68, 0.95))
    'upper threshold: sensitivity 68%, specificity 95% in validation'
    """

    def figure(name: str, value: float | None) -> str:
        return f"{name} {'not known' if value is None else percent(value)}"

    figures = figure("sensitivity", point.sensitivity), figure("specificity", point.specificity)
    name = _THRESHOLD_NAMES.get(point.name, point.name)
    return f"{name}: {', '.join(figures)} in validation"


def probability_words(probability: float, prediction: Prediction, run: RunInfo) -> str:
    """Give a probability in words, with the prevalence that it is valid for."""
    return f"{percent(probability)} {prevalence_words(prediction, run)}"


def prevalence_words(prediction: Prediction, run: RunInfo) -> str:
    """Name the prevalence that a percentage is valid for, as the second part of a sentence."""
    stated = "as this site states" if run.prevalence_stated else "that of the model's own data"
    return f"for a prevalence of {percent(prediction.prevalence)} among breasts, {stated}"


def withheld_words(prediction: Prediction) -> list[str]:
    """Explain why an exam below the lower threshold is not called low; empty for other exams."""
    messages = (printable(c.message) for c in prediction.cautions if c.name == "low_withheld")
    return [f"{words[:1].upper()}{words[1:]}." for words in messages]
