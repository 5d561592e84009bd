"""How sharp a photograph is, measured at the edges of the film.

The edge of a film against the bare box is the same sharp step in every photograph, so its blur
shows blur from focus, movement and the lens, whatever the film shows.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.photograph.light import linear_light

__all__ = ["edge_blur_px"]

_PROFILES: Final = 48
_REACH: Final = 0.02
"""Half the length of a profile, as a share of the film's longer side."""
_SAMPLES: Final = 121
_NEAR: Final = 18
"""Samples on each side that belong to a step, 0.6 % of the film: beyond them a film has borders and
gradients of its own."""
_LEAST_STEP: Final = 0.1
"""Smallest step of light at an edge that can be measured, as a share of the bare box."""


def edge_blur_px(
    grey: npt.NDArray[np.uint8], corners: npt.NDArray[np.float64], longest_px: float
) -> float | None:
    """Give the standard deviation of the blur at the film's edges, at the worst side.

    Parameters
    ----------
    grey
        (rows, columns) of the photograph.
    corners
        (4, 2) as (x, y).

    Returns
    -------
    Pixels of the photograph; ``None`` if fewer than two sides can be measured.
    """
    blurs = []
    for i in range(4):
        start, end = corners[i], corners[(i + 1) % 4]
        along = (end - start) / np.linalg.norm(end - start)
        inward = np.array([-along[1], along[0]])
        places = start + np.linspace(0.1, 0.9, _PROFILES)[:, None] * (end - start)
        reach = np.linspace(-_REACH, _REACH, _SAMPLES) * longest_px
        at = places[:, None, :] + reach[None, :, None] * inward
        lines = cv2.remap(
            grey.astype(np.float32),
            at[..., 0].astype(np.float32),
            at[..., 1].astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        # In codes, a step is steepest where it is dark; in light, it is steepest in its middle.
        lines = linear_light(np.clip(np.round(lines), 0, 255).astype(np.uint8))
        measured = [blur for line in lines if (blur := _blur(line)) is not None]
        if len(measured) >= _PROFILES // 4:
            blurs.append(float(np.median(measured)) * float(reach[1] - reach[0]))
    return max(blurs) if len(blurs) >= 2 else None


def _blur(line: npt.NDArray[np.float32]) -> float | None:
    """Standard deviation of the blur at the steepest fall, in samples.

    A step that is blurred by a Gaussian has the slope step / (sigma * sqrt(2 pi)) in its middle.
    """
    smooth = np.convolve(line, np.ones(3) / 3, "valid")
    falls = smooth[:-1] - smooth[1:]
    at = int(falls.argmax())
    before, after = smooth[max(at - _NEAR, 0)], smooth[min(at + 1 + _NEAR, len(smooth) - 1)]
    step = float(before - after)
    if step < _LEAST_STEP * max(float(before), 0.05):
        return None
    return step / (float(falls[at]) * math.sqrt(2 * math.pi))
