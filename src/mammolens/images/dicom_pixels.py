"""The one frame of a DICOM image → stored values, decoded once and never filled up.

Fences before every decoder: the size in the compressed stream must be the header's, so that no
stream can ask for more memory; and what is missing is an error, never zeros. What the values are is
settled by `pixel_trust`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.core import Photometric
from mammolens.errors import NotAMammogram, UnsupportedImage
from mammolens.images.dicom_frames import Codec, Frame, PixelElement, one_frame
from mammolens.images.dicom_values import Tags
from mammolens.images.jpeg import decode_jpeg, decode_jpeg2000, decode_jpegls, stream_size
from mammolens.images.pixel_trust import Stored, ordered_bytes, trusted_values
from mammolens.images.rle import decode_rle

__all__ = ["READABLE_SYNTAXES", "PixelFormat", "merge_channels", "stored_values"]

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
    """How the pixels are stored (PS3.3 C.7.6.3); `overlay_bits` is a mask of the bits of each word
    that overlays take."""

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
        """Size of the uncompressed picture."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


def stored_values(tags: Tags, form: PixelFormat, element: PixelElement) -> Pixels:
    """Decode the stored values: one channel; byte order, depth and sign settled.

    Parameters
    ----------
    tags
        The data set; what is tolerated is noted there.
    form
        Size, bits and transfer syntax, already checked.
    element
        The pixel data.

    Returns
    -------
    array
        ``(rows, columns)``, 8 or 16 bit integers in native byte order; a view of the file's own
        bytes where nothing had to be changed.

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
        text = f"TransferSyntaxUID says {declared.value}, the pixel data are {frame.codec.value}"
        tags.caution("transfer_syntax_differs", text)
    if frame.codec is Codec.NATIVE:
        pixels = _native(frame.data, tags, form, element.vr)
    else:
        pixels = _compressed(frame, tags, form)
    if pixels.ndim == 3:
        pixels = merge_channels(pixels, tags.source)
        tags.caution("grey_as_colour", "a grey picture stored in three equal channels")
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
            "PixelData", f"is truncated: {len(data):,} bytes of the {expected:,} that the size asks"
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
    if form.samples == 1:
        return pixels.reshape(form.rows, form.columns)
    if form.planar:
        return np.moveaxis(pixels.reshape(form.samples, form.rows, form.columns), 0, -1)
    return pixels.reshape(form.rows, form.columns, form.samples)


def _check_extra(data: memoryview | bytes, expected: int, tags: Tags) -> None:
    """Zeros behind the picture are filling; anything else is picture that the size leaves out."""
    over = len(data) - expected
    text = f"{over:,} bytes behind the picture"
    if not np.frombuffer(data, np.uint8, offset=expected).any():
        tags.caution("extra_pixel_data", text)
    elif over >= expected:
        raise tags.unusable(
            "PixelData",
            f"is {len(data) / expected:.3g} times as long as Rows, Columns and BitsAllocated ask",
        )
    else:
        tags.doubt("extra_pixel_data", f"{text}: Rows or Columns may be too small")


def _compressed(frame: Frame, tags: Tags, form: PixelFormat) -> Pixels:
    if frame.codec is Codec.RLE:
        if form.samples != 1:
            raise NotAMammogram(
                "a colour picture is no mammogram",
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
            f"holds {size.rows} x {size.columns} pixels of {size.components} samples, but the"
            f" header says {form.rows} x {form.columns} of {form.samples}",
        )
    pixels = DECODERS[frame.codec](stream, tags.source)
    if pixels.shape[:2] != (form.rows, form.columns) or pixels.dtype.kind not in "ui":
        raise tags.unusable("PixelData", f"decodes to shape {pixels.shape}")
    if pixels.dtype.itemsize > 2:
        raise UnsupportedImage(
            f"a stream of {size.bits} bits a pixel is not read",
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


def merge_channels(pixels: Pixels, source: str) -> Pixels:
    """Give the one channel of a grey picture that is stored in several.

    Parameters
    ----------
    pixels
        ``(rows, columns, channels)``: grey and alpha, RGB, YBR with neutral chroma, or RGBA.

    Raises
    ------
    NotAMammogram
        If the channels differ: a colour picture.
    UnsupportedImage
        If it is partly transparent.
    """
    channels = pixels.shape[2]
    largest = (1 << 8 * pixels.dtype.itemsize) - 1
    if channels in (2, 4) and int(pixels[..., -1].min()) < largest:
        raise UnsupportedImage(
            "the picture is partly transparent",
            source=source,
            remedy="Export it without an alpha channel",
        )
    first = pixels[..., 0]
    if channels >= 3:
        second, third = pixels[..., 1], pixels[..., 2]
        equal = np.array_equal(first, second) and np.array_equal(first, third)
        neutral = np.full(1, (largest + 1) // 2, pixels.dtype)
        if not equal and not bool(np.all(second == neutral) and np.all(third == neutral)):
            raise NotAMammogram(
                "the picture is coloured: a screenshot or an overlay, not an exposure",
                source=source,
                remedy="Send the original grey image",
            )
    return np.ascontiguousarray(first)
