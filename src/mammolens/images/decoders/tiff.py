"""Check the structure of a TIFF before libtiff decodes it: its size, its kind, missing strips.

The Exif block of a JPEG or PNG has the same structure; its orientation is read here too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mammolens.errors import NotAnImage, UnsupportedImage

__all__ = ["TiffForm", "exif_orientation", "tiff_form", "turns_of"]

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, ORIENTATION, SAMPLES, STRIP_BYTES = 273, 274, 277, 279
TILES, TILE_BYTES, SAMPLE_FORMAT = 324, 325, 339
READABLE_COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"}
VALUE_FORMATS = {1: "B", 3: "H", 4: "I"}
MAX_VALUES = 200_000


@dataclass(frozen=True)
class TiffForm:
    """Properties of a TIFF in its directory.

    `white_is_zero` has the meaning of MONOCHROME1. `orientation` is the value of the Orientation
    tag, 1 to 8.
    """

    rows: int
    columns: int
    white_is_zero: bool
    orientation: int


def tiff_form(data: bytes, source: str) -> TiffForm:
    """Read the first directory of a classic TIFF, and check that the file has all its strips.

    Raises
    ------
    NotAnImage
        If the directory is damaged, or pixel data are missing.
    UnsupportedImage
        If there are several pages, or depth, sample format or compression are not supported.
    """
    try:
        entries, following = _directory(data)
        rows, columns = entries[LENGTH][0], entries[WIDTH][0]
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise NotAnImage(
            "the TIFF directory is missing or damaged: the file may be truncated",
            source=source,
            remedy="Copy or export it again",
        ) from error
    if following:
        raise _unsupported("several pages", source)
    if set(entries.get(BITS, [1])) - {8, 16}:
        raise _unsupported(f"{entries.get(BITS, [1])[0]} bits a sample", source)
    if set(entries.get(SAMPLE_FORMAT, [1])) - {1}:
        raise _unsupported("signed or floating-point samples", source)
    compression = entries.get(COMPRESSION, [1])[0]
    if compression not in READABLE_COMPRESSIONS:
        raise _unsupported(f"compression {compression}", source)
    _check_data(data, entries, source)
    white_is_zero = entries.get(PHOTOMETRIC, [1])[0] == 0
    return TiffForm(rows, columns, white_is_zero, entries.get(ORIENTATION, [1])[0])


def exif_orientation(block: bytes) -> int | None:
    """Read the orientation from an Exif block; ``None`` if it is missing or damaged.

    Source: CIPA DC-008 (Exif 2.32), 4.6.4.
    """
    try:
        return next(iter(_directory(block)[0].get(ORIENTATION, [])), None)
    except (struct.error, IndexError, ValueError):
        return None


def turns_of(orientation: int) -> int:
    """Give the clockwise quarter turns of an Orientation value of TIFF or Exif.

    Mirrored pictures are turned but stay mirrored, which does no harm to a mammogram.

    Examples
    --------
    >>> [turns_of(value) for value in range(1, 9)]
    [0, 0, 2, 2, 1, 1, 3, 3]
    """
    return {3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}.get(orientation, 0)


def _directory(data: bytes) -> tuple[dict[int, list[int]], int]:
    """Read the unsigned integer entries by tag, and the offset of the next directory."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None:
        raise ValueError("not a classic TIFF")
    (offset,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, offset)
    entries: dict[int, list[int]] = {}
    for position in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, position)
        if kind not in VALUE_FORMATS or not 0 < number <= MAX_VALUES or tag in entries:
            continue
        layout = f"{order}{number}{VALUE_FORMATS[kind]}"
        start = position + 8
        if struct.calcsize(layout) > 4:
            (start,) = struct.unpack_from(order + "I", data, start)
        entries[tag] = list(struct.unpack_from(layout, data, start))
    (following,) = struct.unpack_from(order + "I", data, offset + 2 + 12 * count)
    return entries, following


def _check_data(data: bytes, entries: dict[int, list[int]], source: str) -> None:
    """Check that every strip or tile is within the file."""
    starts = entries.get(STRIPS) or entries.get(TILES) or []
    lengths = entries.get(STRIP_BYTES) or entries.get(TILE_BYTES) or []
    ends = [start + length for start, length in zip(starts, lengths, strict=False)]
    if not ends or len(starts) != len(lengths) or max(ends) > len(data):
        raise NotAnImage(
            "the TIFF is truncated: strips of its picture are missing",
            source=source,
            remedy="Copy or export it again",
        )


def _unsupported(what: str, source: str) -> UnsupportedImage:
    return UnsupportedImage(
        f"TIFF with {what} is not read",
        source=source,
        remedy="Export one grey page of 8 or 16 bits, uncompressed, LZW or deflate",
    )
