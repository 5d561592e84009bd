"""Read PNG, JPEG, PGM and TIFF files. Their size is read and checked before they are decoded.

The pixels are not turned, and all positions in results are in the stored array. The Orientation of
Exif or TIFF is applied when the picture is prepared for a model.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.core import (
    Caution,
    ImageRef,
    Mammogram,
    Orientation,
    Photometric,
    SourceHeader,
)
from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images.decoders import damaged, decoded
from mammolens.images.decoders.jpeg import decode_jpeg, stream_size
from mammolens.images.decoders.tiff import exif_orientation, tiff_form, turns_of
from mammolens.images.dicom.views import name_cautions, named_side_and_view
from mammolens.images.limits import check_content, check_size, merge_channels
from mammolens.images.pixel_trust import ordered_bytes

__all__ = ["describe_raster", "looks_like_raster", "read_raster"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CRITICAL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
PGM_HEADER = re.compile(rb"P([25])" + 3 * rb"\s+(?:#[^\n]*\n\s*)*(\d{1,9})" + rb"\s")
Pixels = npt.NDArray[np.generic]
EXIF_SEGMENT, EXIF_START = 0xE1, b"Exif\0\0"


class Decoded(NamedTuple):
    """Stored pixels, with photometric interpretation and orientation from the file."""

    pixels: Pixels
    photometric: Photometric = Photometric.MONOCHROME2
    cautions: tuple[Caution, ...] = ()
    orientation: Orientation | None = None


def looks_like_raster(head: bytes) -> bool:
    """Return whether a file with these first bytes is PNG, JPEG, PGM or TIFF."""
    return _decoder(head) is not None


def describe_raster(
    source: str, path: Path | None
) -> tuple[ImageRef, SourceHeader, tuple[Caution, ...]]:
    """Make the reference of a picture without a header, from its name and a table.

    Parameters
    ----------
    source
        Name of the file, or ``archive.zip!member``.
    path
        The file, to find a table in the same folder; ``None`` inside archives.
    """
    pair, facts, row = named_side_and_view(source, path)
    patient_id = facts.patient_id or (row.patient_id if row else None)
    ref = ImageRef(path=source, patient_id=patient_id, laterality=pair[0], view_position=pair[1])
    return ref, SourceHeader(), name_cautions(pair, facts, row)


def read_raster(data: bytes, source: str, path: Path | None) -> Mammogram:
    """Decode a picture without a header (see `mammolens.images.read_image`)."""
    decoded = decode_raster(data, source)
    check_content(decoded.pixels, source)
    ref, header, cautions = describe_raster(source, path)
    return Mammogram(
        ref,
        header,
        decoded.pixels,
        decoded.photometric,
        cautions=(*cautions, *decoded.cautions),
        orientation=decoded.orientation,
    )


def decode_raster(data: bytes, source: str) -> Decoded:
    """Decode a picture, a mammogram or a mask, to one channel.

    Raises
    ------
    NotAnImage, NotAMammogram, UnsupportedImage
        If it is not a picture, is damaged, is coloured, or has a form that is not supported.
    """
    decoded = decode_stored(data, source)
    if decoded.pixels.ndim == 3:
        note = Caution("grey_as_colour", "the grey picture is stored in several equal channels")
        merged = merge_channels(decoded.pixels, source)
        decoded = decoded._replace(pixels=merged, cautions=(*decoded.cautions, note))
    if decoded.pixels.dtype == np.uint16:
        ordered, notes = ordered_bytes(decoded.pixels, 16, source)
        decoded = decoded._replace(pixels=ordered, cautions=(*decoded.cautions, *notes))
    return decoded


def decode_stored(data: bytes, source: str) -> Decoded:
    """Decode a picture with the channels that it has; see `decode_raster`."""
    decoder = _decoder(data[:16])
    if decoder is None:
        raise NotAnImage(
            "this is not a picture of a supported kind",
            source=source,
            remedy="Send DICOM, PNG, JPEG, PGM or TIFF images",
        )
    return decoder(data, source)


def _decoder(head: bytes) -> Callable[[bytes, str], Decoded] | None:
    if head.startswith(PNG_SIGNATURE):
        return _png
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if head[:4] in (b"II*\x00", b"MM\x00*"):
        return _tiff
    if head[:2] in (b"P2", b"P5") and head[2:3].isspace():
        return _pgm
    return None


def _png(data: bytes, source: str) -> Decoded:
    from imagecodecs import png_decode

    plain, exif = _critical_chunks(data, source)
    columns, rows = struct.unpack_from(">II", plain, 16)
    check_size(rows, columns, source)
    return Decoded(_decode_supported(png_decode, plain, source), orientation=_orientation(exif))


def _critical_chunks(data: bytes, source: str) -> tuple[bytes, bytes]:
    """Check the chunks; give a PNG with only the necessary ones, and the Exif block.

    The other chunks are left out, because libpng prints warnings about them.
    """
    parts, position, kind, exif = [PNG_SIGNATURE], len(PNG_SIGNATURE), b"", b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data.ljust(position + 8, b"\0"), position)
        chunk = data[position : position + 12 + length]
        checksum = int.from_bytes(chunk[-4:], "big")
        if len(chunk) < 12 + length or zlib.crc32(chunk[4:-4]) != checksum:
            raise damaged("the PNG is truncated or damaged", source)
        if len(parts) == 1 and (kind != b"IHDR" or length != 13):
            raise damaged("the PNG has no header", source)
        if kind in CRITICAL_CHUNKS:
            parts.append(chunk)
        elif kind == b"eXIf":
            exif = chunk[8:-4]
        position += 12 + length
    return b"".join(parts), exif


def _jpeg(data: bytes, source: str) -> Decoded:
    size = stream_size(data, source)
    check_size(size.rows, size.columns, source)
    return Decoded(decode_jpeg(data, source), orientation=_orientation(_exif_of_jpeg(data)))


def _exif_of_jpeg(data: bytes) -> bytes:
    """Find the Exif block in the segments before the first frame; empty if there is none."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] >= 0xE0:
        (length,) = struct.unpack_from(">H", data, position + 2)
        block = data[position + 4 : position + 2 + length]
        if data[position + 1] == EXIF_SEGMENT and block.startswith(EXIF_START):
            return block[len(EXIF_START) :]
        position += 2 + length
    return b""


def _orientation(exif: bytes) -> Orientation | None:
    value = exif_orientation(exif) if exif else None
    return _turns_stated(value, "Exif Orientation") if value is not None else None


def _turns_stated(value: int, keyword: str) -> Orientation | None:
    return Orientation(turns_of(value), None, keyword) if 1 < value <= 8 else None


def _tiff(data: bytes, source: str) -> Decoded:
    from imagecodecs import tiff_decode

    form = tiff_form(data, source)
    check_size(form.rows, form.columns, source)
    pixels = _decode_supported(tiff_decode, data, source)
    if pixels.shape[:2] != (form.rows, form.columns) or pixels.dtype.kind != "u":
        raise damaged(f"the TIFF decodes to shape {pixels.shape}", source)
    kind = Photometric.MONOCHROME1 if form.white_is_zero else Photometric.MONOCHROME2
    return Decoded(pixels, kind, orientation=_turns_stated(form.orientation, "TIFF Orientation"))


def _pgm(data: bytes, source: str) -> Decoded:
    match = PGM_HEADER.match(data)
    if match is None:
        raise damaged("the PGM header is damaged", source)
    columns, rows, largest = (int(match[i]) for i in (2, 3, 4))
    check_size(rows, columns, source)
    if not 0 < largest < 1 << 16:
        raise damaged(f"a PGM maximum of {largest} is impossible", source)
    dtype = np.dtype(np.uint8 if largest < 256 else ">u2")
    body = data[match.end() :]
    if match[1] == b"2":
        pixels = _plain_numbers(body, rows * columns, largest, source)
    elif len(body) < rows * columns * dtype.itemsize:
        raise damaged("the PGM is truncated", source)
    else:
        pixels = np.frombuffer(body, dtype, rows * columns)
    native = pixels.astype(dtype.newbyteorder("="), copy=False).reshape(rows, columns)
    if int(native.max()) <= largest:
        return Decoded(native)
    if dtype.itemsize == 1 or int(native.byteswap().max()) > largest:
        raise damaged("the PGM has values above its maximum", source)
    text = "the bytes of each value were swapped, as the PGM's maximum shows; this was corrected"
    return Decoded(native.byteswap(), cautions=(Caution("bytes_swapped", text, doubt=True),))


def _plain_numbers(body: bytes, count: int, largest: int, source: str) -> Pixels:
    words = body.split(maxsplit=count)[:count]
    if len(words) < count or not all(word.isdigit() and len(word) < 7 for word in words):
        raise damaged("the PGM is truncated or damaged", source)
    numbers = np.array(words, np.int64)
    if int(numbers.max()) > largest:
        raise damaged("the PGM has values above its maximum", source)
    return numbers


def _decode_supported(decoder: Callable[[bytes], object], data: bytes, source: str) -> Pixels:
    pixels = decoded(decoder, data, source)
    if pixels.ndim not in (2, 3) or pixels.dtype not in (np.uint8, np.uint16):
        raise UnsupportedImage(
            f"a picture of shape {pixels.shape} and type {pixels.dtype} is not read",
            source=source,
            remedy="Export a grey picture of 8 or 16 bits",
        )
    return pixels
