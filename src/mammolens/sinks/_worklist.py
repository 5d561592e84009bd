"""The order in which to read exams, and safe names for their files."""

from __future__ import annotations

import re
from typing import Final

from mammolens.core import Prediction, TriageCategory

__all__ = ["Names", "reading_key"]

_ORDER: Final = (
    TriageCategory.FAILED,
    TriageCategory.HIGH,
    TriageCategory.INTERMEDIATE,
    TriageCategory.LOW,
)
_LONGEST: Final = 80
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def reading_key(prediction: Prediction, arrival: int) -> tuple[int, float, int]:
    """Sort exams by this: failed first, then high to low, then by falling malignancy."""
    malignancy = prediction.scores.malignant if prediction.scores else 1.0
    return _ORDER.index(prediction.category), -float(malignancy), arrival


class Names:
    """Gives file names that are safe on every system, and none twice.

    Examples
    --------
    >>> names = Names()
    >>> names.take("../../etc/P 1"), names.take("P1"), names.take("p1"), names.take("")
    ('etc_P_1', 'P1', 'p1-2', 'unnamed')
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, text: str) -> str:
        """Turn any text into a name that was not given before."""
        safe = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:_LONGEST].rstrip("._-")
        base = safe or "unnamed"
        if _DEVICES.fullmatch(base):
            base = f"_{base}"
        name, number = base, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name.casefold())
        return name
