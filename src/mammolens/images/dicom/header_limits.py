"""Limits on how much of a DICOM header is scanned and parsed; anything beyond them is refused.

Each limit is far above the values of honest objects. All limits together are low enough that no
object keeps a node busy for longer than a second.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "MAX_DEPTH",
    "MAX_INNER_STEPS",
    "MAX_KEPT",
    "MAX_KEPT_BYTES",
    "MAX_LUT_BYTES",
    "MAX_RATIO",
    "MAX_SEQUENCE_BYTES",
    "MAX_STEPS",
    "MAX_TABLE_BYTES",
    "MAX_TEXT_BYTES",
    "MAX_UID_BYTES",
    "MAX_VALUE_BYTES",
    "RATIO_COUNTS_FROM_BYTES",
]

MAX_STEPS: Final = 200_000
"""Elements and items of a data set that are scanned; this takes half a second. A mammogram has a
few hundred, a stack of 1,000 frames 55,000. Enhanced MR images can have more; their scan stops
after the attributes that identify them."""
MAX_DEPTH: Final = 64
"""Levels of nested sequences; structured reports have about ten."""
MAX_VALUE_BYTES: Final = 4 << 10
"""All values of one element; the longest of real mammograms has about 300 bytes."""
MAX_TEXT_BYTES: Final = 16 << 10
"""One long text: LT has 10,240 characters, ST 1,024 (PS3.5 6.2)."""
MAX_UID_BYTES: Final = 128
"""A UID of the file meta information; some writers add bytes after its 64 characters."""
MAX_KEPT_BYTES: Final = 128 << 10
"""All kept values together; real mammograms have 2 to 6 KiB."""
MAX_KEPT: Final = 1024
"""Elements that are kept; real mammograms have about 100."""
MAX_SEQUENCE_BYTES: Final = 256 << 10
"""One sequence without tables: about 2,000 references to source images."""
MAX_INNER_STEPS: Final = 10_000
"""Elements and items within the kept sequences."""
MAX_LUT_BYTES: Final = 4 << 20
"""One sequence of look-up tables: 32 tables of 65,536 entries of 16 bits."""
MAX_TABLE_BYTES: Final = 1 << 18
"""One look-up table: 65,536 entries, at most 4 bytes each (PS3.3 C.11.1.1)."""
MAX_RATIO: Final = 200
"""Inflated bytes per deflated byte: mammograms have 2 to 20, the most of deflate is 1,032."""
RATIO_COUNTS_FROM_BYTES: Final = 8 << 20
"""Inflated size from which on `MAX_RATIO` counts: a short header of spaces may deflate better."""
