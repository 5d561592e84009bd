"""Sentences and numbers that all results share, and the quality of pictures in words and lines.

A percentage means nothing without the prevalence that it is valid for. If the site has stated its
own prevalence, results give probabilities as numbers with this prevalence. If not, a probability is
given only in a sentence that names the prevalence of the model's data.

The images of an exam that were not analysed are sorted by whether they may show a breast. Objects
that are not images (presentation states, key object notes, reports, PDF) are not counted as "not
analysed".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mammolens.analysis import shown_by
from mammolens.core import (
    Criterion,
    ImagePrediction,
    Laterality,
    MarkKind,
    ObjectKind,
    Prediction,
    PresentationIntent,
    Standing,
    TriageCategory,
    Unreadable,
)
from mammolens.render import box_to_display
from mammolens.sinks import RunInfo, TriageThreshold
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import percent, printable, view_in_exam, view_name

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


_REASONS: Final = {
    "IncompleteExam": "analysis given up",
    "MissingAttribute": "header lacks what is needed",
    "ModelError": "the model failed",
    "NotAMammogram": "not a picture that the model reads",
    "NotAWholeView": "a part of a breast, or magnified",
    "NotAnImage": "damaged",
    "UnsupportedImage": "stored in a form that is not read",
}
_OTHERS: Final = {
    ObjectKind.STACK: "tomosynthesis",
    ObjectKind.OTHER_IMAGE: "other pictures",
    ObjectKind.MAMMOGRAM: "raw data of analysed images",
    ObjectKind.UNKNOWN: "raw data of analysed images",
}
_NAMED: Final = 6
"""Number of kinds of images that are named; the others are counted."""


@dataclass(frozen=True)
class Refused:
    """The images of an exam that have no score.

    `missed` may show a breast: without them, the exam was analysed only in part. `passed_over` are
    proven to be of another kind (tomosynthesis, ultrasound), or the raw data of analysed images.
    """

    missed: tuple[Unreadable, ...]
    passed_over: tuple[Unreadable, ...]

    @property
    def images(self) -> tuple[Unreadable, ...]:
        """All refused images, the missed ones first."""
        return self.missed + self.passed_over


def sort_refused(prediction: Prediction) -> Refused:
    """Sort the refused images of an exam; documents are left out."""
    missed: list[Unreadable] = []
    passed_over: list[Unreadable] = []
    for item in prediction.unreadable:
        if not item.kind.is_image:
            continue
        unseen = item.kind.may_show_breast and not shown_by(prediction.images, item)
        (missed if unseen else passed_over).append(item)
    return Refused(tuple(missed), tuple(passed_over))


def refused_words(prediction: Prediction) -> list[str]:
    """Describe which images were not analysed and why; empty if all were analysed."""
    refused = sort_refused(prediction)
    return [*_missed_words(prediction, refused.missed), *_other_words(refused.passed_over)]


def missed_name(item: Unreadable) -> str:
    """Name a refused image by its view, with the reason.

    Examples
    --------
    >>> missed_name(Unreadable("a.dcm", "NotAnImage", "a.dcm: truncated"))
    'unknown view (damaged)'
    """
    view = view_name(item.source.ref) if item.source else "unknown view"
    return f"{view} ({_reason(item)})"


def _missed_words(prediction: Prediction, missed: Sequence[Unreadable]) -> Iterator[str]:
    if not missed:
        return
    counts = Counter(map(missed_name, missed))
    named = [f"{n} × {name}" if n > 1 else name for name, n in list(counts.items())[:_NAMED]]
    left = sum(list(counts.values())[_NAMED:])
    whole = len(prediction.images) + len(missed)
    listed = ", ".join([*named, *([f"{left} more"] if left else [])])
    yield f"Not analysed: {len(missed)} of {whole} images: {listed}."


def _other_words(passed_over: Sequence[Unreadable]) -> Iterator[str]:
    counts = Counter(_OTHERS[item.kind] for item in passed_over)
    if counts:
        yield f"Passed over: {', '.join(f'{n} {what}' for what, n in counts.items())}."


def _reason(item: Unreadable) -> str:
    ref = item.source.ref if item.source else None
    if item.kind is ObjectKind.STACK:
        return _OTHERS[item.kind]
    if ref is not None and ref.presentation_intent is PresentationIntent.FOR_PROCESSING:
        return "raw data, FOR PROCESSING"
    return _REASONS.get(item.error, "not analysed")


def criterion_name(criterion: Criterion) -> str:
    """Give the name of a criterion as it is written for people."""
    return criterion.name.replace("_", " ")


def judged_views(prediction: Prediction) -> Iterator[tuple[str, tuple[Criterion, ...]]]:
    """Give the exam (``"exam"``) and each view with its criteria, if it has any."""
    if prediction.quality:
        yield "exam", prediction.quality
    for image in images_in_order(prediction):
        if image.quality is not None:
            yield view_in_exam(image, prediction), image.quality.criteria


def poor_words(prediction: Prediction) -> list[str]:
    """Name what is poor, in one text for the exam and each view, such as ``RCC: sharpness``."""
    found = []
    for view, criteria in judged_views(prediction):
        poor = [criterion_name(one) for one in criteria if one.standing is Standing.POOR]
        if poor:
            found.append(f"{view}: {', '.join(poor)}")
    return found


def mark_lines(
    image: ImagePrediction, shape: tuple[int, int], mirrored: bool
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Give the marks of the poor criteria of a view as lines for a picture of it.

    Parameters
    ----------
    shape, mirrored
        Rows and columns of the picture, and whether it is mirrored to hang.

    Yields
    ------
    The name of the criterion, and the points (x, y) of a line; a box is a closed line.
    """
    source = image.geometry.source_shape
    for criterion in image.quality.poor if image.quality else ():
        for mark in criterion.marks:
            points = []
            for row, column in mark.points:
                y, x, _, _ = box_to_display((row, column, row, column), source, shape, mirrored)
                points.append((x, y))
            if mark.kind is MarkKind.BOX:
                (x0, y0), (x1, y1) = points
                points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
            elif mark.kind is MarkKind.POINT:
                (x, y), arm = points[0], shape[0] / 60
                points = [(x - arm, y - arm), (x + arm, y + arm), (x, y), (x - arm, y + arm)]
                points.append((x + arm, y - arm))
            yield criterion_name(criterion), points
