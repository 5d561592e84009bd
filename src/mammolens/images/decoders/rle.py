"""Decode DICOM RLE Lossless (PS3.5 Annex G) with imagecodecs, safely.

The decoder of imagecodecs trusts the segment table (an altered table has crashed the process), and
gives no error if a segment ends early. Therefore the table is checked first, the buffer has space
after its end for one run, and the last pixel is marked to see whether every segment reached it.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mammolens.images.decoders import damaged

__all__ = ["decode_rle"]

HEADER_BYTES = 64
SLACK_BYTES = 4096
MARK = 0xA5


def decode_rle(
    frame: bytes | memoryview, rows: int, columns: int, sample_bytes: int, source: str
) -> npt.NDArray[np.generic]:
    """Decode one single-channel frame.

    Parameters
    ----------
    frame
        Encoded bytes with their header of 64 bytes.
    rows, columns
        Size of the picture; the frame must fill it exactly.
    sample_bytes
        Bytes per pixel, 1 or 2.
    source
        Name of the file for errors.

    Returns
    -------
    array
        ``(rows, columns)``, uint8 or uint16.

    Raises
    ------
    NotAnImage
        If the segment table is impossible, or a segment is damaged, too long or too short.
    """
    from imagecodecs import dicomrle_decode

    bounds = _segments(frame, sample_bytes, source)
    size = rows * columns * sample_bytes
    buffer = np.empty(size + SLACK_BYTES, np.uint8)
    last_pixel = buffer[size - sample_bytes : size]
    last_pixel[:] = MARK
    dtype = np.dtype(f"<u{sample_bytes}")
    try:
        view = memoryview(buffer.data)[:size]
        # The decoder accepts every buffer, but the type stubs of imagecodecs do not say so.
        written = len(dicomrle_decode(frame, dtype, out=view))  # type: ignore[arg-type]
    except Exception as error:
        raise damaged(f"the RLE data cannot be decoded ({error})", source, "PixelData") from error
    doubtful = np.flatnonzero(last_pixel[::-1] == MARK)
    if written < size or any(
        _decoded_length(frame[bounds[i] : bounds[i + 1]], rows * columns) < rows * columns
        for i in doubtful
    ):
        raise damaged("the RLE data ends before the picture does", source, "PixelData")
    return buffer[:size].view(dtype).reshape(rows, columns)


def _segments(frame: bytes | memoryview, sample_bytes: int, source: str) -> list[int]:
    """Start of each segment and end of the frame, in ascending order."""
    if len(frame) <= HEADER_BYTES:
        raise damaged("the RLE data ends in its header", source, "PixelData")
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != sample_bytes:
        raise damaged(
            f"the RLE data has {count} segments instead of {sample_bytes}", source, "PixelData"
        )
    bounds = [*offsets[:count], len(frame)]
    if bounds[0] != HEADER_BYTES or any(a >= b for a, b in pairwise(bounds)):
        raise damaged("the RLE segment table is impossible", source, "PixelData")
    return bounds


def _decoded_length(segment: bytes | memoryview, expected: int) -> int:
    from imagecodecs import packbits_decode

    buffer = np.empty(expected + SLACK_BYTES, np.uint8)
    try:
        view = memoryview(buffer.data)[:expected]
        return len(packbits_decode(segment, out=view))  # type: ignore[arg-type]
    except Exception:
        return 0
