"""Map between pixels of the stored image and pixels of the prepared input, for points and boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from mammolens.errors import ConfigError

__all__ = ["Box", "Geometry", "turn_box"]

Box = tuple[float, float, float, float]
"""``(row0, col0, row1, col1)``, half-open. The variable's name says in pixels of which frame."""

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Geometry:
    """The exact, invertible map between source pixels and prepared pixels.

    Source pixels are those of the stored array, even if the header says to turn it. Coordinates are
    continuous: pixel ``i`` covers ``[i, i + 1)``.

    From source to prepared pixels, the steps are: crop to `crop_source_px`; turn the crop clockwise
    by `quarter_turns` times 90 degrees; scale by `scale`; mirror left and right if `flipped`; shift
    by `offset_px` (row, column) into an array of `prepared_shape`. `scaled_shape` and `scale`
    describe the turned crop.
    """

    source_shape: tuple[int, int]
    crop_source_px: tuple[int, int, int, int]
    scaled_shape: tuple[int, int]
    offset_px: tuple[int, int]
    prepared_shape: tuple[int, int]
    flipped: bool
    quarter_turns: int = 0

    def __post_init__(self) -> None:
        r0, c0, r1, c1 = self.crop_source_px
        rows, cols = self.source_shape
        if not (0 <= r0 < r1 <= rows and 0 <= c0 < c1 <= cols):
            raise ConfigError(
                f"the crop {self.crop_source_px} is not inside the image of {self.source_shape}"
            )
        if self.quarter_turns not in range(4):
            raise ConfigError(f"{self.quarter_turns} quarter turns: it must be 0, 1, 2 or 3")

    @property
    def upright(self) -> Geometry:
        """The map from the upright source to the same prepared pixels."""
        rows, cols = self.source_shape
        shape = (cols, rows) if self.quarter_turns % 2 else (rows, cols)
        crop = turn_box(self.crop_source_px, self.source_shape, self.quarter_turns)
        return replace(self, source_shape=shape, crop_source_px=crop, quarter_turns=0)

    def stored_turned(self, quarter_turns: int) -> Geometry:
        """Turn an upright source's map into the map of the source as it is stored.

        The stored source becomes upright by `quarter_turns` clockwise turns.
        """
        rows, cols = self.source_shape
        shape = (cols, rows) if quarter_turns % 2 else (rows, cols)
        crop = turn_box(self.crop_source_px, self.source_shape, -quarter_turns)
        return replace(self, source_shape=shape, crop_source_px=crop, quarter_turns=quarter_turns)

    @property
    def chest_wall_edge(self) -> str:
        """The edge of the stored picture at the chest wall: ``left``, ``bottom``, ``right`` or
        ``top``.

        Examples
        --------
        >>> Geometry((9, 9), (0, 0, 9, 9), (9, 9), (0, 0), (9, 9), flipped=True).chest_wall_edge
        'right'
        """
        edges = ("left", "bottom", "right", "top")
        return edges[(self.quarter_turns + 2 * self.flipped) % 4]

    @property
    def scale(self) -> tuple[float, float]:
        """Prepared pixels per source pixel of the turned crop, (rows, columns)."""
        r0, c0, r1, c1 = self.upright.crop_source_px
        return self.scaled_shape[0] / (r1 - r0), self.scaled_shape[1] / (c1 - c0)

    def box_to_prepared(self, box_source_px: Box) -> Box:
        """Convert a box from source to prepared pixels, without clipping."""
        (sr, sc), (dr, dc) = self.scale, self.offset_px
        r0, c0, _, _ = self.upright.crop_source_px
        box = turn_box(box_source_px, self.source_shape, self.quarter_turns)
        rows = [(row - r0) * sr + dr for row in (box[0], box[2])]
        cols = [(col - c0) * sc for col in (box[1], box[3])]
        if self.flipped:
            cols = [self.scaled_shape[1] - col for col in reversed(cols)]
        return rows[0], cols[0] + dc, rows[1], cols[1] + dc

    def box_to_source(self, box_prepared_px: Box) -> Box:
        """Convert a box from prepared to source pixels, clipped to the source image.

        Examples
        --------
        >>> g = Geometry((100, 80), (10, 20, 90, 80), (40, 30), (0, 2), (40, 32), True)
        >>> g.box_to_source(g.box_to_prepared((20.0, 30.0, 40.0, 50.0)))
        (20.0, 30.0, 40.0, 50.0)
        """
        upright = self.upright
        (sr, sc), (dr, dc) = self.scale, self.offset_px
        r0, c0, _, _ = upright.crop_source_px
        rows = [(row - dr) / sr + r0 for row in (box_prepared_px[0], box_prepared_px[2])]
        cols = [col - dc for col in (box_prepared_px[1], box_prepared_px[3])]
        if self.flipped:
            cols = [self.scaled_shape[1] - col for col in reversed(cols)]
        cols = [col / sc + c0 for col in cols]
        height, width = upright.source_shape
        clipped = (
            min(max(rows[0], 0.0), height),
            min(max(cols[0], 0.0), width),
            min(max(rows[1], 0.0), height),
            min(max(cols[1], 0.0), width),
        )
        return turn_box(clipped, upright.source_shape, -self.quarter_turns)


def turn_box(
    box: tuple[_Number, _Number, _Number, _Number], shape: tuple[int, int], quarter_turns: int
) -> tuple[_Number, _Number, _Number, _Number]:
    """Convert a box when its picture, of `shape` (rows, columns), is turned clockwise.

    Examples
    --------
    >>> turn_box((1, 2, 3, 4), (10, 20), 1)
    (2, 7, 4, 9)
    >>> turn_box((2, 7, 4, 9), (20, 10), -1)
    (1, 2, 3, 4)
    """
    rows, cols = shape
    for _ in range(quarter_turns % 4):
        box = box[1], rows - box[2], box[3], rows - box[0]
        rows, cols = cols, rows
    return box
