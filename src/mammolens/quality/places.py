"""From places in the overview and the prepared picture to pixels of the stored image."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mammolens.core import Mammogram, Mark, MarkKind, PreparedView, turn_box
from mammolens.quality.frame import Frame

__all__ = ["Ends", "Places"]

Ends = tuple[tuple[float, float], tuple[float, float]]
"""Two points (row, column) of a line."""


class Places:
    """Maps places of the overview (chest wall at the left) to pixels of the stored image."""

    def __init__(self, mammogram: Mammogram, view: PreparedView, frame: Frame) -> None:
        geometry = view.geometry
        self._frame = frame
        self._shape = geometry.upright.source_shape
        self._turns = geometry.quarter_turns
        self._stride = math.ceil(self._shape[0] / frame.grey.shape[0])
        spacing, aspect = mammogram.ref.spacing_mm, mammogram.ref.pixel_aspect
        odd = self._turns % 2 == 1
        self._spacing = (spacing[1], spacing[0]) if spacing and odd else spacing
        self._aspect = 1 / aspect if odd else aspect

    def points(self, places: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        """Points of the overview, clipped to the image."""
        width = self._frame.grey.shape[1]
        found = []
        for row, col in places:
            across = width - col if self._frame.mirrored else col
            r = min(max(row * self._stride, 0.0), float(self._shape[0]))
            c = min(max(across * self._stride, 0.0), float(self._shape[1]))
            turned = turn_box((r, c, r, c), self._shape, -self._turns)
            found.append((round(turned[0], 1), round(turned[1], 1)))
        return tuple(found)

    def box(self, box: tuple[float, float, float, float]) -> Mark:
        """A box of the overview, its corners in order."""
        ends = self.points([(box[0], box[1]), (box[2], box[3])])
        rows, cols = sorted(p[0] for p in ends), sorted(p[1] for p in ends)
        return Mark(MarkKind.BOX, ((rows[0], cols[0]), (rows[1], cols[1])))

    def breast(self) -> Mark:
        """The box of the breast."""
        return self.box(self._frame.box)

    def line(self, places: Iterable[tuple[float, float]]) -> Mark:
        """A line of the overview."""
        return Mark(MarkKind.LINE, self.points(places))

    def point(self, place: tuple[float, float]) -> Mark:
        """A point of the overview."""
        return Mark(MarkKind.POINT, self.points([place]))

    def arrow(self, angle_deg: int) -> Mark:
        """A line through the middle of the breast, counter-clockwise from its rows."""
        r0, c0, r1, c1 = self._frame.box
        reach, angle = 0.2 * (c1 - c0), math.radians(angle_deg)
        down, across = -reach * math.sin(angle), reach * math.cos(angle)
        row, col = (r0 + r1) / 2, (c0 + c1) / 2
        return self.line([(row - down, col - across), (row + down, col + across)])

    def length_px(self, line: Ends) -> float:
        """Length of a line in columns of the source; rows count by the aspect of a pixel."""
        down, across = self._way(line)
        return round(math.hypot(down * self._aspect, across), 1)

    def length_mm(self, line: Ends) -> float | None:
        """Length of a line in millimetres; ``None`` if the spacing is unknown."""
        if self._spacing is None:
            return None
        down, across = self._way(line)
        return round(math.hypot(down * self._spacing[0], across * self._spacing[1]), 1)

    def _way(self, line: Ends) -> tuple[float, float]:
        (r0, c0), (r1, c1) = line
        return (r1 - r0) * self._stride, (c1 - c0) * self._stride
