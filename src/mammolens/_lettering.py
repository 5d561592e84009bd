"""Draw text into pictures: wrapped, sized to the picture, in the built-in ASCII font of OpenCV."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.files import storage, write_whole

__all__ = ["GROUND", "INK", "QUIET", "band", "encode_rgb", "measure", "write", "write_png"]

INK: Final = (236, 238, 240)
QUIET: Final = (176, 182, 188)
GROUND: Final = (16, 18, 20)

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def band(lines: Sequence[str], width: int) -> npt.NDArray[np.uint8]:
    """Draw lines of text into a strip of `width` pixels, wrapped; the first line is bright.

    Returns
    -------
    uint8 RGB (rows, width, 3), as high as the text needs.
    """
    size = float(np.clip(width / 40, 15, 34))
    pad = round(size * 0.7)
    wrapped = [
        (n, part) for n, line in enumerate(lines) for part in _wrap(line, size, width - 2 * pad)
    ]
    step = round(size * 1.6)
    strip = np.full((len(wrapped) * step + 2 * pad, width, 3), GROUND, dtype=np.uint8)
    for row, (n, part) in enumerate(wrapped):
        baseline = pad + row * step + round(size * 1.15)
        write(strip, part, (pad, baseline), size, QUIET if n else INK)
    return strip


def write(
    picture: npt.NDArray[np.uint8],
    text: str,
    at: tuple[int, int],
    size: float,
    ink: tuple[int, int, int],
) -> None:
    """Write one line of text into `picture`; its baseline starts at `at` (column, row)."""
    thick = max(1, round(size / 16))
    cv2.putText(picture, _ascii(text), at, _FONT, _scale(size), ink, thick, cv2.LINE_AA)


def write_png(path: Path, picture: npt.NDArray[np.uint8]) -> Path:
    """Write a sheet (H, W, 3), RGB, as PNG, and give its path.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with storage(path, "the sheet"):
        return write_whole(path, encode_rgb(picture))


def encode_rgb(picture: npt.NDArray[np.uint8], suffix: str = ".png") -> bytes:
    """Encode a picture, uint8 RGB (rows, columns, 3), as PNG or, with ``.jpg``, as JPEG."""
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(picture[..., ::-1]))
    assert done
    data: bytes = encoded.tobytes()
    return data


def measure(text: str, size: float) -> tuple[int, int]:
    """Give width and height in pixels of a line of text."""
    (wide, high), _ = cv2.getTextSize(_ascii(text), _FONT, _scale(size), max(1, round(size / 16)))
    return int(wide), int(high)


def _wrap(text: str, size: float, width: int) -> list[str]:
    """Break text into lines of at most `width` pixels, at spaces or within a long word."""
    fits = len(text)
    while fits > 1:
        lines = textwrap.wrap(text, fits)
        widest = max((measure(line, size)[0] for line in lines), default=0)
        if widest <= width:
            return lines or [""]
        fits = min(fits - 1, int(fits * width / widest) + 1)
    return textwrap.wrap(text, 1) or [""]


def _scale(size: float) -> float:
    """Scale of the font whose capitals are about 0.7 of `size` pixels high."""
    return size / 30


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")
