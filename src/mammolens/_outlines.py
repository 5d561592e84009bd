"""Show the coarse map of a model on a picture: closed lines around its strong places, or a tint.

For readers, lines are drawn instead of colours, because the tissue must stay visible. The strength
is the raw value of the map divided by the validated level of the model. So the same line means the
same evidence on every image, and an image without activation has no lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry

__all__ = [
    "FAINTEST",
    "LEVELS",
    "LEVELS_MEAN",
    "STRONGEST",
    "Outline",
    "draw_outlines",
    "heat",
    "outline",
    "tinted",
    "warp_map",
]

LEVELS: Final = (1.0, 2.0)
"""Strengths that are outlined: the validated level from which on a finding counts, and twice it."""
LEVELS_MEAN: Final = "1x and 2x the level from which a finding counts"

Outline = tuple[float, npt.NDArray[np.float32]]
"""A level of `LEVELS`, and a closed line: float32 (n, 2) of (column, row) in continuous pixels."""

FAINTEST: Final = 0.4
"""Strength below which the map is not drawn."""
STRONGEST: Final = 2.0
"""Strength from which the colour no longer changes."""

_OPACITY: Final = 0.5
_STEPS: Final = 255
_INK: Final = (255, 209, 102)
_HALO: Final = (16, 18, 20)
_GRID_PX: Final = 512
"""Longest side of the grid on which lines are traced. A cell of a map has about ten grid pixels."""
_SMOOTH_PX: Final = 0.75
"""Largest distance, in grid pixels, between a traced line and its simplified form."""


def outline(
    strength: npt.NDArray[np.float32],
    geometry: Geometry,
    shape: tuple[int, int],
    mirrored: bool = False,
) -> list[Outline]:
    """Outline the places of a map that reach `LEVELS`, on a picture of the whole source.

    Parameters
    ----------
    strength
        Float32 (h, w) that covers the prepared frame; 1 is the validated level.
    geometry
        Map between source and prepared pixels.
    shape
        Rows and columns of the picture.
    mirrored
        Whether the picture shows the source mirrored left to right.

    Returns
    -------
    Lines in pixels of the picture, the lower level first; each hole has its own line.
    """
    factor = min(1.0, _GRID_PX / max(shape))
    grid = max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
    warped = warp_map(strength, geometry, grid)
    size = np.asarray((shape[1] / grid[1], shape[0] / grid[0]), dtype=np.float32)
    outlines: list[Outline] = []
    for level in LEVELS:
        reached = np.pad(warped[:, ::-1] if mirrored else warped, 1) >= level
        lines, _ = cv2.findContours(reached.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for line in lines:
            smooth = cv2.approxPolyDP(line, _SMOOTH_PX, True)[:, 0].astype(np.float32)
            outlines.append((level, (smooth - np.float32(0.5)) * size))
    return outlines


def draw_outlines(picture: npt.NDArray[np.uint8], lines: Sequence[Outline], size: float) -> None:
    """Draw lines into a uint8 RGB picture with a dark halo, thicker for the higher level.

    The thickness follows `size`, the size of the letters on the same picture. The picture is
    changed.
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
    """Resample a map of the prepared frame to a picture of the whole source image.

    Parameters
    ----------
    activation
        Float32 (h, w) that covers the prepared frame, in any unit.
    geometry
        Map between source and prepared pixels.
    display_shape
        Rows and columns of the picture of the whole source.

    Returns
    -------
    Float32 of `display_shape`, interpolated bilinearly, in the stored orientation and the unit of
    the map. It is zero outside the crop, which the model did not see.
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
    """Centres of `count` equal parts of 0–`extent`."""
    return np.asarray((np.arange(count) + 0.5) * (extent / count), dtype=np.float64)


def _weights(
    position: npt.NDArray[np.float64], count: int, inside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Matrix (positions, count) of linear interpolation; the centre of cell `i` is at i + ½.

    Rows of positions that are not `inside` are zero.
    """
    distance = np.clip(position - 0.5, 0, count - 1)[:, None] - np.arange(count)[None, :]
    return (np.maximum(0.0, 1.0 - np.abs(distance)) * inside[:, None]).astype(np.float32)


def heat(strength: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Colour a map of strengths (1 = the validated level).

    Returns
    -------
    uint8 RGBA (rows, columns, 4): viridis, perceptually even and safe for the colour-blind, from
    `FAINTEST` (wholly transparent) to `STRONGEST` (half opaque).
    """
    step = np.clip(strength * (_STEPS / STRONGEST), 0, _STEPS).astype(np.uint8)
    return np.asarray(_ramp()[step], dtype=np.uint8)


@lru_cache(maxsize=1)
def _ramp() -> npt.NDArray[np.uint8]:
    strength = np.arange(_STEPS + 1) * (STRONGEST / _STEPS)
    share = np.clip((strength - FAINTEST) / (STRONGEST - FAINTEST), 0.0, 1.0)
    colour = cv2.applyColorMap(np.rint(share * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    rise = np.clip((strength - FAINTEST) / (1.0 - FAINTEST), 0.0, 1.0)
    alpha = rise * rise * (3 - 2 * rise) * _OPACITY
    opaque = np.rint(alpha * 255).astype(np.uint8)
    return np.column_stack([colour.reshape(-1, 3)[:, ::-1], opaque]).astype(np.uint8)


def tinted(grey: npt.NDArray[np.uint8], strength: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Lay a map of strengths over a grey picture of the same shape; uint8 RGB."""
    tint = heat(strength)
    mixed = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    seen = tint[..., 3] > 0
    alpha = tint[seen, 3:].astype(np.float32) / 255
    mixed[seen] = np.rint(mixed[seen] * (1 - alpha) + tint[seen, :3] * alpha)
    return mixed
