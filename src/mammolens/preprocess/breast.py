"""Find the breast in a picture: its mask, its box, and the side of the chest wall.

Labels, tape and film borders are left out. All functions except `pectoral_mask` work on a thumbnail
of about 512 pixels: fine structure does not help here and costs time.

The constants were chosen by hand on the sample exams; none was fitted. docs/evidence/masks.md has
the overlap with outlines drawn by hand, for both versions of the preparation
(`PreprocessConfig.version`). A package that was made with version 1 keeps it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["BreastRegion", "edge_fills", "find_breast", "looks_inverted", "pectoral_mask"]

_ALMOST_WHITE, _ALMOST_BLACK = 0.97, 0.03
"""Greys (0–1) that count as white and black when a picture is tested for inversion. Chosen by hand
on the sample exams; not tuned."""
_INVERTED_SHARE, _INVERTED_RATIO = 0.15, 4.0
"""A picture is inverted if more than this share of it is white, and more than this many times as
much is white as black. Chosen by hand on the sample exams; not tuned. With smaller values, a film
with a broad white border could be inverted by mistake."""
_OPENING_RADIUS: Final = 0.012
"""Radius of the disc that separates the breast from touching labels, by the thumbnail's longer
side (6 pixels of 512). Chosen by hand on the sample exams; not tuned. A larger disc rounds off the
nipple and the axilla."""
_SMALLEST_SHARE: Final = 0.01
"""Smallest share of the picture that a breast may cover; a smaller region is treated as a label.
Chosen by hand on the sample exams; not tuned."""
_SATURATED: Final = 235
"""Grey (0–255) above which a pixel of the film's border counts as saturated. Chosen by hand on the
sample exams; not tuned."""
_BROAD_BORDER, _BROAD_SATURATED = 0.15, 0.6
_THIN_BORDER, _THIN_SATURATED = 0.025, 0.3
"""A film border is looked for in the outer 15 % of the rows and columns, where more than 60 % of a
row is saturated, and in the outer 2.5 %, where 30 % is enough. Chosen by hand on the sample exams;
not tuned. A larger border would cut into a breast that is burnt out at the chest wall."""
_AIR_PEAK: Final = 0.6
"""The peak of the air is looked for in this lower part of the greys below Otsu's level."""
_AIR_TO_OTSU, _ABOVE_AIR = 0.18, 4.0
"""The limit between air and breast is the peak of the air plus this share of the distance to Otsu's
level, and at least 4 greys (of 255) above the peak. Chosen by hand on the sample exams; not tuned.
A higher limit loses skin and fat; with a lower limit, haze on the film counts as breast."""
_STEP_OF_MUSCLE: Final = 0.08
"""Smallest step of grey (0–1) across the edge of a pectoral muscle in version 1. Chosen by
hand; not tuned. It misses 5 of 66 muscles (docs/evidence/masks.md); version 2 is `find_muscle`."""
_BORDER_DEPTH, _BORDER_ENDS = 0.01, 0.5
"""In version 2, white lines at the edge are a border of the film only if the white ends at once: so
much deeper (by the thumbnail's side), less than this share of it is left. A white muscle fades; in
version 1 it was cut off as a border on 5 of 66 films. Chosen on half of them."""


@dataclass(frozen=True)
class BreastRegion:
    """The breast in a thumbnail.

    `mask` is bool (h, w), true on the breast. `box` is its bounding box (row0, col0, row1, col1),
    half-open.
    """

    mask: npt.NDArray[np.bool_]
    box: tuple[int, int, int, int]

    @property
    def lean_to_right(self) -> float:
        """How much taller the breast is at the right edge of its box than at the left, −1 to 1.

        It is the difference of the shares of breast in the outer tenths of the box.
        """
        row0, col0, row1, col1 = self.box
        extent = self.mask[row0:row1, col0:col1].mean(0)
        tenth = max(1, len(extent) // 10)
        return float(extent[-tenth:].mean() - extent[:tenth].mean())

    @property
    def chest_wall_right(self) -> bool:
        """Whether the chest wall is at the right: the breast is taller at that edge."""
        return self.lean_to_right > 0


def looks_inverted(grey: npt.NDArray[np.float32]) -> bool:
    """Return whether a picture (H, W, 0–1) shows a dark breast on a bright background.

    Air is the largest flat region of a mammogram. It is black unless the picture is inverted.
    """
    bright = float(np.mean(grey > _ALMOST_WHITE))
    dark = float(np.mean(grey < _ALMOST_BLACK))
    return bright > _INVERTED_SHARE and bright > _INVERTED_RATIO * dark


def find_breast(grey: npt.NDArray[np.float32], version: int = 1) -> BreastRegion | None:
    """Find the breast in a thumbnail.

    Parameters
    ----------
    grey
        Float32 (h, w), 0–1, breast brighter than the background.
    version
        Version of the preparation, 1 or 2. In version 2, a white muscle at the edge of the picture
        is not taken for a border of the film.

    Returns
    -------
    The largest region that is brighter than air, or ``None`` if no region is large enough.
    """
    picture = np.asarray(cv2.medianBlur((grey * 255.0).astype(np.uint8), 3), np.uint8)
    inside = _inside_film(picture, version)
    foreground = (picture > _air_level(picture[inside])) & inside
    radius = max(2, round(_OPENING_RADIUS * max(grey.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx(foreground.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return None
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[best, cv2.CC_STAT_AREA] < _SMALLEST_SHARE * grey.size:
        return None
    mask = _fill(labels == best, kernel) & inside
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = (int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1)
    return BreastRegion(mask, box)


def edge_fills(region: BreastRegion) -> tuple[float, float, float, float]:
    """Measure how far the breast fills its box along each edge, 0–1: (top, bottom, left, right).

    The chest wall is the straight side of a breast: the outer tenth of the box is full there, and
    nearly empty at the nipple. The convex hull of the mask is measured, because fat that is as dark
    as air leaves bays in the mask.
    """
    row0, col0, row1, col1 = region.box
    mask = region.mask[row0:row1, col0:col1]
    contours, _ = cv2.findContours(
        np.ascontiguousarray(mask, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    hull = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.vstack(contours)), (1.0,))
    rows, cols = max(1, (row1 - row0) // 10), max(1, (col1 - col0) // 10)
    strips = hull[:rows], hull[-rows:], hull[:, :cols], hull[:, -cols:]
    top, bottom, left, right = (float(strip.mean()) for strip in strips)
    return top, bottom, left, right


def pectoral_mask(
    pixels: npt.NDArray[np.uint16], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Find the pectoral muscle on an MLO view whose chest wall is at the left.

    Straight lines from the top edge to the chest wall are tried. The line with the strongest step
    from bright to dark is the edge of the muscle. If no line has a clear step, the mask is empty.

    Parameters
    ----------
    pixels, mask
        Uint16 and bool (H, W).

    Returns
    -------
    Bool (H, W), true on the muscle.
    """
    rows, cols = np.nonzero(mask)
    empty = np.zeros_like(mask)
    if rows.size == 0:
        return empty
    top, height, width = int(rows.min()), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1
    smooth = _float32(cv2.GaussianBlur(_float32(pixels) / 65535.0, (0, 0), 0.01 * height))
    # Search grid: where the line meets the top edge (share of the breast's width) and the chest
    # wall (share of its height), and 48 points of the line, 2 % of the height to either side of
    # which greys are compared. Chosen by hand; not tuned.
    along = np.linspace(0.05, 0.95, 48)
    best, edge = _STEP_OF_MUSCLE, None
    for across in np.linspace(0.15, 0.9, 26) * width:
        for down in np.linspace(0.2, 0.95, 31) * height:
            length = float(np.hypot(across, down))
            normal = np.array([across, down]) / length * 0.02 * height
            line = np.stack([top + along * down, (1.0 - along) * across], 1)
            step = _sample(smooth, line - normal) - _sample(smooth, line + normal)
            # The mean step counts less if few points of the line have a step, or the line is short.
            contrast = float(np.mean(step)) * float(np.mean(step > 0)) * min(1.0, length / height)
            if contrast > best:
                best, edge = contrast, (across, down)
    if edge is None:
        return empty
    row, col = np.indices(mask.shape)
    muscle: npt.NDArray[np.bool_] = mask & ((row - top) / edge[1] + col / edge[0] < 1.0)
    return muscle


def _float32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _sample(
    image: npt.NDArray[np.float32], points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    row = np.clip(np.rint(points[:, 0]).astype(np.intp), 0, image.shape[0] - 1)
    col = np.clip(np.rint(points[:, 1]).astype(np.intp), 0, image.shape[1] - 1)
    return image[row, col]


def _inside_film(picture: npt.NDArray[np.uint8], version: int) -> npt.NDArray[np.bool_]:
    """Mask (h, w) without white film borders: outer rows and columns that are mostly saturated."""
    width_of = _border_width if version == 1 else _sharp_border_width
    inside = np.ones(picture.shape, bool)
    saturated = picture > _SATURATED
    for axis in (0, 1):
        share = saturated.mean(axis=1 - axis)
        low, high = width_of(share), len(share) - width_of(share[::-1])
        index: list[slice] = [slice(None), slice(None)]
        index[axis] = slice(0, low)
        inside[tuple(index)] = False
        index[axis] = slice(high, None)
        inside[tuple(index)] = False
    return inside


def _border_width(share: npt.NDArray[np.float64]) -> int:
    """Width of the border at the start, plus one; `share` (n,) of each line is saturated."""
    broad, thin = round(_BROAD_BORDER * len(share)), round(_THIN_BORDER * len(share))
    mostly = np.flatnonzero(share[:broad] > _BROAD_SATURATED)
    partly = np.flatnonzero(share[:thin] > _THIN_SATURATED)
    return max((int(lines[-1]) + 2 for lines in (mostly, partly) if lines.size), default=0)


def _sharp_border_width(share: npt.NDArray[np.float64]) -> int:
    """Like `_border_width`; 0 if the white does not end at once, as that of a muscle."""
    width = _border_width(share)
    deeper = share[width + round(_BORDER_DEPTH * len(share)) :]
    ends = width == 0 or not deeper.size or deeper[0] < _BORDER_ENDS * share[:width].max()
    return width if ends else 0


def _air_level(values: npt.NDArray[np.uint8]) -> float:
    """Grey level (0–255) between air and breast: just above the air's peak, far below Otsu's."""
    counts = np.bincount(values, minlength=256).astype(np.float64)
    otsu, _ = cv2.threshold(values.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = counts[: max(int(otsu), 1) + 1]
    air = int(np.argmax(dark[: max(int(_AIR_PEAK * len(dark)), 1)]))
    return air + max(_ABOVE_AIR, _AIR_TO_OTSU * (otsu - air))


def _fill(component: npt.NDArray[np.bool_], kernel: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Close narrow bays of a mask (h, w) and fill its holes."""
    closed = cv2.morphologyEx(component.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(closed), contours, -1, 1, cv2.FILLED)
    return filled.astype(bool)
