"""Marked lesions (a box, a circle or a mask in pixels of the stored image), and their table.

The table ``lesions.csv`` is in the folder of the manifest. Its columns are ``image_id, kind,
malignant`` and one of ``row0, col0, row1, col1`` (a half-open box), ``row, col, radius`` (a circle)
or ``mask_path`` (a picture of the image's size, not zero on the lesion; the path is relative to the
table). A column ``dataset`` is needed if two data sets use the same image identifier. If an image
has no row, its lesions are unknown; this does not mean that it has none.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mammolens.core import Box
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["LESION_COLUMNS", "Lesion", "LesionKind", "read_lesions"]

LESION_COLUMNS = (
    *("dataset", "image_id", "kind", "malignant", "row0", "col0", "row1", "col1"),
    *("row", "col", "radius", "mask_path"),
)


_SEE = "See docs/reference/tables.md for the format"


class LesionKind(str, Enum):
    """The kind of a marked lesion, in the terms of BI-RADS."""

    MASS = "mass"
    CALCIFICATION = "calcification"
    DISTORTION = "architectural distortion"
    ASYMMETRY = "asymmetry"
    OTHER = "other"


_KINDS = {kind.value: kind for kind in LesionKind}


@dataclass(frozen=True)
class Lesion:
    """One marked lesion; `kind` and `malignant` are ``None`` where the source does not say.

    `box_source_px` is (row0, col0, row1, col1), half-open; `circle_source_px` is (row, column,
    radius); `mask_path` is a picture of the stored image's size, not zero on the lesion. Exactly
    one of the three is given. Coordinates may lie outside the image, as they do in some sources.

    Raises
    ------
    InvalidManifest
        None of the three is given, or several are.
    """

    kind: LesionKind | None = None
    malignant: bool | None = None
    box_source_px: Box | None = None
    circle_source_px: tuple[float, float, float] | None = None
    mask_path: Path | None = None

    def __post_init__(self) -> None:
        if (self.box_source_px, self.circle_source_px, self.mask_path).count(None) != 2:
            raise InvalidManifest(
                "a lesion must have exactly one extent",
                keyword="lesions",
                remedy="Give either a box, a circle or a mask",
            )

    @property
    def bounds_source_px(self) -> Box | None:
        """The smallest box around the lesion; ``None`` for a mask, whose file must be read first.

        Examples
        --------
        >>> Lesion(circle_source_px=(50.0, 40.0, 10.0)).bounds_source_px
        (40.0, 30.0, 60.0, 50.0)
        """
        if self.circle_source_px is None:
            return self.box_source_px
        row, col, radius = self.circle_source_px
        return row - radius, col - radius, row + radius, col + radius


def read_lesions(table: Path) -> dict[tuple[str, str], tuple[Lesion, ...]]:
    """Read a table of lesions; keys are (data set or "", image identifier).

    Raises
    ------
    InvalidManifest
        A row is wrong. The message names the table, the line and the fault.
    """
    found: dict[tuple[str, str], list[Lesion]] = defaultdict(list)
    further = [name for name in LESION_COLUMNS if name != "image_id"]
    for row in read_table(table, ("image_id",), further, remedy=_SEE).rows:
        found[row.text("dataset") or "", row.identifier("image_id")].append(_lesion(row))
    return {key: tuple(lesions) for key, lesions in found.items()}


def _lesion(row: Row) -> Lesion:
    kind, malignant = row.word("kind", _KINDS), row.flag("malignant")
    box = [row.number(name) for name in ("row0", "col0", "row1", "col1")]
    circle = [row.number(name) for name in ("row", "col", "radius")]
    mask = row.text("mask_path")
    corners = [edge for edge in box if edge is not None]
    measures = [value for value in circle if value is not None]
    try:
        if len(corners) not in (0, 4) or len(measures) not in (0, 3):
            raise ValueError("a box has four numbers and a circle three")
        return Lesion(
            kind=kind,
            malignant=malignant,
            box_source_px=(corners[0], corners[1], corners[2], corners[3]) if corners else None,
            circle_source_px=(measures[0], measures[1], measures[2]) if measures else None,
            mask_path=row.path.parent / mask if mask else None,
        )
    except (ValueError, InvalidManifest) as error:
        raise InvalidManifest(
            f"line {row.line}: {error}", source=str(row.path), keyword="lesions", remedy=_SEE
        ) from error
