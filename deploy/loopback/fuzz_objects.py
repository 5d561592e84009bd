"""Bytes that are wrong in ways drawn by chance: mutated traffic, damaged and hostile objects."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence

__all__ = ["association_request", "damaged", "mutated"]

BOMB_BYTES = 1 << 26
ITEM = b"\xfe\xff\x00\xe0"
SCALE_SLOPE, REFERENCED = b"\x28\x00\x53\x10", b"\x08\x00\x40\x11"
MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
DEFLATED = b"1.2.840.10008.1.2.1.99"
UIDS = ("1.2.840.10008.1.1", MAMMOGRAM, "1.2.840.10008.1.20.1", "1.2", "")
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "9.9", "")
NUMBERS = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def mutated(rng: random.Random, content: bytes, most: int = 12) -> bytes:
    """Change some bytes: flips, cuts, repeats, lengths that lie, and pieces of itself."""
    made = bytearray(content)
    for _ in range(rng.randint(1, most)):
        if not made:
            break
        at = rng.randrange(len(made))
        match rng.randrange(8):
            case 0:
                made[at] = rng.randrange(256)
            case 1:
                made[at] ^= 1 << rng.randrange(8)
            case 2:
                del made[at : at + rng.choice((1, 2, 4, 64, 4096))]
            case 3:
                made[at:at] = rng.randbytes(rng.choice((1, 2, 8, 300)))
            case 4:
                width, order = rng.choice((2, 4)), rng.choice((">", "<"))
                value = rng.choice(NUMBERS) & (256**width - 1)
                made[at : at + width] = struct.pack(order + {2: "H", 4: "L"}[width], value)
            case 5:
                start = rng.randrange(len(made))
                made[at:at] = made[start : start + rng.choice((8, 64, 2048))]
            case 6:
                del made[max(at, len(made) // 2) :]
            case 7:
                made[at:at] = rng.choice((b"\r", b"\n", b"\0", b"\\", b"^")) * rng.choice((1, 999))
    return bytes(made)


def damaged(rng: random.Random, objects: Sequence[bytes]) -> bytes:
    """Make a DICOM file that is wrong: changed at random, or made to cost its reader much."""
    whole = rng.choice(objects)
    match rng.randrange(8):
        case 0:
            return _with(whole, SCALE_SLOPE, b"DS", b"1\\" * rng.choice((9, 250_000)))
        case 1:
            return _with(whole, REFERENCED, b"SQ", (ITEM + bytes(4)) * rng.choice((10, 60_000)))
        case 2:
            nested = b""
            for _ in range(rng.choice((5, 400))):
                inner = ITEM + struct.pack("<L", len(nested)) + nested
                nested = _element(REFERENCED, b"SQ", inner)
            return _with(whole, REFERENCED, b"SQ", ITEM + struct.pack("<L", len(nested)) + nested)
        case 3:
            return _deflated(rng, whole)
        case 4:
            tags = (struct.pack("<HH", 0x9, 0x1000 + n) for n in range(rng.choice((100, 50_000))))
            return _inserted(whole, b"".join(tag + b"LO\x02\x00A " for tag in tags))
        case 5:
            return mutated(rng, whole[:6000], 40) + whole[6000:]
        case 6:
            return whole[: rng.randrange(len(whole))]
        case _:
            return mutated(rng, whole)


def association_request(rng: random.Random) -> bytes:
    """An A-ASSOCIATE-RQ of items that are each possible and together often not (PS3.8 9.3.2)."""

    def item(kind: int, value: bytes) -> bytes:
        length = len(value) & 0xFFFF if rng.random() < 0.95 else rng.choice((0, 1, 0xFFFF))
        return struct.pack(">BBH", kind, 0, length) + value

    def context(number: int) -> bytes:
        value = bytes([number & 255, 0, 0, 0])
        value += item(0x30, rng.choice(UIDS).encode()) * rng.choice((0, 1, 1, 1, 2))
        for _ in range(rng.choice((0, 1, 1, 2, 40))):
            value += item(0x40, rng.choice(SYNTAXES).encode())
        return item(0x20, value)

    step = rng.choice((0, 1, 2, 2, 2))
    items = [item(0x10, rng.choice((b"1.2.840.10008.3.1.1.1", b"", b"9")))]
    items += [context(1 + step * n) for n in range(rng.choice((0, 1, 2, 130)))]
    user = item(0x51, struct.pack(">L", rng.choice((0, 1, 16384, 0xFFFFFFFF))))
    user += item(0x52, b"1.2.3") + item(0x55, b"X" * rng.choice((0, 3, 16, 60_000)))
    user += item(0x53, struct.pack(">HH", rng.randrange(9), rng.randrange(9)))
    user += item(0x54, struct.pack(">H", 3) + b"1.2" + bytes([1, 1])) * rng.choice((0, 1, 3))
    user += item(0x58, bytes([rng.randrange(6), 1]) + struct.pack(">H", 4) + b"name\0\0")
    items += [item(0x50, user)] * rng.choice((0, 1, 1, 1, 2))
    names = b"MAMMOLENS".ljust(16) + b"MODALITY".ljust(16) + bytes(32)
    body = struct.pack(">HH", 1, 0) + names + b"".join(items)
    length = len(body) if rng.random() < 0.95 else rng.choice((0, 10, 0xFFFFFFFF, 1 << 24))
    return struct.pack(">BBL", 1, 0, length) + body


def _element(tag: bytes, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr == b"SQ":
        return tag + vr + b"\0\0" + struct.pack("<L", len(value)) + value
    return tag + vr + struct.pack("<H", min(len(value), 0xFFFE)) + value[:0xFFFE]


def _with(whole: bytes, tag: bytes, vr: bytes, value: bytes) -> bytes:
    return _inserted(whole, _element(tag, vr, value))


def _inserted(whole: bytes, elements: bytes) -> bytes:
    """Put elements in after the file meta information."""
    at = 144 + struct.unpack("<L", whole[140:144])[0]
    return whole[:at] + elements + whole[at:]


def _deflated(rng: random.Random, whole: bytes) -> bytes:
    """A small file that inflates to a long value, or to a great many items."""
    if rng.random() < 0.5:
        data = b"\x10\x00\x10\x00UN\0\0" + struct.pack("<L", BOMB_BYTES) + bytes(BOMB_BYTES)
    else:
        data = _element(REFERENCED, b"SQ", (ITEM + bytes(4)) * 500_000)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    uids = (b"\x02\x00\x02\x00", MAMMOGRAM.encode()), (b"\x02\x00\x03\x00", b"1.2.3.4")
    meta = b"".join(_element(tag, b"UI", uid) for tag, uid in uids)
    meta += _element(b"\x02\x00\x10\x00", b"UI", DEFLATED)
    head = whole[:132] + b"\x02\x00\x00\x00UL\x04\x00" + struct.pack("<L", len(meta)) + meta
    return head + packer.compress(data) + packer.flush()
