"""Check that the value of an attribute has the form that the standard allows.

De-identification keeps an attribute because of its meaning. If its value has another
representation, or too many values, it may hide something else: a name as "bits allocated", or an
address after the pixels. Such an attribute is removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

__all__ = ["TEXTS", "comments", "has_its_form", "trim_pixels"]

TEXTS: Final = frozenset(["AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
_NUMBERS: Final = frozenset(["DS", "IS"])
_BINARY: Final = frozenset(["AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"])
_NUMBER: Final = re.compile(r"\s*[+-]?(\d{1,12}\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*")
_AGE: Final = re.compile(r"\d{3}[DWMY]")
_STANDARD_UID: Final = re.compile(r"1\.2\.840\.10008\.[0-9.]{1,40}")
_CHARACTER_SET: Final = re.compile(r"(ISO_IR \d{1,3}|ISO 2022 IR \d{1,3}|GB18030|GBK)?")
_FARTHEST: Final = 1 << 40
"""A larger offset is wrong: no object is a terabyte."""
_LONGEST_NUMBER: Final = 16
"""Bytes of DS (PS3.5 6.2)."""
_MARKER: Final = 0xFF
_COMMENTS: Final = frozenset([0xFE, *range(0xE0, 0xF0), 0x64])
"""JPEG's COM and APPn, and JPEG 2000's COM."""
_WITHOUT_LENGTH: Final = frozenset([0x01, 0x4F, 0xD8, *range(0xD0, 0xD8)])
_LAST: Final = frozenset([0xDA, 0x90, 0xD9])
"""Start of scan, start of tile part, end of image: the picture follows."""


def has_its_form(element: DataElement) -> bool:
    """Whether value representation and multiplicity are those of the data dictionary."""
    from pydicom.datadict import dictionary_VM, dictionary_VR

    stated = dictionary_VR(element.tag)
    vr = str(element.VR)
    known = {stated, *stated.split(" or ")}
    for alike in (TEXTS, _NUMBERS):
        if known & alike:
            known |= alike  # correct devices may write LO for SH, or IS for DS
    if vr not in known:
        return False
    values = _values(element.value)
    if element.keyword == "SpecificCharacterSet":
        return all(_CHARACTER_SET.fullmatch(str(value)) for value in values)
    if vr == "OV":
        return _is_table(element.value)
    if vr in _NUMBERS:
        return all(_is_number(value) for value in values)
    if vr == "AS":
        return all(not str(value) or _AGE.fullmatch(str(value)) for value in values)
    if vr == "UI":
        return all(_STANDARD_UID.fullmatch(str(value)) for value in values)
    if vr in _BINARY or " or " in vr:
        if isinstance(element.value, bytes):
            return element.keyword == "LUTData"
        most = dictionary_VM(element.tag).rpartition("-")[2]
        return not most.isdecimal() or len(values) <= int(most)
    return True


def trim_pixels(made: Dataset) -> None:
    """Remove the bytes after the last pixel of an uncompressed picture."""
    element = made.get("PixelData")
    if not isinstance(element, bytes):
        return
    counts = [made.get(k) for k in ("Rows", "Columns", "BitsAllocated")]
    more = [made.get(k) or 1 for k in ("SamplesPerPixel", "NumberOfFrames")]
    try:
        rows, columns, bits, samples, frames = (int(n) for n in (*counts, *more))
    except (TypeError, ValueError):
        return  # reading will refuse it
    size = (rows * columns * samples * frames * bits + 7) // 8
    if 0 < size < len(element):
        made["PixelData"].value = element[:size] + bytes(size % 2)


def comments(made: Dataset) -> Iterator[bytes]:
    """Give the comments in a compressed picture (JPEG, JPEG-LS, JPEG 2000)."""
    from pydicom.encaps import generate_fragments

    content = made.get("PixelData")
    if not isinstance(content, bytes) or content[:4] != b"\xfe\xff\x00\xe0":
        return
    for fragment in generate_fragments(content):
        yield from _segments(fragment)


def _segments(fragment: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 <= len(fragment) and fragment[at] == _MARKER:
        marker = fragment[at + 1]
        if marker in _LAST:
            return
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        length = int.from_bytes(fragment[at + 2 : at + 4], "big")
        if marker in _COMMENTS:
            yield fragment[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)


def _is_table(content: Any) -> bool:
    """Whether bytes are a table of offsets or lengths within an object."""
    if not isinstance(content, bytes) or len(content) % 8:
        return False
    numbers = (content[at : at + 8] for at in range(0, len(content), 8))
    return all(int.from_bytes(number, "little") < _FARTHEST for number in numbers)


def _is_number(value: Any) -> bool:
    text = str(value)
    return not text.strip() or (
        len(text) <= _LONGEST_NUMBER + 8 and _NUMBER.fullmatch(text) is not None
    )


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return [value]
    return list(value)
