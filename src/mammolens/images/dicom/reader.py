"""Read a DICOM file: its header alone, the mammogram, or a picture for people.

pydicom parses the header. If damaged bytes raise an exception in pydicom, the functions here raise
an `InputError` instead. A spot view, a picture FOR PROCESSING or a stack of slices says nothing to
the model, but it belongs to the study, and a reader has to see it: `read_for_display`.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from mammolens.core import Caution, ImageRef, Mammogram, ObjectKind, SourceHeader
from mammolens.errors import InputError, NotAMammogram, NotAnImage
from mammolens.images.dicom.acceptance import check_object, kind_by_class, object_kind, pixel_format
from mammolens.images.dicom.attributes import IDENTIFYING, READ, tags_of
from mammolens.images.dicom.bounded_header import BIG_ENDIAN, BoundedHeader, read_bounded, wanted_of
from mammolens.images.dicom.frames import PixelElement, pixel_element
from mammolens.images.dicom.header import image_ref, source_header, stated_orientation
from mammolens.images.dicom.luts import (
    Modality,
    apply_modality,
    modality_of,
    padding_range,
    voi_choices,
)
from mammolens.images.dicom.pixels import PixelFormat, Pixels, stored_values
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.dicom.streams import Plain
from mammolens.images.dicom.tags import Tags
from mammolens.images.limits import MAX_BYTES, check_content

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "FOR_DISPLAY",
    "HEAD_BYTES",
    "Described",
    "ShownImage",
    "describe_dicom",
    "looks_like_dicom",
    "read_dicom",
    "read_for_display",
]

HEAD_BYTES = 132
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
ELEMENT_HEAD_BYTES = 12


class Described(NamedTuple):
    """A header that was read without the pixels.

    `refusal` is the error that `read_dicom` would raise, as far as the header shows it. `kind` is
    the kind of object that the header proves.
    """

    ref: ImageRef
    header: SourceHeader
    cautions: tuple[Caution, ...]
    refusal: InputError | None
    kind: ObjectKind


def looks_like_dicom(head: bytes) -> bool:
    """Return whether a file with these first bytes is DICOM, or may be DICOM without a preamble."""
    return head[128:132] == b"DICM" or (len(head) == HEAD_BYTES and head[:2] in FIRST_GROUPS)


def describe_dicom(
    stream: BinaryIO, source: str, path: Path | None, most_bytes: int = MAX_BYTES
) -> Described:
    """Read a header without its pixels; the reference has no digest.

    If a part of the header is beyond the limits of `scan`, the other part is described and
    `refusal` is set. This needs the attributes that identify the patient and study.

    Parameters
    ----------
    most_bytes
        Largest size of a deflated data set after inflating.

    Raises
    ------
    NotAnImage, UnsupportedImage
        If the header is missing or damaged, or the identifying attributes are beyond the limits.
    """
    with quiet_pydicom() as caught:
        tags, bounded = _parse_header(stream, source, most_bytes)
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
        tags, bounded = _parse_header(stream, source)
        if bounded.scanned.excess is not None:
            raise bounded.scanned.excess
        check_object(tags)
        form = pixel_format(tags, bounded.syntax)
        ref, header = image_ref(tags, path), source_header(tags, bounded.syntax)
    # Twice the size of the picture is enough to notice data after the picture.
    body = _pixel_bytes(data, stream, bounded, 2 * form.native_bytes)
    element = pixel_element(body, bounded.syntax == BIG_ENDIAN, tags)
    stored = stored_values(tags, form, element)
    check_content(stored, source)
    form = replace(form, signed=stored.dtype.kind == "i")
    with quiet_pydicom() as more:
        mammogram, _ = _finished(tags, ref, header, form, stored)
    _note_irregularities(tags, len(caught) + len(more))
    return replace(mammogram, cautions=tuple(tags.cautions))


def _pixel_bytes(data: bytes, stream: BinaryIO, bounded: BoundedHeader, most: int) -> memoryview:
    """Give the pixel data element; of a deflated data set at most `most` bytes of its value."""
    if isinstance(bounded.stream, Plain):
        return memoryview(data)[stream.tell() - len(bounded.scanned.pixel_head) :]
    body = memoryview(bounded.rest(ELEMENT_HEAD_BYTES + most))
    bounded.finish()
    return body


def _finished(
    tags: Tags, ref: ImageRef, header: SourceHeader, form: PixelFormat, stored: Pixels
) -> tuple[Mammogram, Modality]:
    """Make the mammogram of stored values: modality LUT, VOI, padding, orientation."""
    modality = modality_of(tags, form)
    pixels = apply_modality(modality, stored)
    voi = voi_choices(tags, form, modality, pixels)
    mammogram = Mammogram(
        ref=ref,
        header=header,
        pixels=pixels,
        photometric=form.photometric,
        voi=voi[0] if voi else None,
        padding=padding_range(tags, modality, form),
        other_voi=voi[1:],
        orientation=stated_orientation(tags, ref.laterality, ref.view_position),
        cautions=tuple(tags.cautions),
    )
    return mammogram, modality


def _note_irregularities(tags: Tags, count: int) -> None:
    """Note that pydicom warned. Its messages may quote values, so they are not repeated."""
    if count:
        tags.caution("irregular_header", f"{count} header values break the DICOM standard")


def _parse_header(
    stream: BinaryIO, source: str, most_bytes: int = MAX_BYTES
) -> tuple[Tags, BoundedHeader]:
    """Parse the header; the stream is then at the pixel data (inflated if it was deflated)."""
    head = stream.read(HEAD_BYTES)
    if not looks_like_dicom(head):
        raise _damaged("this is not a DICOM file", source)
    header = read_bounded(stream, source, wanted_of(READ), most_bytes)
    if header.scanned.lacks(tags_of(IDENTIFYING)) and header.scanned.excess is not None:
        raise header.scanned.excess
    try:
        dataset = header.dataset()
    except Exception as error:
        # pydicom raises struct, key, value, type and recursion errors for damaged files.
        raise _damaged(f"the DICOM header is damaged ({type(error).__name__})", source) from error
    tags = Tags(dataset, source)
    _check_sense(tags)
    if head[128:132] != b"DICM":
        tags.caution("missing_preamble", "the file has no DICOM preamble")
    if header.declared is None:
        text = "TransferSyntaxUID is missing; it was inferred from the data"
        tags.caution("missing_transfer_syntax", text)
    elif header.syntax != header.declared:
        text = (
            f"TransferSyntaxUID is {_name(header.declared)}, but the data set is"
            f" {_name(header.syntax)}"
        )
        tags.caution("transfer_syntax_differs", text)
    return tags, header


def _name(syntax: str | None) -> str:
    from pydicom.uid import UID

    return UID(syntax or "").name


def _check_sense(tags: Tags) -> None:
    """Refuse a truncated header or another kind of file: both lack these three attributes."""
    if not any(tags.text(keyword) for keyword in ("SOPClassUID", "Modality", "Rows")):
        raise _damaged(
            "the DICOM header is truncated, or this is another kind of file", tags.source
        )


def _damaged(message: str, source: str) -> NotAnImage:
    return NotAnImage(message, source=source, remedy="Send DICOM, PNG, JPEG, PGM or TIFF images")


FOR_DISPLAY: Final = frozenset(
    {
        "NominalScannedPixelSpacing",
        "PixelSpacingCalibrationType",
        "PresentationLUTShape",
        "SecondaryCaptureDeviceManufacturer",
        "SecondaryCaptureDeviceManufacturerModelName",
    }
)
"""Attributes that matter to a viewer alone; what the model sees does not depend on them."""
_MOST_FRAMES: Final = 1000
_ITEM: Final = b"\xfe\xff\x00\xe0"


class ShownImage(NamedTuple):
    """One frame of an object, and how it is stored.

    `mammogram` has the pixels of frame `frame` (1-based) of `frames`, after `modality`. `dataset`
    has the attributes that are read, `more` those that only a viewer needs.
    """

    mammogram: Mammogram
    form: PixelFormat
    modality: Modality
    frames: int
    frame: int
    dataset: Dataset
    more: Dataset


def read_for_display(data: bytes, source: str) -> ShownImage:
    """Decode the only frame of an object, or the middle one of several.

    Raises
    ------
    InputError
        It has no grey picture, or one that is damaged or too large.
    """
    with quiet_pydicom():
        more = read_bounded(BytesIO(data), source, wanted_of(FOR_DISPLAY)).dataset()
        stream = BytesIO(data)
        tags, bounded = _parse_header(stream, source)
        form = pixel_format(tags, bounded.syntax)
        ref, header = image_ref(tags, None), source_header(tags, bounded.syntax)
    if form.samples != 1:
        raise NotAMammogram(
            "a colour picture is not shown", source=source, keyword="SamplesPerPixel"
        )
    frames = min(max(tags.integer("NumberOfFrames") or 1, 1), _MOST_FRAMES)
    body = _pixel_bytes(data, stream, bounded, (frames + 1) * form.native_bytes)
    element = pixel_element(body, bounded.syntax == BIG_ENDIAN, tags)
    frame = (frames + 1) // 2
    if frames > 1:
        element = _one_of(element, frame, frames, form, tags)
    stored = stored_values(tags, form, element)
    with quiet_pydicom():
        mammogram, modality = _finished(tags, ref, header, form, stored)
    return ShownImage(mammogram, form, modality, frames, frame, tags.dataset, more)


def _one_of(
    element: PixelElement, frame: int, frames: int, form: PixelFormat, tags: Tags
) -> PixelElement:
    """Cut one frame out of the pixel data of several."""
    from pydicom.encaps import get_frame

    if bytes(element.value[:4]) != _ITEM:
        start = (frame - 1) * form.native_bytes
        return PixelElement(element.value[start : start + form.native_bytes], element.vr, False)
    try:
        found = get_frame(bytes(element.value), frame - 1, number_of_frames=frames)
    except Exception as error:
        # pydicom raises struct, value and other errors for damaged offset tables.
        raise tags.unusable("PixelData", f"has no frame {frame} of {frames}") from error
    return PixelElement(memoryview(found), element.vr, False)
