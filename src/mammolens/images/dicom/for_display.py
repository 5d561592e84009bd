"""Decode an object for people to look at, also one that is refused as the input of a model.

A spot view, a picture FOR PROCESSING or a stack of slices says nothing to the model, but it belongs
to the study, and a reader has to see it.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from mammolens.core import Mammogram
from mammolens.errors import NotAMammogram
from mammolens.images.dicom.acceptance import pixel_format
from mammolens.images.dicom.bounded_header import BIG_ENDIAN, read_bounded, wanted_of
from mammolens.images.dicom.frames import PixelElement, pixel_element
from mammolens.images.dicom.header import image_ref, source_header
from mammolens.images.dicom.luts import Modality
from mammolens.images.dicom.pixels import PixelFormat, stored_values
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.dicom.reader import finished, parse_header, pixel_bytes
from mammolens.images.dicom.tags import Tags

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["FOR_DISPLAY", "ShownImage", "read_for_display"]

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
        tags, bounded = parse_header(stream, source)
        form = pixel_format(tags, bounded.syntax)
        ref, header = image_ref(tags, None), source_header(tags, bounded.syntax)
    if form.samples != 1:
        raise NotAMammogram(
            "a colour picture is not shown", source=source, keyword="SamplesPerPixel"
        )
    frames = min(max(tags.integer("NumberOfFrames") or 1, 1), _MOST_FRAMES)
    body = pixel_bytes(data, stream, bounded, (frames + 1) * form.native_bytes)
    element = pixel_element(body, bounded.syntax == BIG_ENDIAN, tags)
    frame = (frames + 1) // 2
    if frames > 1:
        element = _one_of(element, frame, frames, form, tags)
    stored = stored_values(tags, form, element)
    with quiet_pydicom():
        mammogram, modality = finished(tags, ref, header, form, stored)
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
