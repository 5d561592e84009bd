"""Read the header or the mammogram of one file. Its first bytes, not its name, show its kind."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePath

from mammolens.core import Caution, ImageRef, Mammogram, ObjectKind, SourceHeader
from mammolens.errors import InputError, NotAnImage
from mammolens.images.dicom import HEAD_BYTES, describe_dicom, looks_like_dicom, read_dicom
from mammolens.images.files import ImageFile, too_large
from mammolens.images.limits import MAX_BYTES
from mammolens.images.ljpeg import describe_ljpeg, looks_like_ljpeg, read_ljpeg
from mammolens.images.names import IMAGE_SUFFIXES
from mammolens.images.raster import describe_raster, looks_like_raster, read_raster
from mammolens.images.remembered import remembered

__all__ = ["HeaderInfo", "identify", "may_be_image", "read_header", "read_image"]

_OTHER_FILES = (b"%PDF", b"PK", b"MZ", b"\x7fELF", b"\x1f\x8b", b"{\\rtf", b"<?xml", b"GIF8", b"BM")
"""First bytes of files that are neither DICOM nor a picture that mammograms are stored in."""


@dataclass(frozen=True)
class HeaderInfo:
    """The header of a file, read without decoding pixels.

    `refusal` is the error that `read_image` would raise, or ``None``. `kind` is the kind of object
    that the header proves; a picture without a header may always show a breast.
    """

    ref: ImageRef
    header: SourceHeader
    cautions: tuple[Caution, ...] = ()
    refusal: InputError | None = None
    kind: ObjectKind = ObjectKind.MAMMOGRAM


def identify(file: ImageFile) -> HeaderInfo:
    """Read the header of a file, also of one that would be refused.

    Raises
    ------
    NotAnImage, UnsupportedImage
        If the header cannot be read: the file is missing, empty, truncated or of another kind.
    """
    if file.member is None and (known := remembered("identify", file.path)) is not None:
        assert isinstance(known, HeaderInfo)
        return known
    if file.member is None and file.path.is_file():
        try:
            with file.path.open("rb") as stream:
                head = stream.read(HEAD_BYTES)
                is_too_large = os.fstat(stream.fileno()).st_size > MAX_BYTES
                stream.seek(0)
                if looks_like_dicom(head):
                    info = HeaderInfo(*describe_dicom(stream, file.name, file.path))
                    refusal = too_large(file.name) if is_too_large else None
                    return replace(info, refusal=info.refusal or refusal)
                if is_too_large:
                    raise too_large(file.name)
        except OSError as error:
            raise NotAnImage(
                f"the file cannot be read ({error.strerror})",
                source=file.name,
                remedy="Check the path and its permissions",
            ) from error
    else:
        data = file.read_bytes()
        head = data[:HEAD_BYTES]
        if looks_like_dicom(head):
            return HeaderInfo(*describe_dicom(BytesIO(data), file.name, None))
    if looks_like_ljpeg(file.name, head):
        return HeaderInfo(*describe_ljpeg(file))
    if looks_like_raster(head):
        return HeaderInfo(*describe_raster(file.name, _beside(file)))
    raise _unknown_kind(head, file.name)


def may_be_image(file: ImageFile) -> bool:
    """Return whether a file that cannot be identified may be a damaged mammogram.

    It cannot be one if its first bytes are text or belong to another kind of file, and its name
    does not have the suffix of an image.
    """
    if PurePath(file.member or file.path).suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        head = file.read_head(HEAD_BYTES)
    except InputError:
        return True
    if looks_like_dicom(head) or looks_like_raster(head):
        return True
    text = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
    return not text and not head.startswith(_OTHER_FILES)


def read_header(file: ImageFile) -> HeaderInfo:
    """Read a header without decoding pixels.

    Returns
    -------
    HeaderInfo
        The reference has no digest; `cautions` are about the header.

    Raises
    ------
    InputError
        If the image would be refused, as far as the header shows it.
    """
    info = identify(file)
    if info.refusal is not None:
        raise info.refusal
    return info


def read_image(file: ImageFile | Path) -> Mammogram:
    """Read and decode one mammogram.

    Parameters
    ----------
    file
        A file from `find_files`, or a path.

    Returns
    -------
    Mammogram
        Pixels after the modality LUT; VOI and photometric interpretation are recorded, not
        applied. The reference has the SHA-256 of the file's bytes.

    Raises
    ------
    NotAnImage
        If the file is empty, truncated, damaged, or not a picture.
    UnsupportedImage
        If its frames, depth, transfer syntax or size are not supported.
    MissingAttribute
        If Rows, Columns or BitsAllocated are missing.
    NotAMammogram
        If it has another modality, is FOR PROCESSING, coloured, a mask, or empty.
    NotAWholeView
        If it shows a part of a breast, or a magnified one.
    """
    file = ImageFile(file) if isinstance(file, Path) else file
    data = file.read_bytes()
    head = data[:HEAD_BYTES]
    if looks_like_dicom(head):
        image = read_dicom(data, file.name, _beside(file))
    elif looks_like_ljpeg(file.name, head):
        image = read_ljpeg(data, file)
    elif looks_like_raster(head):
        image = read_raster(data, file.name, _beside(file))
    else:
        raise _unknown_kind(head, file.name)
    return replace(image, ref=replace(image.ref, digest=hashlib.sha256(data).hexdigest()))


def _beside(file: ImageFile) -> Path | None:
    """The path beside which tables are looked for; ``None`` for a file in an archive."""
    return file.path if file.member is None else None


def _unknown_kind(head: bytes, source: str) -> NotAnImage:
    if not head:
        return NotAnImage("the file is empty", source=source, remedy="Copy or export it again")
    return NotAnImage(
        "this is neither DICOM nor PNG, JPEG, PGM or TIFF",
        source=source,
        remedy="Send images of one of these kinds, or leave the file out",
    )
