"""The quality of one image or exam: named criteria, each with its outcome, reason and place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mammolens.core.images import Caution

__all__ = ["Criterion", "ImageQuality", "Mark", "MarkKind", "Standing", "quality_record"]


class Standing(str, Enum):
    """Outcome of a criterion; one that cannot be assessed says nothing, neither good nor poor."""

    GOOD = "good"
    POOR = "poor"
    NOT_ASSESSABLE = "not_assessable"


class MarkKind(str, Enum):
    """Form of a mark: a box by two corners, a line of points, or a single point."""

    BOX = "box"
    LINE = "line"
    POINT = "point"


@dataclass(frozen=True)
class Mark:
    """A place that shows a criterion: `points` are (row, column) in pixels of the stored image."""

    kind: MarkKind
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Criterion:
    """One named criterion.

    `value` and `limit` have the unit `unit` (``""``: none); ``None`` is unknown, or not a number by
    nature. `reason` is a sentence. A criterion with `doubts` withholds ``low`` unless it is good.
    """

    name: str
    standing: Standing
    reason: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    doubts: bool = False
    marks: tuple[Mark, ...] = ()

    @property
    def withholds(self) -> bool:
        """Whether it withholds ``low``: it is poor, or it had to be judged and could not be."""
        return self.doubts and self.standing is not Standing.GOOD


@dataclass(frozen=True)
class ImageQuality:
    """The criteria of one image, in a fixed order, and measures that an exam compares.

    `nipple_line_px` is the length of the posterior nipple line in source pixels of the longer side
    of the picture, `nipple_line_mm` in millimetres where the spacing is known.
    """

    criteria: tuple[Criterion, ...]
    nipple_line_px: float | None = None
    nipple_line_mm: float | None = None

    @property
    def poor(self) -> tuple[Criterion, ...]:
        """The criteria that are poor."""
        return tuple(one for one in self.criteria if one.standing is Standing.POOR)

    def cautions(self) -> tuple[Caution, ...]:
        """Give a doubt for each criterion that withholds ``low``."""
        return tuple(
            Caution(f"quality_{one.name}", one.reason, doubt=True)
            for one in self.criteria
            if one.withholds
        )


def quality_record(criteria: Iterable[Criterion]) -> list[dict[str, Any]]:
    """Turn criteria into plain values for JSON."""
    return [
        {
            "name": one.name,
            "standing": one.standing.value,
            "reason": one.reason,
            "value": one.value,
            "limit": one.limit,
            "unit": one.unit,
            "doubt": one.withholds,
            "marks": [
                {"kind": mark.kind.value, "points": [list(point) for point in mark.points]}
                for mark in one.marks
            ],
        }
        for one in criteria
    ]
