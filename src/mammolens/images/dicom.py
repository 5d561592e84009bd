"""DICOM bytes → header and mammogram.

Parsing is pydicom's; every exception that damaged bytes raise in it leaves here as an
`InputError`. Headers are read without the pixels, pixels from one read of the file.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mammolens.core import Caution, ImageRef, Mammogram, ObjectKind, SourceHeader
from mammolens.errors import InputError, NotAnImage
from mammolens.images.dicom_attributes import IDENTIFYING, READ, tags_of
from mammolens.images.dicom_bounded import BIG_ENDIAN, BoundedHeader, read_bounded, wanted_of
from mammolens.images.dicom_checks import check_object, pixel_format
from mammolens.images.dicom_frames import pixel_element
from mammolens.images.dicom_header import image_ref, source_header
from mammolens.images.dicom_luts import apply_modality, modality_of, padding_range, voi_choices
from mammolens.images.dicom_orientation import stated_orientation
from mammolens.images.dicom_pixels import stored_values
from mammolens.images.dicom_stream import Plain
from mammolens.images.dicom_values import Tags
from mammolens.images.limits import MAX_BYTES, check_content
from mammolens.images.object_kind import kind_by_class, object_kind
from mammolens.images.quiet import quiet_pydicom

__all__ = ["HEAD_BYTES", "Described", "describe_dicom", "looks_like_dicom", "read_dicom"]

HEAD_BYTES = 132
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
ELEMENT_HEAD_BYTES = 12


class Described(NamedTuple):
    """A header without its pixels; `refusal` is the error that reading the image would end in, as
    far as the header tells, and `kind` what the object is proven to be."""

    ref: ImageRef
    header: SourceHeader
    cautions: tuple[Caution, ...]
    refusal: InputError | None
    kind: ObjectKind


class _Parsed(NamedTuple):
    tags: Tags
    bounded: BoundedHeader


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head` is DICOM, or may be DICOM without its preamble."""
    return head[128:132] == b"DICM" or (len(head) == HEAD_BYTES and head[:2] in FIRST_GROUPS)


def describe_dicom(
    stream: BinaryIO, source: str, path: Path | None, most_bytes: int = MAX_BYTES
) -> Described:
    """Read a header without its pixels; the reference has no digest.

    A header of which something is beyond the limits of `dicom_scan` is described as far as it is
    read, with a refusal, if what says whose it is was read.

    Parameters
    ----------
    most_bytes
        What a deflated data set may inflate to.

    Raises
    ------
    NotAnImage, UnsupportedImage
        If there is no header to speak of, or too much of it.
    """
    with quiet_pydicom() as caught:
        tags, bounded = _parse(stream, source, most_bytes)
        ref, header = image_ref(tags, path), source_header(tags, bounded.syntax)
        refusal = bounded.scanned.excess
        kind = object_kind(tags) if refusal is None else kind_by_class(tags)
        try:
            check_object(tags)
            modality_of(tags, pixel_format(tags, bounded.syntax))
        except InputError as error:
            refusal = refusal or error
        _note_irregularities(tags, len(caught))
    bounded.finish()
    return Described(ref, header, tuple(tags.cautions), refusal, kind)


def read_dicom(data: bytes, source: str, path: Path | None) -> Mammogram:
    """Decode a DICOM mammogram (see `mammolens.images.read_image`)."""
    with quiet_pydicom() as caught:
        stream = BytesIO(data)
        tags, bounded = _parse(stream, source)
        if bounded.scanned.excess is not None:
            raise bounded.scanned.excess
        check_object(tags)
        form = pixel_format(tags, bounded.syntax)
        ref, header = image_ref(tags, path), source_header(tags, bounded.syntax)
    if isinstance(bounded.stream, Plain):
        body = memoryview(data)[stream.tell() - len(bounded.scanned.pixel_head) :]
    else:
        # Twice the picture shows that there is more than the picture; no more is held.
        body = memoryview(bounded.rest(ELEMENT_HEAD_BYTES + 2 * form.native_bytes))
        bounded.finish()
    element = pixel_element(body, bounded.syntax == BIG_ENDIAN, tags)
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


def _parse(stream: BinaryIO, source: str, most_bytes: int = MAX_BYTES) -> _Parsed:
    """Header, transfer syntax, and the stream (inflated, if need be) at the pixel data."""
    head = stream.read(HEAD_BYTES)
    if not looks_like_dicom(head):
        raise _damaged("this is no DICOM file", source)
    header = read_bounded(stream, source, wanted_of(READ), most_bytes)
    if header.scanned.lacks(tags_of(IDENTIFYING)) and header.scanned.excess is not None:
        raise header.scanned.excess
    try:
        dataset = header.dataset()
    except Exception as error:
        # pydicom lets struct, key, value, type and recursion errors of damaged files pass.
        raise _damaged(f"the DICOM header is damaged ({type(error).__name__})", source) from error
    tags = Tags(dataset, source)
    _check_sense(tags)
    if head[128:132] != b"DICM":
        tags.caution("missing_preamble", "the file has no DICOM preamble")
    if header.declared is None:
        tags.caution("missing_transfer_syntax", "TransferSyntaxUID is absent; it was inferred")
    elif header.syntax != header.declared:
        text = (
            f"TransferSyntaxUID says {_name(header.declared)}, the data set is"
            f" {_name(header.syntax)}"
        )
        tags.caution("transfer_syntax_differs", text)
    return _Parsed(tags, header)


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
