"""The bytes of a DICOM data set → those of the attributes that are read, within limits.

A parser makes objects of everything it meets, so that a few kilobytes can keep it busy for minutes
and a value of a megabyte become a million numbers. Here a data set is walked by tags and lengths
alone: values that nobody reads are passed over, what is kept is bounded in number, length and
nesting, and the parser sees nothing else. How a data set is delimited is told as pydicom tells it:
items may be in implicit VR within explicit VR, a sequence ends where any tag says so, and the last
value may be cut.

Source: PS3.5 chapter 7.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from io import BytesIO
from struct import Struct
from typing import Final, NamedTuple

from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.images.dicom_attributes import is_special
from mammolens.images.dicom_stream import Forward, Plain

__all__ = ["PIXEL_TAGS", "Scanned", "Scanner", "Wanted", "is_explicit"]

PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LUT_DATA: Final = 0x00283006
_ROWS: Final = 0x00280010
_LUT_VRS: Final = frozenset((None, b"US", b"SS", b"OW", b"OB", b"UN"))
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS: Final = _LONG_VRS | frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
)

MAX_STEPS: Final = 500_000
"""Elements and items of a data set that are walked over. Of honest headers the longest are those of
enhanced objects: 2,000 frames with 250 elements each. So many take about a second."""
MAX_DEPTH: Final = 64
"""Sequences within sequences; structured reports come to about ten."""
MAX_VALUE_BYTES: Final = 16 << 10
"""One value: the longest text that is read, LT, has 10,240 characters (PS3.5 6.2)."""
MAX_UID_BYTES: Final = 128
"""A UID of the file meta information, with what some writers put behind its 64 characters."""
MAX_KEPT_BYTES: Final = 128 << 10
"""All values together; those of real mammograms are 2 to 6 KiB."""
MAX_KEPT: Final = 1024
"""Elements that are kept; real mammograms have about 100."""
MAX_SEQUENCE_BYTES: Final = 256 << 10
"""One sequence without tables: some 2,000 references to source images."""
MAX_INNER_STEPS: Final = 10_000
"""Elements and items within the sequences that are kept."""
MAX_LUT_BYTES: Final = 4 << 20
"""One sequence of look-up tables: 32 tables of 65,536 entries of 16 bits."""
MAX_TABLE_BYTES: Final = 1 << 18
"""One look-up table: 65,536 entries, at most 4 bytes each (PS3.3 C.11.1.1)."""

_PAUSE_STEPS: Final = 2048
"""Steps after which other threads get their turn: 2 ms, where the interpreter would take 5."""
_LONG_STEPS: Final = 16 * _PAUSE_STEPS
"""Steps from which a scan is long: long ones go one at a time, others never wait for them."""
_long_scans = threading.Lock()


class Wanted(NamedTuple):
    """Tags of a data set that are kept; among them those of sequences, and of look-up tables."""

    tags: frozenset[int]
    sequences: frozenset[int]
    tables: frozenset[int]
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


def is_explicit(head: bytes) -> bool:
    """Whether the first element of a data set or an item, its first bytes, has an explicit VR."""
    return len(head) < 6 or (0x40 < head[4] < 0x5B and 0x40 < head[5] < 0x5B)


class _Stop(Exception):
    """The walk cannot go on."""


class _Element(NamedTuple):
    tag: int
    vr: bytes | None
    length: int
    head: bytes


class Scanner:
    """One walk over a data set.

    Parameters
    ----------
    stream
        Stands at the first element.
    implicit, little
        How elements are encoded.
    source
        Named in errors.
    """

    def __init__(self, stream: Forward, implicit: bool, little: bool, source: str) -> None:
        self.stream, self.implicit, self.source = stream, implicit, source
        order = "<" if little else ">"
        self._unpack = Struct(f"{order}HHL").unpack
        self._short, self._long = Struct(f"{order}H").unpack, Struct(f"{order}L").unpack
        self._items = {Struct(f"{order}HH").pack(0xFFFE, e) for e in (0xE000, 0xE0DD)}
        self._steps, self._inner_steps, self._kept, self._kept_bytes = 0, 0, 0, 0
        self._excess: InputError | None = None
        self._left_out: set[int] = set()
        self._at, self._ascends, self._is_whole = 0, True, True

    def scan(self, wanted: Wanted) -> Scanned:
        """Walk to the pixel data or the end.

        Raises
        ------
        NotAnImage
            The data set ends within a sequence, or a deflated one is damaged.
        UnsupportedImage
            A deflated data set is too large.
        """
        out: list[bytes] = []
        head, ended_at = b"", None
        try:
            head = self._walk(wanted, out)
        except _Stop:
            ended_at = self._at if self._ascends else 0
        finally:
            self._release()
        return Scanned(b"".join(out), self._excess, frozenset(self._left_out), ended_at, head)

    def group(self, number: int, tags: frozenset[int]) -> dict[int, bytes]:
        """Read the elements of one group and stand behind them; the stream is a file.

        Raises
        ------
        UnsupportedImage, NotAnImage
            The group is beyond a limit, or cut.
        """
        found: dict[int, bytes] = {}
        try:
            start = self.stream.tell()
            while (element := self._next(self.implicit)) is not None:
                tag, vr, length, _ = element
                if tag >> 16 != number:
                    break
                self._at = tag
                if length == UNDEFINED:
                    self._pass_open(vr, self.implicit, 1, False)
                elif tag in tags and length <= MAX_UID_BYTES:
                    found[tag] = self.stream.read(length)
                else:
                    self.stream.skip(length)
                start = self.stream.tell()
        except _Stop:
            assert self._excess is not None
            raise self._excess from None
        finally:
            self._release()
        self.stream.skip(start - self.stream.tell())
        return found

    def pass_value(self, head: bytes) -> None:
        """Pass over the value of the element whose head was read, the pixel data.

        Raises
        ------
        UnsupportedImage, NotAnImage
            It holds too many items, or none.
        """
        element = self._next(self.implicit, head=head)
        assert element is not None
        self._at = element.tag
        try:
            if element.length != UNDEFINED:
                self.stream.skip(element.length)
            else:
                self._pass_open(element.vr, self.implicit, 1, False)
        except _Stop:
            assert self._excess is not None
            raise self._excess from None
        finally:
            self._release()

    def ends_early(self, size: int) -> bool:
        """Whether a file of `size` bytes ends within an element, or before its pixel data."""
        has_rows = has_pixels = False
        try:
            while (element := self._next(self.implicit)) is not None:
                self._at, vr, length, _ = element
                has_rows = has_rows or self._at == _ROWS
                has_pixels = has_pixels or self._at in PIXEL_TAGS
                if length == UNDEFINED:
                    self._pass_open(vr, self.implicit, 1, False)
                elif self.stream.tell() + length > size:
                    return True
                else:
                    self.stream.skip(length)
        except _Stop:
            return False
        except NotAnImage:
            return True
        finally:
            self._release()
        return has_rows and not has_pixels

    def _walk(self, wanted: Wanted, out: list[bytes]) -> bytes:
        tags, skip = wanted.tags, self.stream.skip
        while (element := self._next(self.implicit)) is not None:
            tag, vr, length, head = element
            if tag in PIXEL_TAGS:
                return head
            if tag == _ITEM_END or tag > wanted.last:
                break
            self._ascends = self._ascends and tag > self._at
            self._at = tag
            if tag in tags or is_special(tag):
                self._keep(element, wanted, out)
            elif length != UNDEFINED:
                skip(length)
            else:
                self._pass_open(vr, self.implicit, 1, False)
        return b""

    def _keep(self, element: _Element, wanted: Wanted, out: list[bytes]) -> None:
        """Take an element over, or note that it is beyond a limit."""
        tag, vr, length, head = element
        self._kept += 1
        if self._kept > MAX_KEPT:
            self._note(f"elements that are read stand {MAX_KEPT:,} times and more")
            raise _Stop
        if tag & 0xFF01FFFF == 0x60003000 and length != UNDEFINED:
            # Overlay data are not read; that they are there is.
            self.stream.skip(length)
            size = 2 if vr is not None and vr not in _LONG_VRS else 4
            out.append(head[:-size] + b"\0" * size)
        elif length == UNDEFINED or vr == b"SQ" or tag in wanted.sequences:
            value = self._sequence(element, tag in wanted.tables)
            if value is not None:
                out += (head, value)
        elif length > MAX_VALUE_BYTES or self._kept_bytes + length > MAX_KEPT_BYTES:
            self._note(f"a value of {length:,} bytes is more than is read", tag)
            self._left_out.add(tag)
            self.stream.skip(length)
        else:
            self._kept_bytes += length
            out += (head, self.stream.read(length))

    def _sequence(self, element: _Element, has_tables: bool) -> bytes | None:
        """Give the value of a sequence, or ``None`` if it is beyond a limit."""
        tag, vr, length, _ = element
        most = MAX_LUT_BYTES if has_tables else MAX_SEQUENCE_BYTES
        self._is_whole, value = True, b""
        if length == UNDEFINED:
            start = self.stream.tell()
            self.stream.mark()
            self._pass_open(vr, self.implicit, 1, True)
            if self.stream.tell() - start > most:
                self._note("a sequence is longer than is read", tag)
            if self._is_whole:
                value = self.stream.since_mark()
        elif length > most:
            self._note(f"a sequence of {length:,} bytes is more than is read", tag)
            self.stream.skip(length)
        else:
            value = self.stream.read(length)
            self._check(value)
        if not self._is_whole:
            self._left_out.add(tag)
        return value if self._is_whole else None

    def _check(self, value: bytes) -> None:
        """Walk over the value of a sequence of defined length, which must keep to the limits."""
        outer, self.stream = self.stream, Plain(BytesIO(value))
        try:
            self._pass_items(self.implicit, 1, len(value), True)
        except NotAnImage:
            # The parser meets the same end within these bytes.
            pass
        finally:
            self.stream = outer

    def _pass_open(self, vr: bytes | None, implicit: bool, depth: int, kept: bool) -> None:
        """Pass over a value of undefined length."""
        head = self.stream.read(8)
        if vr not in (b"SQ", b"UN") and head[:4] not in self._items:
            if len(head) < 8:
                raise self._cut()
            self._note("a value of undefined length holds no items", damaged=True)
            raise _Stop
        self._pass_items(implicit, depth, None, kept, head)

    def _pass_items(
        self, implicit: bool, depth: int, end: int | None, kept: bool, head: bytes = b""
    ) -> None:
        """Pass over items; those of a sequence that is kept are looked into."""
        if depth > MAX_DEPTH:
            self._note(f"sequences are nested more than {MAX_DEPTH} deep")
            raise _Stop
        read, skip, tell = self.stream.read, self.stream.skip, self.stream.tell
        while end is None or head or tell() < end:
            head = head or read(8)
            if len(head) < 8:
                raise self._cut()
            self._step(kept)
            group, number, length = self._unpack(head)
            head = b""
            if group << 16 | number == _SEQUENCE_END:
                return
            if length == UNDEFINED:
                self._pass_item(implicit, depth, None, kept)
            elif kept:
                self._pass_item(implicit, depth, tell() + length, kept)
            else:
                skip(length)

    def _pass_item(self, implicit: bool, depth: int, end: int | None, kept: bool) -> None:
        head, skip, tell = b"", self.stream.skip, self.stream.tell
        if not implicit and (end is None or tell() < end):
            head = self.stream.read(8)
            implicit = not is_explicit(head)
        while end is None or head or tell() < end:
            element = self._next(implicit, kept, head)
            head = b""
            if element is None:
                return
            tag, vr, length, _ = element
            if tag == _ITEM_END:
                return
            if length == UNDEFINED:
                self._pass_open(vr, implicit, depth + 1, kept)
            elif not kept:
                skip(length)
            elif vr == b"SQ" or (vr in (None, b"UN") and self._holds_items(tag)):
                self._pass_items(implicit, depth + 1, tell() + length, kept)
            else:
                most = MAX_TABLE_BYTES if tag == _LUT_DATA and vr in _LUT_VRS else MAX_VALUE_BYTES
                if length > most:
                    self._note(f"a value of {length:,} bytes is more than is read", tag)
                skip(length)

    def _holds_items(self, tag: int) -> bool:
        from pydicom.datadict import dictionary_VR

        try:
            return dictionary_VR(tag) == "SQ"
        except KeyError:
            return False

    def _next(self, implicit: bool, kept: bool = False, head: bytes = b"") -> _Element | None:
        """Read the head of an element; ``None`` at the end."""
        head = head or self.stream.read(8)
        if len(head) < 8:
            return None
        self._step(kept)
        group, number, length = self._unpack(head[:8])
        vr = None
        if not implicit:
            written = head[4:6]
            if written in _VRS:
                vr = written
                if written in _LONG_VRS:
                    more = head[8:] or self.stream.read(4)
                    if len(more) < 4:
                        return None
                    head = head[:8] + more
                    (length,) = self._long(more)
                else:
                    (length,) = self._short(head[6:8])
            elif b"AA" <= written <= b"ZZ":
                vr = written
                (length,) = self._short(head[6:8])
        return _Element(group << 16 | number, vr, length, head)

    def _step(self, kept: bool) -> None:
        self._steps += 1
        if kept:
            self._inner_steps += 1
            if self._inner_steps > MAX_INNER_STEPS:
                self._note(f"sequences hold more than {MAX_INNER_STEPS:,} elements and items")
        if not self._steps % _PAUSE_STEPS:
            if self._steps > MAX_STEPS:
                self._note(f"the header holds more than {MAX_STEPS:,} elements and items")
                raise _Stop
            time.sleep(0)
            if self._steps == _LONG_STEPS:
                _long_scans.acquire()

    def _release(self) -> None:
        if self._steps >= _LONG_STEPS:
            _long_scans.release()

    def _note(self, what: str, tag: int | None = None, damaged: bool = False) -> None:
        """Note what is beyond a limit, the first time in words."""
        self._is_whole = False
        if self._excess is None:
            tag = self._at if tag is None else tag
            kind = NotAnImage if damaged else UnsupportedImage
            self._excess = kind(
                what,
                source=self.source,
                keyword=_keyword(tag),
                remedy="Export the object again without it, or send single 2D images",
            )

    def _cut(self) -> NotAnImage:
        return NotAnImage(
            "the DICOM header ends within a sequence",
            source=self.source,
            keyword=_keyword(self._at),
            remedy="Send or export the object again",
        )


def _keyword(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
