"""Limits on the size and content of a picture. Sizes are checked before memory is allocated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mammolens.errors import InputError, NotAMammogram, UnsupportedImage

__all__ = ["MAX_BYTES", "MAX_PIXELS", "MAX_SIDE_PX", "MIN_SIDE_PX", "check_content", "size_refusal"]

MAX_BYTES = 1 << 30
"""Largest file that is read, 1 GiB."""
MAX_SIDE_PX = 20_000
MAX_PIXELS = 150_000_000
MIN_SIDE_PX = 64
"""Smaller pictures are icons or thumbnails. All limits in this file were chosen by hand."""


def size_refusal(rows: int, columns: int, source: str) -> InputError | None:
    """Make the error for a picture of a size that is not read; ``None`` if the size is allowed.

    Examples
    --------
    >>> size_refusal(3328, 2560, "a.dcm")
    >>> print(size_refusal(1, 1, "a.dcm"))
    a.dcm: 1 x 1 pixels are not a mammogram. Send the original image, at least 64 pixels a side.
    """
    if min(rows, columns) < MIN_SIDE_PX:
        return NotAMammogram(
            f"{rows} x {columns} pixels are not a mammogram",
            source=source,
            remedy=f"Send the original image, at least {MIN_SIDE_PX} pixels a side",
        )
    if max(rows, columns) > MAX_SIDE_PX or rows * columns > MAX_PIXELS:
        return UnsupportedImage(
            f"{rows} x {columns} pixels are more than the limit",
            source=source,
            remedy=f"Send at most {MAX_SIDE_PX:,} pixels a side and {MAX_PIXELS:,} in all",
        )
    return None


def check_content(pixels: npt.NDArray[np.generic], source: str) -> None:
    """Refuse an empty picture and a mask.

    Raises
    ------
    NotAMammogram
        If `pixels` (rows, columns) have at most two distinct values.
    """
    sample = np.unique(pixels[::61, ::67])
    if len(sample) > 2:
        return
    low, high = pixels.min(), pixels.max()
    if low == high:
        raise NotAMammogram(
            f"every pixel is {low}: the picture is empty",
            source=source,
            remedy="Export the image again, or leave it out",
        )
    if bool(np.all((pixels == low) | (pixels == high))):
        raise NotAMammogram(
            f"the picture has only the values {low} and {high}: it is a mask, not an exposure",
            source=source,
            remedy="Send the mammogram that belongs to the mask",
        )
