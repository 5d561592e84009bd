"""Read the size of JPEG, JPEG-LS and JPEG 2000 streams, and decode them strictly.

libjpeg fills missing data with grey and gives no error. Here, a stream is an error if its end
marker is missing, or if its data end before the picture is complete.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.errors import UnsupportedImage
from mammolens.images.decoders import damaged, decoded

__all__ = [
    "CODESTREAM",
    "StreamSize",
    "codestream",
    "decode_jpeg",
    "decode_jpeg2000",
    "decode_jpegls",
    "stream_size",
]

START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xF7})
OTHER_FRAMES = frozenset({0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
JPEG_LS = 0xF7
PROGRESSIVE = 0xC2
END_OF_IMAGE, START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
CODESTREAM = b"\xff\x4f\xff\x51"
MAX_SCANS = 200
FILLER = bytes((37 * i + 11) % 251 for i in range(64))


class StreamSize(NamedTuple):
    """Size in the header of a stream, the marker of its kind of frame, and its bits per sample."""

    rows: int
    columns: int
    components: int
    frame: int
    bits: int


def stream_size(data: bytes, source: str) -> StreamSize:
    """Read the size from a JPEG, JPEG-LS or JPEG 2000 stream without decoding it.

    Raises
    ------
    NotAnImage
        If the stream has no such header.
    UnsupportedImage
        If it is hierarchical or arithmetic JPEG.
    """
    if data.startswith(CODESTREAM):
        return _codestream_size(data[4:], source)
    position = 2
    while data[:2] == b"\xff\xd8" and position + 10 <= len(data):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in START_OF_FRAME:
            bits, rows, columns, components = struct.unpack_from(">BHHB", data, position + 4)
            return StreamSize(rows, columns, components, marker, bits)
        if marker in OTHER_FRAMES:
            raise UnsupportedImage(
                f"the JPEG process FF{marker:02X} is not read",
                source=source,
                remedy="Convert it to baseline or lossless JPEG, or send it uncompressed",
            )
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    raise damaged("the compressed picture has no frame header", source)


def _codestream_size(data: bytes, source: str) -> StreamSize:
    if len(data) < 39:
        raise damaged("the JPEG 2000 stream ends in its header", source)
    width, height, left, top, _, _, _, _, components, depth = struct.unpack_from(">8IHB", data, 4)
    return StreamSize(height - top, width - left, components, 0x51, (depth & 0x7F) + 1)


def codestream(data: bytes, source: str) -> bytes:
    """Extract the JPEG 2000 code stream of a JP2 file.

    DICOM does not allow JP2 files, but some objects have them. The colour information of the JP2
    file is dropped. A code stream without a JP2 file is returned unchanged.

    Source: ISO/IEC 15444-1, annex I.4 (boxes).

    Raises
    ------
    NotAnImage
        If the file has no code stream.
    """
    position = 0
    while not data.startswith(CODESTREAM):
        length, kind = struct.unpack_from(">I4s", data.ljust(position + 8, b"\0"), position)
        start = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data.ljust(position + 16, b"\0"), position + 8)
            start = 16
        if kind == b"jp2c":
            return data[position + start : position + length if length else None]
        if length < start or position + length >= len(data):
            raise damaged("the JP2 file has no code stream", source)
        position += length
    return data


def decode_jpeg(data: bytes, source: str) -> npt.NDArray[np.generic]:
    """Decode baseline, extended (12 bit), progressive or lossless JPEG.

    Returns
    -------
    array
        ``(rows, columns)`` or ``(rows, columns, 3)``, uint8 or uint16.

    Raises
    ------
    NotAnImage
        If the stream is damaged or ends early.
    UnsupportedImage
        If it has too many scans, or a process that is not supported.
    """
    from imagecodecs import jpeg8_decode

    end = _checked_end(data, source)
    if data.count(START_OF_SCAN) > MAX_SCANS:
        raise UnsupportedImage(
            f"the JPEG has more than {MAX_SCANS} scans", source=source, remedy="Export it again"
        )
    size = stream_size(data, source)
    pixels: npt.NDArray[np.generic] = decoded(jpeg8_decode, data, source)
    if size.frame == PROGRESSIVE or _looks_filled(pixels):
        # A complete picture does not change if more data follow its last block.
        longer = data[:end] + FILLER + END_OF_IMAGE
        if not np.array_equal(pixels, decoded(jpeg8_decode, longer, source)):
            raise damaged("the JPEG data ends before the picture does", source)
    return pixels


def _looks_filled(pixels: npt.NDArray[np.generic]) -> bool:
    """Return whether libjpeg may have filled the last block: a constant block or a repeated row."""
    rows, columns = pixels.shape[:2]
    block = pixels[(rows - 1) // 8 * 8 :, (columns - 1) // 8 * 8 :]
    return bool((block == block[0, 0]).all()) or np.array_equal(pixels[-1], pixels[-2])


def decode_jpegls(data: bytes, source: str) -> npt.NDArray[np.generic]:
    """Decode JPEG-LS; CharLS refuses missing data itself (shapes and errors as `decode_jpeg`)."""
    from imagecodecs import jpegls_decode

    _checked_end(data, source)
    return decoded(jpegls_decode, data, source)


def decode_jpeg2000(data: bytes, source: str) -> npt.NDArray[np.generic]:
    """Decode JPEG 2000 and HTJ2K by OpenJPEG in strict mode (results as those of `decode_jpeg`)."""
    from imagecodecs import jpeg2k_decode

    return decoded(jpeg2k_decode, data, source)


def _checked_end(data: bytes, source: str) -> int:
    """Position of the end marker; only padding may follow it."""
    end = data.rfind(END_OF_IMAGE)
    if end < 0 or data[end + 2 :].strip(b"\x00\xff"):
        raise damaged("the compressed picture is truncated: its end marker is missing", source)
    return end
