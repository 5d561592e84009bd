"""Compressed streams and their headers: `jpeg` (also JPEG-LS, JPEG 2000), `rle`, `pvrg`, `tiff`.

Each module checks the size and the completeness of a stream, and decodes it with imagecodecs. The
functions here decode, and make the error for a damaged stream.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mammolens.errors import NotAnImage

__all__ = ["damaged", "decoded"]


def decoded(
    decoder: Callable[[bytes], object], data: bytes, source: str
) -> npt.NDArray[np.generic]:
    """Decode a picture with a function of imagecodecs.

    Raises
    ------
    NotAnImage
        If the picture is damaged.
    """
    try:
        return np.asarray(decoder(data))
    except Exception as error:
        # imagecodecs has one exception type per codec and no common base.
        raise damaged(f"the compressed picture cannot be decoded ({error})", source) from error


def damaged(message: str, source: str, keyword: str | None = None) -> NotAnImage:
    """Make the error for a damaged picture."""
    return NotAnImage(message, source=source, keyword=keyword, remedy="Copy or export it again")
