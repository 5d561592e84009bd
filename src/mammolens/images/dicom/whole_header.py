"""Read the whole header of a stored object, within limits, and find where its large values lie.

`bounded_header` reads the attributes that an analysis needs. A server that gives objects to others
needs every attribute, but no value of a megabyte and no picture: those are given as places in the
file, from which they can be streamed. A sequence that is beyond a limit is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

from mammolens.errors import NotAnImage
from mammolens.images.dicom.attributes import MAX_STEPS
from mammolens.images.dicom.bounded_header import BIG_ENDIAN, EXPLICIT, begun, file_head
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.dicom.streams import Inflated
from mammolens.images.dicom.walk import (
    ITEM_END,
    PIXEL_TAGS,
    UNDEFINED,
    Element,
    Stop,
    Walk,
    holds_items,
)
from mammolens.images.limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Place", "WholeHeader", "plain_copy", "read_whole_header"]

SMALL_BYTES: Final = 4 << 10
"""Values up to this size are part of the header; most texts have at most 1,024 characters."""
SMALL_TEXT_BYTES: Final = 64 << 10
"""A text (LT, ST, UT, UC) up to this size is part of the header."""
SEQUENCE_BYTES: Final = 8 << 20
"""One sequence: the frames of a stack of 1,000 take 4 MB."""
HEADER_BYTES: Final = 16 << 20
"""All values of the header together."""
PIXEL_GROUP: Final = 0x7FE00000
_TEXTS: Final = frozenset((b"LT", b"ST", b"UT", b"UC", b"UR"))


@dataclass(frozen=True)
class Place:
    """Where a value lies in the file; compressed pixels have no `length`."""

    tag: int
    vr: str | None
    start: int
    length: int | None


@dataclass(frozen=True)
class WholeHeader:
    """The header of an object.

    `declared` is the transfer syntax in the file meta information, `syntax` the real one;
    `is_implicit` says whether the elements have no VR. `body` is the position of the first element,
    `pixels_at` that of the first element of the pixels' group, offset tables among them, or of the
    end. `large` are values that are not in `dataset`, `left_out` what is beyond a limit.
    """

    dataset: Dataset
    declared: str | None
    syntax: str
    is_implicit: bool
    body: int
    pixels_at: int
    pixels: Place | None
    large: dict[int, Place]
    left_out: frozenset[int]

    @property
    def is_little(self) -> bool:
        """Whether numbers are in little endian."""
        return self.syntax != BIG_ENDIAN


def plain_copy(
    stream: BinaryIO, source: str, make_file: Callable[[], BinaryIO], most_bytes: int = MAX_BYTES
) -> BinaryIO:
    """Give a stream in which every byte can be reached: `stream`, or an inflated copy of it.

    Parameters
    ----------
    make_file
        Gives an empty file for the copy of a deflated object.

    Raises
    ------
    NotAnImage, UnsupportedImage
        If a deflated data set is damaged or too large.
    """
    declared, media_class, _, walk = begun(stream, source, most_bytes)
    if not isinstance(walk.stream, Inflated):
        return stream
    copy = make_file()
    try:
        copy.write(file_head(declared or EXPLICIT, media_class or ""))
        while piece := walk.stream.read(1 << 20):
            copy.write(piece)
        walk.stream.finish()
    except BaseException:
        copy.close()
        raise
    stream.close()
    return copy


def read_whole_header(stream: BinaryIO, source: str) -> WholeHeader:
    """Read a header up to the pixel data.

    Parameters
    ----------
    stream
        The file, not deflated (see `plain_copy`).

    Raises
    ------
    NotAnImage
        If the header is damaged.
    UnsupportedImage
        If the file meta information is beyond the limits.
    """
    declared, _, syntax, walk = begun(stream, source, MAX_BYTES)
    walk.max_inner_steps = MAX_STEPS
    copy = _Copy(walk, stream.tell())
    try:
        copy.run()
    except Stop:
        pass  # what follows is not described
    finally:
        walk.release()
    dataset, damaged = _parse(copy.kept, walk.implicit, syntax != BIG_ENDIAN)
    return WholeHeader(
        dataset,
        declared,
        syntax,
        walk.implicit,
        copy.body,
        copy.pixels_at,
        copy.pixels,
        copy.large,
        frozenset(copy.left_out | damaged),
    )


class _Copy:
    """What a walk has copied so far, and where the rest lies."""

    def __init__(self, walk: Walk, body: int) -> None:
        self.walk, self.body, self.pixels_at = walk, body, body
        self.kept: list[tuple[int, bytes]] = []
        self.large: dict[int, Place] = {}
        self.left_out: set[int] = set()
        self.pixels: Place | None = None
        self._bytes = 0

    def run(self) -> None:
        walk = self.walk
        while True:
            at = walk.stream.tell()
            element = walk.next(walk.implicit)
            tag = 0 if element is None else element.tag
            if walk.at < PIXEL_GROUP:
                self.pixels_at = at
            if element is None or tag == ITEM_END:
                return
            _, vr, length, _ = element
            walk.at = tag
            if tag in PIXEL_TAGS:
                size = None if length == UNDEFINED else length
                self.pixels = Place(tag, _name(vr), walk.stream.tell(), size)
                return
            self._take(element)

    def _take(self, element: Element) -> None:
        tag, vr, length, head = element
        if length == UNDEFINED or vr == b"SQ" or (vr is None and holds_items(tag)):
            self._take_sequence(element)
            return
        most = SMALL_TEXT_BYTES if vr in _TEXTS else SMALL_BYTES
        if length > most or self._bytes + length > HEADER_BYTES:
            self.large[tag] = Place(tag, _name(vr), self.walk.stream.tell(), length)
            self.walk.stream.skip(length)
            return
        self._keep(tag, head + self.walk.stream.read(length))

    def _take_sequence(self, element: Element) -> None:
        tag, vr, length, head = element
        stream, start = self.walk.stream, self.walk.stream.tell()
        if length != UNDEFINED and length > SEQUENCE_BYTES:
            self.left_out.add(tag)
            stream.skip(length)
            return
        self.walk.is_whole = True
        stream.mark()
        if length == UNDEFINED:
            self.walk.pass_open(vr, self.walk.implicit, 1, True)
        else:
            try:
                self.walk.pass_items(self.walk.implicit, 1, start + length, True)
            except NotAnImage:  # it ends within an item
                self.walk.is_whole = False
            stream.skip(start + length - stream.tell())
        size = stream.tell() - start
        if self.walk.is_whole and size <= SEQUENCE_BYTES and self._bytes + size <= HEADER_BYTES:
            self._keep(tag, head + stream.since_mark())
        else:
            self.left_out.add(tag)

    def _keep(self, tag: int, content: bytes) -> None:
        self._bytes += len(content)
        self.kept.append((tag, content))


def _parse(kept: list[tuple[int, bytes]], implicit: bool, little: bool) -> tuple[Dataset, set[int]]:
    """Parse the elements at once; one that pydicom cannot read is left out, and named."""
    from pydicom import Dataset
    from pydicom.filereader import read_dataset

    with quiet_pydicom():
        try:
            made: Dataset = read_dataset(BytesIO(b"".join(c for _, c in kept)), implicit, little)
            made.get("SpecificCharacterSet")
            return made, set()
        except Exception:
            made, damaged = Dataset(), set()
        for tag, content in kept:
            try:
                made.update(read_dataset(BytesIO(content), implicit, little))
            except Exception:
                damaged.add(tag)
    return made, damaged


def _name(vr: bytes | None) -> str | None:
    return None if vr is None else vr.decode("ascii", "replace")
