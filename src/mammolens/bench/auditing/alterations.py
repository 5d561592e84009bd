"""What may befall a mammogram before it reaches a model, at stated severities.

Each alteration takes a mammogram as it was read and gives another one. Those that change grey
values or places work on the picture at full size with its VOI applied, breast bright, 0–1, and
give pixels of the source's own depth that show just that; the control does this and nothing else.
Lengths are stated against the picture's height, because sources differ in resolution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import (
    Laterality,
    Mammogram,
    Photometric,
    ViewPosition,
    VoiFunction,
    Window,
)
from mammolens.preprocess import to_grey, usable_voi

__all__ = ["ALTERATIONS", "Alteration", "alter", "with_grey"]

Grey = npt.NDArray[np.float32]
Change = Callable[[Mammogram, np.random.Generator], Mammogram]

_TALL: Final = 640.0
"""Blur is stated in pixels of a picture of so many rows."""


@dataclass(frozen=True)
class Alteration:
    """A named change; `kind` groups severities of one sort, `expected` says what should follow."""

    name: str
    kind: str
    change: Change
    expected: str = ""


def alter(mammogram: Mammogram, alteration: Alteration, *, key: str, seed: int = 0) -> Mammogram:
    """Alter a mammogram; the same key and seed give the same picture.

    Parameters
    ----------
    key
        What names the image; draws differ between images and between alterations.
    """
    digest = hashlib.sha256(f"{seed}/{key}/{alteration.name}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    return alteration.change(mammogram, generator)


def with_grey(mammogram: Mammogram, grey: Grey, *, bits: int | None = None) -> Mammogram:
    """Give a mammogram that shows a picture (H, W, 0–1, breast bright).

    Parameters
    ----------
    bits
        8 or 16; by default 8 where the mammogram has 8-bit pixels, otherwise 16.
    """
    depth = bits or (8 if mammogram.pixels.dtype.itemsize == 1 else 16)
    white = 2.0**depth - 1.0
    pixels = np.rint(np.clip(grey, 0.0, 1.0) * white)
    return replace(
        mammogram,
        pixels=pixels.astype(np.uint8 if depth == 8 else np.uint16),
        photometric=Photometric.MONOCHROME2,
        voi=Window(white / 2, white, VoiFunction.LINEAR_EXACT),
        padding=None,
    )


def _depth(mammogram: Mammogram, _: np.random.Generator, *, bits: int) -> Mammogram:
    return with_grey(mammogram, _grey_of(mammogram), bits=bits)


def _grey_of(mammogram: Mammogram) -> Grey:
    shown, _ = usable_voi(mammogram)
    return to_grey(shown.pixels, shown)


def _pointwise(of: Callable[[Grey], npt.ArrayLike]) -> Change:
    return lambda mammogram, _: with_grey(
        mammogram, np.asarray(of(_grey_of(mammogram)), np.float32)
    )


def _noise(mammogram: Mammogram, generator: np.random.Generator, *, spread: float) -> Mammogram:
    grey = _grey_of(mammogram)
    return with_grey(mammogram, grey + generator.normal(0, spread, grey.shape).astype(np.float32))


def _same(grey: Grey) -> npt.ArrayLike:
    return grey


def _gamma(grey: Grey, *, power: float) -> npt.ArrayLike:
    return np.power(grey, np.float32(power))


def _contrast(grey: Grey, *, factor: float) -> npt.ArrayLike:
    return (grey - np.float32(0.5)) * np.float32(factor) + np.float32(0.5)


def _window(grey: Grey, *, low: float, high: float) -> npt.ArrayLike:
    return (grey - np.float32(low)) / np.float32(high - low)


def _blur(grey: Grey, *, pixels: float) -> npt.ArrayLike:
    return cv2.GaussianBlur(grey, (0, 0), pixels * len(grey) / _TALL)


def _jpeg(grey: Grey, *, quality: int) -> npt.ArrayLike:
    pixels = np.rint(np.clip(grey, 0.0, 1.0) * 255.0).astype(np.uint8)
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.float32) / 255.0


def _coarser(grey: Grey, *, factor: float) -> npt.ArrayLike:
    rows, cols = grey.shape
    small = (max(1, round(cols * factor)), max(1, round(rows * factor)))
    return cv2.resize(cv2.resize(grey, small, interpolation=cv2.INTER_AREA), (cols, rows))


def _vignette(grey: Grey, *, loss: float) -> npt.ArrayLike:
    """Darken towards the corners, by `loss` (0–1) in them."""
    rows, cols = (np.linspace(-1.0, 1.0, side) for side in grey.shape)
    return grey * (1.0 - loss * (rows[:, None] ** 2 + cols[None] ** 2) / 2.0)


def _rotate(mammogram: Mammogram, _: np.random.Generator, *, degrees: float) -> Mammogram:
    """Turn clockwise about the middle, in square pixels; what comes in is black."""
    grey, aspect = _grey_of(mammogram), mammogram.ref.pixel_aspect
    rows, cols = grey.shape
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cosine, -sine * aspect], [sine / aspect, cosine]])
    centre = np.array([(cols - 1) / 2, (rows - 1) / 2])
    matrix = np.column_stack([turn, centre - turn @ centre])
    return with_grey(mammogram, np.asarray(cv2.warpAffine(grey, matrix, (cols, rows)), np.float32))


def _shift(grey: Grey, *, down: float = 0.0, off_wall: float = 0.0) -> npt.ArrayLike:
    """Move by shares of either side; `off_wall` away from the brighter side, the chest wall's."""
    rows, cols = grey.shape
    tenth = max(1, cols // 10)
    wall_left = grey[:, :tenth].mean() >= grey[:, -tenth:].mean()
    dr, dc = round(down * rows), round(off_wall * cols) * (1 if wall_left else -1)
    moved = np.zeros_like(grey)
    moved[max(dr, 0) : rows + min(dr, 0), max(dc, 0) : cols + min(dc, 0)] = grey[
        max(-dr, 0) : rows + min(-dr, 0), max(-dc, 0) : cols + min(-dc, 0)
    ]
    return moved


def _inverted(
    mammogram: Mammogram, _: np.random.Generator, *, photometric: Photometric
) -> Mammogram:
    """Dark on bright, and called `photometric`."""
    shown = with_grey(mammogram, np.float32(1.0) - _grey_of(mammogram))
    return replace(shown, photometric=photometric)


def _mirrored(mammogram: Mammogram, generator: np.random.Generator) -> Mammogram:
    """The picture and its laterality."""
    pixels = np.ascontiguousarray(mammogram.pixels[:, ::-1])
    return replace(_other_side(mammogram, generator), pixels=pixels)


def _other_side(mammogram: Mammogram, _: np.random.Generator) -> Mammogram:
    other = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT, None: None}
    ref = replace(mammogram.ref, laterality=other[mammogram.ref.laterality])
    return replace(mammogram, ref=ref)


def _other_view(mammogram: Mammogram, _: np.random.Generator) -> Mammogram:
    cc = mammogram.ref.view_position is ViewPosition.CC
    ref = replace(mammogram.ref, view_position=ViewPosition.MLO if cc else ViewPosition.CC)
    return replace(mammogram, ref=ref)


_UNCHANGED = "no change but rounding"
_UNDONE = "undone by preprocessing"
_UNUSED = "no change: the score does not regard it"


def _all() -> tuple[Alteration, ...]:
    def points(kind: str, name: str, of: Callable[[Grey], npt.ArrayLike]) -> Alteration:
        return Alteration(name, kind, _pointwise(of))

    return (
        Alteration("written again, nothing else", "control", _pointwise(_same), _UNCHANGED),
        *(
            Alteration(
                f"the same greys in {bits} bits", "depth", partial(_depth, bits=bits), _UNCHANGED
            )
            for bits in (8, 16)
        ),
        *(
            points("brightness", f"brightness {by:+.0%} of the range", partial(np.add, by))
            for by in (np.float32(0.1), np.float32(-0.1), np.float32(0.2), np.float32(-0.2))
        ),
        *(
            points("contrast", f"contrast × {by:g} about mid-grey", partial(_contrast, factor=by))
            for by in (0.8, 1.25, 1.5)
        ),
        *(
            points("gamma", f"gamma {by:g}", partial(_gamma, power=by))
            for by in (0.7, 0.9, 1.1, 1.4)
        ),
        *(
            points(
                "window", f"{end} tenth of the range clipped", partial(_window, low=low, high=high)
            )
            for end, low, high in (("darkest", 0.1, 1.0), ("brightest", 0.0, 0.9))
        ),
        *(
            points("vignette", f"corners darker by {loss:.0%}", partial(_vignette, loss=loss))
            for loss in (0.2, 0.4)
        ),
        *(
            Alteration(f"noise, SD {sd:.1%} of the range", "noise", partial(_noise, spread=sd))
            for sd in (0.005, 0.01, 0.03)
        ),
        *(
            points("blur", f"blur, SD {px:g} px at {_TALL:.0f} rows", partial(_blur, pixels=px))
            for px in (1.0, 2.0)
        ),
        *(
            points("resolution", f"resolution × {by:g} and back", partial(_coarser, factor=by))
            for by in (0.5, 0.25)
        ),
        *(
            points("JPEG", f"JPEG quality {quality}", partial(_jpeg, quality=quality))
            for quality in (90, 50, 20)
        ),
        *(
            Alteration(f"turned by {by:+g}°", "rotation", partial(_rotate, degrees=by))
            for by in (-5.0, -2.0, 2.0, 5.0)
        ),
        points("shift", "5% down", partial(_shift, down=0.05)),
        points("shift", "5% up", partial(_shift, down=-0.05)),
        points("shift", "5% off the chest wall", partial(_shift, off_wall=0.05)),
        points("shift", "5% into the chest wall", partial(_shift, off_wall=-0.05)),
        Alteration(
            "inverted, tagged MONOCHROME1",
            "inversion",
            partial(_inverted, photometric=Photometric.MONOCHROME1),
            _UNDONE,
        ),
        Alteration(
            "inverted, tagged MONOCHROME2",
            "inversion",
            partial(_inverted, photometric=Photometric.MONOCHROME2),
            _UNDONE,
        ),
        Alteration("mirrored, laterality too", "mirror", _mirrored, _UNDONE),
        Alteration("laterality swapped", "tags", _other_side, _UNUSED),
        Alteration("view swapped", "tags", _other_view, _UNUSED),
    )


ALTERATIONS: Final = _all()
