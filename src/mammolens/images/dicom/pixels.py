"""Decode the single frame of a DICOM image to stored values.

Before a decoder runs, the size in the compressed stream must be the size in the header, so that no
stream can request more memory. Missing data are an error; they are never filled with zeros. Then
`pixel_trust` decides on byte order, depth and sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.core import Photometric
from mammolens.errors import NotAMammogram, UnsupportedImage
from mammolens.images.decoders.jpeg import decode_jpeg, decode_jpeg2000, decode_jpegls, stream_size
from mammolens.images.decoders.rle import decode_rle
from mammolens.images.dicom.frames import Codec, Frame, PixelElement, one_frame
from mammolens.images.dicom.tags import Tags
from mammolens.images.limits import merge_channels
from mammolens.images.pixel_trust import Stored, ordered_bytes, trusted_values

__all__ = [
    "CODECS",
    "DECODERS",
    "READABLE_SYNTAXES",
    "PixelFormat",
    "Pixels",
    "in_channels",
    "stored_values",
]

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"})
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81))
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
READABLE_SYNTAXES = NATIVE | JPEG | JPEG_LS | JPEG_2000 | {BIG_ENDIAN, RLE}
CODECS = {
    **dict.fromkeys(NATIVE | {BIG_ENDIAN}, Codec.NATIVE),
    **dict.fromkeys(JPEG, Codec.JPEG),
    **dict.fromkeys(JPEG_LS, Codec.JPEG_LS),
    **dict.fromkeys(JPEG_2000, Codec.JPEG_2000),
    RLE: Codec.RLE,
}

Pixels = npt.NDArray[np.generic]


@dataclass(frozen=True)
class PixelFormat:
    """How the pixels are stored (PS3.3 C.7.6.3).

    `planar` is true if the channels are stored one after the other. `overlay_bits` is a mask of the
    bits of each word that have overlays.
    """

    rows: int
    columns: int
    samples: int
    planar: bool
    photometric: Photometric
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    transfer_syntax: str
    overlay_bits: int = 0

    @property
    def native_bytes(self) -> int:
        """Size of the uncompressed picture in bytes."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


def stored_values(tags: Tags, form: PixelFormat, element: PixelElement) -> Pixels:
    """Decode the stored values to one channel with the right byte order, depth and sign.

    Parameters
    ----------
    tags
        The data set; cautions are added to it.
    form
        Size, bits and transfer syntax, already checked.
    element
        The pixel data.

    Returns
    -------
    array
        ``(rows, columns)``, 8 or 16 bit integers in native byte order. It is a view of the file's
        bytes if they did not have to be changed.

    Raises
    ------
    NotAnImage
        If pixel data are missing, truncated, or contradict the header.
    NotAMammogram
        If the picture is coloured.
    UnsupportedImage
        If it holds several frames.
    """
    expected = form.native_bytes
    declared = CODECS[form.transfer_syntax]
    frame = one_frame(element, expected, declared, tags)
    if frame.codec is not declared:
        text = f"TransferSyntaxUID is {declared.value}, but the pixel data are {frame.codec.value}"
        tags.caution("transfer_syntax_differs", text)
    if frame.codec is Codec.NATIVE:
        pixels = _native(frame.data, tags, form, element.vr)
    else:
        pixels = _compressed(frame, tags, form)
    if pixels.ndim == 3:
        pixels = merge_channels(pixels, tags.source)
        tags.caution("grey_as_colour", "the grey picture is stored in three equal channels")
    words, notes = ordered_bytes(pixels, form.bits_stored, tags.source)
    stored = Stored(form.bits_stored, form.high_bit, form.signed, form.overlay_bits)
    values, more = trusted_values(words, stored, tags.source)
    tags.cautions += (*notes, *more)
    return values


def _native(data: memoryview | bytes, tags: Tags, form: PixelFormat, vr: str | None) -> Pixels:
    count = form.rows * form.columns * form.samples
    expected = count * form.bits_allocated // 8
    if len(data) < expected:
        raise tags.unusable(
            "PixelData", f"is truncated: it has {len(data):,} of the expected {expected:,} bytes"
        )
    if len(data) > expected + 1:
        _check_extra(data, expected, tags)
    big = form.transfer_syntax == BIG_ENDIAN
    if form.bits_allocated == 8:
        if big and vr == "OW":
            data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
        pixels: Pixels = np.frombuffer(data, np.uint8, count)
    elif big:
        pixels = np.frombuffer(data, ">u2", count).astype(np.uint16)
    else:
        pixels = np.frombuffer(data, "<u2", count)
    return in_channels(pixels, (form.rows, form.columns), form.samples, form.planar)


def in_channels(values: Pixels, shape: tuple[int, int], samples: int, planar: bool) -> Pixels:
    """Give native values the shape (rows, columns), or (rows, columns, samples) of colour."""
    if samples == 1:
        return values.reshape(shape)
    if planar:
        return np.moveaxis(values.reshape(samples, *shape), 0, -1)
    return values.reshape(*shape, samples)


def _check_extra(data: memoryview | bytes, expected: int, tags: Tags) -> None:
    """Check the bytes after the picture: zeros are filling, others may be a part of the picture."""
    over = len(data) - expected
    text = f"there are {over:,} bytes after the picture"
    if not np.frombuffer(data, np.uint8, offset=expected).any():
        tags.caution("extra_pixel_data", text)
    elif over >= expected:
        raise tags.unusable(
            "PixelData",
            f"is {len(data) / expected:.3g} times as long as Rows, Columns and BitsAllocated give",
        )
    else:
        tags.doubt("extra_pixel_data", f"{text}: Rows or Columns may be too small")


def _compressed(frame: Frame, tags: Tags, form: PixelFormat) -> Pixels:
    if frame.codec is Codec.RLE:
        if form.samples != 1:
            raise NotAMammogram(
                "a colour picture is not a mammogram",
                source=tags.source,
                keyword="SamplesPerPixel",
                remedy="Send the original grey image",
            )
        depth = form.bits_allocated // 8
        return decode_rle(frame.data, form.rows, form.columns, depth, tags.source)
    stream = bytes(frame.data)
    size = stream_size(stream, tags.source)
    if (size.rows, size.columns, size.components) != (form.rows, form.columns, form.samples):
        raise tags.unusable(
            "PixelData",
            f"has {size.rows} x {size.columns} pixels of {size.components} samples, but the header"
            f" says {form.rows} x {form.columns} of {form.samples}",
        )
    pixels = DECODERS[frame.codec](stream, tags.source)
    if pixels.shape[:2] != (form.rows, form.columns) or pixels.dtype.kind not in "ui":
        raise tags.unusable("PixelData", f"decodes to shape {pixels.shape}")
    if pixels.dtype.itemsize > 2:
        raise UnsupportedImage(
            f"a stream with {size.bits} bits per pixel is not read",
            source=tags.source,
            keyword="BitsAllocated",
            remedy="Export the image with 8 or 16 bits",
        )
    return pixels


DECODERS: dict[Codec, Callable[[bytes, str], Pixels]] = {
    Codec.JPEG: decode_jpeg,
    Codec.JPEG_LS: decode_jpegls,
    Codec.JPEG_2000: decode_jpeg2000,
}
