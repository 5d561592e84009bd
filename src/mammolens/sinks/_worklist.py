"""The reading order of exams and of their images, and safe names for files."""

from __future__ import annotations

import re
from typing import Final

from mammolens.core import ImagePrediction, Laterality, Prediction, TriageCategory, ViewPosition

_ORDER: Final = (
    TriageCategory.FAILED,
    TriageCategory.HIGH,
    TriageCategory.INTERMEDIATE,
    TriageCategory.LOW,
)
_SIDES: Final = (Laterality.RIGHT, Laterality.LEFT, None)
_VIEWS: Final = (ViewPosition.CC, ViewPosition.MLO)
_LONGEST: Final = 80
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # of Windows


def reading_key(prediction: Prediction) -> tuple[int, float]:
    """Give the key to sort exams by: failed first, then high to low, then by falling malignancy.

    Exams with the same key keep their order.
    """
    malignancy = prediction.scores.malignant if prediction.scores else 1.0
    return _ORDER.index(prediction.category), -float(malignancy)


def images_in_order(prediction: Prediction) -> list[ImagePrediction]:
    """List the images of an exam in hanging order: RCC, LCC, RMLO, LMLO, then the others."""

    def place(image: ImagePrediction) -> tuple[int, str, int]:
        view = image.ref.view_position
        rank = _VIEWS.index(view) if view in _VIEWS else len(_VIEWS)
        return rank, view.value if view else "~", _SIDES.index(image.ref.laterality)

    return sorted(prediction.images, key=place)


class Names:
    """Make file names that are safe on every system, each name only once.

    Examples
    --------
    >>> names = Names()
    >>> names.take("../../etc/P 1"), names.take("P1"), names.take("p1"), names.take("")
    ('etc_P_1', 'P1', 'p1-2', 'unnamed')
    """

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def take(self, text: str) -> str:
        """Turn any text into a name that was not used before."""
        safe = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:_LONGEST].rstrip("._-")
        base = safe or "unnamed"
        if _DEVICES.fullmatch(base):
            base = f"_{base}"
        name, number = base, self._given.get(base.casefold(), 0) + 1
        while number > 1 and (name := f"{base}-{number}").casefold() in self._given:
            number += 1
        self._given[base.casefold()] = number
        self._given.setdefault(name.casefold(), 1)
        return name
