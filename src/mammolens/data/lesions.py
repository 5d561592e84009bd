"""Marked lesions: a box, a circle or a mask in pixels of the stored image, and the side table.

The side table ``lesions.csv`` lies beside the manifest; its columns are ``image_id, kind,
malignant`` and one of ``row0, col0, row1, col1`` (a half-open box), ``row, col, radius`` (a
circle) or ``mask_path`` (a picture of the image's size, not zero on the lesion, relative to the
table). ``dataset`` may stand where identifiers repeat between data sets. An image without a row
is an image of which nothing is known, not one without a lesion.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mammolens.core import Box
from mammolens.errors import InvalidManifest

__all__ = ["LESION_COLUMNS", "Lesion", "LesionKind", "read_lesions"]

LESION_COLUMNS = (
    *("dataset", "image_id", "kind", "malignant", "row0", "col0", "row1", "col1"),
    *("row", "col", "radius", "mask_path"),
)


class LesionKind(str, Enum):
    """What was marked, in the words of BI-RADS."""

    MASS = "mass"
    CALCIFICATION = "calcification"
    DISTORTION = "architectural distortion"
    ASYMMETRY = "asymmetry"
    OTHER = "other"


@dataclass(frozen=True)
class Lesion:
    """One marked lesion; `kind` and `malignant` are ``None`` where the source does not say.

    `box_source_px` is (row0, col0, row1, col1), half-open; `circle_source_px` is (row, column,
    radius); `mask_path` is a picture of the stored image's size, not zero on the lesion. One of
    the three is given; coordinates may lie outside the image, as they do in some sources.
    """

    kind: LesionKind | None = None
    malignant: bool | None = None
    box_source_px: Box | None = None
    circle_source_px: tuple[float, float, float] | None = None
    mask_path: Path | None = None

    def __post_init__(self) -> None:
        if (self.box_source_px, self.circle_source_px, self.mask_path).count(None) != 2:
            raise InvalidManifest(
                "a lesion has one extent",
                keyword="lesions",
                remedy="Give a box, a circle or a mask, and no two of them",
            )

    @property
    def bounds_source_px(self) -> Box | None:
        """The smallest box around a box or a circle; ``None`` for a mask, which must be read.

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
    """Read a side table; keys are (data set or "", image identifier).

    Raises
    ------
    InvalidManifest
        Names the table, the row and what is wrong there.
    """
    found: dict[tuple[str, str], list[Lesion]] = defaultdict(list)
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            for number, row in enumerate(csv.DictReader(stream), start=2):
                cells = {k: (v or "").strip() for k, v in row.items() if isinstance(k, str)}
                if not cells.get("image_id"):
                    raise InvalidManifest(
                        f"row {number} names no image", source=str(table), keyword="image_id"
                    )
                key = cells.get("dataset", ""), cells["image_id"]
                found[key].append(_lesion(cells, table, number))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidManifest(f"the table cannot be read: {error}", source=str(table)) from error
    return {key: tuple(lesions) for key, lesions in found.items()}


def _lesion(cells: dict[str, str], table: Path, number: int) -> Lesion:
    try:
        box = [float(cells[name]) for name in ("row0", "col0", "row1", "col1") if cells.get(name)]
        circle = [float(cells[name]) for name in ("row", "col", "radius") if cells.get(name)]
        if len(box) not in (0, 4) or len(circle) not in (0, 3):
            raise ValueError("a box has four numbers and a circle three")
        return Lesion(
            kind=LesionKind(cells["kind"]) if cells.get("kind") else None,
            malignant={"": None, "0": False, "1": True}[cells.get("malignant", "")],
            box_source_px=(box[0], box[1], box[2], box[3]) if box else None,
            circle_source_px=(circle[0], circle[1], circle[2]) if circle else None,
            mask_path=table.parent / cells["mask_path"] if cells.get("mask_path") else None,
        )
    except (ValueError, KeyError, InvalidManifest) as error:
        raise InvalidManifest(
            f"row {number}: {error}",
            source=str(table),
            keyword="lesions",
            remedy="See docs/data.md for the format",
        ) from error
