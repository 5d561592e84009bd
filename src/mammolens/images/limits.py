"""Limits on the size, the channels and the content of a picture.

Sizes are checked before memory is allocated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mammolens.errors import NotAMammogram, UnsupportedImage

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE_PX",
    "MIN_SIDE_PX",
    "check_content",
    "check_size",
    "merge_channels",
]

MAX_BYTES = 1 << 30
"""Largest file that is read, 1 GiB."""
MAX_SIDE_PX = 20_000
MAX_PIXELS = 150_000_000
MIN_SIDE_PX = 64
"""Smaller pictures are icons or thumbnails. All limits in this file were chosen by hand."""


def check_size(rows: int, columns: int, source: str) -> None:
    """Refuse a picture of a size that is not read.

    Raises
    ------
    NotAMammogram
        If it is smaller than `MIN_SIDE_PX`.
    UnsupportedImage
        If it is larger than the limits.

    Examples
    --------
    >>> check_size(3328, 2560, "a.dcm")
    >>> check_size(1, 1, "a.dcm")
    Traceback (most recent call last):
    mammolens.errors.NotAMammogram: a.dcm: 1 x 1 pixels are not a mammogram. Send the original \
image, at least 64 pixels a side.
    """
    if min(rows, columns) < MIN_SIDE_PX:
        raise NotAMammogram(
            f"{rows} x {columns} pixels are not a mammogram",
            source=source,
            remedy=f"Send the original image, at least {MIN_SIDE_PX} pixels a side",
        )
    if max(rows, columns) > MAX_SIDE_PX or rows * columns > MAX_PIXELS:
        raise UnsupportedImage(
            f"{rows} x {columns} pixels are more than the limit",
            source=source,
            remedy=f"Send at most {MAX_SIDE_PX:,} pixels a side and {MAX_PIXELS:,} in all",
        )


def merge_channels(pixels: npt.NDArray[np.generic], source: str) -> npt.NDArray[np.generic]:
    """Reduce a grey picture that is stored in several channels to one channel.

    Parameters
    ----------
    pixels
        ``(rows, columns, channels)``: grey and alpha, RGB, YBR with neutral chroma, or RGBA.

    Raises
    ------
    NotAMammogram
        If the channels differ, as in a colour picture.
    UnsupportedImage
        If it is partly transparent.
    """
    channels = pixels.shape[2]
    largest = (1 << 8 * pixels.dtype.itemsize) - 1
    if channels in (2, 4) and int(pixels[..., -1].min()) < largest:
        raise UnsupportedImage(
            "the picture is partly transparent",
            source=source,
            remedy="Export it without an alpha channel",
        )
    first = pixels[..., 0]
    if channels >= 3:
        second, third = pixels[..., 1], pixels[..., 2]
        equal = np.array_equal(first, second) and np.array_equal(first, third)
        neutral = np.full(1, (largest + 1) // 2, pixels.dtype)
        if not equal and not bool(np.all(second == neutral) and np.all(third == neutral)):
            raise NotAMammogram(
                "the picture is coloured: a screenshot or an overlay, not an exposure",
                source=source,
                remedy="Send the original grey image",
            )
    return np.ascontiguousarray(first)


def check_content(pixels: npt.NDArray[np.generic], source: str) -> None:
    """Refuse an empty picture and a mask.

    Raises
    ------
    NotAMammogram
        If `pixels` (rows, columns) have at most two distinct values.
    """
    sample = np.unique(pixels[::61, ::67])  # for speed: a few pixels show that most pictures pass
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
