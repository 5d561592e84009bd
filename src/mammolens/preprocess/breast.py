"""Where the breast is: mask without labels, tape and film borders; side of the chest wall.

Works on a thumbnail (about 512 pixels): fine structure does not help here and costs time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["BreastRegion", "edge_fills", "find_breast", "looks_inverted", "pectoral_mask"]

_SMALLEST_SHARE = 0.01


@dataclass(frozen=True)
class BreastRegion:
    """`mask` bool (h, w); `box` its bounding box (row0, col0, row1, col1), half-open;
    `chest_wall_right` whether the chest wall is at the right edge of the picture."""

    mask: npt.NDArray[np.bool_]
    box: tuple[int, int, int, int]
    chest_wall_right: bool


def looks_inverted(grey: npt.NDArray[np.float32]) -> bool:
    """Say whether a picture (H, W, 0–1) shows a dark breast on a bright background.

    Air is the largest flat region of a mammogram; it is black when the picture is upright.
    """
    bright = float(np.mean(grey > 0.97))
    dark = float(np.mean(grey < 0.03))
    return bright > 0.15 and bright > 4.0 * dark


def find_breast(grey: npt.NDArray[np.float32]) -> BreastRegion | None:
    """Find the breast in a thumbnail.

    Parameters
    ----------
    grey
        Float32 (h, w), 0–1, breast brighter than the background.

    Returns
    -------
    The region, or ``None`` if nothing in the picture could be a breast.
    """
    picture = np.asarray(cv2.medianBlur((grey * 255.0).astype(np.uint8), 3), np.uint8)
    inside = _inside_film(picture)
    foreground = (picture > _air_level(picture[inside])) & inside
    radius = max(2, round(0.012 * max(grey.shape)))
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
    return BreastRegion(mask, box, _chest_wall_right(mask, box))


def edge_fills(region: BreastRegion) -> tuple[float, float, float, float]:
    """How far the breast fills its box along each edge, 0–1: (top, bottom, left, right).

    The chest wall is the straight side: the outer tenth of the box is full there, and nearly empty
    at the nipple. The convex hull is looked at, because fat that is as dark as air leaves bays in
    the mask.
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

    The muscle's edge is taken as the straight line from the top edge to the chest wall with the
    strongest step from bright to dark; where no line has a clear step the mask is empty.

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
    along = np.linspace(0.05, 0.95, 48)
    best, edge = 0.08, None
    for across in np.linspace(0.15, 0.9, 26) * width:
        for down in np.linspace(0.2, 0.95, 31) * height:
            length = float(np.hypot(across, down))
            normal = np.array([across, down]) / length * 0.02 * height
            line = np.stack([top + along * down, (1.0 - along) * across], 1)
            step = _sample(smooth, line - normal) - _sample(smooth, line + normal)
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


def _inside_film(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Leave out white film borders: outer rows and columns that are almost wholly saturated."""
    inside = np.ones(picture.shape, bool)
    saturated = picture > 235
    for axis in (0, 1):
        share = saturated.mean(axis=1 - axis)
        low, high = _strip(share), len(share) - _strip(share[::-1])
        index: list[slice] = [slice(None), slice(None)]
        index[axis] = slice(0, low)
        inside[tuple(index)] = False
        index[axis] = slice(high, None)
        inside[tuple(index)] = False
    return inside


def _strip(share: npt.NDArray[np.float64]) -> int:
    """Width of a border: broad if most of it is saturated, thin if a third of it is."""
    broad, thin = round(0.15 * len(share)), round(0.025 * len(share))
    bordering = np.flatnonzero(share[:broad] > 0.6)
    lining = np.flatnonzero(share[:thin] > 0.3)
    return max((int(found[-1]) + 2 for found in (bordering, lining) if found.size), default=0)


def _air_level(values: npt.NDArray[np.uint8]) -> float:
    """Grey level between air and breast: just above the dark peak, well below Otsu's level."""
    counts = np.bincount(values, minlength=256).astype(np.float64)
    otsu, _ = cv2.threshold(values.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = counts[: max(int(otsu), 1) + 1]
    air = int(np.argmax(dark[: max(int(0.6 * len(dark)), 1)]))
    return air + max(4.0, 0.18 * (otsu - air))


def _fill(component: npt.NDArray[np.bool_], kernel: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    closed = cv2.morphologyEx(component.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(closed), contours, -1, 1, cv2.FILLED)
    return filled.astype(bool)


def _chest_wall_right(mask: npt.NDArray[np.bool_], box: tuple[int, int, int, int]) -> bool:
    """The chest wall is the side on which the breast is widest at its edge."""
    row0, col0, row1, col1 = box
    extent = mask[row0:row1, col0:col1].mean(0)
    tenth = max(1, len(extent) // 10)
    return bool(extent[-tenth:].mean() > extent[:tenth].mean())
