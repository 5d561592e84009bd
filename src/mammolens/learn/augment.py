"""Augmentation: parameters are drawn at random, applied deterministically, and can be replayed.

A picture is moved (turned, mirrored, zoomed, stretched, shifted, bent), then blurred, toned and
made noisy, then boxes are erased. Masks of lesions follow the movement alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.learn.sections import AugmentConfig

__all__ = [
    "Augmentation",
    "apply_augmentation",
    "apply_to_mask",
    "draw_augmentation",
    "erased_pixels",
    "source_coordinates",
]

Map = npt.NDArray[np.float32]


def source_coordinates(
    shape: tuple[int, int],
    affine: npt.NDArray[np.float64],
    *,
    strength: float,
    cells: int,
    seed: int,
) -> tuple[Map, Map]:
    """Give the column and row of the source for every pixel of the result.

    An affine change, with a smooth random distortion: a uniform cubic B-spline. Such splines
    reproduce straight lines exactly, so the affine change uses the same nodes. If no node moves by
    more than a quarter of a cell, the picture cannot fold: the derivative of the shift is then at
    most a half.

    Parameters
    ----------
    shape
        Rows and columns of the picture.
    affine
        (2, 3): source (x, y) → result (x, y).
    strength
        Largest shift of a node, as a share of a cell; 0 gives no distortion.
    cells
        Cells along each side.
    seed
        Of the nodes' shifts.

    Returns
    -------
    Two float32 arrays of `shape`, as ``cv2.remap`` takes them.
    """
    shifts = np.random.default_rng(seed).uniform(-strength, strength, (2, cells + 3, cells + 3))
    down, across = (_basis(count, cells) for count in shape)
    row_step, col_step = shape[0] / cells, shape[1] / cells
    nodes = np.arange(-1, cells + 2)
    row = ((nodes[:, None] + shifts[0]) * row_step - 0.5)[None]
    col = ((nodes[None, :] + shifts[1]) * col_step - 0.5)[None]
    back = cv2.invertAffineTransform(affine)
    source = np.tensordot(back[:, :2], np.concatenate([col, row]), 1) + back[:, 2, None, None]
    x, y = (down @ coordinate.astype(np.float32) @ across.T for coordinate in source)
    return x, y


@lru_cache(maxsize=16)
def _basis(count: int, cells: int) -> Map:
    """Weights (count, cells + 3) of the nodes at the centres of `count` pixels."""
    place = (np.arange(count) + 0.5) * cells / count
    cell = np.minimum(place.astype(int), cells - 1)
    u = place - cell
    weights = np.stack(
        [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3], 1
    )
    basis = np.zeros((count, cells + 3), np.float32)
    np.put_along_axis(basis, cell[:, None] + np.arange(4), (weights / 6).astype(np.float32), 1)
    basis.flags.writeable = False
    return basis


@dataclass(frozen=True)
class Augmentation:
    """One drawn change.

    Shifts are shares of the side; `noise` is a share of white; `elastic` is the largest shift of
    a node as a share of its cell; `blur_px` is the standard deviation of a Gaussian; `erased`
    holds boxes (row0, col0, row1, col1) as shares of the sides of the result.
    """

    rotation_deg: float = 0.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    zoom: float = 1.0
    stretch: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    contrast: float = 1.0
    brightness: float = 0.0
    gamma: float = 1.0
    noise: float = 0.0
    noise_seed: int = 0
    elastic: float = 0.0
    elastic_cells: int = 6
    elastic_seed: int = 0
    blur_px: float = 0.0
    erased: tuple[tuple[float, float, float, float], ...] = ()


def draw_augmentation(rng: np.random.Generator, config: AugmentConfig) -> Augmentation:
    """Draw one change within the ranges of `config`.

    The bending, the blur and the erased boxes come from a stream of their own, which begins at
    the seed of the noise: switching them on changes no other draw.
    """

    def around(middle: float, spread: float) -> float:
        return float(rng.uniform(middle - spread, middle + spread))

    first = Augmentation(
        rotation_deg=around(0, config.rotation_deg),
        flip_horizontal=bool(rng.random() < config.flip),
        flip_vertical=bool(rng.random() < config.flip),
        zoom=around(1, config.zoom),
        stretch=around(1, config.stretch),
        shift=(around(0, config.shift), around(0, config.shift)),
        contrast=around(1, config.contrast),
        brightness=around(0, config.brightness),
        gamma=around(1, config.gamma),
        noise=float(rng.uniform(0, config.noise)),
        noise_seed=int(rng.integers(2**31)),
    )
    return replace(first, **_draw_further(np.random.default_rng((first.noise_seed, 1)), config))


def _draw_further(rng: np.random.Generator, config: AugmentConfig) -> dict[str, Any]:
    """Each draws from its own child stream: none depends on which others are switched on."""
    bend, blur, erase = rng.spawn(3)
    count = int(erase.integers(config.cutout + 1))
    sides = erase.uniform(0.25, 1.0, (count, 2)) * config.cutout_side
    corners = erase.uniform(-sides / 2, 1 - sides / 2)
    boxes = np.clip(np.concatenate([corners, corners + sides], 1), 0.0, 1.0)
    further: dict[str, Any] = {
        "blur_px": float(blur.uniform(0, config.blur_px)),
        "erased": tuple(tuple(box) for box in boxes.tolist()),
    }
    if config.elastic > 0:
        further |= {
            "elastic": float(bend.uniform(0, config.elastic)),
            "elastic_cells": config.elastic_cells,
            "elastic_seed": int(bend.integers(2**31)),
        }
    return further


def apply_augmentation(
    picture: npt.NDArray[np.uint8], change: Augmentation
) -> npt.NDArray[np.uint8]:
    """Apply a drawn change to a prepared picture.

    Parameters
    ----------
    picture
        Uint8 (H, W), zero outside the breast; not changed.

    Returns
    -------
    Uint8 (H, W); the background stays zero, and erased boxes become background.

    Examples
    --------
    >>> picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    >>> bool((apply_augmentation(picture, Augmentation(flip_vertical=True)) == picture[::-1]).all())
    True
    """
    moved = _move(picture, change, cv2.INTER_LINEAR)
    toned = _tone(moved, change)
    if change.erased:
        toned[erased_pixels(toned.shape, change)] = 0
    return toned


def apply_to_mask(mask: npt.NDArray[np.uint8], change: Augmentation) -> npt.NDArray[np.uint8]:
    """Move a mask (H, W) as `apply_augmentation` moves the picture; its values stay.

    A lesion under an erased box is still in the mask: see `erased_pixels`.
    """
    return _move(mask, change, cv2.INTER_NEAREST)


def erased_pixels(shape: tuple[int, ...], change: Augmentation) -> npt.NDArray[np.bool_]:
    """Which pixels of the result (H, W) are erased."""
    gone = np.zeros(shape, bool)
    for row0, col0, row1, col1 in change.erased:
        rows = slice(round(row0 * shape[0]), round(row1 * shape[0]))
        gone[rows, round(col0 * shape[1]) : round(col1 * shape[1])] = True
    return gone


def _move(
    picture: npt.NDArray[np.uint8], change: Augmentation, interpolation: int
) -> npt.NDArray[np.uint8]:
    if change.elastic == 0.0:
        size = picture.shape[1], picture.shape[0]
        affine = _affine(picture.shape, change)
        return np.asarray(cv2.warpAffine(picture, affine, size, flags=interpolation), np.uint8)
    x, y = _source((picture.shape[0], picture.shape[1]), change)
    return np.asarray(cv2.remap(picture, x, y, interpolation), np.uint8)


def _source(shape: tuple[int, int], change: Augmentation) -> tuple[Map, Map]:
    return source_coordinates(
        shape,
        _affine(shape, change),
        strength=change.elastic,
        cells=change.elastic_cells,
        seed=change.elastic_seed,
    )


def _tone(moved: npt.NDArray[np.uint8], change: Augmentation) -> npt.NDArray[np.uint8]:
    """Blur, gamma, contrast, brightness and noise; what was background stays so."""
    seen = cv2.GaussianBlur(moved, (0, 0), change.blur_px) if change.blur_px > 0 else moved
    level = np.arange(256, dtype=np.float32) / 255.0
    tone = (level**change.gamma - 0.5) * change.contrast + 0.5 + change.brightness
    if change.noise == 0.0:
        table = np.clip(np.rint(tone * 255.0), 0, 255).astype(np.uint8)
        toned = np.asarray(cv2.LUT(seen, table), np.uint8)
    else:
        rng = np.random.default_rng(change.noise_seed)
        noisy = rng.standard_normal(moved.shape, np.float32)
        noisy *= change.noise
        noisy += cv2.LUT(seen, tone)
        noisy *= 255.0
        toned = np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)
    toned[moved == 0] = 0
    return toned


def _affine(shape: tuple[int, ...], change: Augmentation) -> npt.NDArray[np.float64]:
    """Output = linear · (input − centre) + centre + shift, in OpenCV's (x, y)."""
    height, width = shape[:2]
    angle = np.deg2rad(change.rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flips = np.diag([1 - 2.0 * change.flip_horizontal, 1 - 2.0 * change.flip_vertical])
    scale = np.diag([change.zoom * change.stretch, change.zoom / change.stretch])
    linear = turn @ scale @ flips
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    move = centre - linear @ centre + np.array(change.shift) * (width, height)
    return np.column_stack([linear, move])
