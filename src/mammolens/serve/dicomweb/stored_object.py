"""One stored object, open: its header, its frames, and its bytes in a transfer syntax.

Compressed objects become uncompressed ones without their header being written again: the bytes of
all attributes stay as they came, and only the file meta information and the pixel data are new.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, Final

from mammolens.errors import NotAnImage, UnsupportedImage
from mammolens.images.dicom import (
    StoredFrames,
    WholeHeader,
    encode_htj2k,
    frame_form,
    frame_values,
    quiet_pydicom,
    read_whole_header,
)
from mammolens.serve.dicomweb.finding import FoundObject
from mammolens.serve.dicomweb.headers import open_plain
from mammolens.serve.dicomweb.media import EXPLICIT, HTJ2K
from mammolens.serve.holdings import SOURCE, NodeState

__all__ = ["PIECE_BYTES", "OpenObject", "frame_bytes", "object_pieces", "open_object", "span"]

PIECE_BYTES: Final = 1 << 18
PIXEL_DATA: Final = 0x7FE00010
LONGEST_HEADER: Final = 64 << 20
"""A header that has to be written again is held in memory."""
LONGEST_PIXELS: Final = 0xFFFFFFFE
_NOT_PIXELS: Final = "the object has no frames"


@dataclass(frozen=True)
class OpenObject:
    """An object that is open for reading; `stream` is not deflated."""

    found: FoundObject
    stream: BinaryIO
    header: WholeHeader

    def frames(self) -> StoredFrames:
        """Give its frames.

        Raises
        ------
        NotAnImage, UnsupportedImage
            It has none, or they are larger than is read.
        """
        if self.header.pixels is None or self.header.pixels.tag != PIXEL_DATA:
            raise NotAnImage(_NOT_PIXELS, source=SOURCE)
        form = frame_form(self.header.dataset, SOURCE)
        return StoredFrames(self.stream, self.header, form, SOURCE)


@contextmanager
def open_object(state: NodeState, found: FoundObject) -> Iterator[OpenObject]:
    """Open an object, and close it in the end.

    Raises
    ------
    StorageError
        It cannot be read from the store.
    InputError
        Its header is damaged.
    """
    stream = open_plain(state, _store(state, found).open(found.digest))
    with stream:
        yield OpenObject(found, stream, read_whole_header(stream, SOURCE))


def object_pieces(state: NodeState, found: FoundObject, syntax: str) -> Iterator[bytes]:
    """Give the bytes of an object in a transfer syntax, in pieces.

    Raises
    ------
    StorageError, InputError
        It cannot be read, or not be given in this transfer syntax.
    """
    if syntax == found.transfer_syntax_uid:
        with _store(state, found).open(found.digest) as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece
        return
    with open_object(state, found) as item:
        yield from _transcoded(item, syntax)


def frame_bytes(frames: StoredFrames, number: int, syntax: str) -> bytes:
    """Give one frame, uncompressed in little endian or as HTJ2K.

    Raises
    ------
    InputError
        It is damaged, or not of a form that is decoded.
    """
    form = frames.form
    if syntax == HTJ2K:
        return encode_htj2k(frame_values(frames, number))
    if frames.is_native and (frames.header.is_little or form.bits == 1):
        return frames.stored(number)
    values = frame_values(frames, number)
    if values.ndim == 3 and form.planar:
        values = values.transpose(2, 0, 1)
    return values.astype(form.dtype, copy=False).tobytes()


def _transcoded(item: OpenObject, syntax: str) -> Iterator[bytes]:
    header = item.header
    if header.is_implicit or not header.is_little:
        yield _meta(item.found, syntax) + _written_again(item)
    else:
        yield _meta(item.found, syntax)
        yield from span(item.stream, header.body, header.pixels_at - header.body)
    if header.pixels is None:
        return
    if header.pixels.tag != PIXEL_DATA:
        raise UnsupportedImage("pixels of this kind are given as they are stored", source=SOURCE)
    frames = item.frames()
    yield from _encapsulated(frames) if syntax == HTJ2K else _uncompressed(frames, header)


def _uncompressed(frames: StoredFrames, header: WholeHeader) -> Iterator[bytes]:
    form = frames.form
    vr = b"OB" if form.bits == 8 and header.is_little else b"OW"
    if header.pixels is not None and header.pixels.vr == "OW":
        vr = b"OW"
    size = -(-form.native_bits * form.frames // 8)
    padded = size + size % 2
    if padded > LONGEST_PIXELS:
        raise UnsupportedImage("the pixels are too many for one element", source=SOURCE)
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, vr, 0, padded)
    if form.native_bits % 8:
        yield _bits_of(frames).ljust(padded, b"\0")
        return
    for number in range(1, form.frames + 1):
        yield frame_bytes(frames, number, EXPLICIT)
    if padded > size:
        yield b"\0"


def _bits_of(frames: StoredFrames) -> bytes:
    """Give frames of single bits, which follow each other without a gap."""
    pixels = frames.header.pixels
    assert pixels is not None
    frames.stream.seek(pixels.start)
    return frames.stream.read(-(-frames.form.native_bits * frames.form.frames // 8))


def _encapsulated(frames: StoredFrames) -> Iterator[bytes]:
    """Give each frame in one fragment, with an empty offset table (PS3.5 A.4)."""
    yield struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    yield struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    for number in range(1, frames.count + 1):
        frame = frame_bytes(frames, number, HTJ2K)
        frame += b"\0" * (len(frame) % 2)
        yield struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def span(stream: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    """Give so many bytes of an object, in pieces.

    Raises
    ------
    NotAnImage
        It is truncated.
    """
    stream.seek(start)
    while length > 0:
        piece = stream.read(min(length, PIECE_BYTES))
        if not piece:
            raise NotAnImage("the object is truncated", source=SOURCE)
        length -= len(piece)
        yield piece


def _written_again(item: OpenObject) -> bytes:
    """Write all attributes before the pixels in Explicit VR Little Endian."""
    from pydicom.filereader import read_dataset
    from pydicom.filewriter import write_dataset

    header = item.header
    length = header.pixels_at - header.body
    if length > LONGEST_HEADER:
        raise UnsupportedImage("the header is too long to be written again", source=SOURCE)
    content = b"".join(span(item.stream, header.body, length))
    out: Any = _written(BytesIO())
    try:
        with quiet_pydicom():
            dataset = read_dataset(BytesIO(content), header.is_implicit, header.is_little)
            dataset.set_original_encoding(header.is_implicit, header.is_little)
            write_dataset(out, dataset)
    except Exception as error:
        raise NotAnImage("the header cannot be written again", source=SOURCE) from error
    return bytes(out.parent.getvalue())


def _written(buffer: BytesIO) -> Any:
    from pydicom.filebase import DicomFileLike

    out = DicomFileLike(buffer)
    out.is_implicit_VR, out.is_little_endian = False, True
    return out


def _meta(found: FoundObject, syntax: str) -> bytes:
    """Write preamble and file meta information (PS3.10 7.1)."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import write_file_meta_info
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(found.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(found.sop_instance_uid)
    meta.TransferSyntaxUID = UID(syntax)
    out: Any = _written(BytesIO())
    with quiet_pydicom():
        write_file_meta_info(out, meta, enforce_standard=True)
    return b"\0" * 128 + b"DICM" + bytes(out.parent.getvalue())


def _store(state: NodeState, found: FoundObject) -> Any:
    return state.results if found.is_ours else state.received
