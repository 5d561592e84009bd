"""Faults that are simulated on real mammograms, for the error rates of the verdict at the door.

Each takes a mammogram and the prepared view of it, and gives a new mammogram. Sizes of blur and
motion are in pixels of the prepared picture (640 × 352), so that they mean the same for a film of
5,000 pixels and a picture of 640; one such pixel is about 0.35 mm of a breast of 22 cm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry, Mammogram, PreparedView
from mammolens.preprocess import to_grey

__all__ = ["FAULTS", "Fault"]

Fault = Callable[[Mammogram, PreparedView, np.random.Generator], Mammogram]


def _grey(mammogram: Mammogram, view: PreparedView) -> npt.NDArray[np.float32]:
    """The picture as stored, 0–1, breast bright, with the grey scale that was used."""
    used = replace(
        mammogram, voi=view.voi, photometric=view.photometric, padding=view.padding, other_voi=()
    )
    return to_grey(mammogram.pixels, used)


def _with(mammogram: Mammogram, grey: npt.NDArray[np.float32]) -> Mammogram:
    """A mammogram of 12 bits without a grey scale of its own."""
    pixels = np.rint(np.clip(grey, 0.0, 1.0) * 4095.0).astype(np.uint16)
    photometric = type(mammogram.photometric)("MONOCHROME2")
    return replace(
        mammogram, pixels=pixels, photometric=photometric, voi=None, other_voi=(), padding=None
    )


def _per_px(geometry: Geometry) -> float:
    """Source pixels of a prepared pixel."""
    return 1.0 / math.sqrt(geometry.scale[0] * geometry.scale[1])


def blur(sigma: float) -> Fault:
    def made(m: Mammogram, view: PreparedView, _: np.random.Generator) -> Mammogram:
        return _with(m, cv2.GaussianBlur(_grey(m, view), (0, 0), sigma * _per_px(view.geometry)))

    return made


def motion(length: float) -> Fault:
    def made(m: Mammogram, view: PreparedView, rng: np.random.Generator) -> Mammogram:
        size = max(3, math.ceil(length * _per_px(view.geometry)) | 1)
        angle = rng.uniform(0, math.pi)
        kernel = np.zeros((size, size), np.float32)
        middle = size // 2
        for step in np.linspace(-0.5, 0.5, 8 * size):
            reach = step * length * _per_px(view.geometry)
            row, col = middle - reach * math.sin(angle), middle + reach * math.cos(angle)
            kernel[round(row), round(col)] += 1
        return _with(m, cv2.filter2D(_grey(m, view), -1, kernel / kernel.sum()))

    return made


def noise(share: float) -> Fault:
    """Noise of the finest pixels; `share` of the range of greys, after reduction to the model."""

    def made(m: Mammogram, view: PreparedView, rng: np.random.Generator) -> Mammogram:
        grey = _grey(m, view)
        spread = share * max(1.0, _per_px(view.geometry))
        return _with(m, grey + rng.normal(0, spread, grey.shape).astype(np.float32))

    return made


def clipping(share: float) -> Fault:
    """The brightest `share` of the breast becomes white."""

    def made(m: Mammogram, view: PreparedView, _: np.random.Generator) -> Mammogram:
        grey = _grey(m, view)
        r0, c0, r1, c1 = view.geometry.crop_source_px
        part = grey[r0:r1, c0:c1]
        inside = part[part > np.quantile(part, 0.3)]
        return _with(m, grey / max(float(np.quantile(inside, 1.0 - share)), 1e-3))

    return made


def gamma(power: float) -> Fault:
    def made(m: Mammogram, view: PreparedView, _: np.random.Generator) -> Mammogram:
        return _with(m, _grey(m, view) ** power)

    return made


def flat(share: float) -> Fault:
    """Too little contrast: the breast's greys keep `share` of their range around their middle."""

    def made(m: Mammogram, view: PreparedView, _: np.random.Generator) -> Mammogram:
        grey = _grey(m, view)
        middle = np.float32(0.45)
        air = grey < 0.02
        made_grey = np.where(air, grey, middle + (grey - middle) * np.float32(share))
        made_grey[0, :2] = 0.0, 1.0  # the range of the values stays that of the detector
        return _with(m, made_grey)

    return made


def cut_off(share: float) -> Fault:
    """`share` of the breast's width is outside the picture, at the side of the nipple."""

    def made(m: Mammogram, view: PreparedView, _: np.random.Generator) -> Mammogram:
        _, c0, _, c1 = view.geometry.crop_source_px
        lost = round(share * (c1 - c0))
        grey = _grey(m, view)
        if view.geometry.flipped:
            return _with(m, np.ascontiguousarray(grey[:, c0 + lost :]))
        return _with(m, np.ascontiguousarray(grey[:, : c1 - lost]))

    return made


FAULTS: dict[str, dict[str, Fault]] = {
    "sharpness": {f"blur, sigma {s} px": blur(s) for s in (0.75, 1.0, 1.5, 2.0, 3.0)},
    "motion": {f"motion, {n} px": motion(n) for n in (3, 5, 8, 12)},
    "noise": {f"noise, {share:.0%}": noise(share) for share in (0.02, 0.04, 0.08)},
    "clipping": {f"clipped, {share:.0%}": clipping(share) for share in (0.05, 0.1, 0.2)},
    "exposure": {
        "gamma 3 (dark)": gamma(3.0),
        "gamma 5 (very dark)": gamma(5.0),
        "gamma 0.33 (light)": gamma(0.33),
        "gamma 0.2 (very light)": gamma(0.2),
        "contrast 20 %": flat(0.2),
        "contrast 10 %": flat(0.1),
    },
    "cut_off": {f"cut off, {share:.0%}": cut_off(share) for share in (0.05, 0.1, 0.2, 0.3)},
}
"""Criterion → faults that it should notice, by their names in the table."""
