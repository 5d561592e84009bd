"""Where a film lies in a photograph: a quadrilateral hole in the lit area of the box."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["film_outlines", "four_corners", "is_too_steep", "side_lengths"]

Points = npt.NDArray[np.float64]

_LEAST_FILM: Final = 0.08
"""Least share of the picture for a film; smaller holes are labels, dirt and fingers."""
_SECOND_FILM: Final = 0.2
"""A second hole with this share of the first one's area is a second film."""
_FILLED: Final = 0.95
"""A film and the area of its four lines share at least this part. Rounded corners of a radius of
5 mm take 0.05 % of 18 × 24 cm; a torn or half-covered film takes more than 5 %."""
_STEEP_RATIO: Final = 1.25
"""Greatest ratio of opposite sides. At 1.25 the far side has 20 % fewer pixels a millimetre."""
_STEEP_ANGLE: Final = 15.0
"""Greatest departure of a corner from 90 degrees. Both limits were chosen by hand."""


def film_outlines(lit: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int32]]:
    """Give the outlines of the films in the lit area, the largest first.

    A film is a hole with light on all four sides. A film that the picture cuts off is not found.
    """
    box = cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    contours, tree = cv2.findContours(box, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return []
    holes = [c for c, node in zip(contours, tree[0], strict=True) if node[3] >= 0]
    holes.sort(key=cv2.contourArea, reverse=True)
    if not holes or cv2.contourArea(holes[0]) < _LEAST_FILM * lit.size:
        return []
    least = _SECOND_FILM * cv2.contourArea(holes[0])
    return [np.asarray(c, np.int32) for c in holes if cv2.contourArea(c) >= least]


def four_corners(outline: npt.NDArray[np.int32]) -> Points | None:
    """Fit four lines to an outline, and give their corners.

    Returns
    -------
    Points
        (4, 2) as (x, y): top left, top right, bottom right, bottom left. ``None`` if the outline is
        not a quadrilateral.
    """
    hull = np.asarray(cv2.convexHull(outline), np.int32)
    rough = _reduce(hull)
    if rough is None:
        return None
    lines = [_side_line(hull, rough[i], rough[(i + 1) % 4]) for i in range(4)]
    if any(line is None for line in lines):
        return None
    crossed = [_cross(lines[i - 1], lines[i]) for i in range(4)]
    if any(point is None for point in crossed):
        return None
    corners = _ordered(np.array(crossed))
    inside = cv2.intersectConvexConvex(hull.astype(np.float32), corners.astype(np.float32))[0]
    areas = cv2.contourArea(hull), cv2.contourArea(corners.astype(np.float32))
    if inside < _FILLED * max(areas) or cv2.contourArea(outline) < _FILLED * areas[0]:
        return None
    return corners


def side_lengths(corners: Points) -> tuple[float, float, float, float]:
    """Lengths of top, right, bottom and left in pixels."""
    top, right, bottom, left = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    return float(top), float(right), float(bottom), float(left)


def is_too_steep(corners: Points) -> bool:
    """Say whether a film was seen at too steep an angle to be straightened."""
    top, right, bottom, left = side_lengths(corners)
    ratio = max(top / bottom, bottom / top, left / right, right / left)
    before, after = np.roll(corners, 1, axis=0) - corners, np.roll(corners, -1, axis=0) - corners
    cosines = (before * after).sum(1) / np.linalg.norm(before, axis=1)
    angles = np.degrees(np.arccos(np.clip(cosines / np.linalg.norm(after, axis=1), -1.0, 1.0)))
    return ratio > _STEEP_RATIO or bool(np.abs(angles - 90.0).max() > _STEEP_ANGLE)


def _reduce(hull: npt.NDArray[np.int32]) -> Points | None:
    """Reduce a hull to four corners, by the smallest tolerance that gives them."""
    around = cv2.arcLength(hull, True)
    for share in np.linspace(0.01, 0.1, 19):
        found = cv2.approxPolyDP(hull, float(share * around), True)
        if len(found) <= 4:
            return found.reshape(-1, 2).astype(np.float64) if len(found) == 4 else None
    return None


def _side_line(hull: npt.NDArray[np.int32], start: Points, end: Points) -> Points | None:
    """Fit a line to the middle of one side: (vx, vy, x, y). Its ends, near corners, are left out.

    A hull has few points on a straight side, so points along its edges are used.
    """
    points = hull.reshape(-1, 2).astype(np.float64)
    steps = np.linspace(0.0, 1.0, 200)[:, None]
    edges = zip(points, np.roll(points, -1, axis=0), strict=True)
    dense = np.concatenate([a + (b - a) * steps for a, b in edges])
    along = (end - start) / np.linalg.norm(end - start)
    offset = dense - start
    place = offset @ along / np.linalg.norm(end - start)
    apart = np.abs(offset @ np.array([-along[1], along[0]]))
    near = dense[(place > 0.1) & (place < 0.9) & (apart < 0.03 * np.linalg.norm(end - start))]
    if len(near) < 2:
        return None
    line = cv2.fitLine(near.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01)
    return np.asarray(line, np.float64).ravel()


def _cross(one: Points | None, other: Points | None) -> Points | None:
    if one is None or other is None:
        return None
    matrix = np.stack([one[:2], -other[:2]], axis=1)
    if abs(np.linalg.det(matrix)) < 1e-3:
        return None
    distance = np.linalg.solve(matrix, other[2:] - one[2:])[0]
    return np.asarray(one[2:] + distance * one[:2])


def _ordered(corners: Points) -> Points:
    """Order corners clockwise, from the one that is nearest to the top left."""
    angle = np.arctan2(*(corners - corners.mean(0)).T[::-1])
    around = corners[np.argsort(angle)]
    return np.roll(around, -int(around.sum(1).argmin()), axis=0)
