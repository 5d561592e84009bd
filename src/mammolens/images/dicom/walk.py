"""Walk over the elements of a DICOM data set, using only their tags and lengths.

Elements begin and end where pydicom would find them: items in implicit VR may be within explicit
VR, a sequence ends at its end marker, and the last value may be truncated. So the bytes skipped
here are the bytes that the parser would have read.

Source: PS3.5 chapter 7.
"""

from __future__ import annotations

import threading
import time
from struct import Struct
from typing import Final, NamedTuple

from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.images.dicom.attributes import (
    MAX_DEPTH,
    MAX_INNER_STEPS,
    MAX_STEPS,
    MAX_TABLE_BYTES,
    MAX_UID_BYTES,
    MAX_VALUE_BYTES,
)
from mammolens.images.dicom.streams import Forward

__all__ = [
    "ITEM_END",
    "LONG_VRS",
    "PIXEL_TAGS",
    "UNDEFINED",
    "Element",
    "Stop",
    "Walk",
    "holds_items",
    "is_explicit",
]

PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED: Final = 0xFFFFFFFF
ITEM_END: Final = 0xFFFEE00D
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Value representations with a length of 32 bits (PS3.5 7.1.2)."""
_SEQUENCE_END: Final = 0xFFFEE0DD
_VRS: Final = LONG_VRS | frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_ROWS: Final = 0x00280010
_LUT_DATA: Final = 0x00283006
_LUT_VRS: Final = frozenset((None, b"US", b"SS", b"OW", b"OB", b"UN"))

_PAUSE_STEPS: Final = 256
"""Steps after which other threads may run: half a millisecond. Without this pause, the interpreter
switches threads only every 5 milliseconds."""
_PAUSE_S: Final = 1e-5
"""Any sleep lets another thread run; without a sleep, this thread continues before another wakes.
"""
_LONG_STEPS: Final = 256 * _PAUSE_STEPS
"""Steps after which a walk is long. Only one long walk runs at a time; others do not wait for it.
"""
_long_scans = threading.Lock()


def is_explicit(head: bytes) -> bool:
    """Return whether a data set or item begins with an explicit VR: two capital letters."""
    return len(head) < 6 or (0x40 < head[4] < 0x5B and 0x40 < head[5] < 0x5B)


class Stop(Exception):
    """The walk cannot continue; `Walk.excess` has the reason."""


class Element(NamedTuple):
    """The head of an element: tag, VR (``None`` if implicit), length, and the bytes of the head."""

    tag: int
    vr: bytes | None
    length: int
    head: bytes


class Walk:
    """One walk over a data set.

    Parameters
    ----------
    stream
        Positioned at the first element.
    implicit, little
        Whether elements have implicit VR, and are in little endian.
    source
        Name of the file for errors.
    max_inner_steps
        Largest number of elements and items within kept sequences.

    Attributes
    ----------
    at
        Tag of the current element at the top level of the data set.
    excess
        Error about the first element beyond a limit; ``None`` if there is none.
    is_whole
        Whether all elements were within the limits since this was set to true.
    max_inner_steps
        As the parameter.
    """

    def __init__(
        self,
        stream: Forward,
        implicit: bool,
        little: bool,
        source: str,
        max_inner_steps: int = MAX_INNER_STEPS,
    ) -> None:
        self.stream, self.implicit, self.source = stream, implicit, source
        self.at, self.is_whole = 0, True
        self.excess: InputError | None = None
        order = "<" if little else ">"
        self._unpack = Struct(f"{order}HHL").unpack
        self._short, self._long = Struct(f"{order}H").unpack, Struct(f"{order}L").unpack
        self._items = {Struct(f"{order}HH").pack(0xFFFE, e) for e in (0xE000, 0xE0DD)}
        self._steps, self._inner_steps, self.max_inner_steps = 0, 0, max_inner_steps

    def next(self, implicit: bool, kept: bool = False, head: bytes = b"") -> Element | None:
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
                if written in LONG_VRS:
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
        return Element(group << 16 | number, vr, length, head)

    def group(self, number: int, tags: frozenset[int]) -> dict[int, bytes]:
        """Read the elements of one group, and move after them; the stream must be a file.

        Raises
        ------
        UnsupportedImage, NotAnImage
            If the group is beyond a limit, or truncated.
        """
        found: dict[int, bytes] = {}
        try:
            start = self.stream.tell()
            while (element := self.next(self.implicit)) is not None:
                tag, vr, length, _ = element
                if tag >> 16 != number:
                    break
                self.at = tag
                if length == UNDEFINED:
                    self.pass_open(vr, self.implicit, 1, False)
                elif tag in tags and length <= MAX_UID_BYTES:
                    found[tag] = self.stream.read(length)
                else:
                    self.stream.skip(length)
                start = self.stream.tell()
        except Stop:
            assert self.excess is not None
            raise self.excess from None
        finally:
            self.release()
        self.stream.skip(start - self.stream.tell())
        return found

    def pass_value(self, head: bytes) -> None:
        """Skip the value of the pixel data element, whose head was read already.

        Raises
        ------
        UnsupportedImage, NotAnImage
            If it has too many items, or no items but an undefined length.
        """
        element = self.next(self.implicit, head=head)
        assert element is not None
        self.at = element.tag
        try:
            if element.length != UNDEFINED:
                self.stream.skip(element.length)
            else:
                self.pass_open(element.vr, self.implicit, 1, False)
        except Stop:
            assert self.excess is not None
            raise self.excess from None
        finally:
            self.release()

    def ends_early(self, size: int) -> bool:
        """Return whether a file of `size` bytes ends within an element, or before its pixels."""
        has_rows = has_pixels = False
        try:
            while (element := self.next(self.implicit)) is not None:
                self.at, vr, length, _ = element
                has_rows = has_rows or self.at == _ROWS
                has_pixels = has_pixels or self.at in PIXEL_TAGS
                if length == UNDEFINED:
                    self.pass_open(vr, self.implicit, 1, False)
                elif self.stream.tell() + length > size:
                    return True
                else:
                    self.stream.skip(length)
        except Stop:
            return False
        except NotAnImage:
            return True
        finally:
            self.release()
        return has_rows and not has_pixels

    def pass_open(self, vr: bytes | None, implicit: bool, depth: int, kept: bool) -> None:
        """Skip a value of undefined length; with `kept`, check its elements too."""
        head = self.stream.read(8)
        if vr not in (b"SQ", b"UN") and head[:4] not in self._items:
            if len(head) < 8:
                raise self._cut()
            self.note("a value of undefined length has no items", damaged=True)
            raise Stop
        self.pass_items(implicit, depth, None, kept, head)

    def pass_items(
        self, implicit: bool, depth: int, end: int | None, kept: bool, head: bytes = b""
    ) -> None:
        """Skip items; with `kept`, check their elements against the limits too."""
        if depth > MAX_DEPTH:
            self.note(f"sequences are nested more than {MAX_DEPTH} levels deep")
            raise Stop
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
            element = self.next(implicit, kept, head)
            head = b""
            if element is None:
                return
            tag, vr, length, _ = element
            if tag == ITEM_END:
                return
            if length == UNDEFINED:
                self.pass_open(vr, implicit, depth + 1, kept)
            elif not kept:
                skip(length)
            elif vr == b"SQ" or (vr in (None, b"UN") and holds_items(tag)):
                self.pass_items(implicit, depth + 1, tell() + length, kept)
            else:
                most = MAX_TABLE_BYTES if tag == _LUT_DATA and vr in _LUT_VRS else MAX_VALUE_BYTES
                if length > most:
                    self.note(f"a value of {length:,} bytes is longer than the limit", tag)
                skip(length)

    def note(self, what: str, tag: int | None = None, damaged: bool = False) -> None:
        """Note that an element is beyond a limit; the first one is kept as `excess`."""
        self.is_whole = False
        if self.excess is None:
            tag = self.at if tag is None else tag
            kind = NotAnImage if damaged else UnsupportedImage
            self.excess = kind(
                what,
                source=self.source,
                keyword=_keyword(tag),
                remedy="Export the object again without it, or send single 2D images",
            )

    def release(self) -> None:
        """Let the next long walk run; call it once, when this walk has ended."""
        if self._steps >= _LONG_STEPS:
            _long_scans.release()

    def _step(self, kept: bool) -> None:
        self._steps += 1
        if kept:
            self._inner_steps += 1
            if self._inner_steps > self.max_inner_steps:
                most = f"{self.max_inner_steps:,}"
                self.note(f"sequences have more than {most} elements and items")
        if not self._steps % _PAUSE_STEPS:
            if self._steps > MAX_STEPS:
                self.note(f"the header has more than {MAX_STEPS:,} elements and items")
                raise Stop
            time.sleep(_PAUSE_S)
            if self._steps == _LONG_STEPS:
                _long_scans.acquire()

    def _cut(self) -> NotAnImage:
        return NotAnImage(
            "the DICOM header ends within a sequence",
            source=self.source,
            keyword=_keyword(self.at),
            remedy="Send or export the object again",
        )


def holds_items(tag: int) -> bool:
    """Return whether the standard has a sequence at this tag."""
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False


def _keyword(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
