"""Measurements of texture within the breast's mask: frequency bands, threads, edges, rings.

The masked region is a breast only if the picture is a mammogram, which the gate must decide.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.quality._masks import as_bytes, deviation, narrower

_Grey = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float32]
_EPS = 1e-6


def texture(grey: _Grey, inside: _Mask) -> dict[str, float]:
    """Measure the roughness of the interior at several scales, its edges and their directions.

    Parameters
    ----------
    grey, inside
        Uint8 and bool (h, w): the reduced picture and the mask of the breast, not empty.

    Returns
    -------
    Names and values; the names are fixed by the coefficients in ``gate.json``.
    """
    core = narrower(inside, 7)
    if np.count_nonzero(core) < 64:
        core = inside
    values = grey.astype(np.float32)
    scale = max(deviation(values, core), 1.0)
    calm = cv2.GaussianBlur(grey, (5, 5), 1.0)
    across = np.abs(np.asarray(cv2.Sobel(calm, cv2.CV_16S, 1, 0)))
    down = np.abs(np.asarray(cv2.Sobel(calm, cv2.CV_16S, 0, 1)))
    strength, weaker = np.maximum(across, down), np.minimum(across, down)
    straight = np.where(25 * weaker < 3 * strength, strength, np.int16(0))  # within 7°; no overflow
    counts = np.bincount(strength[core], minlength=2)
    middle, high = np.searchsorted(np.cumsum(counts) / counts.sum(), (0.5, 0.95))
    total = float(strength[core].sum()) + _EPS
    return {
        "deviation": scale / 255.0,
        **_bands(values, core, scale),
        **_deep(values, core),
        "edges": float(np.log(high / scale + 1e-2)),
        "edge_ratio": float(np.log((middle + 1.0) / (high + 1.0))),
        "upright_inside": float(straight[core].sum()) / total,
        "level_inside": float((across - down)[core].sum()) / total,
        "upright_picture": float(straight.sum()) / (float(strength.sum()) + _EPS),
    }


def _bands(values: _Floats, core: _Mask, scale: float) -> dict[str, float]:
    """Standard deviation of each level of a Laplacian pyramid, relative to the interior's."""
    result: dict[str, float] = {}
    for width in (1, 2, 4, 8, 16):
        smaller = np.asarray(cv2.pyrDown(values), np.float32)
        shape = (values.shape[1], values.shape[0])
        band = values - np.asarray(cv2.pyrUp(smaller, dstsize=shape), np.float32)
        spread = deviation(band, core)
        result[f"band_{width}"] = float(np.log(spread / scale + 1e-3))
        if width == 2:
            unit = band[core] / np.float32(spread + _EPS)
            result["skewed"] = float((unit * unit * unit).mean())
        if width < 4:
            mean = float(np.abs(band[core]).mean())
            result[f"peaked_{width}"] = float(np.log(mean / (spread + _EPS) + 1e-3))
        core = core[::2, ::2] if core[::2, ::2].any() else np.ones(smaller.shape, bool)
        values = smaller
    return result


def _deep(values: _Floats, core: _Mask) -> dict[str, float]:
    """Measure fine threads of tissue far inside the outline, and mean greys of four rings.

    The values are relative to the standard deviation of the same region.
    """
    framed = cv2.copyMakeBorder(as_bytes(core), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = np.asarray(cv2.distanceTransform(framed, cv2.DIST_L2, 3))[1:-1, 1:-1]
    deep = depth > 0.3 * float(depth.max())
    if np.count_nonzero(deep) < 64:
        deep = core
    inner = values[core]
    rings = np.minimum((depth[core] / max(float(depth.max()), 1.0) * 4).astype(np.intp), 3)
    means = np.bincount(rings, inner, 4) / np.maximum(np.bincount(rings, minlength=4), 1)
    means = (means - inner.min()) / max(float(np.ptp(inner)), 1.0)
    window = _window(deep)
    values, deep = np.ascontiguousarray(values[window]), deep[window]
    fine, middle, broad = (np.asarray(cv2.blur(values, (n, n)), np.float32) for n in (3, 9, 25))
    own, local = deviation(values, deep), max(deviation(values - broad, deep), 0.3)
    threads = (fine - middle)[deep]
    spread = deviation(fine - middle, deep)
    unit = threads / np.float32(max(spread, 0.1))
    across = np.asarray(cv2.Sobel(fine, cv2.CV_32F, 1, 0), np.float32)
    down = np.asarray(cv2.Sobel(fine, cv2.CV_32F, 0, 1), np.float32)
    xx, yy, xy = (
        np.asarray(cv2.blur(product, (7, 7)), np.float32)
        for product in (across * across, down * down, across * down)
    )
    energy = (xx + yy)[deep]
    coherence = np.hypot((xx - yy)[deep], 2 * xy[deep]) / (energy + np.float32(_EPS))
    return {
        **{f"ring_{number}": float(mean) for number, mean in enumerate(means)},
        "deep_deviation": float(np.log(own + 0.3)),
        "deep_local": float(np.log(local / max(own, 0.3) + 1e-2)),
        "deep_fine": float(np.log(deviation(values - fine, deep) / local + 1e-3)),
        "deep_threads": float(np.log(spread / local + 1e-3)),
        "deep_skew": float(np.clip((unit * unit * unit).mean(), -5, 5)),
        "deep_peaked": float(np.abs(unit).mean()),
        "coherence": float(coherence.mean()),
        "evenness": float(np.log((float(energy.mean()) + 1) / (float(np.median(energy)) + 1))),
    }


def _window(mask: _Mask) -> tuple[slice, slice]:
    """Bounding box of a mask with a margin for the widest filter; only this box is filtered."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(int(rows[0]) - _ROOM_PX, 0), int(rows[-1]) + 1 + _ROOM_PX),
        slice(max(int(cols[0]) - _ROOM_PX, 0), int(cols[-1]) + 1 + _ROOM_PX),
    )


_ROOM_PX = 13
"""Margin in pixels: half of the widest filter (25 pixels), rounded up."""
