"""DICOM bytes → header and mammogram.

Parsing is pydicom's; every exception that damaged bytes raise in it leaves here as an
`InputError`. Headers are read without the pixels, pixels from one read of the file.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from mammolens.core import Caution, ImageRef, Mammogram, ObjectKind, SourceHeader
from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.images.dicom_checks import check_object, pixel_format
from mammolens.images.dicom_frames import pixel_element
from mammolens.images.dicom_header import image_ref, source_header
from mammolens.images.dicom_luts import apply_modality, modality_of, padding_range, voi_choices
from mammolens.images.dicom_orientation import stated_orientation
from mammolens.images.dicom_pixels import stored_values
from mammolens.images.dicom_values import Tags, quiet_pydicom
from mammolens.images.limits import MAX_BYTES, check_content
from mammolens.images.object_kind import object_kind

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["HEAD_BYTES", "Described", "describe_dicom", "looks_like_dicom", "read_dicom"]

HEAD_BYTES = 132
PEEK_BYTES = 512
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT, EXPLICIT, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2"))
BY_ENCODING = {(True, True): IMPLICIT, (False, True): EXPLICIT, (False, False): BIG_ENDIAN}
"""Transfer syntax by (implicit VR, little endian), where the file does not name it."""
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})


class Described(NamedTuple):
    """A header without its pixels; `refusal` is the error that reading the image would end in, as
    far as the header tells, and `kind` what the object is proven to be."""

    ref: ImageRef
    header: SourceHeader
    cautions: tuple[Caution, ...]
    refusal: InputError | None
    kind: ObjectKind


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head` is DICOM, or may be DICOM without its preamble."""
    return head[128:132] == b"DICM" or (len(head) == HEAD_BYTES and head[:2] in FIRST_GROUPS)


def describe_dicom(stream: BinaryIO, source: str, path: Path | None) -> Described:
    """Read a header without its pixels; the reference has no digest.

    Raises
    ------
    NotAnImage, UnsupportedImage
        If there is no header to speak of.
    """
    with quiet_pydicom() as caught:
        tags, syntax, _ = _parse(stream, source)
        ref, header = image_ref(tags, path), source_header(tags, syntax)
        refusal = None
        try:
            check_object(tags)
            modality_of(tags, pixel_format(tags, syntax))
        except InputError as error:
            refusal = error
        kind = object_kind(tags)
        _note_irregularities(tags, len(caught))
    return Described(ref, header, tuple(tags.cautions), refusal, kind)


def read_dicom(data: bytes, source: str, path: Path | None) -> Mammogram:
    """Decode a DICOM mammogram (see `mammolens.images.read_image`)."""
    with quiet_pydicom() as caught:
        stream = BytesIO(data)
        tags, syntax, rest = _parse(stream, source)
        check_object(tags)
        form = pixel_format(tags, syntax)
        ref, header = image_ref(tags, path), source_header(tags, syntax)
    body = memoryview(data)[rest.tell() :] if rest is stream else memoryview(rest.read())
    element = pixel_element(body, syntax == BIG_ENDIAN, tags)
    stored = stored_values(tags, form, element)
    check_content(stored, source)
    form = replace(form, signed=stored.dtype.kind == "i")
    with quiet_pydicom() as more:
        modality = modality_of(tags, form)
        pixels = apply_modality(modality, stored)
        voi = voi_choices(tags, form, modality, pixels)
        padding = padding_range(tags, modality, form)
        orientation = stated_orientation(tags, ref.laterality, ref.view_position)
    _note_irregularities(tags, len(caught) + len(more))
    return Mammogram(
        ref=ref,
        header=header,
        pixels=pixels,
        photometric=form.photometric,
        voi=voi[0] if voi else None,
        padding=padding,
        cautions=tuple(tags.cautions),
        other_voi=voi[1:],
        orientation=orientation,
    )


def _note_irregularities(tags: Tags, count: int) -> None:
    """Say that pydicom warned; its words may quote values, so they are not repeated."""
    if count:
        tags.caution("irregular_header", f"{count} header values break the DICOM standard")


def _at_pixels(tag: Any, _vr: str | None, _length: int) -> bool:
    return int(tag) in PIXEL_TAGS


def _parse(stream: BinaryIO, source: str) -> tuple[Tags, str, BinaryIO]:
    """Header, transfer syntax, and the stream (inflated, if need be) at the pixel data."""
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    if not looks_like_dicom(head):
        raise _damaged("this is no DICOM file", source)
    try:
        dataset, syntax, declared, rest = _parse_any(stream, source)
    except InputError:
        raise
    except Exception as error:
        # pydicom lets struct, key, value, type and recursion errors of damaged files pass.
        raise _damaged(f"the DICOM header is damaged ({type(error).__name__})", source) from error
    tags = Tags(dataset, source)
    _check_sense(tags)
    if head[128:132] != b"DICM":
        tags.caution("missing_preamble", "the file has no DICOM preamble")
    if syntax is None:
        implicit, little = dataset.original_encoding
        syntax = BY_ENCODING.get((bool(implicit), bool(little)), BY_ENCODING[True, True])
        tags.caution("missing_transfer_syntax", "TransferSyntaxUID is absent; it was inferred")
    elif syntax != declared:
        text = f"TransferSyntaxUID says {_name(declared)}, the data set is {_name(syntax)}"
        tags.caution("transfer_syntax_differs", text)
    return tags, syntax, rest


def _parse_any(stream: BinaryIO, source: str) -> tuple[Dataset, str | None, str | None, BinaryIO]:
    """Header, transfer syntax as it is and as it is declared, and the stream at the pixel data."""
    from pydicom.filereader import _read_file_meta_info, read_dataset, read_partial, read_preamble

    read_preamble(stream, force=True)
    meta = _read_file_meta_info(stream)
    declared = str(meta.TransferSyntaxUID) if meta.get("TransferSyntaxUID") else None
    start = stream.tell()
    syntax = declared
    if declared is not None:
        syntax = _real_syntax(stream, declared)
        stream.seek(start)
    if syntax == DEFLATED:
        # pydicom would inflate without a limit.
        stream = BytesIO(_inflate(stream.read(), source))
        dataset = read_dataset(stream, False, True, stop_when=_at_pixels)
    elif syntax != declared:
        dataset = read_dataset(
            stream, syntax == IMPLICIT, syntax != BIG_ENDIAN, stop_when=_at_pixels
        )
    else:
        stream.seek(0)
        dataset = read_partial(stream, _at_pixels, force=True)
    media_class = meta.get("MediaStorageSOPClassUID")
    if media_class and "SOPClassUID" not in dataset:
        dataset.SOPClassUID = media_class
    return dataset, syntax, declared, stream


def _real_syntax(stream: BinaryIO, declared: str) -> str:
    """The transfer syntax by the first bytes of the data set, where they contradict the file."""
    head = stream.read(PEEK_BYTES)
    encoding = _encoding(head)
    if encoding is None:
        try:
            inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, PEEK_BYTES)
        except zlib.error:
            return declared
        return declared if _encoding(inflated) is None else DEFLATED
    if encoding == BIG_ENDIAN or declared in (BIG_ENDIAN, DEFLATED):
        return encoding
    plain = declared in (IMPLICIT, EXPLICIT)
    return encoding if plain else declared


def _encoding(head: bytes) -> str | None:
    """How a data set that begins with `head` is written, if it is one: its first group is low."""
    if len(head) < 8:
        return None
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    if head[0] == 0 and 0 < head[1] < 0x30 and explicit:
        return BIG_ENDIAN
    if 0 < head[0] < 0x30 and head[1] == 0:
        return EXPLICIT if explicit else IMPLICIT
    return None


def _inflate(data: bytes, source: str) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(data, MAX_BYTES)
    if inflater.unconsumed_tail:
        raise UnsupportedImage(
            f"the deflated data set is larger than {MAX_BYTES >> 20} MiB",
            source=source,
            keyword="TransferSyntaxUID",
            remedy="Send single 2D images",
        )
    if not inflater.eof:
        raise _damaged("the deflated data set is truncated", source)
    return inflated


def _name(syntax: str | None) -> str:
    from pydicom.uid import UID

    return UID(syntax or "").name


def _check_sense(tags: Tags) -> None:
    """Whatever lacks all three is a truncated header, or some other kind of file."""
    if not any(tags.text(keyword) for keyword in ("SOPClassUID", "Modality", "Rows")):
        raise _damaged(
            "the DICOM header is truncated, or this is another kind of file", tags.source
        )


def _damaged(message: str, source: str) -> NotAnImage:
    return NotAnImage(message, source=source, remedy="Send DICOM, PNG, JPEG, PGM or TIFF images")
