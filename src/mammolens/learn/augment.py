"""Augmentation: parameters are drawn at random, applied deterministically, and can be replayed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.learn.config import AugmentConfig

__all__ = ["Augmentation", "apply_augmentation", "apply_to_mask", "draw_augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """One drawn change. Shifts are shares of the side; `noise` is a share of white."""

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


def draw_augmentation(rng: np.random.Generator, config: AugmentConfig) -> Augmentation:
    """Draw one change within the ranges of `config`."""

    def around(middle: float, spread: float) -> float:
        return float(rng.uniform(middle - spread, middle + spread))

    return Augmentation(
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
    Uint8 (H, W); the background stays zero.

    Examples
    --------
    >>> picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    >>> bool((apply_augmentation(picture, Augmentation(flip_vertical=True)) == picture[::-1]).all())
    True
    """
    moved = cv2.warpAffine(
        picture, _affine(picture.shape, change), (picture.shape[1], picture.shape[0])
    )
    level = np.arange(256, dtype=np.float32) / 255.0
    tone = (level**change.gamma - 0.5) * change.contrast + 0.5 + change.brightness
    if change.noise == 0.0:
        table = np.clip(np.rint(tone * 255.0), 0, 255)
        table[0] = 0.0
        return table.astype(np.uint8)[moved]
    rng = np.random.default_rng(change.noise_seed)
    noisy = tone[moved] + rng.standard_normal(moved.shape, np.float32) * change.noise
    return np.where(moved > 0, np.clip(noisy * 255.0, 0, 255), 0).astype(np.uint8)


def apply_to_mask(mask: npt.NDArray[np.uint8], change: Augmentation) -> npt.NDArray[np.uint8]:
    """Move a mask (H, W) as `apply_augmentation` moves the picture; its values stay."""
    size = mask.shape[1], mask.shape[0]
    moved = cv2.warpAffine(mask, _affine(mask.shape, change), size, flags=cv2.INTER_NEAREST)
    return moved.astype(np.uint8, copy=False)


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
