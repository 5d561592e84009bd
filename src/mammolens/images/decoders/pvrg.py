"""Decode lossless JPEG of Stanford's PVRG coder with an ordinary decoder.

PVRG codes the first line with the selected predictor, as if there were a line of half of the range
above it. The standard, ITU-T T.81, predicts the first line from the left. For predictors 1, 4 and 5
both give the same result. For the others, eight lines of zero differences are inserted before the
first line: T.81 decodes them to half of the range. Eight lines are used because their codes always
fill whole bytes. After decoding, these lines are removed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images.decoders.jpeg import decode_jpeg

__all__ = ["decode_pvrg"]

LOSSLESS, TABLES, SCAN, INTERVAL = 0xC3, 0xC4, 0xDA, 0xDD
SAME_FIRST_LINE = (1, 4, 5)
"""Predictors with which PVRG and T.81 give the same first line."""
INSERTED_LINES = 8
FAR_FROM_HALF = 0.02
"""Least median distance of a film's edge from half of the range, as a share of the range. Chosen by
hand; not tuned."""
CLEARLY_LARGER = 2.0
"""Least ratio of coded differences to steps of the line. Chosen by hand; not tuned.
"""
Counts = tuple[int, ...]


@dataclass(frozen=True)
class _Stream:
    """Positions and values in the header of the stream.

    `height_at`, `scan_at` and `data_at` are byte positions of the frame's height, of the scan's
    header and of its data. `table` is the code table of the scan: number of codes of each length,
    and symbols.
    """

    height_at: int
    rows: int
    columns: int
    precision: int
    predictor: int
    scan_at: int
    data_at: int
    table_id: int
    table: tuple[Counts, bytes]


def decode_pvrg(data: bytes, source: str) -> npt.NDArray[np.generic]:
    """Decode a single-channel lossless JPEG of PVRG, or of a coder that follows T.81.

    Returns
    -------
    array
        ``(rows, columns)`` of the stream's header, uint8 or uint16.

    Raises
    ------
    NotAnImage
        If the stream is damaged or ends early.
    UnsupportedImage
        If it is not lossless or has several channels, a point transform or restart intervals.
    """
    stream = _parsed(data, source)
    if stream.predictor in SAME_FIRST_LINE:
        return decode_jpeg(data, source)
    pixels = decode_jpeg(_with_inserted_lines(data, stream), source)[INSERTED_LINES:]
    return pixels if _is_pvrg(pixels[0], stream) else decode_jpeg(data, source)


def _is_pvrg(first_line: npt.NDArray[np.generic], stream: _Stream) -> bool:
    """Return whether the first line was coded by PVRG, from its decoding as PVRG.

    The edge of a film is smooth and far from half of the range. If the line was coded by T.81, this
    decoding gives values close to half of the range, or as rough as the differences are large.
    """
    line = first_line.astype(np.int64)
    half = 1 << (stream.precision - 1)
    if np.median(np.abs(line - half)) < FAR_FROM_HALF * 2 * half:
        return False
    left = line[:-1]
    predicted = {6: half + ((left - half) >> 1), 7: (half + left) >> 1}.get(stream.predictor, half)
    coded, steps = (
        np.median(np.abs((difference + 0x8000) % 0x10000 - 0x8000))
        for difference in (line[1:] - predicted, np.diff(line))
    )
    return bool(coded > CLEARLY_LARGER * steps)


def _with_inserted_lines(data: bytes, stream: _Stream) -> bytes:
    """Insert lines of zero differences before the first line, and correct the height."""
    counts, symbols = stream.table
    table = b""
    if 0 not in symbols:
        counts, symbols = (*counts[:15], counts[15] + 1), symbols + b"\0"
        body = bytes([stream.table_id, *counts]) + symbols
        table = b"\xff\xc4" + struct.pack(">H", len(body) + 2) + body
    code = _code_of_zero(counts, symbols)
    eight = int(code * 8, 2).to_bytes(len(code), "big")
    lines = (eight * (stream.columns * INSERTED_LINES // 8)).replace(b"\xff", b"\xff\x00")
    height = struct.pack(">H", stream.rows + INSERTED_LINES)
    head = data[: stream.height_at] + height + data[stream.height_at + 2 : stream.scan_at]
    return head + table + data[stream.scan_at : stream.data_at] + lines + data[stream.data_at :]


def _code_of_zero(counts: Counts, symbols: bytes) -> str:
    """Bits of the symbol 0 in a canonical code (T.81, C.2), as text of 0 and 1."""
    code = index = 0
    for length, count in enumerate(counts, start=1):
        position = symbols.find(0, index, index + count)
        if position >= 0:
            return format(code + position - index, f"0{length}b")
        code, index = (code + count) << 1, index + count
    raise AssertionError("the table must have the symbol 0")


def _parsed(data: bytes, source: str) -> _Stream:
    frame: tuple[int, int, int, int, int] | None = None
    tables: dict[int, tuple[Counts, bytes]] = {}
    position = 2
    try:
        while True:
            if data[position] != 0xFF:
                raise _damaged(source)
            marker = data[position + 1]
            if marker == 0xFF:
                position += 1
                continue
            (length,) = struct.unpack_from(">H", data, position + 2)
            body = data[position + 4 : position + 2 + length]
            if marker == LOSSLESS:
                precision, rows, columns, channels = struct.unpack_from(">BHHB", body)
                if channels != 1:
                    raise _unsupported("several channels", source)
                frame = (position + 5, rows, columns, precision, body[6])
            elif marker == TABLES:
                tables |= _tables(body)
            elif marker == INTERVAL and any(body):
                raise _unsupported("restart intervals", source)
            elif marker == SCAN:
                break
            position += 2 + length
        if frame is None:
            raise _unsupported("another process than the lossless one", source)
        channels, component, table_id, predictor, _, transform = struct.unpack_from("6B", body)
        height_at, rows, columns, precision, frame_component = frame
        table = tables[table_id >> 4]
        broken = not (rows and columns and 2 <= precision <= 16 and 1 <= predictor <= 7)
        if channels != 1 or component != frame_component or broken:
            raise _damaged(source)
        if transform:
            raise _unsupported("a point transform", source)
    except (IndexError, KeyError, struct.error) as error:
        raise _damaged(source) from error
    return _Stream(
        *(height_at, rows, columns, precision, predictor),
        *(position, position + 2 + length, table_id >> 4, table),
    )


def _tables(body: bytes) -> dict[int, tuple[Counts, bytes]]:
    found = {}
    while body:
        counts = tuple(body[1:17])
        end = 17 + sum(counts)
        if len(counts) < 16 or len(body) < end:
            raise IndexError("a code table ends early")
        found[body[0] & 0xF] = counts, body[17:end]
        body = body[end:]
    return found


def _unsupported(what: str, source: str) -> UnsupportedImage:
    return UnsupportedImage(
        f"LJPEG with {what} is not read", source=source, remedy="Send DDSM's own files"
    )


def _damaged(source: str) -> NotAnImage:
    return NotAnImage(
        "the LJPEG header is missing or damaged", source=source, remedy="Copy the file again"
    )
