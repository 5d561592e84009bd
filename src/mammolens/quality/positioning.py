"""Positioning of a breast: nipple, pectoral muscle, posterior nipple line. Reported, never a doubt.

All lengths are in pixels of the overview, chest wall at the left. The criteria are those of PGMI
and EUREF, as far as outline and muscle show them. 75 % of acceptable MLO views miss the criterion
of the muscle (Spuur 2008): a poor standing is a remark about the picture, not a reason to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.preprocess import MuscleEdge, find_muscle
from mammolens.quality.frame import Frame

__all__ = ["Positioning", "measure_positioning"]

_FINE, _COARSE = 0.012, 0.08
"""Sigmas of the outline's smoothing, by the breast's height: a nipple stands out from the coarse
line and remains in the fine one. Chosen by hand."""
_ROWS: Final = (0.2, 0.9)
"""The nipple is looked for between these shares of the breast's height."""
_NEAR: Final = 0.15
"""and at most so far, by the breast's height, from the row that reaches farthest."""


@dataclass(frozen=True)
class Positioning:
    """Where nipple and muscle lie.

    `nipple` is (row, column). `bump` says by how much it stands out of the outline, by the breast's
    height. `muscle` is ``None`` on CC views, and where no edge was found. `line` has the ends of
    the posterior nipple line: the nipple, and the muscle's edge or the chest wall. `reach` says how
    far the muscle's lower end lies below that line's foot, by the breast's height; negative: above.
    """

    nipple: tuple[float, float]
    bump: float
    muscle: MuscleEdge | None
    line: tuple[tuple[float, float], tuple[float, float]]
    reach: float | None


def measure_positioning(frame: Frame, oblique: bool) -> Positioning:
    """Find the nipple, on an oblique view the muscle, and the line between them."""
    row0, col0, row1, _ = frame.box
    height = row1 - row0
    fine, coarse = (_smoothed(frame.last, share * height) for share in (_FINE, _COARSE))
    first, stop = int(_ROWS[0] * height), max(int(_ROWS[1] * height), int(_ROWS[0] * height) + 1)
    farthest = first + int(np.argmax(coarse[first:stop]))
    near = slice(
        max(first, farthest - int(_NEAR * height)), min(stop, farthest + int(_NEAR * height) + 1)
    )
    bumps = fine[near] - coarse[near]
    row = near.start + int(np.argmax(bumps))
    bump = float(bumps.max()) / height
    nipple = float(row0 + row), float(col0 + fine[row])
    muscle = find_muscle(frame.grey.astype(np.float32), frame.mask) if oblique else None
    if muscle is None:
        return Positioning(nipple, bump, None, (nipple, (nipple[0], float(col0))), None)
    foot, along = _foot(nipple, muscle)
    if along > 1.0:  # the line passes below the muscle and ends at the chest wall
        slope = (foot[0] - nipple[0]) / min(foot[1] - nipple[1], -1e-6)
        foot = nipple[0] + slope * (col0 - nipple[1]), float(col0)
    reach = (1.0 - along) * muscle.down / height
    return Positioning(nipple, bump, muscle, (nipple, foot), reach)


def _smoothed(values: npt.NDArray[Any], sigma: float) -> npt.NDArray[Any]:
    """A line of numbers after a Gaussian; the ends are repeated."""
    reach = max(1, int(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 0.3)) ** 2)
    padded = np.pad(values.astype(np.float64), reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def _foot(point: tuple[float, float], muscle: MuscleEdge) -> tuple[tuple[float, float], float]:
    """Where the perpendicular from a point meets the muscle's line, and the share of the line."""
    top = np.array([muscle.top, muscle.left + muscle.across])
    way = np.array([muscle.down, -muscle.across])
    along = float(np.dot(np.array(point) - top, way) / np.dot(way, way))
    row, col = top + along * way
    return (float(row), float(col)), along
