"""The one frame of a DICOM image → stored values, decoded once and never filled up.

Fences before every decoder: the size in the compressed stream must be the header's, so that no
stream can ask for more memory; and what is missing is an error, never zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.core import Photometric
from mammolens.errors import NotAMammogram, UnsupportedImage
from mammolens.images.dicom_values import Tags, quiet_pydicom
from mammolens.images.jpeg import decode_jpeg, decode_jpeg2000, decode_jpegls, stream_size
from mammolens.images.rle import decode_rle

__all__ = ["READABLE_SYNTAXES", "PixelFormat", "merge_channels", "stored_values"]

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"})
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81))
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
READABLE_SYNTAXES = NATIVE | JPEG | JPEG_LS | JPEG_2000 | {BIG_ENDIAN, RLE}


@dataclass(frozen=True)
class PixelFormat:
    """How the pixels are stored (PS3.3 C.7.6.3)."""

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


def stored_values(tags: Tags, form: PixelFormat) -> npt.NDArray[np.generic]:
    """Decode the stored values: one channel, sign and unused bits settled.

    Parameters
    ----------
    tags
        The data set with its pixel data.
    form
        Size, bits and transfer syntax, already checked.

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
    """
    native = form.transfer_syntax in NATIVE | {BIG_ENDIAN}
    data = _pixel_data(tags, native)
    decode = _native if native else _compressed
    pixels = decode(data, tags, form)
    if pixels.ndim == 3:
        pixels = merge_channels(pixels, tags.source)
        tags.caution("grey_as_colour", "a grey picture stored in three equal channels")
    return _significant_bits(pixels, tags, form)


def _pixel_data(tags: Tags, native: bool) -> bytes:
    try:
        with quiet_pydicom():
            data = tags.dataset.get("PixelData")
    except Exception as error:
        raise tags.unusable("PixelData", "cannot be read") from error
    if not isinstance(data, bytes) or not data:
        raise tags.unusable("PixelData", "is missing: the file is truncated or holds no picture")
    if native == tags.dataset["PixelData"].is_undefined_length:
        raise tags.unusable("PixelData", "is compressed or not, against the transfer syntax")
    return data


def _native(data: bytes, tags: Tags, form: PixelFormat) -> npt.NDArray[np.generic]:
    count = form.rows * form.columns * form.samples
    expected = count * form.bits_allocated // 8
    if len(data) < expected:
        raise tags.unusable(
            "PixelData", f"is truncated: {len(data):,} bytes of the {expected:,} that the size asks"
        )
    if len(data) > expected + 1:
        tags.caution("extra_pixel_data", f"{len(data) - expected:,} bytes behind the picture")
    big = form.transfer_syntax == BIG_ENDIAN
    if form.bits_allocated == 8:
        if big and tags.dataset["PixelData"].VR == "OW":
            data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
        pixels: npt.NDArray[np.generic] = np.frombuffer(data, np.uint8, count)
    elif big:
        pixels = np.frombuffer(data, ">u2", count).astype(np.uint16)
    else:
        pixels = np.frombuffer(data, "<u2", count)
    if form.samples == 1:
        return pixels.reshape(form.rows, form.columns)
    if form.planar:
        return np.moveaxis(pixels.reshape(form.samples, form.rows, form.columns), 0, -1)
    return pixels.reshape(form.rows, form.columns, form.samples)


def _compressed(data: bytes, tags: Tags, form: PixelFormat) -> npt.NDArray[np.generic]:
    from pydicom.encaps import get_frame

    try:
        with quiet_pydicom():
            frame = get_frame(data, 0, number_of_frames=1)
    except Exception as error:
        raise tags.unusable("PixelData", f"is not encapsulated as it says ({error})") from error
    if form.transfer_syntax == RLE:
        if form.samples != 1:
            raise NotAMammogram(
                "a colour picture is no mammogram",
                source=tags.source,
                keyword="SamplesPerPixel",
                remedy="Send the original grey image",
            )
        return decode_rle(frame, form.rows, form.columns, form.bits_allocated // 8, tags.source)
    size = stream_size(frame, tags.source)
    if (size.rows, size.columns, size.components) != (form.rows, form.columns, form.samples):
        raise tags.unusable(
            "PixelData",
            f"holds {size.rows} x {size.columns} pixels of {size.components} samples, but the"
            f" header says {form.rows} x {form.columns} of {form.samples}",
        )
    if form.transfer_syntax in JPEG_2000:
        pixels = decode_jpeg2000(frame, tags.source)
    elif form.transfer_syntax in JPEG_LS:
        pixels = decode_jpegls(frame, tags.source)
    else:
        pixels = decode_jpeg(frame, tags.source)
    if pixels.shape[:2] != (form.rows, form.columns) or pixels.dtype.kind not in "ui":
        raise tags.unusable("PixelData", f"decodes to shape {pixels.shape}")
    if pixels.dtype.itemsize > form.bits_allocated // 8:
        raise tags.unusable(
            "BitsAllocated", f"is {form.bits_allocated}, but the stream is deeper than that"
        )
    return pixels


def merge_channels(pixels: npt.NDArray[np.generic], source: str) -> npt.NDArray[np.generic]:
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


def _significant_bits(
    pixels: npt.NDArray[np.generic], tags: Tags, form: PixelFormat
) -> npt.NDArray[np.generic]:
    """Move the stored bits down, clear what lies above them, and extend the sign."""
    width = pixels.dtype.itemsize * 8
    stored = min(form.bits_stored, width)
    spare = form.high_bit + 1 - form.bits_stored if width == form.bits_allocated else 0
    kind = "i" if form.signed else "u"
    pixels = pixels.view(np.dtype(f"{kind}{pixels.dtype.itemsize}"))
    if stored == width:
        return pixels
    if form.signed:
        raised: npt.NDArray[np.generic] = np.left_shift(pixels, width - stored - spare)
        lowered: npt.NDArray[np.generic] = np.right_shift(raised, width - stored)
        return lowered
    if spare:
        pixels = np.right_shift(pixels, spare)
    limit = (1 << stored) - 1
    if int(pixels.max()) > limit:
        tags.caution("unused_bits_masked", f"bits above the {stored} stored ones were cleared")
        pixels = np.bitwise_and(pixels, pixels.dtype.type(limit))
    return pixels
