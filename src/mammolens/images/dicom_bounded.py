"""A DICOM file → the bounded part of its header that is parsed, and where its pixel data begin."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final

from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images.dicom_attributes import LONG_TEXTS, tags_of
from mammolens.images.dicom_limits import MAX_LUT_BYTES
from mammolens.images.dicom_scan import Scanned, Wanted, scan
from mammolens.images.dicom_stream import Forward, Inflated, Plain
from mammolens.images.dicom_walk import Walk, is_explicit
from mammolens.images.limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "BIG_ENDIAN",
    "EXPLICIT",
    "IMPLICIT",
    "BoundedHeader",
    "bounded_file",
    "ends_early",
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

    `declared` is the transfer syntax by the file's word, `syntax` the real one. `stream` stands
    behind the head of the pixel data element, `scanned.pixel_head`.
    """

    scanned: Scanned
    declared: str | None
    syntax: str
    media_class: str | None
    stream: Forward

    def dataset(self) -> Dataset:
        """Parse it; raises whatever pydicom raises of damaged values."""
        from pydicom.filereader import read_dataset

        implicit, little = self.syntax == IMPLICIT, self.syntax != BIG_ENDIAN
        dataset = read_dataset(BytesIO(self.scanned.data), implicit, little)
        if self.media_class and "SOPClassUID" not in dataset:
            dataset.SOPClassUID = self.media_class
        # Converted here, so that a defined term outside CS such as WINDOWS-1252 is no irregularity.
        dataset.get("SpecificCharacterSet")
        return dataset

    def rest(self, most: int) -> bytes:
        """Give what stands from the pixel data element on, at most so many bytes."""
        return self.scanned.pixel_head + self.stream.read(most)

    def finish(self) -> None:
        """Make sure that a deflated data set is whole and not too large.

        Raises
        ------
        NotAnImage, UnsupportedImage
            It is damaged or too large.
        """
        if isinstance(self.stream, Inflated):
            self.stream.finish()


@cache
def wanted_of(keywords: frozenset[str], is_all: bool = False) -> Wanted:
    """Say which tags are to be kept; with `is_all` nothing behind the last of them is looked at."""
    sequences = frozenset(keyword for keyword in keywords if keyword.endswith("Sequence"))
    tags = tags_of(keywords)
    texts = tags_of(keywords & LONG_TEXTS)
    found = Wanted(tags, tags_of(sequences), tags_of(sequences & _TABLES), texts)
    return found._replace(last=max(tags)) if is_all else found


def read_bounded(
    stream: BinaryIO, source: str, wanted: Wanted, most_bytes: int = MAX_BYTES
) -> BoundedHeader:
    """Read the wanted attributes of a DICOM file; none of them is parsed.

    Parameters
    ----------
    stream
        The file; it need not have a preamble.
    wanted
        What is kept (`wanted_of`).
    most_bytes
        What a deflated data set may inflate to.

    Raises
    ------
    NotAnImage
        The header ends within a sequence, or a deflated data set is damaged.
    UnsupportedImage
        A deflated data set is larger than `most_bytes`, or the file has no data set within the
        limits.
    """
    declared, media_class, syntax, walk = _begun(stream, source, most_bytes)
    scanned = scan(walk, wanted)
    return BoundedHeader(scanned, declared, syntax, media_class, walk.stream)


def ends_early(stream: BinaryIO, size: int) -> bool:
    """Whether a DICOM file of `size` bytes ends within an element, or before its pixels.

    What is no DICOM file does not, and of a deflated one it is not known.
    """
    stream.seek(0)
    if not stream.read(PREAMBLE_BYTES).endswith(b"DICM"):
        return False
    try:
        _, _, syntax, walk = _begun(stream, "file", MAX_BYTES)
    except UnsupportedImage:
        return False
    except NotAnImage:
        return True
    return syntax != DEFLATED and walk.ends_early(size)


def _begun(
    stream: BinaryIO, source: str, most_bytes: int
) -> tuple[str | None, str | None, str, Walk]:
    """Declared transfer syntax and class, real transfer syntax, and a walk over the data set."""
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
    """Make a DICOM file of the wanted attributes and the pixel data alone.

    Returns
    -------
    tuple
        The file, never deflated, and the transfer syntax of `data`.

    Raises
    ------
    NotAnImage, UnsupportedImage
        As `read_bounded`, or something wanted is beyond a limit.
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
    written = (EXPLICIT if syntax == DEFLATED else syntax).encode()
    written += b"\0" * (len(written) % 2)
    meta = b"\x02\0\x10\0UI" + len(written).to_bytes(2, "little") + written
    preamble = b"\0" * 128 + b"DICM"
    return b"".join((preamble, meta, scanned.data, pixels)), syntax


def _meta(stream: BinaryIO, source: str) -> tuple[str | None, str | None]:
    """Transfer syntax and class by the file meta information; the stream stands behind it."""
    walk = Walk(Plain(stream), False, True, source)
    found = walk.group(2, frozenset({_MEDIA_CLASS, _SYNTAX}))
    texts = {tag: value.decode("latin-1").strip(" \0") for tag, value in found.items()}
    syntax = texts.get(_SYNTAX) or None
    if syntax != DEFLATED:
        # A command set that was written before the data set (PS3.7 6.3) says nothing of the image.
        Walk(Plain(stream), True, True, source).group(0, frozenset())
    return syntax, texts.get(_MEDIA_CLASS) or None


def _real_syntax(head: bytes, declared: str | None) -> str:
    """The transfer syntax by the first bytes of the data set, where they contradict the file."""
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
    """How a data set that begins with `head` is written, if it is one: its first group is low."""
    if len(head) < 8:
        return None
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    if head[0] == 0 and 0 < head[1] < 0x30 and explicit:
        return BIG_ENDIAN
    if 0 < head[0] < 0x30 and head[1] == 0:
        return EXPLICIT if explicit else IMPLICIT
    return None
