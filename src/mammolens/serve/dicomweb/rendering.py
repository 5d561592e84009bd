"""Pictures for people: a frame under a window, cut to a region and reduced to a viewport.

The picture is reduced by averaging in the depth of its values, before the window is applied.

Source: PS3.18 8.3.5.1 (rendering parameters).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Mammogram, VoiFunction, Window
from mammolens.errors import InputError, UnsupportedImage
from mammolens.images.dicom import StoredFrames, frame_values, read_dicom
from mammolens.preprocess import apply_voi, to_grey, tone_of, usable_voi
from mammolens.serve.dicomweb.bodies import NoSuchValue
from mammolens.serve.dicomweb.stored_object import OpenObject
from mammolens.serve.holdings import SOURCE

__all__ = ["BadRendering", "Rendering", "Viewport", "read_rendering", "render", "write_picture"]

MOST_SIDE_PX: Final = 8192
LARGEST_VALUE: Final = 1e9
MOST_PX: Final = 32_000_000
TONE_PX: Final = 1024
"""Longest side of the copy from which the tone curve is taken."""
USUAL_QUALITY: Final = 90
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{0,9})?([eE][+-]?[0-9]{1,2})?")
_FUNCTIONS: Final = {
    "linear": VoiFunction.LINEAR,
    "linear-exact": VoiFunction.LINEAR_EXACT,
    "sigmoid": VoiFunction.SIGMOID,
}
Values = npt.NDArray[Any]


class BadRendering(Exception):
    """A parameter that cannot be understood; its text is fit to be shown."""


@dataclass(frozen=True)
class Viewport:
    """Size of the picture, and region of the source in pixels; a negative size mirrors it."""

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    region_width: float | None = None
    region_height: float | None = None


@dataclass(frozen=True)
class Rendering:
    """How a frame is shown; without a window that of the object is used, or a tone curve."""

    window: Window | None = None
    viewport: Viewport | None = None
    quality: int = USUAL_QUALITY


def read_rendering(parameters: Mapping[str, str], side_px: int | None = None) -> Rendering:
    """Read the parameters of a rendered resource.

    Parameters
    ----------
    side_px
        Viewport where none is asked for.

    Raises
    ------
    BadRendering
    """
    window = viewport = None
    if "window" in parameters:
        window = _window(parameters["window"].split(","))
    if "viewport" in parameters:
        viewport = _viewport(parameters["viewport"].split(","))
    elif side_px is not None:
        viewport = Viewport(side_px, side_px)
    quality = parameters.get("quality", str(USUAL_QUALITY))
    if not re.fullmatch(r"[0-9]{1,3}", quality) or not 1 <= int(quality) <= 100:
        raise BadRendering("quality is a whole number from 1 to 100")
    return Rendering(window, viewport, int(quality))


def render(item: OpenObject, number: int, rendering: Rendering) -> npt.NDArray[np.uint8]:
    """Show one frame: uint8 (rows, columns), or (rows, columns, 3) in RGB.

    Raises
    ------
    NoSuchValue
        There is no such frame.
    BadRendering
        The region lies outside the picture.
    InputError
        The object has no picture that can be shown, or it is damaged.
    """
    frames = item.frames()
    if number > frames.count:
        raise NoSuchValue
    if not item.found.is_ours and frames.count == 1:
        try:
            item.stream.seek(0)
            return _mammogram(read_dicom(item.stream.read(), SOURCE, None), rendering)
        except InputError:
            pass  # not a mammogram that is analysed, so it is shown as any picture
    return _any_picture(item, frames, number, rendering)


def write_picture(picture: npt.NDArray[np.uint8], media: str, quality: int) -> bytes:
    """Write a picture as ``image/jpeg`` or ``image/png``."""
    bgr = picture[..., ::-1] if picture.ndim == 3 else picture
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if media == "image/jpeg" else []
    suffix = ".jpg" if media == "image/jpeg" else ".png"
    is_written, encoded = cv2.imencode(suffix, np.ascontiguousarray(bgr), options)
    assert is_written
    return encoded.tobytes()


def _mammogram(mammogram: Mammogram, rendering: Rendering) -> npt.NDArray[np.uint8]:
    photometric = mammogram.photometric
    small = _laid_out(mammogram.pixels, rendering.viewport)
    if rendering.window is not None:
        chosen = replace(mammogram, voi=rendering.window, other_voi=())
        return _as_bytes(to_grey(small, chosen))
    tone = tone_of(mammogram, photometric, TONE_PX)
    if tone is None:
        usable, _ = usable_voi(mammogram)
        return _as_bytes(to_grey(small, usable))
    grey = (small.astype(np.float32) - tone.black) / (tone.white - tone.black or 1.0)
    return _as_bytes(np.clip(grey, 0.0, 1.0) ** tone.power)


def _any_picture(
    item: OpenObject, frames: StoredFrames, number: int, rendering: Rendering
) -> npt.NDArray[np.uint8]:
    form, values = frames.form, frame_values(frames, number)
    if values.ndim == 3:
        if form.photometric != "RGB" or form.bits != 8:
            raise UnsupportedImage("colours of this kind are not shown", source=SOURCE)
        return np.asarray(_laid_out(values, rendering.viewport), np.uint8)
    slope, intercept = _float(item, "RescaleSlope", 1.0), _float(item, "RescaleIntercept", 0.0)
    scaled = values.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    window = rendering.window or _own_window(item)
    # Without a window the ends are those of the whole frame, whichever region is shown.
    low, high = float(scaled.min()), float(scaled.max())
    small = _laid_out(scaled, rendering.viewport)
    stretched = (small - low) / max(high - low, 1e-12)
    grey: Values = stretched if window is None else apply_voi(small, window)
    return _as_bytes(1.0 - grey if form.photometric == "MONOCHROME1" else grey)


def _own_window(item: OpenObject) -> Window | None:
    center = _float(item, "WindowCenter", math.nan)
    width = _float(item, "WindowWidth", math.nan)
    return Window(center, width) if math.isfinite(center) and width >= 1 else None


def _float(item: OpenObject, keyword: str, default: float) -> float:
    try:
        value = item.header.dataset.get(keyword)
        first = value if isinstance(value, str) or not hasattr(value, "__len__") else value[0]
        number = float(first)
    except Exception:
        return default
    return number if math.isfinite(number) else default


def _laid_out(values: Values, viewport: Viewport | None) -> Values:
    """Cut the region, and reduce or enlarge it until it just fits the viewport."""
    if viewport is None:
        return values
    rows, columns = values.shape[:2]
    width, height = viewport.region_width or columns, viewport.region_height or rows
    left, top = int(viewport.x), int(viewport.y)
    right, bottom = round(viewport.x + abs(width)), round(viewport.y + abs(height))
    part = values[top : min(bottom, rows), left : min(right, columns)]
    if part.size == 0:
        raise BadRendering("the region of the viewport lies outside the picture")
    if width < 0:
        part = part[:, ::-1]
    if height < 0:
        part = part[::-1]
    scale = min(viewport.height / part.shape[0], viewport.width / part.shape[1])
    shape = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    known = (np.uint8, np.uint16, np.int16, np.float32)
    prepared = part if part.dtype in known else part.astype(np.float32)
    return np.asarray(cv2.resize(np.ascontiguousarray(prepared), shape, interpolation=how))


def _as_bytes(grey: Values) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(grey * 255.0), np.uint8)


def _window(parts: list[str]) -> Window:
    function = _FUNCTIONS.get(parts[2].strip().lower()) if len(parts) == 3 else None
    if len(parts) == 2:
        function = VoiFunction.LINEAR
    if function is None or not all(_NUMBER.fullmatch(part) for part in parts[:2]):
        raise BadRendering("window is CENTER,WIDTH,FUNCTION; linear, linear-exact or sigmoid")
    center, width = float(parts[0]), float(parts[1])
    if max(abs(center), abs(width)) > LARGEST_VALUE:
        raise BadRendering("the window is far outside of what pixels can be")
    if width < 1 if function is VoiFunction.LINEAR else width <= 0:
        raise BadRendering("the width of the window is too small")
    return Window(center, width, function)


def _viewport(parts: list[str]) -> Viewport:
    is_valid = len(parts) in (2, 6) and all(not p or _NUMBER.fullmatch(p) for p in parts)
    if not is_valid or not (parts[0] and parts[1]):
        raise BadRendering("viewport is WIDTH,HEIGHT or WIDTH,HEIGHT,X,Y,WIDTH,HEIGHT")
    width, height = float(parts[0]), float(parts[1])
    if not (1 <= width <= MOST_SIDE_PX and 1 <= height <= MOST_SIDE_PX):
        raise BadRendering(f"a viewport has 1 to {MOST_SIDE_PX} pixels a side")
    if width * height > MOST_PX:
        raise BadRendering(f"a viewport has at most {MOST_PX} pixels")
    if len(parts) == 2:
        return Viewport(int(width), int(height))
    x, y = (float(part or 0) for part in parts[2:4])
    region = tuple(float(part) if part else None for part in parts[4:])
    if x < 0 or y < 0 or 0 in region:
        raise BadRendering("the region of the viewport lies outside the picture")
    return Viewport(int(width), int(height), x, y, *region)
