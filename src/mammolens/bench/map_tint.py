"""The tint that shows a map over a picture, for reports of evaluations and explanations.

Results of exams use lines instead, because lines do not cover the tissue.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["FAINTEST", "STRONGEST", "heat", "tinted"]

FAINTEST: Final = 0.4
"""Strength below which the map is not drawn."""
STRONGEST: Final = 2.0
"""Strength from which the colour no longer changes."""

_OPACITY: Final = 0.5
_STEPS: Final = 255


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
