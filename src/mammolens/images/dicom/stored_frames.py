"""The frames of a stored object, one at a time: their bytes as they are stored, and their values.

Nothing is corrected here: what leaves is what came in. A frame's values have the bits of the
header's Bits Allocated, in the order and with the sign that was stored.

Source: PS3.5 A.4 (encapsulated pixel data), 8.1 and 8.2 (native pixel data).
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.images.decoders.jpeg import codestream, stream_size
from mammolens.images.decoders.rle import decode_rle
from mammolens.images.dicom.frames import Codec, codec_of
from mammolens.images.dicom.pixels import (
    CODECS,
    DECODERS,
    READABLE_SYNTAXES,
    Pixels,
    in_channels,
)
from mammolens.images.dicom.whole_header import WholeHeader
from mammolens.images.limits import MAX_PIXELS, MAX_SIDE_PX

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["FrameForm", "StoredFrames", "can_decode", "encode_htj2k", "frame_form", "frame_values"]

_ITEM: Final = b"\xfe\xff\x00\xe0"
_EXTENDED_TABLE: Final = 0x7FE00001
_JPEG_LS: Final = 0xF7
MOST_FRAMES: Final = 100_000
MOST_FRAGMENTS: Final = 200_000


@dataclass(frozen=True)
class FrameForm:
    """How one frame is stored (PS3.3 C.7.6.3); `bits` is Bits Allocated."""

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool
    frames: int
    photometric: str
    planar: bool

    @property
    def native_bits(self) -> int:
        """Size of an uncompressed frame in bits."""
        return self.rows * self.columns * self.samples * self.bits

    @property
    def native_bytes(self) -> int:
        """Size of an uncompressed frame in bytes."""
        return -(-self.native_bits // 8)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values, little endian."""
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.bits // 8}")


def frame_form(dataset: Dataset, source: str) -> FrameForm:
    """Read how frames are stored.

    Raises
    ------
    NotAnImage
        If the object has no picture, or its header is damaged.
    UnsupportedImage
        If the picture is larger than is read.
    """

    def integer(keyword: str, default: int | None = None) -> int:
        try:
            found = dataset.get(keyword)
            return int(found)
        except Exception as error:
            if default is None:
                raise NotAnImage("the object has no picture", source=source) from error
            return default

    rows, columns = integer("Rows"), integer("Columns")
    bits, samples = integer("BitsAllocated"), integer("SamplesPerPixel", 1)
    frames = max(integer("NumberOfFrames", 1), 1)
    if min(rows, columns) < 1 or bits not in (1, 8, 16, 32) or samples not in (1, 3):
        raise NotAnImage("the object has no picture of a known form", source=source)
    if max(rows, columns) > MAX_SIDE_PX or rows * columns > MAX_PIXELS or frames > MOST_FRAMES:
        raise UnsupportedImage("the picture is larger than is read", source=source)
    try:
        photometric = str(dataset.get("PhotometricInterpretation") or "")
    except Exception:
        photometric = ""
    signed = integer("PixelRepresentation", 0) == 1
    planar = integer("PlanarConfiguration", 0) == 1
    return FrameForm(rows, columns, samples, bits, signed, frames, photometric, planar)


class StoredFrames:
    """The frames of one object; each is read when it is asked for.

    Parameters
    ----------
    stream
        The file, not deflated.

    Attributes
    ----------
    codec
        Compression that the transfer syntax names; ``None`` if it is not one that is known.

    Raises
    ------
    NotAnImage
        If there are no pixel data.
    """

    def __init__(self, stream: BinaryIO, header: WholeHeader, form: FrameForm, source: str) -> None:
        if header.pixels is None:
            raise NotAnImage("the object has no pixel data", source=source)
        self.stream, self.header, self.form, self.source = stream, header, form, source
        self.codec = CODECS.get(header.syntax)
        self.is_native = header.pixels.length is not None
        self._pixels = header.pixels
        self._frames: list[list[tuple[int, int]]] | None = None

    @property
    def count(self) -> int:
        """Number of frames that the header gives."""
        return self.form.frames

    def stored(self, number: int) -> bytes:
        """Read a frame as it is stored; the first one is number 1.

        Raises
        ------
        NotAnImage
            If the pixel data end before it, or do not show where it is.
        """
        if self.is_native:
            return self._native(number)
        frames = self._find_frames()
        return b"".join(self._read(start, length) for start, length in frames[number - 1])

    def is_as_declared(self, data: bytes) -> bool:
        """Return whether a frame has the compression that the transfer syntax names."""
        if self.codec is None:
            return not self.is_native
        if self.is_native or self.codec is Codec.NATIVE:
            return self.is_native and self.codec is Codec.NATIVE
        return _kind_of(data, self.source) in (self.codec, None)

    def _native(self, number: int) -> bytes:
        form, start = self.form, self._pixels.start
        length = self._pixels.length or 0
        first, last = (n * form.native_bits for n in (number - 1, number))
        if last > length * 8:
            raise NotAnImage("the pixel data are truncated", source=self.source)
        if not (first | last) % 8:  # both are whole bytes
            return self._read(start + first // 8, (last - first) // 8)
        # Frames of single bits follow each other without a gap (PS3.5 8.1.1).
        data = self._read(start + first // 8, -(-last // 8) - first // 8)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return np.packbits(bits[first % 8 :][: last - first], bitorder="little").tobytes()

    def _read(self, start: int, length: int) -> bytes:
        self.stream.seek(start)
        data = self.stream.read(length)
        if len(data) < length:
            raise NotAnImage("the pixel data are truncated", source=self.source)
        return data

    def _find_frames(self) -> list[list[tuple[int, int]]]:
        """Find the fragments of each frame, as position and length."""
        if self._frames is None:
            table, fragments = self._fragments()
            self._frames = self._grouped(table, fragments)
        return self._frames

    def _fragments(self) -> tuple[list[int], list[tuple[int, int]]]:
        """Give the offset table, and the fragments after it."""
        at, found = self._pixels.start, list[tuple[int, int]]()
        while len(found) <= MOST_FRAGMENTS:
            self.stream.seek(at)
            head = self.stream.read(8)
            if len(head) < 8 or head[:4] != _ITEM:
                break
            (length,) = struct.unpack_from("<I", head, 4)
            found.append((at + 8, length))
            at += 8 + length
        if not found:
            raise NotAnImage("the pixel data have no fragment", source=self.source)
        # The first item is the offset table; some writers leave it out.
        start, length = found[0]
        if length and codec_of(self._read(start, min(length, 64))) is not None:
            return [], found
        table = self._read(start, min(length, 4 * MOST_FRAMES)) if length else b""
        offsets = [int(n) for n in np.frombuffer(table[: len(table) // 4 * 4], "<u4")]
        return offsets, found[1:]

    def _grouped(
        self, table: list[int], fragments: list[tuple[int, int]]
    ) -> list[list[tuple[int, int]]]:
        """Divide fragments into frames: one each, or by an offset table that fits exactly."""
        count = self.form.frames
        if count == 1:
            return [[item for item in fragments if item[1]]]
        if len(fragments) == count:
            return [[item] for item in fragments]
        extended = self.header.dataset.get(_EXTENDED_TABLE)
        if not table and extended is not None and isinstance(extended.value, bytes):
            table = [int(n) for n in np.frombuffer(extended.value, "<u8")]
        if len(table) == count and fragments:
            base = fragments[0][0] - 8
            starts = [start - 8 - base for start, _ in fragments]
            firsts = [bisect_left(starts, offset) for offset in table]
            is_exact = all(
                n < len(starts) and starts[n] == o for n, o in zip(firsts, table, strict=True)
            )
            if is_exact and firsts == sorted(set(firsts)):
                ends = [*firsts[1:], len(fragments)]
                return [fragments[a:b] for a, b in zip(firsts, ends, strict=True)]
        raise NotAnImage("the pixel data do not show where a frame is", source=self.source)


def frame_values(frames: StoredFrames, number: int) -> Pixels:
    """Decode a frame to its stored values.

    Returns
    -------
    array
        ``(rows, columns)`` of grey, or ``(rows, columns, samples)`` of native colour, in
        `FrameForm.dtype`; 0 and 1 for single bits.

    Raises
    ------
    NotAnImage
        If the frame is damaged, or contradicts the header.
    UnsupportedImage
        If it is compressed colour, or in a form that is not read.
    """
    form, source = frames.form, frames.source
    data = frames.stored(number)
    codec = Codec.NATIVE if frames.is_native else _kind_of(data, source) or frames.codec
    if codec is Codec.NATIVE:
        return _native_values(frames, data)
    if codec is None or form.samples != 1 or form.bits not in (8, 16):
        raise UnsupportedImage("a frame of this form is not decoded", source=source)
    if codec is Codec.RLE:
        values = decode_rle(data, form.rows, form.columns, form.bits // 8, source)
        return values.view(form.dtype)
    if codec is Codec.JPEG_2000:
        data = codestream(data, source)
    size = stream_size(data, source)
    if (size.rows, size.columns, size.components) != (form.rows, form.columns, 1):
        raise NotAnImage("the frame has another size than the header gives", source=source)
    values = DECODERS[codec](data, source)
    if values.shape != (form.rows, form.columns) or values.dtype.kind not in "ui":
        raise NotAnImage("the frame decodes to another form", source=source)
    if values.dtype.itemsize > form.bits // 8:
        raise UnsupportedImage("the frame has more bits than the header gives", source=source)
    return _signed_as(values, form)


def can_decode(header: WholeHeader, form: FrameForm) -> bool:
    """Return whether `frame_values` reads frames of this form, if they are whole."""
    if header.pixels is None or header.pixels.length is not None:
        return header.pixels is not None
    return header.syntax in READABLE_SYNTAXES and form.samples == 1 and form.bits in (8, 16)


def encode_htj2k(values: Pixels) -> bytes:
    """Encode grey values (rows, columns), 8 or 16 bits, as HTJ2K without loss.

    Raises
    ------
    UnsupportedImage
        If the values have another form.
    """
    from imagecodecs import htj2k_encode

    if values.ndim != 2 or values.dtype.itemsize > 2 or values.dtype.kind not in "ui":
        raise UnsupportedImage("only grey pictures of 8 or 16 bits are encoded")
    native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return bytes(htj2k_encode(native, reversible=True))


def _native_values(frames: StoredFrames, data: bytes) -> Pixels:
    form = frames.form
    if form.bits == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[: form.rows * form.columns].reshape(form.rows, form.columns)
    kind = form.dtype if frames.header.is_little else form.dtype.newbyteorder(">")
    in_words = frames.header.pixels is not None and frames.header.pixels.vr == "OW"
    if form.bits == 8 and not frames.header.is_little and in_words:  # PS3.5 8.1.1
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    values = np.frombuffer(data, kind).astype(form.dtype, copy=False)
    return in_channels(values, (form.rows, form.columns), form.samples, form.planar)


def _signed_as(values: Pixels, form: FrameForm) -> Pixels:
    """Give decoded values the type of the header; a decoder may not know the sign."""
    if values.dtype.itemsize == form.bits // 8:
        return values.astype(values.dtype.newbyteorder("<"), copy=False).view(form.dtype)
    return values.astype(form.dtype)


def _kind_of(data: bytes, source: str) -> Codec | None:
    """Return the compression of a frame by its first bytes."""
    codec = codec_of(data[:64])
    if codec is Codec.JPEG:
        try:
            is_ls = stream_size(data, source).frame == _JPEG_LS
        except (InputError, struct.error, IndexError):
            is_ls = False
        return Codec.JPEG_LS if is_ls else Codec.JPEG
    return codec
