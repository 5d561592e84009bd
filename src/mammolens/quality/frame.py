"""Exposure, clipping, cut-off tissue and bright objects, measured on the overview.

Bright objects that are not breast tissue lie at the outline, or are implants. Clips are not
looked for: small bright objects by a top-hat filter were found on more than half of 60 sound
pictures of rsna, whose processing makes calcifications and crossing fibres as bright.

`Places` takes what was measured here to pixels of the stored image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Mammogram, Mark, MarkKind, Overview, PreparedView, turn_box
from mammolens.preprocess import BreastRegion, find_breast
from mammolens.quality._masks import as_bytes, wider

__all__ = ["Ends", "Frame", "Objects", "Places", "measure_frame", "measure_objects"]

VERSION: Final = 2
"""Version of the masks that the verdict uses, whatever the model's card says."""
_WHITE, _BLACK = 254, 1
"""Greys (0–255) that count as white and black, as in `preprocess.picture_trust`."""

_TISSUE: Final = 0.35
"""Tissue at a cut edge is at least this bright, by the breast's median. Below it lies haze of the
film that the mask took in: seen on 2 of 9 straight outlines of MIAS and DDSM. Chosen by hand."""


@dataclass(frozen=True)
class Frame:
    """The breast in the overview, chest wall at the left.

    `grey` (h, w, 0–255) and `mask` (h, w) are the overview, mirrored if need be; `box` is the
    breast's (row0, col0, row1, col1). `last` (rows of the box,) is the outline: the last column of
    the breast in each row. `median` and `contrast` (percentiles 5 to 95) are greys of the breast,
    0–1; `white` and `black` are shares of it. `cut_far` says how much of the breast's height lies
    straight along the edge opposite the chest wall, 0–1.
    """

    grey: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    box: tuple[int, int, int, int]
    last: npt.NDArray[np.intp]
    mirrored: bool
    median: float
    contrast: float
    white: float
    black: float
    cut_far: float

    def clipped(self) -> list[tuple[int, int, int, int]]:
        """Boxes of the largest parts of the breast that are pure white or black, at most three."""
        lost = ((self.grey >= _WHITE) | (self.grey <= _BLACK)) & self.mask
        return [box for box, _ in sorted(_parts(lost), key=lambda part: -part[1])[:3]]


def measure_frame(overview: Overview) -> Frame | None:
    """Find the breast by the newest masks and measure it; ``None`` if none is found."""
    region = find_breast(overview.grey.astype(np.float32) / np.float32(255.0), VERSION)
    if region is None:
        return None
    grey, mask, box = _to_the_left(overview.grey, region)
    row0, col0, row1, col1 = box
    inside = mask[row0:row1, col0:col1]
    last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
    last = np.where(inside.any(1), last, -1)
    counts = np.cumsum(np.bincount(grey[mask], minlength=256))
    low, middle, high = (
        int(np.searchsorted(counts, share * counts[-1])) for share in (0.05, 0.5, 0.95)
    )
    total = float(counts[-1])
    return Frame(
        grey=grey,
        mask=mask,
        box=box,
        last=last,
        mirrored=region.chest_wall_right,
        median=middle / 255.0,
        contrast=(high - low) / 255.0,
        white=1.0 - float(counts[_WHITE - 1]) / total,
        black=float(counts[_BLACK]) / total,
        cut_far=_straight_share(grey[row0:row1, col0:col1], last, middle),
    )


def _straight_share(
    inside: npt.NDArray[np.uint8], last: npt.NDArray[np.intp], median: int
) -> float:
    """Share of the rows whose outline lies in the two outermost columns, on tissue, not haze."""
    edge = inside[np.arange(len(last)), np.maximum(last - 2, 0)]
    return float(np.mean((last >= last.max() - 1) & (edge > _TISSUE * median)))


def _to_the_left(
    grey: npt.NDArray[np.uint8], region: BreastRegion
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], tuple[int, int, int, int]]:
    if not region.chest_wall_right:
        return grey, region.mask, region.box
    row0, col0, row1, col1 = region.box
    width = grey.shape[1]
    box = row0, width - col1, row1, width - col0
    return grey[:, ::-1], region.mask[:, ::-1], box


_BRIGHT: Final = 0.6
"""An object outside the breast is at least this bright, by the range of greys. Chosen by hand."""
_NEAR: Final = 0.02
"""An object lies at the breast if it is nearer than this share of the overview's longer side."""
_SMALLEST: Final = 0.0005
"""Smallest share of the picture that an object covers."""
_DENSE: Final = 0.75
"""An implant is brighter than this share of the breast's percentile 99."""


@dataclass(frozen=True)
class Objects:
    """Objects and implant: `at_breast` has boxes (row0, col0, row1, col1) of the overview with the
    chest wall at the left; `implant` is the share (0–1) of the breast in one bright, even part.
    """

    at_breast: tuple[tuple[int, int, int, int], ...]
    implant: float


def measure_objects(frame: Frame) -> Objects:
    """Look for bright objects beside the breast, and for an implant."""
    foreign = (frame.grey > _BRIGHT * 255) & ~wider(frame.mask, 5)
    reach = 2 * max(1, round(_NEAR * max(frame.grey.shape))) + 5
    close = wider(frame.mask, reach)
    least = _SMALLEST * frame.grey.size
    parts = [(box, area) for box, area in _parts(foreign) if area >= least]
    at_breast = [box for box, _ in parts if close[box[0] : box[2], box[1] : box[3]].any()]
    bright = frame.grey[frame.mask]
    level = _DENSE * float(np.quantile(bright, 0.99))
    smooth = np.asarray(cv2.blur(frame.grey.astype(np.float32), (7, 7)))
    even = (np.abs(frame.grey - smooth) < 0.02 * 255) & (smooth > level) & frame.mask
    opened = cv2.morphologyEx(as_bytes(even), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    largest = max((area for _, area in _parts(opened > 0)), default=0)
    return Objects(tuple(at_breast), largest / float(bright.size))


def _parts(
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> list[tuple[tuple[int, int, int, int], int]]:
    """Boxes and areas of the connected parts of a mask (h, w)."""
    if not mask.any():
        return []
    count, _, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=8
    )
    return [
        ((int(y), int(x), int(y + h), int(x + w)), int(area)) for x, y, w, h, area in stats[1:count]
    ]


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
        down, across = self._extent(line)
        return round(math.hypot(down * self._aspect, across), 1)

    def length_mm(self, line: Ends) -> float | None:
        """Length of a line in millimetres; ``None`` if the spacing is unknown."""
        if self._spacing is None:
            return None
        down, across = self._extent(line)
        return round(math.hypot(down * self._spacing[0], across * self._spacing[1]), 1)

    def _extent(self, line: Ends) -> tuple[float, float]:
        (r0, c0), (r1, c1) = line
        return (r1 - r0) * self._stride, (c1 - c0) * self._stride
