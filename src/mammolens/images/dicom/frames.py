"""Find the bytes of the single frame in the pixel data element, and how they are compressed.

Offset tables are not read: all fragments together are the frame (PS3.5 A.4). The transfer syntax
and the delimiters are not trusted. The first bytes of a compressed stream show its form;
uncompressed values have exactly the size that the header gives; the decoder finds out whether a
stream is complete.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Final, NamedTuple

from mammolens.errors import UnsupportedImage
from mammolens.images.decoders.jpeg import CODESTREAM, codestream, stream_size
from mammolens.images.dicom.tags import Tags

__all__ = ["Codec", "Frame", "PixelElement", "codec_of", "one_frame", "pixel_element"]

_PIXELS: Final = 0x7FE00010
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"  # FFFE,E000 and FFFE,E0DD
_LONG_VRS: Final = (b"OB", b"OW", b"UN")
_JPEG_START: Final = b"\xff\xd8\xff"
_JPEG_LS: Final = 0xF7


class Codec(str, Enum):
    """Compression of the bytes of a frame."""

    NATIVE = "uncompressed"
    RLE = "RLE"
    JPEG = "JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"


class PixelElement(NamedTuple):
    """Pixel Data (7FE0,0010): its value, and its VR if that is explicit.

    `open_ended` is true if the length is undefined, as it is for compressed data.
    """

    value: memoryview
    vr: str | None
    open_ended: bool


class Frame(NamedTuple):
    """The bytes of the single frame and their compression."""

    data: memoryview | bytes
    codec: Codec


def pixel_element(rest: memoryview, big_endian: bool, tags: Tags) -> PixelElement:
    """Read the pixel data element at the start of `rest`, the part of the file after the header.

    Raises
    ------
    NotAnImage
        If there is no pixel data element.
    """
    order = ">" if big_endian else "<"
    head = bytes(rest[:12]).ljust(12, b"\0")
    group, element = struct.unpack_from(f"{order}HH", head)
    if group << 16 | element != _PIXELS or len(rest) <= 8:
        raise tags.unusable("PixelData", "is missing: the file is truncated or has no picture")
    vr = head[4:6].decode("ascii") if head[4:6] in _LONG_VRS else None
    start = 12 if vr else 8
    (length,) = struct.unpack_from(f"{order}I", head, start - 4)
    if length == _UNDEFINED:
        return PixelElement(rest[start:], vr, True)
    return PixelElement(rest[start : start + length], vr, False)


def one_frame(element: PixelElement, native_bytes: int, declared: Codec, tags: Tags) -> Frame:
    """Find the bytes of the single frame and their compression.

    Parameters
    ----------
    native_bytes
        Size of the uncompressed picture, from the header.
    declared
        The compression of the transfer syntax; used if the bytes do not show their form.

    Raises
    ------
    NotAnImage
        If the element is empty, or the compressed stream has an unknown form.
    UnsupportedImage
        If there are several frames.
    """
    value = element.value
    if not len(value):
        raise tags.unusable("PixelData", "is empty: the file is truncated or has no picture")
    is_item = bytes(value[:4]) in (_ITEM, _END)
    plain = len(value) in (native_bytes, native_bytes + 1) and not element.open_ended  # 1: padding
    if plain or (declared is Codec.NATIVE and not is_item and codec_of(value) is None):
        if element.open_ended:
            raise tags.unusable("PixelData", "has an undefined length and no frame")
        return Frame(value, Codec.NATIVE)
    fragments = _fragments(value, tags) if is_item else [value]
    starts = [n for n, fragment in enumerate(fragments) if codec_of(fragment) is not None]
    if len(starts) > 1 and starts[0] == 0:
        raise UnsupportedImage(
            f"{len(starts)} frames in one object are not read",
            source=tags.source,
            keyword="NumberOfFrames",
            remedy="Send single 2D or synthetic 2D views",
        )
    data = fragments[0] if len(fragments) == 1 else b"".join(fragments)
    codec = codec_of(data) or declared
    if codec is Codec.NATIVE and len(data) < native_bytes:
        raise tags.unusable("PixelData", "has no picture in a supported form")
    if codec in (Codec.NATIVE, Codec.RLE):
        return Frame(data, codec)
    stream = bytes(data)
    if codec is Codec.JPEG_2000:
        bare = codestream(stream, tags.source)
        if len(bare) < len(stream):
            tags.caution("jp2_container", "PixelData has a JP2 file instead of a JPEG 2000 stream")
        return Frame(bare, codec)
    is_ls = stream_size(stream, tags.source).frame == _JPEG_LS
    return Frame(stream, Codec.JPEG_LS if is_ls else Codec.JPEG)


def codec_of(data: memoryview | bytes) -> Codec | None:
    """Return the compression of a stream by its first bytes; ``None`` if they do not show it."""
    head = bytes(data[:64])
    if head.startswith(_JPEG_START):
        return Codec.JPEG
    if head.startswith(CODESTREAM) or head[4:8] == b"jP  ":
        return Codec.JPEG_2000
    if len(head) == 64:  # header of an RLE frame: number of segments, and offsets (PS3.5 G.5)
        count, *offsets = struct.unpack("<16I", head)
        used, spare = offsets[:count], offsets[count:]
        if 0 < count <= 15 and used[0] == 64 and used == sorted(used) and not any(spare):
            return Codec.RLE
    return None


def _fragments(value: memoryview, tags: Tags) -> list[memoryview]:
    """Items after the offset table, without empty ones."""
    items: list[memoryview] = []
    position = 0
    while position + 8 <= len(value) and bytes(value[position : position + 4]) == _ITEM:
        (length,) = struct.unpack_from("<I", value, position + 4)
        items.append(value[position + 8 : position + 8 + length])
        position += 8 + length
    if bytes(value[position : position + 4]) != _END:
        tags.caution("sequence_unfinished", "the end marker of the pixel data is missing")
    # The first item is the offset table; some writers leave it out.
    table = items and codec_of(items[0]) is None
    fragments = [item for item in items[1 if table else 0 :] if len(item)]
    if not fragments:
        raise tags.unusable("PixelData", "is encapsulated but has no fragment")
    return fragments
