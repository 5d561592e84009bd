"""How brightly a light box shines at each place of a photograph, also behind the film.

The light of a box changes slowly from place to place, and a lens darkens the corners of a picture.
Both are a smooth surface, which is fitted to the parts of the box that no film covers.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["LIT_SHARE", "fit_light", "linear_light"]

Floats = npt.NDArray[np.float32]

LIT_SHARE: Final = 0.82
"""A place belongs to the bare box if it has at least this share of the light fitted there.

Unexposed film lets at most 70 % of the light through (base plus fog, optical density 0.15 to 0.3;
Haus and Jaskulski, Basics of Film Processing in Medical Imaging, 1997). A smaller share would take
clear borders of a film for the box; a greater one would lose the uneven corners of a box."""
_START_SHARE: Final = 0.5  # of the brightest light: the box in the first round
_LEAST_LIT: Final = 0.02
"""Bare box that must be seen, as a share of the picture; less cannot be fitted. Chosen by hand."""
_ROUNDS: Final = 3


def linear_light(codes: npt.NDArray[np.uint8]) -> Floats:
    """Turn the 8-bit codes of a picture into light, 0 to 1 (sRGB, IEC 61966-2-1).

    Phones change tones further, in ways that they do not state.
    """
    return _LINEAR[codes]


def _srgb() -> Floats:
    share = np.arange(256) / 255.0
    low, high = share / 12.92, ((share + 0.055) / 1.055) ** 2.4
    return np.where(share <= 0.04045, low, high).astype(np.float32)


_LINEAR: Final = _srgb()


def fit_light(light: Floats) -> tuple[Floats, npt.NDArray[np.bool_]] | None:
    """Fit the light of the bare box over the whole picture: its logarithm has the second degree.

    Parameters
    ----------
    light
        (rows, columns), 0 to 1, of a reduced photograph.

    Returns
    -------
    tuple
        The light of the box at each place, and where the bare box is seen; ``None`` if no bright
        box is seen.
    """
    smooth = cv2.GaussianBlur(light, (0, 0), 1.5)
    brightest = float(np.percentile(smooth, 99.0))
    lit = smooth >= _START_SHARE * brightest
    if brightest < 0.1:
        return None
    terms = _terms(*light.shape)
    fitted = np.full_like(light, brightest)
    for _ in range(_ROUNDS):
        lit = _largest(lit)
        if lit.mean() < _LEAST_LIT:
            return None
        rows = np.flatnonzero(lit)[:: max(1, int(lit.sum()) // 20_000)]
        known = np.log(np.maximum(smooth.ravel()[rows], 1e-4))
        weights = np.linalg.lstsq(terms[rows], known, rcond=None)[0]
        surface = np.exp(np.clip(terms @ weights, -4.0, 0.5)).reshape(light.shape)
        fitted = np.asarray(surface, np.float32)
        lit = smooth >= LIT_SHARE * fitted
    return fitted, _largest(lit)


def _terms(rows: int, columns: int) -> npt.NDArray[np.float64]:
    """The terms of a surface of second degree, (pixels, 6)."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    flat = [np.ones_like(x), x, y, x * x, x * y, y * y]
    return np.stack([term.ravel() for term in flat], axis=1)


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep the largest connected part."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
