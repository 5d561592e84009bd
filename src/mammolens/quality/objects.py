"""Bright things that are not breast tissue: objects at the outline, implants.

Clips are not looked for: small bright objects by a top-hat filter were found on more than half of
60 sound pictures of rsna, whose processing makes calcifications and crossing fibres as bright.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from mammolens.quality._masks import as_bytes, wider
from mammolens.quality.frame import Frame

__all__ = ["Objects", "measure_objects"]

_BRIGHT: Final = 0.6
"""An object outside the breast is at least this bright, by the range of greys. Chosen by hand."""
_NEAR: Final = 0.02
"""It lies at the breast if it is nearer than this, by the overview's longer side."""
_SMALLEST: Final = 0.0005
"""and larger than this share of the picture."""
_DENSE: Final = 0.75
"""An implant is brighter than this share of the breast's percentile 99."""


@dataclass(frozen=True)
class Objects:
    """What was found: `at_breast` as boxes (row0, col0, row1, col1) of the overview with the chest
    wall at the left; `implant` is the share of the breast that is one bright, even part, 0–1."""

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
