"""The kind of a DICOM object, and whether it is accepted: by class, modality, frames, pixel format.

The kind matters for objects that are not scored. An exam with such an object can be ``low`` only if
the object is proven not to be a 2D picture of this patient's breasts. An unproven kind is unknown.
"""

from __future__ import annotations

import re
from typing import Final

from mammolens.core import ObjectKind, Photometric, PresentationIntent
from mammolens.errors import InputError, MissingAttribute, NotAMammogram, UnsupportedImage
from mammolens.images.dicom.partial_views import part_refusal
from mammolens.images.dicom.pixels import READABLE_SYNTAXES, PixelFormat
from mammolens.images.dicom.subject import contrast_refusal, proven_subject, subject_refusal
from mammolens.images.dicom.tags import Tags
from mammolens.images.limits import check_size

__all__ = [
    "check_object",
    "is_breast",
    "is_projection",
    "kind_by_class",
    "object_kind",
    "pixel_format",
]

STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
FOR_PRESENTATION = STORAGE + "1.2"
FOR_PROCESSING = STORAGE + "1.2.1"
BY_MODALITY = {
    STORAGE + "1": "Computed Radiography",
    STORAGE + "7": "Secondary Capture",
    STORAGE + "7.2": "Multi-frame Grayscale Byte Secondary Capture",
    STORAGE + "7.3": "Multi-frame Grayscale Word Secondary Capture",
}
"""Classes for any kind of picture; with modality MG, such an object is a mammogram."""
REFUSED_STACKS = {
    STORAGE + "13.1.3": "Breast Tomosynthesis",
    STORAGE + "13.1.4": "Breast Projection X-Ray For Presentation",
    STORAGE + "13.1.5": "Breast Projection X-Ray For Processing",
}
CBIS_MASK = "ROI MASK IMAGES"


def check_object(tags: Tags) -> None:
    """Refuse every object that is not a single 2D mammogram for presentation.

    Raises
    ------
    NotAMammogram
        For another modality or class, FOR PROCESSING, a mask, a specimen, a phantom, a recombined
        image of contrast mammography, or an object without a picture.
    UnsupportedImage
        For tomosynthesis and other multi-frame objects, and for unusual classes.
    NotAWholeView
        For a magnified view, or a view of a part of the breast.
    """
    error = _class_refusal(tags) or _frames_refusal(tags) or _mask_refusal(tags)
    error = error or subject_refusal(tags) or contrast_refusal(tags) or part_refusal(tags)
    if error is not None:
        raise error
    part = tags.code("BodyPartExamined")
    if part is not None and not is_breast(part):
        tags.caution("body_part", "BodyPartExamined is not BREAST, although the modality is MG")


def _class_refusal(tags: Tags) -> InputError | None:
    sop_class, modality = tags.text("SOPClassUID"), tags.code("Modality")
    intent = tags.code("PresentationIntentType")
    if sop_class in REFUSED_STACKS:
        return UnsupportedImage(
            f"{REFUSED_STACKS[sop_class]} stacks are not read",
            source=tags.source,
            keyword="SOPClassUID",
            remedy="Send the study's 2D or synthetic 2D views",
        )
    if sop_class == FOR_PROCESSING or intent == PresentationIntent.FOR_PROCESSING.value:
        keyword = "SOPClassUID" if sop_class == FOR_PROCESSING else "PresentationIntentType"
        return NotAMammogram(
            "the image is FOR PROCESSING: it has raw detector values and is not made for reading",
            source=tags.source,
            keyword=keyword,
            remedy="Send the FOR PRESENTATION image of the same view",
        )
    if sop_class == FOR_PRESENTATION and modality is None:
        tags.caution("missing_modality", "Modality is missing; the SOP class is mammography")
    elif modality != "MG":
        return NotAMammogram(
            f"this is {_class_name(sop_class)} of modality {modality or 'unknown'}, not MG",
            source=tags.source,
            keyword="Modality",
            remedy="Send digital or digitised mammograms",
        )
    if sop_class is None:
        tags.caution("missing_sop_class", "SOPClassUID is missing; Modality is MG")
    elif sop_class != FOR_PRESENTATION and sop_class not in BY_MODALITY:
        return UnsupportedImage(
            f"{_class_name(sop_class)} is not read, although its modality is MG",
            source=tags.source,
            keyword="SOPClassUID",
            remedy="Send Digital Mammography X-Ray Image Storage - For Presentation",
        )
    return None


def _class_name(sop_class: str | None) -> str:
    if sop_class is None:
        return "an object without SOP class"
    from pydicom.uid import UID

    return UID(sop_class).name


def _frames_refusal(tags: Tags) -> InputError | None:
    if is_projection(tags):
        return UnsupportedImage(
            "a projection of a tomosynthesis stack is not read",
            source=tags.source,
            keyword="ImageType",
            remedy="Send the study's 2D or synthetic 2D views",
        )
    frames = tags.integer("NumberOfFrames")
    if frames is None or frames == 1:
        return None
    if frames <= 0:
        tags.caution("frames_not_counted", f"NumberOfFrames is {frames}; one frame was read")
        return None
    return UnsupportedImage(
        f"{frames} frames in one object are not read",
        source=tags.source,
        keyword="NumberOfFrames",
        remedy="Send single 2D or synthetic 2D views",
    )


def _mask_refusal(tags: Tags) -> InputError | None:
    if tags.code("SeriesDescription") == CBIS_MASK:
        return NotAMammogram(
            "this is a CBIS-DDSM lesion mask",
            source=tags.source,
            keyword="SeriesDescription",
            remedy="Send the series 'full mammogram images'",
        )
    return None


def pixel_format(tags: Tags, transfer_syntax: str) -> PixelFormat:
    """Read and check how the pixels are stored, before they are decoded.

    Raises
    ------
    MissingAttribute
        If Rows, Columns or BitsAllocated are missing.
    NotAnImage, NotAMammogram, UnsupportedImage
        If the values are impossible, the picture is coloured, or the form is not supported.
    """
    rows, columns = _required(tags, "Rows"), _required(tags, "Columns")
    check_size(rows, columns, tags.source)
    if transfer_syntax not in READABLE_SYNTAXES:
        from pydicom.uid import UID

        raise UnsupportedImage(
            f"the transfer syntax {UID(transfer_syntax).name} is not read",
            source=tags.source,
            keyword="TransferSyntaxUID",
            remedy="Convert it to Explicit VR Little Endian, e.g. with dcmtk's dcmconv or dcmdjpeg",
        )
    samples = tags.integer("SamplesPerPixel")
    photometric = _photometric(tags, samples or 1)
    allocated = _required(tags, "BitsAllocated")
    stored = tags.integer("BitsStored") or allocated
    high = tags.integer("HighBit")
    high = stored - 1 if high is None else high
    if allocated not in (8, 16):
        raise UnsupportedImage(
            f"pixels of {allocated} bits are not read",
            source=tags.source,
            keyword="BitsAllocated",
            remedy="Export the image with 8 or 16 bits",
        )
    if not (1 < stored <= allocated and stored - 1 <= high < allocated):
        raise tags.unusable(
            "BitsStored", f"{stored} and HighBit {high} do not fit BitsAllocated {allocated}"
        )
    return PixelFormat(
        rows=rows,
        columns=columns,
        samples=samples or 1,
        planar=tags.integer("PlanarConfiguration") == 1,
        photometric=photometric,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=tags.integer("PixelRepresentation") == 1,
        transfer_syntax=transfer_syntax,
        overlay_bits=_overlay_bits(tags),
    )


def _overlay_bits(tags: Tags) -> int:
    """Mask of the bits of a pixel's word that are overlays (60xx,0102), not data of 60xx,3000."""
    taken = 0
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x0102) in tags.dataset and (group, 0x3000) not in tags.dataset:
            try:
                taken |= 1 << (int(tags.dataset[group, 0x0102].value) & 15)
            except Exception:
                tags.caution("unreadable_attribute", "an overlay cannot be read and was ignored")
    return taken


def _photometric(tags: Tags, samples: int) -> Photometric:
    name = tags.code("PhotometricInterpretation")
    if name is None and samples == 1:
        text = "PhotometricInterpretation is missing; MONOCHROME2 was assumed"
        tags.caution("missing_photometric", text)
        return Photometric.MONOCHROME2
    if samples == 1 and name in Photometric.__members__:
        return Photometric(name)
    if samples == 3 and name in ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"):
        return Photometric.MONOCHROME2  # `merge_channels` refuses pictures with colours
    raise NotAMammogram(
        f"the picture is not a grey exposure: it has {samples} samples per pixel and another"
        " photometric interpretation",
        source=tags.source,
        keyword="PhotometricInterpretation",
        remedy="Send the original grey image",
    )


def _required(tags: Tags, keyword: str) -> int:
    number = tags.integer(keyword)
    if number is None:
        raise MissingAttribute(
            f"{keyword} is missing: the object has no picture, or its header is damaged",
            source=tags.source,
            keyword=keyword,
            remedy="Send image objects, or export this one again",
        )
    return number


_PROJECTIONS: Final = frozenset(STORAGE + end for end in ("13.1.4", "13.1.5"))
"""Breast Projection X-Ray: tomosynthesis projections, but also single 2D views (PS3.3 A.73)."""
_TOMOSYNTHESIS: Final = frozenset(STORAGE + end for end in ("13.1.1", "13.1.2", "13.1.3"))
_DOCUMENTS: Final = ("9.", "11.", "88.", "104.", "38.", "78.", "79.", "481.3", "481.5", "481.8")
"""First digits of SOP classes without a picture: waveforms, presentation states, structured reports
and key object notes, encapsulated documents, hanging protocols, measurements, RT structures."""
_OTHER_IMAGES: Final = (
    *("2", "3", "4", "6", "12", "14", "20", "30", "77", "128", "130", "501"),
    *("13.1.6", "66.4", "66.5", "66.6", "481.1", "481.2"),
)
"""SOP classes of pictures that are never mammograms: CT, ultrasound, MR, angiography, nuclear
medicine, visible light, PET, segmentations, parametric maps, RT images and doses."""
_ANY_XRAY: Final = ("1", "7")
"""Computed and digital radiography, secondary capture: other attributes show the subject."""
_OTHER_MODALITIES: Final = frozenset(
    ("US", "IVUS", "CT", "MR", "NM", "PT", "ES", "OP", "GM", "SM", "XC", "ECG", "OCT", "XA", "RF")
)
_BREAST: Final = re.compile(r"BREAST|MAMM|MAMA|BRUST|SEIN|SENO|BORST|PECHO|PEITO|AXILL")
_UNSPECIFIED: Final = frozenset(("UNKNOWN", "OTHER", "UNSPECIFIED", "NONE", "NA", "N/A"))


def object_kind(tags: Tags) -> ObjectKind:
    """Give the kind of object that SOP class and header prove.

    Source: PS3.4 table B.5-1 (storage SOP classes), PS3.3 C.7.3.1.1.1 (modalities).
    """
    sop_class = tags.text("SOPClassUID") or ""
    if sop_class in (FOR_PRESENTATION, FOR_PROCESSING):
        if proven_subject(tags) is not None:
            return ObjectKind.OTHER_IMAGE
        return ObjectKind.STACK if is_projection(tags) else ObjectKind.MAMMOGRAM
    if sop_class in _PROJECTIONS:
        one = tags.integer("NumberOfFrames") in (None, 1)
        return ObjectKind.MAMMOGRAM if one else ObjectKind.STACK
    if (proven := _other_class(sop_class)) is not None:
        return proven
    if _within(sop_class, _ANY_XRAY):
        return _kind_by_subject(tags)
    # A private or a future class: an object without Rows has no picture.
    if sop_class and not tags.text("Rows"):
        return ObjectKind.DOCUMENT
    return ObjectKind.MAMMOGRAM if tags.code("Modality") == "MG" else ObjectKind.UNKNOWN


def kind_by_class(tags: Tags) -> ObjectKind:
    """Give the kind by the SOP class alone, for a header that was read only in part.

    An object is a mammogram unless its class proves something else.
    """
    return _other_class(tags.text("SOPClassUID") or "") or ObjectKind.MAMMOGRAM


def _other_class(sop_class: str) -> ObjectKind | None:
    """Give the kind of a class whose objects are never 2D mammograms, else ``None``."""
    if sop_class in _TOMOSYNTHESIS:
        return ObjectKind.STACK
    if sop_class.removeprefix(STORAGE).startswith(_DOCUMENTS) and sop_class.startswith(STORAGE):
        return ObjectKind.DOCUMENT
    return ObjectKind.OTHER_IMAGE if _within(sop_class, _OTHER_IMAGES) else None


def _within(sop_class: str, classes: tuple[str, ...]) -> bool:
    ends = (STORAGE + one for one in classes)
    return any(sop_class == end or sop_class.startswith(f"{end}.") for end in ends)


def _kind_by_subject(tags: Tags) -> ObjectKind:
    """Kind of a radiograph or a captured picture, by its modality and body part."""
    modality, part = tags.code("Modality"), tags.code("BodyPartExamined")
    if proven_subject(tags) is not None:
        return ObjectKind.OTHER_IMAGE
    if modality == "MG" or is_breast(part):
        return ObjectKind.MAMMOGRAM
    if modality in _OTHER_MODALITIES or (part is not None and part not in _UNSPECIFIED):
        return ObjectKind.OTHER_IMAGE
    return ObjectKind.UNKNOWN


def is_projection(tags: Tags) -> bool:
    """Return whether Image Type (0008,0008) is that of one low-dose projection of a stack."""
    return any(value.upper() == "TOMO_PROJ" for value in tags.texts("ImageType"))


def is_breast(body_part: str | None) -> bool:
    """Return whether Body Part Examined (0018,0015), in upper case, names the breast.

    Examples
    --------
    >>> is_breast("BREAST"), is_breast("MAMMA LINKS"), is_breast("CHEST"), is_breast(None)
    (True, True, False, False)
    """
    return body_part is not None and _BREAST.search(body_part) is not None
