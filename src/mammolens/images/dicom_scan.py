"""The bytes of a DICOM data set → those of the attributes that are read, within limits.

A parser makes objects of everything it meets, so that a few kilobytes can keep it busy for minutes
and a value of a megabyte become a million numbers. Here values that nobody reads are passed over,
what is kept is bounded in number, length and nesting, and the parser sees nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from mammolens.errors import InputError, NotAnImage
from mammolens.images.dicom_attributes import is_special
from mammolens.images.dicom_limits import (
    MAX_KEPT,
    MAX_KEPT_BYTES,
    MAX_LUT_BYTES,
    MAX_SEQUENCE_BYTES,
    MAX_TEXT_BYTES,
    MAX_VALUE_BYTES,
)
from mammolens.images.dicom_stream import Plain
from mammolens.images.dicom_walk import (
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
    """Tags of a data set that are kept; among them those of sequences, and of look-up tables."""

    tags: frozenset[int]
    sequences: frozenset[int]
    tables: frozenset[int]
    texts: frozenset[int] = frozenset()
    """Long texts."""
    longest: int = MAX_SEQUENCE_BYTES
    """Bytes of a sequence without tables."""
    last: int = 0xFFFFFFFF
    """The walk ends behind this tag."""


@dataclass(frozen=True)
class Scanned:
    """What a scan found.

    `data` are the elements that were kept, as they were encoded. `excess` says what was first
    beyond a limit, `left_out` which elements are missing for it, and `ended_at` where the walk was
    given up: whatever comes after that tag, or anything if the tags do not ascend, may be missing
    too. `pixel_head` is the head of the pixel data element, which the stream stands behind; empty
    if there is none.
    """

    data: bytes
    excess: InputError | None
    left_out: frozenset[int]
    ended_at: int | None
    pixel_head: bytes

    def lacks(self, tags: frozenset[int]) -> bool:
        """Whether one of these elements may be there and was left out."""
        ended = self.ended_at is not None and self.ended_at <= max(tags)
        return ended or bool(self.left_out & tags)


def scan(walk: Walk, wanted: Wanted) -> Scanned:
    """Walk to the pixel data or the end, and take over what is wanted.

    Raises
    ------
    NotAnImage
        The data set ends within a sequence, or a deflated one is damaged.
    UnsupportedImage
        A deflated data set is too large.
    """
    taking = _Taking(walk, wanted)
    head, ended_at = b"", None
    try:
        head = taking.run()
    except Stop:
        ended_at = walk.at if taking.ascends else 0
    finally:
        walk.release()
    return Scanned(b"".join(taking.out), walk.excess, frozenset(taking.left_out), ended_at, head)


class _Taking:
    """What a walk has taken over so far."""

    def __init__(self, walk: Walk, wanted: Wanted) -> None:
        self.walk, self.wanted = walk, wanted
        self.out: list[bytes] = []
        self.left_out: set[int] = set()
        self.ascends = True
        self._kept, self._kept_bytes = 0, 0

    def run(self) -> bytes:
        """Walk to the pixel data, and give the head of their element."""
        walk, wanted, tags = self.walk, self.wanted, self.wanted.tags
        skip = walk.stream.skip
        while (element := walk.next(walk.implicit)) is not None:
            tag, vr, length, head = element
            if tag in PIXEL_TAGS:
                return head
            if tag == ITEM_END or tag > wanted.last:
                break
            self.ascends = self.ascends and tag >= walk.at
            walk.at = tag
            if tag in tags or is_special(tag):
                self._keep(element)
            elif length != UNDEFINED:
                skip(length)
            else:
                walk.pass_open(vr, walk.implicit, 1, False)
        return b""

    def _keep(self, element: Element) -> None:
        """Take an element over, or note that it is beyond a limit."""
        tag, vr, length, head = element
        self._kept += 1
        if self._kept > MAX_KEPT:
            self.walk.note(f"elements that are read stand {MAX_KEPT:,} times and more")
            raise Stop
        if tag & 0xFF01FFFF == 0x60003000 and length != UNDEFINED:
            # Overlay data are not read; that they are there is.
            self.walk.stream.skip(length)
            size = 2 if vr is not None and vr not in LONG_VRS else 4
            self.out.append(head[:-size] + b"\0" * size)
        elif length == UNDEFINED or vr == b"SQ" or tag in self.wanted.sequences:
            value = self._sequence(element, tag in self.wanted.tables)
            if value is not None:
                self.out += (head, value)
        elif length > self._most(tag) or self._kept_bytes + length > MAX_KEPT_BYTES:
            self.walk.note(f"a value of {length:,} bytes is more than is read", tag)
            self.left_out.add(tag)
            self.walk.stream.skip(length)
        else:
            self._kept_bytes += length
            self.out += (head, self.walk.stream.read(length))

    def _sequence(self, element: Element, has_tables: bool) -> bytes | None:
        """Give the value of a sequence, or ``None`` if it is beyond a limit."""
        tag, vr, length, _ = element
        most = MAX_LUT_BYTES if has_tables else self.wanted.longest
        self.walk.is_whole, value = True, b""
        if length == UNDEFINED:
            start = self.walk.stream.tell()
            self.walk.stream.mark()
            self.walk.pass_open(vr, self.walk.implicit, 1, True)
            if self.walk.stream.tell() - start > most:
                self.walk.note("a sequence is longer than is read", tag)
            if self.walk.is_whole:
                value = self.walk.stream.since_mark()
        elif length > most:
            self.walk.note(f"a sequence of {length:,} bytes is more than is read", tag)
            self.walk.stream.skip(length)
        else:
            value = self.walk.stream.read(length)
            self._check(value)
        if not self.walk.is_whole:
            self.left_out.add(tag)
        return value if self.walk.is_whole else None

    def _check(self, value: bytes) -> None:
        """Walk over the value of a sequence of defined length, which must keep to the limits."""
        outer, self.walk.stream = self.walk.stream, Plain(BytesIO(value))
        try:
            self.walk.pass_items(self.walk.implicit, 1, len(value), True)
        except NotAnImage:
            # The parser meets the same end within these bytes.
            pass
        finally:
            self.walk.stream = outer

    def _most(self, tag: int) -> int:
        return MAX_TEXT_BYTES if tag in self.wanted.texts else MAX_VALUE_BYTES
