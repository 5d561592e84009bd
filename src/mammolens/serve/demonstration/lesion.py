"""A synthetic lesion: a spiculated mass with fine calcifications, drawn into a film.

It is drawn, not taken from a patient, and stands for no disease. It is there so that a
demonstration has an exam that the model calls high by its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Lesion", "add_lesion"]

_REACH: Final = 3.4
"""Half of the patch that is drawn, in radii of the mass: beyond it no spicule goes."""
_SPICULES: Final = 26
_STEPS: Final = 40
_SPECKS: Final = 24

_Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Lesion:
    """Where a lesion is drawn, how large and how bright.

    `row` and `column` are its middle in pixels of the film; `contrast` is added to the film's grey
    values at the middle of the mass, `speck_contrast` at that of each calcification.
    """

    row: int
    column: int
    radius_px: int
    contrast: float
    speck_contrast: float
    seed: int


def add_lesion(pixels: npt.NDArray[np.uint16], lesion: Lesion) -> npt.NDArray[np.uint16]:
    """Give a copy of a film with a lesion drawn into it; brighter is denser.

    Parameters
    ----------
    pixels
        uint16 (rows, columns); what the patch would have beyond its edges is left out.

    Examples
    --------
    >>> film = np.zeros((200, 200), np.uint16)
    >>> made = add_lesion(film, Lesion(100, 100, 20, 1000.0, 0.0, seed=1))
    >>> int(film.max()), bool(900 < made[100, 100] <= 1000), int(made[0, 0])
    (0, True, 0)
    """
    rng = np.random.default_rng(lesion.seed)
    half = round(_REACH * lesion.radius_px)
    patch = lesion.contrast * _mass(rng, half, lesion.radius_px)
    patch = patch + lesion.speck_contrast * _specks(rng, half, lesion.radius_px)
    top, left = lesion.row - half, lesion.column - half
    bottom, right = top + patch.shape[0], left + patch.shape[1]
    rows = slice(max(top, 0), min(bottom, pixels.shape[0]))
    columns = slice(max(left, 0), min(right, pixels.shape[1]))
    inside = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    made = pixels.copy()
    brighter = pixels[rows, columns].astype(np.float32) + inside
    made[rows, columns] = np.clip(np.rint(brighter), 0, np.iinfo(np.uint16).max)
    return made


def _mass(rng: np.random.Generator, half: int, radius: int) -> _Grey:
    """Draw the mass and its spicules, 0–1."""
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    angle = np.arctan2(y, x)
    edge = np.ones_like(angle)
    for waves, height in ((3, 0.10), (5, 0.07), (9, 0.04)):
        edge += np.float32(height) * np.cos(waves * angle + np.float32(rng.uniform(0, 2 * np.pi)))
    away = np.clip((np.hypot(y, x) / (radius * edge) - 1) / 0.1, -30, 30)
    core = 1 / (1 + np.exp(away))
    spicules: Any = np.zeros(core.shape, np.float32)
    for number in range(_SPICULES):
        _draw_spicule(rng, spicules, half, radius, 2 * np.pi * number / _SPICULES)
    spicules = cv2.GaussianBlur(spicules, (0, 0), 0.03 * radius)
    return np.asarray(np.maximum(core, spicules), np.float32)


def _draw_spicule(
    rng: np.random.Generator, onto: _Grey, half: int, radius: int, angle: float
) -> None:
    """Draw a line from the mass outward that bends, thins and fades."""
    begin, end = 0.6 * radius, radius * rng.uniform(1.7, 3.0)
    along = np.linspace(begin, end, _STEPS)
    bent = angle + rng.normal(0, 0.1) + rng.normal(0, 0.18) * (along / end) ** 2
    points = np.rint(half + along[:, None] * np.stack([np.cos(bent), np.sin(bent)], 1)).astype(int)
    width = radius * rng.uniform(0.06, 0.12)
    for step in range(_STEPS - 1):
        left = 1 - step / _STEPS
        first, second = points[step].tolist(), points[step + 1].tolist()
        cv2.line(onto, first, second, 0.55 * left, max(1, round(2 * width * left)))


def _specks(rng: np.random.Generator, half: int, radius: int) -> _Grey:
    """Draw calcifications of 0.1 to 0.5 mm on a film of 0.05 mm a pixel, 0–1."""
    drawn = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    for _ in range(_SPECKS):
        row, column = rng.normal(0, 0.6 * radius, 2)
        size, bright = rng.uniform(1.5, 4.5), rng.uniform(0.6, 1.0)
        away = ((y - row) ** 2 + (x - column) ** 2) / size**2
        drawn = np.maximum(drawn, np.float32(bright) * np.exp(-(np.minimum(away, 30.0) ** 1.5)))
    return np.asarray(drawn, np.float32)
