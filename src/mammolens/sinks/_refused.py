"""The images of an exam that were not analysed: sort and describe them.

They are sorted by whether they may show a breast. Objects that are not images (presentation
states, key object notes, reports, PDF) are not counted as "not analysed".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mammolens.analysis import shown_by
from mammolens.core import ObjectKind, Prediction, PresentationIntent, Unreadable
from mammolens.wording import view_name

__all__ = ["Refused", "missed_name", "refused_words", "sort_refused"]

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
