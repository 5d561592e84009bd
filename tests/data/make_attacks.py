"""DICOM objects that announce much more than they hold: small files with big headers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final

EXPLICIT, IMPLICIT, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in (".1", "", ".1.99"))
OPEN: Final = 0xFFFFFFFF
_LONG: Final = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
LONG: Final = frozenset(_LONG.split(" "))
ITEM_END: Final = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SEQUENCE_END: Final = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
IMAGES, SLOPE, NAME, VIEW, PRIVATE = 0x00081140, 0x00281053, 0x00100010, 0x00540220, 0x00290010
HEADER: Final = (
    (0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.1.2\0"),
    (0x00080018, "UI", b"1.2.3.4\0"),
    (0x00080060, "CS", b"MG"),
    (NAME, "PN", b"Doe^Jane"),
    (0x00100020, "LO", b"P1"),
    (0x0020000D, "UI", b"1.2.3\0"),
    (0x00280010, "US", b"\x64\0"),
    (0x00280011, "US", b"\x64\0"),
)


def element(syntax: str, tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """One element; `length` may be wrong."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return head + struct.pack("<L", size) + value
    if vr in LONG:
        return head + vr.encode() + struct.pack("<HL", 0, size) + value
    return head + vr.encode() + struct.pack("<H", size) + value


def item(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value) if length is None else length) + value


def meta(syntax: str) -> bytes:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    body = element(EXPLICIT, 0x00020010, "UI", uid)
    length = element(EXPLICIT, 0x00020000, "UL", struct.pack("<L", len(body)))
    return b"\0" * 128 + b"DICM" + length + body


def built(syntax: str = EXPLICIT, **changes: bytes) -> bytes:
    """A mammogram of 100 x 100 pixels; ``x00100010=...`` replaces an element."""
    written = EXPLICIT if syntax == DEFLATED else syntax
    parts = {tag: element(written, tag, vr, value) for tag, vr, value in HEADER}
    parts |= {int(tag[1:], 16): value for tag, value in changes.items()}
    pixels = element(written, 0x7FE00010, "OW", bytes(range(250)) * 80)
    body = b"".join(parts[tag] for tag in sorted(parts)) + pixels
    if syntax == DEFLATED:
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        body = packer.compress(body) + packer.flush()
    return meta(syntax) + body


def _open(tag: int, value: bytes) -> bytes:
    return element(EXPLICIT, tag, "SQ", value + SEQUENCE_END, OPEN)


def _nested(tag: int, depth: int) -> bytes:
    return (element(EXPLICIT, tag, "SQ", b"", OPEN) + item(b"", OPEN)) * depth


Attacks = dict[str, Callable[[], bytes]]


def refused(many: int) -> Attacks:
    """Objects that exceed a limit in or before the patient's attributes; `many` is too many."""
    empty, one = item(b""), item(b"", OPEN) + ITEM_END
    return {
        "a long name, deflated": lambda: built(
            DEFLATED, x00100010=element(EXPLICIT, NAME, "UT", b"A" * (100 * many))
        ),
        "items, deflated": lambda: built(DEFLATED, x00081140=_open(IMAGES, empty * many)),
        "items": lambda: built(x00081140=_open(IMAGES, empty * many)),
        "open items": lambda: built(x00081140=_open(IMAGES, one * many)),
        "nested items": lambda: built(x00081140=_nested(IMAGES, many)),
        "components of a name": lambda: built(
            IMPLICIT, x00100010=element(IMPLICIT, NAME, "PN", b"^" * many)
        ),
        "character sets": lambda: built(
            x00080005=element(EXPLICIT, 0x00080005, "CS", b"ISO 2022 IR 87\\" * 1000)
        ),
        "meta information": lambda: (
            built()[:132] + element(EXPLICIT, 0x00020013, "SH", b"") * many + built()[132:]
        ),
        "no preamble": lambda: built(x00080012=_open(0x00080012, empty * many))[132:],
        "one element many times": lambda: built(
            x00080060=element(EXPLICIT, 0x00080060, "CS", b"MG") * many
        ),
    }


def described(many: int) -> Attacks:
    """Objects that exceed a limit after the patient's attributes: kept, but never read."""
    one = item(b"", OPEN) + ITEM_END
    table = element(EXPLICIT, 0x00283006, "OW", b"\1\0" * 65536)
    words = element(EXPLICIT, 0x00283006, "UC", b"1\\" * many)
    code = element(EXPLICIT, 0x00080100, "SH", b"R-10242 ")
    return {
        "values of a slope": lambda: built(
            IMPLICIT, x00281053=element(IMPLICIT, SLOPE, "DS", b"1.5\\" * many)
        ),
        "a slope in UN": lambda: built(x00281053=element(EXPLICIT, SLOPE, "UN", b"1.5\\" * many)),
        "a slope that is a sequence": lambda: built(
            x00281053=element(EXPLICIT, SLOPE, "SQ", item(b"") * many)
        ),
        "digits": lambda: built(
            IMPLICIT, x00280008=element(IMPLICIT, 0x00280008, "IS", b"9" * many)
        ),
        "tables": lambda: built(x00283010=element(EXPLICIT, 0x00283010, "SQ", item(table) * 40)),
        "a table in words": lambda: built(
            x00283010=element(EXPLICIT, 0x00283010, "SQ", item(words))
        ),
        "view codes": lambda: built(x00540220=element(EXPLICIT, VIEW, "SQ", item(code * many))),
        "open view codes": lambda: built(x00540220=_open(VIEW, item(b"") * many)),
        "nested view codes": lambda: built(x00540220=_nested(VIEW, many)),
        "private items": lambda: built(
            x00290010=element(EXPLICIT, PRIVATE, "UN", one * many + SEQUENCE_END, OPEN)
        ),
        "tiny elements": lambda: built(x00290010=element(EXPLICIT, PRIVATE, "LO", b"") * many),
        "frames": lambda: built(x52009230=_open(0x52009230, one * many)),
        "a value without end": lambda: built(
            x00290010=element(EXPLICIT, PRIVATE, "OB", b"\1" * many, OPEN)
        ),
    }


def passed() -> Attacks:
    """Objects with large values that are never read, so they cost nothing."""
    overlays = (
        element(EXPLICIT, (0x6000 + 2 * n) << 16 | 0x3000, "OW", b"\0" * (1 << 20))
        for n in range(16)
    )
    return {
        "a private value": lambda: built(
            x00290010=element(EXPLICIT, PRIVATE, "OB", b"\1" * (20 << 20))
        ),
        "a private sequence": lambda: built(
            x00290010=element(EXPLICIT, PRIVATE, "SQ", item(b"") * 1_000_000)
        ),
        "what follows the pixels": lambda: built() + _open(0xFFFAFFFA, item(b"") * 1_000_000),
        "overlays": lambda: built(x60003000=b"".join(overlays)),
        "a wrong length": lambda: built(
            x00290010=element(EXPLICIT, PRIVATE, "OB", b"\1" * 8, 1 << 31)
        ),
    }
