"""A few numbers of each picture that show when a machine changes: sharpness, grey, clipping, noise.

`mammolens.monitor` watches them over many exams. They decide nothing about a single picture. They
are measured on what the model sees, so that a change that cannot reach the model does not show.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from mammolens.core import PreparedView

__all__ = ["picture_measures"]

_RIM_PX: Final = 9
"""Rim of the breast's mask that is left out: its edge is a step of its own."""
_LEAST_PX: Final = 256
"""With fewer pixels inside the rim, a picture has no measures."""
_LEAST_SHARE: Final = 1e-5
_LAPLACE: Final = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
_NOISE: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Kernel of Immerkær's estimate of noise, doi 10.1006/cviu.1996.0060."""


def picture_measures(view: PreparedView) -> dict[str, float]:
    """Measure a prepared picture of a whole breast.

    Returns
    -------
    ``sharpness`` (log of the ratio of the deviations of Laplacian and greys), ``mean_grey`` (0–1),
    ``clipping`` (log10 of the share of black and white pixels) and ``noise`` (log10 of the
    deviation in grey levels). Empty for a marked region, or where the breast is too small.
    """
    if view.overview is None:
        return {}
    rim = np.ones((_RIM_PX, _RIM_PX), np.uint8)
    inside = cv2.erode(view.mask.astype(np.uint8), rim).astype(bool)
    breast = view.overview.grey[view.overview.mask]
    if np.count_nonzero(inside) < _LEAST_PX or breast.size < _LEAST_PX:
        return {}
    grey = view.pixels.astype(np.float32)
    edges = cv2.filter2D(grey, -1, _LAPLACE)[inside]
    fine = cv2.filter2D(grey, -1, _NOISE)[inside]
    deviation = float(grey[inside].std())
    if not deviation:
        return {}
    clipped = np.count_nonzero((breast == 0) | (breast == 255)) / breast.size
    noise = math.sqrt(math.pi / 2) / 6 * float(np.abs(fine).mean())
    return {
        "sharpness": math.log(max(float(np.std(edges)) / deviation, 1e-3)),
        "mean_grey": float(breast.mean()) / 255.0,
        "clipping": math.log10(max(clipped, _LEAST_SHARE)),
        "noise": math.log10(max(noise, 1e-2)),
    }
