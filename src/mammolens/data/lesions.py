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

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Box, Geometry
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["LESION_COLUMNS", "Lesion", "LesionKind", "draw_lesion", "read_lesions"]

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


def draw_lesion(lesion: Lesion, geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Draw one lesion in the frame of a prepared picture.

    Returns
    -------
    Uint8 (H, W) of `Geometry.prepared_shape`: 255 on the lesion, 0 elsewhere. A mask that was
    scaled down has values in between at its edge. All zero if the lesion is outside the crop.

    Raises
    ------
    InputError
        If a mask cannot be read.
    InvalidManifest
        If a mask has another size than its image.
    """
    if lesion.mask_path is not None:
        return _to_prepared(_read_mask(lesion.mask_path, geometry), geometry)
    bounds = lesion.bounds_source_px
    assert bounds is not None
    mask = np.zeros(geometry.prepared_shape, np.uint8)
    row0, col0, row1, col1 = geometry.box_to_prepared(bounds)
    if lesion.box_source_px is not None:
        rows = slice(max(0, int(row0)), max(0, int(np.ceil(row1))))
        mask[rows, max(0, int(col0)) : max(0, int(np.ceil(col1)))] = 255
        return mask
    centre = round((col0 + col1) / 2), round((row0 + row1) / 2)
    axes = max(1, round((col1 - col0) / 2)), max(1, round((row1 - row0) / 2))
    cv2.ellipse(mask, centre, axes, 0.0, 0.0, 360.0, (255.0,), cv2.FILLED)
    return mask


def _read_mask(path: Path, geometry: Geometry) -> npt.NDArray[np.uint8]:
    from mammolens.images import read_mask

    pixels = read_mask(path)
    if pixels.shape != geometry.source_shape:
        raise InvalidManifest(
            f"the mask has {pixels.shape} pixels, but its image has {geometry.source_shape}",
            source=str(path),
            keyword="mask_path",
            remedy="Give a mask of the image's size",
        )
    return np.where(pixels, 255, 0).astype(np.uint8)


def _to_prepared(mask: npt.NDArray[np.uint8], geometry: Geometry) -> npt.NDArray[np.uint8]:
    row0, col0, row1, col1 = geometry.crop_source_px
    rows, cols = geometry.scaled_shape
    crop = np.ascontiguousarray(np.rot90(mask[row0:row1, col0:col1], -geometry.quarter_turns))
    scaled = cv2.resize(crop, (cols, rows), interpolation=cv2.INTER_AREA)
    scaled = scaled[:, ::-1] if geometry.flipped else scaled
    placed = np.zeros(geometry.prepared_shape, np.uint8)
    down, right = geometry.offset_px
    placed[down : down + rows, right : right + cols] = scaled
    return placed
