"""Kind of a DICOM object, as far as its SOP class and its header prove it.

The kind matters for objects that are not scored. An exam with such an object can be ``low`` only if
the object is proven not to be a 2D picture of this patient's breasts. An unproven kind is unknown.
"""

from __future__ import annotations

import re
from typing import Final

from mammolens.core import ObjectKind
from mammolens.images.dicom.subject import proven_subject
from mammolens.images.dicom.tags import Tags

__all__ = ["is_breast", "is_projection", "kind_by_class", "object_kind"]

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_MAMMOGRAPHY: Final = frozenset(_STORAGE + end for end in ("1.2", "1.2.1"))
_PROJECTIONS: Final = frozenset(_STORAGE + end for end in ("13.1.4", "13.1.5"))
"""Breast Projection X-Ray: tomosynthesis projections, but also single 2D views (PS3.3 A.73)."""
_STACKS: Final = frozenset(_STORAGE + end for end in ("13.1.1", "13.1.2", "13.1.3"))
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
    if sop_class in _MAMMOGRAPHY:
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
    if sop_class in _STACKS:
        return ObjectKind.STACK
    if sop_class.removeprefix(_STORAGE).startswith(_DOCUMENTS) and sop_class.startswith(_STORAGE):
        return ObjectKind.DOCUMENT
    return ObjectKind.OTHER_IMAGE if _within(sop_class, _OTHER_IMAGES) else None


def _within(sop_class: str, classes: tuple[str, ...]) -> bool:
    ends = (_STORAGE + one for one in classes)
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
