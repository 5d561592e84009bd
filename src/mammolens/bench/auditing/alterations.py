"""Changes that a mammogram may undergo before it reaches a model, each in several severities.

An alteration makes another mammogram from the mammogram that was read. Alterations of grey values
or places use the picture at full size, with its VOI applied and the breast bright (0–1), and write
pixels of the source's depth. The control writes them without another change. Lengths are relative
to the picture's height, because sources differ in resolution. The severities are chosen by hand and
not tuned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

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
ChangeBy = Callable[[Any], Change]  # gives the change of a severity

_BLUR_ROWS: Final = 640.0
"""Height of a picture to which the blur in pixels refers."""


@dataclass(frozen=True)
class Alteration:
    """A named change; `kind` is common to all severities, `expected` is the expected effect."""

    name: str
    kind: str
    change: Change
    expected: str = ""


def alter(mammogram: Mammogram, alteration: Alteration, *, key: str, seed: int = 0) -> Mammogram:
    """Alter a mammogram; the same key and seed give the same picture.

    Parameters
    ----------
    key
        Identifier of the image; draws differ between images and between alterations.
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


def _grey_of(mammogram: Mammogram) -> Grey:
    shown, _ = usable_voi(mammogram)
    return to_grey(shown.pixels, shown)


def _by_grey(alter_grey: Callable[[Grey, Any], npt.ArrayLike]) -> ChangeBy:
    """Make a function of (grey picture, severity) usable in `_SERIES`."""

    def change(mammogram: Mammogram, _: np.random.Generator, *, by: Any) -> Mammogram:
        return with_grey(mammogram, np.asarray(alter_grey(_grey_of(mammogram), by), np.float32))

    return lambda by: partial(change, by=by)


def _depth(mammogram: Mammogram, _: np.random.Generator, *, bits: int) -> Mammogram:
    return with_grey(mammogram, _grey_of(mammogram), bits=bits)


def _noise(mammogram: Mammogram, generator: np.random.Generator, *, spread: float) -> Mammogram:
    grey = _grey_of(mammogram)
    return with_grey(mammogram, grey + generator.normal(0, spread, grey.shape).astype(np.float32))


def _contrast(grey: Grey, factor: float) -> npt.ArrayLike:
    return (grey - np.float32(0.5)) * np.float32(factor) + np.float32(0.5)


def _window(grey: Grey, end: str) -> npt.ArrayLike:
    low, high = {"darkest": (0.1, 1.0), "brightest": (0.0, 0.9)}[end]
    return (grey - np.float32(low)) / np.float32(high - low)


def _blur(grey: Grey, pixels: float) -> npt.ArrayLike:
    return cv2.GaussianBlur(grey, (0, 0), pixels * len(grey) / _BLUR_ROWS)


def _jpeg(grey: Grey, quality: int) -> npt.ArrayLike:
    pixels = np.rint(np.clip(grey, 0.0, 1.0) * 255.0).astype(np.uint8)
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.float32) / 255.0


def _coarser(grey: Grey, factor: float) -> npt.ArrayLike:
    rows, cols = grey.shape
    small = (max(1, round(cols * factor)), max(1, round(rows * factor)))
    return cv2.resize(cv2.resize(grey, small, interpolation=cv2.INTER_AREA), (cols, rows))


def _vignette(grey: Grey, loss: float) -> npt.ArrayLike:
    """Darken towards the corners, by `loss` (0–1) in them."""
    rows, cols = (np.linspace(-1.0, 1.0, side) for side in grey.shape)
    return grey * (1.0 - loss * (rows[:, None] ** 2 + cols[None] ** 2) / 2.0)


def _rotate(mammogram: Mammogram, _: np.random.Generator, *, degrees: float) -> Mammogram:
    """Turn clockwise around the centre, in square pixels; uncovered corners are black."""
    grey, aspect = _grey_of(mammogram), mammogram.ref.pixel_aspect
    rows, cols = grey.shape
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    # In (column, row); the aspect converts between widths and heights of a pixel.
    turn = np.array([[cosine, -sine * aspect], [sine / aspect, cosine]])
    centre = np.array([(cols - 1) / 2, (rows - 1) / 2])
    matrix = np.column_stack([turn, centre - turn @ centre])
    return with_grey(mammogram, np.asarray(cv2.warpAffine(grey, matrix, (cols, rows)), np.float32))


def _shift(grey: Grey, direction: str) -> npt.ArrayLike:
    """Move by a twentieth of a side; the brighter side counts as that of the chest wall."""
    down, off_wall = {
        "down": (0.05, 0.0),
        "up": (-0.05, 0.0),
        "off the chest wall": (0.0, 0.05),
        "into the chest wall": (0.0, -0.05),
    }[direction]
    rows, cols = grey.shape
    tenth = max(1, cols // 10)
    wall_left = grey[:, :tenth].mean() >= grey[:, -tenth:].mean()
    dr, dc = round(down * rows), round(off_wall * cols) * (1 if wall_left else -1)
    moved = np.zeros_like(grey)
    moved[max(dr, 0) : rows + min(dr, 0), max(dc, 0) : cols + min(dc, 0)] = grey[
        max(-dr, 0) : rows + min(-dr, 0), max(-dc, 0) : cols + min(-dc, 0)
    ]
    return moved


def _inverted(mammogram: Mammogram, _: np.random.Generator, *, tag: str) -> Mammogram:
    """Show dark on bright, with this photometric interpretation."""
    shown = with_grey(mammogram, np.float32(1.0) - _grey_of(mammogram))
    return replace(shown, photometric=Photometric(tag))


def _mirrored(mammogram: Mammogram, generator: np.random.Generator) -> Mammogram:
    """Mirror the picture, and change its laterality."""
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
_UNUSED = "no change: the score does not use it"

_SERIES: Final[tuple[tuple[str, str, ChangeBy, tuple[Any, ...], str], ...]] = (
    ("control", "written again, nothing else", _by_grey(lambda grey, _: grey), (0,), _UNCHANGED),
    ("depth", "the same greys in {} bits", lambda n: partial(_depth, bits=n), (8, 16), _UNCHANGED),
    (
        "brightness",
        "brightness {:+.0%} of the range",
        _by_grey(lambda grey, by: grey + np.float32(by)),
        (0.1, -0.1, 0.2, -0.2),
        "",
    ),
    ("contrast", "contrast × {:g} about mid-grey", _by_grey(_contrast), (0.8, 1.25, 1.5), ""),
    (
        "gamma",
        "gamma {:g}",
        _by_grey(lambda grey, power: np.power(grey, np.float32(power))),
        (0.7, 0.9, 1.1, 1.4),
        "",
    ),
    ("window", "{} tenth of the range clipped", _by_grey(_window), ("darkest", "brightest"), ""),
    ("vignette", "corners darker by {:.0%}", _by_grey(_vignette), (0.2, 0.4), ""),
    (
        "noise",
        "noise, SD {:.1%} of the range",
        lambda spread: partial(_noise, spread=spread),
        (0.005, 0.01, 0.03),
        "",
    ),
    ("blur", f"blur, SD {{:g}} px at {_BLUR_ROWS:.0f} rows", _by_grey(_blur), (1.0, 2.0), ""),
    ("resolution", "resolution × {:g} and back", _by_grey(_coarser), (0.5, 0.25), ""),
    ("JPEG", "JPEG quality {}", _by_grey(_jpeg), (90, 50, 20), ""),
    (
        "rotation",
        "turned by {:+g}°",
        lambda degrees: partial(_rotate, degrees=degrees),
        (-5.0, -2.0, 2.0, 5.0),
        "",
    ),
    (
        "shift",
        "5% {}",
        _by_grey(_shift),
        ("down", "up", "off the chest wall", "into the chest wall"),
        "",
    ),
    (
        "inversion",
        "inverted, tagged {}",
        lambda tag: partial(_inverted, tag=tag),
        ("MONOCHROME1", "MONOCHROME2"),
        _UNDONE,
    ),
    ("mirror", "mirrored, laterality too", lambda _: _mirrored, (0,), _UNDONE),
    ("tags", "laterality swapped", lambda _: _other_side, (0,), _UNUSED),
    ("tags", "view swapped", lambda _: _other_view, (0,), _UNUSED),
)
"""Kind, name with a place for the severity, change by a severity, severities, expected effect. A
change without severities has one that it does not use, 0."""

ALTERATIONS: Final = tuple(
    Alteration(name.format(severity), kind, change_by(severity), expected)
    for kind, name, change_by, severities, expected in _SERIES
    for severity in severities
)
