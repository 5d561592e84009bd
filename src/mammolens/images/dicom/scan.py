"""Copy the bytes of the wanted attributes of a DICOM data set, within limits.

A parser makes objects for everything in a file. A few kilobytes can keep it busy for minutes, and a
value of one megabyte can become a million numbers. Therefore unwanted values are skipped here, and
the kept elements are limited in number, length and nesting. The parser sees only these.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from mammolens.errors import InputError, NotAnImage
from mammolens.images.dicom.attributes import (
    MAX_KEPT,
    MAX_KEPT_BYTES,
    MAX_LUT_BYTES,
    MAX_SEQUENCE_BYTES,
    MAX_TEXT_BYTES,
    MAX_VALUE_BYTES,
    is_special,
)
from mammolens.images.dicom.streams import Plain
from mammolens.images.dicom.walk import (
    ITEM_END,
    LONG_VRS,
    PIXEL_TAGS,
    UNDEFINED,
    Element,
    Stop,
    Walk,
)

__all__ = ["Scanned", "Wanted", "scan"]


class Wanted(NamedTuple):
    """Tags of a data set that are kept.

    `sequences`, `tables` (sequences with look-up tables) and `texts` (long texts) are subsets of
    `tags`.
    """

    tags: frozenset[int]
    sequences: frozenset[int]
    tables: frozenset[int]
    texts: frozenset[int] = frozenset()
    longest: int = MAX_SEQUENCE_BYTES
    """Largest size of a sequence without tables, in bytes."""
    last: int = 0xFFFFFFFF
    """The scan ends after this tag."""


@dataclass(frozen=True)
class Scanned:
    """Result of a scan.

    `data` has the kept elements in their original encoding. `excess` describes the first element
    that was beyond a limit, or is ``None``. `left_out` has the tags of wanted elements that were
    beyond a limit. `ended_at` is the tag at which the scan stopped early, or ``None``; elements
    after it may be missing. If the tags do not ascend it is 0, since any may be missing.
    `pixel_head` is the head of the pixel data element, after which the stream is positioned; it is
    empty if there is none.
    """

    data: bytes
    excess: InputError | None
    left_out: frozenset[int]
    ended_at: int | None
    pixel_head: bytes

    def lacks(self, tags: frozenset[int]) -> bool:
        """Return whether one of these elements may be in the data set but was left out."""
        ended = self.ended_at is not None and self.ended_at <= max(tags)
        return ended or bool(self.left_out & tags)


def scan(walk: Walk, wanted: Wanted) -> Scanned:
    """Walk to the pixel data or the end, and copy the wanted elements.

    Raises
    ------
    NotAnImage
        If the data set ends within a sequence, or a deflated one is damaged.
    UnsupportedImage
        If a deflated data set is too large.
    """
    copy = _Copy(walk, wanted)
    head, ended_at = b"", None
    try:
        head = copy.walk_to_pixels()
    except Stop:
        ended_at = walk.at if copy.ascends else 0
    finally:
        walk.release()
    return Scanned(b"".join(copy.out), walk.excess, frozenset(copy.left_out), ended_at, head)


class _Copy:
    """The elements that a walk has copied so far."""

    def __init__(self, walk: Walk, wanted: Wanted) -> None:
        self.walk, self.wanted = walk, wanted
        self.out: list[bytes] = []
        self.left_out: set[int] = set()
        self.ascends = True
        self._kept, self._kept_bytes = 0, 0

    def walk_to_pixels(self) -> bytes:
        """Copy wanted elements up to the pixel data, and give the head of the pixel data."""
        walk, wanted, tags = self.walk, self.wanted, self.wanted.tags
        skip = walk.stream.skip
        while (element := walk.next(walk.implicit)) is not None:
            tag, vr, length, head = element
            if tag in PIXEL_TAGS:
                return head
            if tag == ITEM_END or tag > wanted.last:
                break
            self.ascends = self.ascends and tag >= walk.at
            walk.at = tag  # which the notes of the walk name
            if tag in tags or is_special(tag):
                self._keep(element)
            elif length != UNDEFINED:
                skip(length)
            else:
                walk.pass_open(vr, walk.implicit, 1, False)
        return b""

    def _keep(self, element: Element) -> None:
        """Copy an element, or note that it is beyond a limit."""
        tag, vr, length, head = element
        self._kept += 1
        if self._kept > MAX_KEPT:
            self.walk.note(f"the header repeats elements: more than {MAX_KEPT:,} would be read")
            raise Stop
        if tag & 0xFF01FFFF == 0x60003000 and length != UNDEFINED:
            # Overlay data are not read, but the element is kept to show that there are some.
            self.walk.stream.skip(length)
            size = 2 if vr is not None and vr not in LONG_VRS else 4
            self.out.append(head[:-size] + b"\0" * size)
        elif length == UNDEFINED or vr == b"SQ" or tag in self.wanted.sequences:
            value = self._sequence(element, tag in self.wanted.tables)
            if value is not None:
                self.out += (head, value)
        elif length > self._most(tag) or self._kept_bytes + length > MAX_KEPT_BYTES:
            self.walk.note(f"a value of {length:,} bytes is longer than the limit", tag)
            self.left_out.add(tag)
            self.walk.stream.skip(length)
        else:
            self._kept_bytes += length
            self.out += (head, self.walk.stream.read(length))

    def _sequence(self, element: Element, has_tables: bool) -> bytes | None:
        """Read the value of a sequence; ``None`` if it is beyond a limit."""
        tag, vr, length, _ = element
        most = MAX_LUT_BYTES if has_tables else self.wanted.longest
        self.walk.is_whole, value = True, b""
        if length == UNDEFINED:
            start = self.walk.stream.tell()
            self.walk.stream.mark()
            self.walk.pass_open(vr, self.walk.implicit, 1, True)
            if self.walk.stream.tell() - start > most:
                self.walk.note("a sequence is longer than the limit", tag)
            if self.walk.is_whole:
                value = self.walk.stream.since_mark()
        elif length > most:
            self.walk.note(f"a sequence of {length:,} bytes is longer than the limit", tag)
            self.walk.stream.skip(length)
        else:
            value = self.walk.stream.read(length)
            self._check(value)
        if not self.walk.is_whole:
            self.left_out.add(tag)
        return value if self.walk.is_whole else None

    def _check(self, value: bytes) -> None:
        """Check the value of a sequence of defined length against the limits."""
        outer, self.walk.stream = self.walk.stream, Plain(BytesIO(value))
        try:
            self.walk.pass_items(self.walk.implicit, 1, len(value), True)
        except NotAnImage:
            # The sequence ends early; the parser will find the same and raise.
            pass
        finally:
            self.walk.stream = outer

    def _most(self, tag: int) -> int:
        return MAX_TEXT_BYTES if tag in self.wanted.texts else MAX_VALUE_BYTES
