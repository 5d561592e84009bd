"""Read a bounded part of a DICOM header, and find where the pixel data begin.

Also find the real transfer syntax, which may differ from the one in the file meta information.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images.dicom.attributes import LONG_TEXTS, MAX_LUT_BYTES, tags_of
from mammolens.images.dicom.scan import Scanned, Wanted, scan
from mammolens.images.dicom.streams import Forward, Inflated, Plain
from mammolens.images.dicom.walk import Walk, is_explicit
from mammolens.images.limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "BIG_ENDIAN",
    "EXPLICIT",
    "IMPLICIT",
    "BoundedHeader",
    "begun",
    "bounded_file",
    "ends_early",
    "file_head",
    "read_bounded",
    "wanted_of",
]

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
IMPLICIT, EXPLICIT, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2"))
PEEK_BYTES: Final = 512
PREAMBLE_BYTES: Final = 132
_MEDIA_CLASS, _SYNTAX = 0x00020002, 0x00020010
_TABLES: Final = frozenset({"ModalityLUTSequence", "VOILUTSequence"})


@dataclass(frozen=True)
class BoundedHeader:
    """The part of a header that is read.

    `declared` is the transfer syntax in the file meta information, `syntax` the real one. `stream`
    is positioned after the head of the pixel data element, `scanned.pixel_head`.
    """

    scanned: Scanned
    declared: str | None
    syntax: str
    media_class: str | None
    stream: Forward

    def dataset(self) -> Dataset:
        """Parse the kept elements with pydicom. Damaged values raise pydicom's own exceptions."""
        from pydicom.filereader import read_dataset

        implicit, little = self.syntax == IMPLICIT, self.syntax != BIG_ENDIAN
        dataset = read_dataset(BytesIO(self.scanned.data), implicit, little)
        if self.media_class and "SOPClassUID" not in dataset:
            dataset.SOPClassUID = self.media_class
        # Converted here so that a term such as WINDOWS-1252 does not count as irregular.
        dataset.get("SpecificCharacterSet")
        return dataset

    def rest(self, most: int) -> bytes:
        """Give the pixel data element and all bytes after it, at most `most` bytes of value."""
        return self.scanned.pixel_head + self.stream.read(most)

    def finish(self) -> None:
        """Check that a deflated data set is complete and not too large.

        Raises
        ------
        NotAnImage, UnsupportedImage
            If it is damaged or too large.
        """
        if isinstance(self.stream, Inflated):
            self.stream.finish()


@cache
def wanted_of(keywords: frozenset[str], is_all: bool = False) -> Wanted:
    """Make the set of tags to keep; with `is_all`, reading stops after the last of them."""
    sequences = frozenset(keyword for keyword in keywords if keyword.endswith("Sequence"))
    tags = tags_of(keywords)
    texts = tags_of(keywords & LONG_TEXTS)
    found = Wanted(tags, tags_of(sequences), tags_of(sequences & _TABLES), texts)
    return found._replace(last=max(tags)) if is_all else found


def read_bounded(
    stream: BinaryIO, source: str, wanted: Wanted, most_bytes: int = MAX_BYTES
) -> BoundedHeader:
    """Read the bytes of the wanted attributes of a DICOM file, without parsing them.

    Parameters
    ----------
    stream
        The file, with or without a preamble.
    wanted
        The tags to keep, from `wanted_of`.
    most_bytes
        Largest size of a deflated data set after inflating.

    Raises
    ------
    NotAnImage
        If the header ends within a sequence, or a deflated data set is damaged.
    UnsupportedImage
        If a deflated data set is larger than `most_bytes`, or the file meta information is beyond
        the limits.
    """
    declared, media_class, syntax, walk = begun(stream, source, most_bytes)
    scanned = scan(walk, wanted)
    return BoundedHeader(scanned, declared, syntax, media_class, walk.stream)


def ends_early(stream: BinaryIO, size: int) -> bool:
    """Return whether a DICOM file of `size` bytes ends within an element, or before its pixels.

    It is false for a file that is not DICOM, and for a deflated file, where the end is unknown.
    """
    stream.seek(0)
    if not stream.read(PREAMBLE_BYTES).endswith(b"DICM"):
        return False
    try:
        _, _, syntax, walk = begun(stream, "file", MAX_BYTES)
    except UnsupportedImage:
        return False
    except NotAnImage:
        return True
    return syntax != DEFLATED and walk.ends_early(size)


def begun(
    stream: BinaryIO, source: str, most_bytes: int
) -> tuple[str | None, str | None, str, Walk]:
    """Begin to read a file: find its transfer syntax, and stand at the first element.

    Returns
    -------
    tuple
        Declared transfer syntax, declared class, real transfer syntax, and a walk of the data set.

    Raises
    ------
    NotAnImage, UnsupportedImage
        If the file meta information is damaged or beyond the limits.
    """
    stream.seek(0)
    if stream.read(PREAMBLE_BYTES)[128:] != b"DICM":
        stream.seek(0)
    declared, media_class = _meta(stream, source)
    start = stream.tell()
    head = stream.read(PEEK_BYTES)
    syntax = _real_syntax(head, declared)
    stream.seek(start)
    forward: Forward = Plain(stream)
    implicit = syntax == IMPLICIT if len(head) < 6 else not is_explicit(head)
    if syntax == DEFLATED:
        forward, implicit = Inflated(stream, most_bytes, MAX_LUT_BYTES, source), False
    return declared, media_class, syntax, Walk(forward, implicit, syntax != BIG_ENDIAN, source)


def bounded_file(data: bytes, source: str, wanted: Wanted) -> tuple[bytes, str]:
    """Make a DICOM file that has only the wanted attributes and the pixel data.

    Returns
    -------
    tuple
        The file, never deflated, and the transfer syntax of `data`.

    Raises
    ------
    NotAnImage, UnsupportedImage
        As `read_bounded`, or if a wanted attribute is beyond a limit.
    """
    stream = BytesIO(data)
    bounded = read_bounded(stream, source, wanted)
    scanned, syntax = bounded.scanned, bounded.syntax
    if scanned.excess is not None:
        raise scanned.excess
    pixels: memoryview | bytes = b""
    if scanned.pixel_head and isinstance(bounded.stream, Plain):
        start = stream.tell() - len(scanned.pixel_head)
        implicit = syntax == IMPLICIT or not is_explicit(scanned.pixel_head)
        Walk(bounded.stream, implicit, syntax != BIG_ENDIAN, source).pass_value(scanned.pixel_head)
        pixels = memoryview(data)[start : stream.tell()]
    elif scanned.pixel_head:
        pixels = bounded.rest(MAX_BYTES)
        bounded.finish()
    head = file_head(EXPLICIT if syntax == DEFLATED else syntax)
    return b"".join((head, scanned.data, pixels)), syntax


def file_head(syntax: str, media_class: str = "") -> bytes:
    """Write a preamble and file meta information with the transfer syntax, and the class if any."""
    parts = [b"\0" * 128, b"DICM"]
    for element, text in ((2, media_class), (0x10, syntax)):
        if text:
            value = text.encode("ascii", "replace")
            value += b"\0" * (len(value) % 2)
            parts += [b"\x02\0", element.to_bytes(2, "little"), b"UI"]
            parts += [len(value).to_bytes(2, "little"), value]
    return b"".join(parts)


def _meta(stream: BinaryIO, source: str) -> tuple[str | None, str | None]:
    """Read transfer syntax and class from the file meta information, and move after it."""
    walk = Walk(Plain(stream), False, True, source)
    found = walk.group(2, frozenset({_MEDIA_CLASS, _SYNTAX}))
    texts = {tag: value.decode("latin-1").strip(" \0") for tag, value in found.items()}
    syntax = texts.get(_SYNTAX) or None
    if syntax != DEFLATED:
        # Skip a command set before the data set (PS3.7 6.3): it does not describe the image.
        Walk(Plain(stream), True, True, source).group(0, frozenset())
    return syntax, texts.get(_MEDIA_CLASS) or None


def _real_syntax(head: bytes, declared: str | None) -> str:
    """Find the real transfer syntax: the first bytes `head` of the data set decide if they can."""
    encoding = _encoding(head)
    if declared is None:
        return encoding or (EXPLICIT if len(head) >= 6 and is_explicit(head) else IMPLICIT)
    if encoding is None:
        try:
            inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, PEEK_BYTES)
        except zlib.error:
            return declared
        return declared if _encoding(inflated) is None else DEFLATED
    if encoding == BIG_ENDIAN or declared in (BIG_ENDIAN, DEFLATED):
        return encoding
    plain = declared in (IMPLICIT, EXPLICIT)
    return encoding if plain else declared


def _encoding(head: bytes) -> str | None:
    """Encoding of a data set with the first bytes `head`, or ``None`` if it is not a data set.

    The first group of a data set has a low number.
    """
    if len(head) < 8:
        return None
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    if head[0] == 0 and 0 < head[1] < 0x30 and explicit:
        return BIG_ENDIAN
    if 0 < head[0] < 0x30 and head[1] == 0:
        return EXPLICIT if explicit else IMPLICIT
    return None
