"""Where a map points, as lines: a coarse map over the prepared frame → closed lines on a picture.

A line, not a tint: the tissue that a mark is about must stay as it is. Strength is the raw value of
the map divided by the model's validated level, so the same line means the same evidence on every
image, and an image without activation has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry

__all__ = ["LEVELS", "LEVELS_MEAN", "Outline", "draw_outlines", "outline", "warp_map"]

LEVELS: Final = (1.0, 2.0)
"""Strengths that are outlined: where a finding counts, and twice that."""
LEVELS_MEAN: Final = "1x and 2x the level from which a finding counts"

Outline = tuple[float, npt.NDArray[np.float32]]
"""A level out of `LEVELS`, and a closed line: float32 (n, 2) of (column, row), continuous."""

_INK: Final = (255, 209, 102)
_HALO: Final = (16, 18, 20)
_GRID_PX: Final = 512
"""Longest side of the grid on which lines are traced: a cell of a map is some ten of its pixels."""
_SMOOTH_PX: Final = 0.75


def outline(
    strength: npt.NDArray[np.float32],
    geometry: Geometry,
    shape: tuple[int, int],
    mirrored: bool = False,
) -> list[Outline]:
    """Enclose the places of a map that reach `LEVELS`, on a picture of the whole source.

    Parameters
    ----------
    strength
        (h, w), covering the prepared frame evenly; 1 is the validated level.
    geometry
        How the prepared frame was cut from the source.
    shape
        Rows and columns of the picture.
    mirrored
        Whether the picture shows the source mirrored left to right.

    Returns
    -------
    Lines in pixels of the picture, the lower level first; holes have lines of their own.
    """
    factor = min(1.0, _GRID_PX / max(shape))
    grid = max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
    laid = warp_map(strength, geometry, grid)
    size = np.asarray((shape[1] / grid[1], shape[0] / grid[0]), dtype=np.float32)
    found: list[Outline] = []
    for level in LEVELS:
        reached = np.pad(laid[:, ::-1] if mirrored else laid, 1) >= level
        lines, _ = cv2.findContours(reached.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for line in lines:
            smooth = cv2.approxPolyDP(line, _SMOOTH_PX, True)[:, 0].astype(np.float32)
            found.append((level, (smooth - np.float32(0.5)) * size))
    return found


def draw_outlines(picture: npt.NDArray[np.uint8], lines: Sequence[Outline], size: float) -> None:
    """Draw lines into uint8 RGB with a dark halo, thicker for the higher level.

    `size` is that of the letters on the same picture.
    """
    thick = max(1, round(size / 16))
    for ink, more in ((_HALO, 2 * thick), (_INK, 0)):
        for level, line in lines:
            width = thick * (1 if level <= LEVELS[0] else 2) + more
            points = np.rint(line - 0.5).astype(np.int32)
            cv2.polylines(picture, [points], True, ink, width, cv2.LINE_AA)


def warp_map(
    activation: npt.NDArray[np.float32], geometry: Geometry, display_shape: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Lay a map of the prepared frame over the whole source image, seen at another size.

    Parameters
    ----------
    activation
        (h, w), covering the prepared frame evenly; any unit.
    geometry
        How the prepared frame was cut from the source.
    display_shape
        Rows and columns of the picture of the whole source.

    Returns
    -------
    float32 `display_shape`, bilinear, in the source's orientation and the map's unit; zero
    outside the crop, of which the model saw nothing.
    """
    if geometry.quarter_turns:
        shape = display_shape[::-1] if geometry.quarter_turns % 2 else display_shape
        return np.rot90(warp_map(activation, geometry.upright, shape), geometry.quarter_turns)
    r0, c0, r1, c1 = geometry.crop_source_px
    (scale_r, scale_c), (shift_r, shift_c) = geometry.scale, geometry.offset_px
    row = _centres(display_shape[0], geometry.source_shape[0])
    col = _centres(display_shape[1], geometry.source_shape[1])
    prepared_col = (col - c0) * scale_c
    if geometry.flipped:
        prepared_col = geometry.scaled_shape[1] - prepared_col
    rows, cols = geometry.prepared_shape
    h, w = activation.shape
    down = _weights(((row - r0) * scale_r + shift_r) * h / rows, h, (row >= r0) & (row < r1))
    across = _weights((prepared_col + shift_c) * w / cols, w, (col >= c0) & (col < c1))
    return np.asarray(down @ activation.astype(np.float32) @ across.T, dtype=np.float32)


def _centres(count: int, extent: int) -> npt.NDArray[np.float64]:
    return np.asarray((np.arange(count) + 0.5) * (extent / count), dtype=np.float64)


def _weights(
    position: npt.NDArray[np.float64], count: int, inside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Linear interpolation as a matrix (positions, count); cell `i` has its centre at i + ½."""
    distance = np.clip(position - 0.5, 0, count - 1)[:, None] - np.arange(count)[None, :]
    return (np.maximum(0.0, 1.0 - np.abs(distance)) * inside[:, None]).astype(np.float32)
