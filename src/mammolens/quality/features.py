"""Measurements of the input gate: outline, position, surroundings, grey values, texture, layout.

The reduced whole picture and the breast's mask go in; a few dozen numbers come out. Everything is
arithmetic on arrays of at most 192 × 192 pixels, without random draws, so a browser can do the
same.

The limits in this file (how wide a rim is, which grey is white) define the measurements. The
coefficients in ``gate.json`` were fitted to them: whoever changes one must fit the gate again with
`benchmarks/fit_gate.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.quality._masks import (
    as_bytes,
    broad_areas,
    deviation,
    narrower,
    part_areas,
    share,
    wider,
)
from mammolens.quality._texture import texture

__all__ = ["NAMES", "SIDE_PX", "measure", "reduce_picture"]

SIDE_PX = 192
"""Longer side of the measured picture in pixels; the scale of the texture depends on it."""

_Grey = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float32]
_EPS = 1e-6
_LEAST_AIR = 0.002
"""Share of the picture that must be outside the breast, or the air is not measured."""


@dataclass(frozen=True)
class _Scene:
    """A reduced picture with values that several measurements use; chest wall at the left.

    `inside` is the breast's mask and `box` its bounding box. `off` excludes the mask, four pixels
    around it, and white film borders. `air` and `tissue` are the median greys (0–255) of `off` and
    `inside`.
    """

    grey: _Grey
    inside: _Mask
    off: _Mask
    air: float
    tissue: float
    box: tuple[slice, slice]


def measure(overview: _Grey, mask: _Mask, chest_wall_right: bool) -> dict[str, float]:
    """Measure a whole picture and the breast in it.

    Parameters
    ----------
    overview
        Uint8 (h, w): the reduced whole picture, breast brighter than air.
    mask
        Bool (h, w): the mask of `find_breast`; not empty.
    chest_wall_right
        Whether the chest wall is at the right; then the picture is mirrored first.

    Returns
    -------
    One finite number for each of `NAMES`.
    """
    grey, inside = reduce_picture(overview, mask)
    if chest_wall_right:
        grey, inside = np.ascontiguousarray(grey[:, ::-1]), np.ascontiguousarray(inside[:, ::-1])
    scene = _scene(grey, _with_bays_filled(grey, inside))
    return {
        **_outline(scene.inside[scene.box]),
        **_position(scene),
        **_surroundings(scene),
        **_greys(scene),
        **texture(scene.grey, scene.inside),
        **_layout(scene),
    }


def reduce_picture(overview: _Grey, mask: _Mask) -> tuple[_Grey, _Mask]:
    """Reduce a picture and its mask to at most `SIDE_PX` along the longer side."""
    rows, cols = overview.shape
    factor = min(1.0, SIDE_PX / max(rows, cols))
    size = max(16, round(cols * factor)), max(16, round(rows * factor))
    grey = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
    small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    inside = np.asarray(small) > 0
    return grey, inside if inside.any() else np.ones_like(inside)


def _with_bays_filled(grey: _Grey, inside: _Mask) -> _Mask:
    """Add bays of the mask that are brighter than air: `find_breast` can miss dark fat there."""
    outside = grey[~inside]
    if outside.size < _LEAST_AIR * grey.size:
        return inside
    contours, _ = cv2.findContours(as_bytes(inside), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(np.vstack(contours))
    bays = np.asarray(cv2.fillPoly(np.zeros(grey.shape, np.uint8), [hull], 1)) > 0
    return inside | (bays & (grey > int(_median(outside)) + 6))


def _scene(grey: _Grey, inside: _Mask) -> _Scene:
    off = ~(wider(inside, 9) | _borders(grey, inside))  # 9: four pixels to each side
    tissue = _median(grey[inside])
    air = _median(grey[off]) if share(off) >= _LEAST_AIR else 0.0
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    return _Scene(grey, inside, off, air, tissue, box)


def _median(values: _Grey) -> float:
    counts = np.cumsum(np.bincount(values, minlength=256))
    return float(np.searchsorted(counts, counts[-1] / 2))


def _borders(grey: _Grey, inside: _Mask) -> _Mask:
    """White borders of a scanned film: rows and columns off the breast, over 35 % white."""
    white = grey > 247
    borders = np.zeros(grey.shape, bool)
    borders[:, (np.count_nonzero(white, axis=0) > 0.35 * white.shape[0]) & ~inside.any(0)] = True
    borders[(np.count_nonzero(white, axis=1) > 0.35 * white.shape[1]) & ~inside.any(1)] = True
    return wider(borders, 9) if borders.any() else borders


def _outline(part: _Mask) -> dict[str, float]:
    """Shape of the mask within its bounding box (h, w), independent of the picture's aspect."""
    tall, wide = part.shape
    first = part.argmax(1) / wide
    last = 1 - part[:, ::-1].argmax(1) / wide
    top = part.argmax(0) / tall
    bottom = 1 - part[::-1].argmax(0) / tall
    contours, _ = cv2.findContours(as_bytes(part), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = max(contours, key=cv2.contourArea)
    area = float(np.count_nonzero(part))
    hull = max(float(cv2.contourArea(cv2.convexHull(outline))), area)
    across = np.count_nonzero(part[:, 1:] & ~part[:, :-1], axis=1) + part[:, 0]
    down = np.count_nonzero(part[1:] & ~part[:-1], axis=0) + part[0]
    profile = np.interp(np.linspace(0, tall - 1, 64), np.arange(tall), last)
    smooth = np.convolve(np.pad(profile, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    peak = int(np.argmax(smooth))
    rises = np.diff(smooth)
    back = np.clip(-rises[:peak], 0, None).sum() + np.clip(rises[peak:], 0, None).sum()
    return {
        "aspect": float(np.log(tall / wide)),
        "fill": area / part.size,
        "solidity": area / hull,
        "left_flat": share(first < 0.04),
        "left_rough": float(np.minimum(first, 0.5).mean()),
        "right_flat": share(last > 0.96),
        "flat_less": min(share(top < 0.04), share(bottom > 0.96)),
        "roughness": float(np.abs(profile - smooth).mean()),
        "wavering": float(back),
        "peak_row": abs(peak / 63 - 0.5),
        "runs_across": share(across > 1),
        "runs_down": share(down > 1),
        "crookedness": float(np.log(cv2.arcLength(outline, True) ** 2 / (4 * np.pi * area + 1))),
    }


def _position(scene: _Scene) -> dict[str, float]:
    """Position of the breast in the picture, and which edges it or a bright area touches."""
    inside, (rows, cols) = scene.inside, scene.box
    height, width = inside.shape
    ends = share(inside[:2].any(0)), share(inside[-2:].any(0))
    lit = scene.off & (scene.grey > scene.air + max(6.0, 0.1 * (scene.tissue - scene.air)))
    tissue = (scene.grey[scene.box] > scene.air + 4) | inside[scene.box]
    strip = max(2, round(0.05 * tissue.shape[1]))
    return {
        "area": share(inside),
        "box_height": (rows.stop - rows.start) / height,
        "left_edge": share(inside[:, :2].any(1)),
        "left_gap": cols.start / width,
        "right_reach": min(width - cols.stop, 20) / 20.0,
        "right_edge": share(inside[:, -2:].any(1)),
        "edge_more": max(ends),
        "edge_less": min(ends),
        "left_filled": share(tissue[:, :strip].any(1)),
        "right_filled": share(tissue[:, -strip:].any(1)),
        "left_lit": share(lit[:, :3].any(1)),
        "right_lit": share(lit[:, -3:].any(1)),
        "ends_lit": share(lit[:3].any(0)) + share(lit[-3:].any(0)),
    }


def _surroundings(scene: _Scene) -> dict[str, float]:
    """What lies beside the breast: dark even air, or words, a second breast, a bright ground."""
    outside = scene.grey[scene.off]
    if outside.size < _LEAST_AIR * scene.grey.size:
        return dict.fromkeys(_SURROUNDINGS, 0.0)
    air, step, size = scene.air, scene.tissue - scene.air, float(np.count_nonzero(scene.inside))
    counts = np.cumsum(np.bincount(outside, minlength=256)) / outside.size
    low, high = (float(v) for v in np.searchsorted(counts, (0.1, 0.9)))
    bright = scene.off & (scene.grey > air + max(10.0, 0.2 * step))
    large = broad_areas(bright)
    dim = broad_areas(scene.off & (scene.grey > air + max(6.0, 0.08 * step)))
    values = (
        *(air / 255.0, share(bright), float(np.count_nonzero(bright)) / outside.size),
        float(np.log1p((part_areas(bright, 8) > 2).sum())),
        *(float(large.max()) / size, float(large.sum()) / size, float(dim.max()) / size),
        *(deviation(scene.grey, scene.off) / 255.0, (high - low) / 255.0),
    )
    return dict(zip(_SURROUNDINGS, values, strict=True))


_SURROUNDINGS = (
    *("air", "bright_outside", "bright_of_outside", "islands", "second", "second_all"),
    *("second_dim", "air_noise", "air_spread"),
)


def _greys(scene: _Scene) -> dict[str, float]:
    """Measures of the breast's histogram, and the step of grey across its outline."""
    values = scene.grey[scene.inside]
    frequency = np.bincount(values, minlength=256) / values.size
    p01, p99 = np.searchsorted(np.cumsum(frequency), (0.01, 0.99))
    present = frequency[frequency > 0]
    rim = scene.inside & ~narrower(scene.inside, 7)
    around = wider(scene.inside, 7) & ~scene.inside
    step = 0.0
    if around.any() and rim.any():
        step = float(scene.grey[rim].mean() - scene.grey[around].mean()) / max(int(p99 - p01), 1)
    return {
        "entropy": float(-(present * np.log2(present)).sum()),
        "mode_share": float(np.convolve(frequency, np.ones(5), mode="same").max()),
        "white": float(frequency[250:].sum()),
        "black": float(frequency[:6].sum()),
        "levels": float(np.log((frequency > 0.0005).sum() + 1)),
        "span": float(p99 - p01) / 255.0,
        "contrast": (scene.tissue - scene.air) / 255.0,
        "step": step,
    }


def _layout(scene: _Scene) -> dict[str, float]:
    """Symmetry of the picture and of the breast, and dark valleys between parts of the picture."""
    small = _miniature(scene.grey)
    own = _miniature(np.where(scene.inside, scene.grey, 0)[scene.box])
    across, down = small.mean(0), small.mean(1)
    border = np.concatenate([small[0], small[-1], small[:, -1]])
    return {
        "mirror_across": _agreement(small, small[:, ::-1]),
        "mirror_down": _agreement(small, small[::-1]),
        "own_across": _agreement(own, own[:, ::-1]),
        "own_down": _agreement(own, own[::-1]),
        "centre_down": _centre(down),
        "lobes_across": _valley(across),
        "lobes_down": _valley(down),
        "far_side": float(small[:, 24:].mean() / (small[:, :8].mean() + 1.0)),
        "plain": _plain(small),
        "own_plain": _plain(own),
        "frame": float(border.mean()) / 255.0,
    }


def _miniature(grey: _Grey) -> _Floats:
    """Reduce a picture to 32 × 32; a median filter removes small markers."""
    small = np.asarray(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.medianBlur(small, 3), np.float32)


def _agreement(one: _Floats, other: _Floats) -> float:
    """Correlation of two pictures of one shape, −1 to 1."""
    a, b = (part.ravel() - part.mean() for part in (one, other))
    return float(np.dot(a, b) / (np.sqrt(np.dot(a, a) * np.dot(b, b)) + _EPS))


def _centre(profile: _Floats) -> float:
    """Centre of mass of a brightness profile (32,): −1 at its start, 1 at its end."""
    weight = profile - profile.min()
    return float(np.dot(weight, _PLACES) / (weight.sum() + _EPS))


def _valley(profile: _Floats) -> float:
    """Depth of the deepest valley between two peaks of a profile (32,), as a share of its range."""
    low, high = float(profile.min()), float(profile.max())
    left, right = np.maximum.accumulate(profile), np.maximum.accumulate(profile[::-1])[::-1]
    return float((np.minimum(left, right) - profile).max() / (high - low + _EPS))


def _plain(small: _Floats) -> float:
    """Remainder of a picture (32, 32) after a quadratic surface is fitted; low for blank pictures.

    The value is the logarithm of the remaining share of the standard deviation.
    """
    values = small.ravel() - small.mean()
    rest = values - _SURFACES @ (_SURFACES.T @ values)
    return float(np.log(rest.std() / (values.std() + 0.5) + 1e-2))


def _surfaces() -> npt.NDArray[np.float64]:
    """Orthonormal basis (1024, 6) of the polynomials of degree 2 on a grid of 32 × 32."""
    row, col = np.mgrid[-1:1:32j, -1:1:32j]
    terms = [np.ones_like(row), row, col, row * col, row**2, col**2]
    base, _ = np.linalg.qr(np.stack([term.ravel() for term in terms], 1))
    return np.asarray(base)


_SURFACES = _surfaces()
_PLACES = np.linspace(-1, 1, 32)


def _names() -> tuple[str, ...]:
    """Names of the measurements, from measuring a drawn picture."""
    grey = np.zeros((64, 48), np.uint8)
    grey[16:48, :30] = 120
    return tuple(measure(grey, grey > 0, False))


NAMES = _names()
"""Names of the measurements, in the order of the coefficients in ``gate.json``."""
