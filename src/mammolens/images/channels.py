"""Grey pictures that are stored in several channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mammolens.errors import NotAMammogram, UnsupportedImage

__all__ = ["merge_channels"]


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
