"""Refuse magnified views and views of a part of the breast; doubt modified and implant views.

A model that was trained on whole breasts at contact scale cannot score a magnified spot. Such a
view also shows that somebody looked more closely, so an exam with one is never ``low``. Rolled,
axillary tail, implant and partial views show most of the breast: they are not refused but doubted.

Devices describe views in codes, View Position, Image Type, distances, or only in free text. A
description of the whole study is about all of its images, so it can only give a doubt.

Source: PS3.3 C.8.11.5 and C.8.11.7 (mammography image), PS3.16 CID 4015 (view modifiers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mammolens.core import ViewPosition
from mammolens.errors import NotAWholeView
from mammolens.images.descriptions import read_description, read_view_position
from mammolens.images.dicom.tags import Code, Tags
from mammolens.images.vocabulary import DOUBTED_PARTS, REFUSED_PARTS, Topic

__all__ = [
    "CONTACT_MAGNIFICATION",
    "IMPLANT",
    "PARTIAL",
    "PROCESSING_TEXT",
    "SERIES_TEXTS",
    "STUDY_TEXTS",
    "part_refusal",
    "view_modifiers",
]

IMPLANT: Final = "breast_implant"
PARTIAL: Final = "partial_view"
MODIFIED: Final = "view_modified"
CONTACT_MAGNIFICATION: Final = 1.3
"""Magnification above which a view is refused. A thick breast on the detector has less; a
magnification stand gives 1.5 to 2."""
GREATEST_MAGNIFICATION: Final = 4.0
"""A larger ratio is not a magnification: one distance is in centimetres, the other in millimetres.
"""
USUAL_SOURCE_TO_DETECTOR_MM: Final = 600.0
"""Used if the distance is missing: the shortest of mammography units, which have 600 to 700 mm."""
FINE_FOCUS_MM: Final = 0.15
"""Largest focus of magnified views: they use 0.1 mm, contact views 0.3 mm (IEC 60336)."""
SMALL_PADDLE_CM: Final = 15.0
"""Paddles up to this size press a part of a breast; paddles for whole breasts begin at 18 cm."""
LONGEST_PADDLE: Final = 64
"""Characters of a paddle's description that are searched for sizes, as many as LO allows (PS3.5
6.2). The time of the search grows with the cube of the length."""
SERIES_TEXTS: Final = (
    *("SeriesDescription", "ProtocolName", "AcquisitionProtocolName"),
    *("AcquisitionProtocolDescription", "PartialViewDescription"),
)
"""Texts about an image or its series."""
PROCESSING_TEXT: Final = "AcquisitionDeviceProcessingDescription"
STUDY_TEXTS: Final = (
    *("StudyDescription", "PerformedProcedureStepDescription", "RequestedProcedureDescription"),
    "ImageComments",
)
"""Texts about all images of a study or of a procedure step, and remarks: a doubt at most."""

_CODES: Final = {
    **dict.fromkeys(("399163009", "R-102D6"), Topic.MAGNIFIED),
    **dict.fromkeys(("399055006", "R-102D7"), Topic.SPOT),
    **dict.fromkeys(("399110001", "R-102C2"), Topic.TANGENTIAL),
    **dict.fromkeys(("399161006", "R-102D2"), Topic.CLEAVAGE),
    **dict.fromkeys(("442580003", "R-40AB2"), Topic.AXILLA),
    **dict.fromkeys(("399011000", "R-102D1"), Topic.TAIL),
    **dict.fromkeys(("399197002", "R-102D3", "399226006", "R-102D4"), Topic.ROLLED),
    **dict.fromkeys(("414493004", "R-102CA", "415670009", "R-102C9"), Topic.ROLLED),
    **dict.fromkeys(("399209000", "R-102D5"), Topic.IMPLANT),
    **dict.fromkeys(("442581004", "R-40AB3"), Topic.NIPPLE),
    **dict.fromkeys(("441752004", "P2-00161", "442593008", "R-40ABE"), Topic.MODIFIED),
}
"""CID 4015 in SNOMED CT and in SNOMED RT, which it replaced (PS3.16)."""
_REFUSED_CODES: Final = REFUSED_PARTS | {Topic.AXILLA}
_BIOPSY_TYPES: Final = ("STEREO", "PREFIRE", "POSTFIRE", "POSTBIOPSY", "POSTMARKER", "TOMO_SCOUT")
"""First letters of Image Type, value 3 (PS3.3 C.8.11.7.1.4)."""


def part_refusal(tags: Tags) -> NotAWholeView | None:
    """Refuse a view that does not show a whole breast; doubt an implant or a modified view."""
    refusals = (_by_image_type, _by_codes, _by_view_position, _by_scale, _by_paddle, _by_words)
    for refusal in refusals:
        if (error := refusal(tags)) is not None:
            return error
    _note_attributes(tags)
    return None


def view_modifiers(tags: Tags) -> tuple[Code, ...]:
    """Give the codes of View Modifier Code Sequence (0054,0222) as (value, scheme, meaning)."""
    return tuple(code for code in _modifiers(tags) if code[0] and code[1])


def _modifiers(tags: Tags) -> list[Code]:
    """Modifiers of each view code, and those at the top level, where some devices write them."""
    nested = (item.codes("ViewModifierCodeSequence") for item in tags.inner("ViewCodeSequence"))
    return [*(code for codes in nested for code in codes), *tags.codes("ViewModifierCodeSequence")]


def _by_image_type(tags: Tags) -> NotAWholeView | None:
    values = [value.upper() for value in tags.texts("ImageType")]
    found = next((value for value in values if value.startswith(_BIOPSY_TYPES)), None)
    return _refusal(tags, "an image of a biopsy", "ImageType") if found is not None else None


def _by_codes(tags: Tags) -> NotAWholeView | None:
    modifiers = _modifiers(tags)
    for value, _, meaning in (*tags.codes("ViewCodeSequence"), *modifiers):
        topics = _topics_of(value, meaning)
        refused = _first(topics & _REFUSED_CODES)
        if refused is not None:
            return _refusal(tags, refused.value, "ViewModifierCodeSequence")
        _note(tags, topics, "the view code")
    for value, _, meaning in modifiers:
        if not _topics_of(value, meaning) and (value or meaning):
            tags.doubt(MODIFIED, f"the view is modified: {meaning or 'the code is unknown'}")
    return None


def _topics_of(value: str, meaning: str) -> frozenset[Topic]:
    known = _CODES.get(value.upper())
    return frozenset({known}) if known is not None else read_description(meaning).topics


def _by_view_position(tags: Tags) -> NotAWholeView | None:
    written = [("ViewPosition", value) for value in tags.texts("ViewPosition")]
    clinical = tags.clinical_view()
    for keyword, value in (*written, *([("Clinical View", clinical)] if clinical else [])):
        found = read_view_position(value)
        refused = _first(found.topics & REFUSED_PARTS)
        if found.view_position is ViewPosition.CV:
            refused = Topic.CLEAVAGE
        if refused is not None:
            return _refusal(tags, refused.value, keyword)
        topics = found.topics | ({Topic.TAIL} if found.view_position is ViewPosition.AT else set())
        _note(tags, topics, keyword)
    return None


def _by_scale(tags: Tags) -> NotAWholeView | None:
    """Refuse a magnified picture, by its stated factor or by the distances of the exposure."""
    keyword = "EstimatedRadiographicMagnificationFactor"
    stated = tags.numbers(keyword)
    if not stated and tags.holds(keyword):
        tags.doubt(MODIFIED, f"the picture may be magnified: {keyword} cannot be read")
    factor = max(stated, default=0.0)
    if factor > CONTACT_MAGNIFICATION:
        return _refusal(tags, f"magnified {factor:g} times", keyword)
    for keyword in ("DistanceSourceToPatient", "DistanceSourceToEntrance"):
        ratio = _ratio(tags, keyword)
        if ratio is None or ratio <= CONTACT_MAGNIFICATION:
            continue
        if stated or not tags.numbers("DistanceSourceToDetector"):
            tags.doubt(MODIFIED, f"the picture may be magnified {ratio:.2g} times, by {keyword}")
        else:
            return _refusal(tags, f"magnified {ratio:.2g} times", keyword)
    _note_spacing(tags)
    return _by_focus(tags)


def _note_spacing(tags: Tags) -> None:
    """Doubt a picture whose pixels are finer at the breast than at the detector."""
    at_detector = next(iter(tags.numbers("ImagerPixelSpacing")), 0.0)
    at_breast = next(iter(tags.numbers("PixelSpacing")), 0.0)
    if at_breast > 0 and at_detector / at_breast > CONTACT_MAGNIFICATION:
        tags.doubt(MODIFIED, "the picture may be magnified, by ImagerPixelSpacing and PixelSpacing")


def _by_focus(tags: Tags) -> NotAWholeView | None:
    """Refuse a fine focus without a grid, as in magnified views; doubt one with a grid."""
    focus = max(tags.numbers("FocalSpots"), default=0.0)
    if not 0.0 < focus <= FINE_FOCUS_MM:
        return None
    if tags.code("Grid") == "NONE":
        return _refusal(tags, "a fine focus and no grid, as for magnified views", "FocalSpots")
    tags.doubt(MODIFIED, "FocalSpots is as small as for magnified views")
    return None


def _ratio(tags: Tags, keyword: str) -> float | None:
    """Ratio of the distances of detector and breast; one may be in cm and the other in mm."""
    nearer = next(iter(tags.numbers(keyword)), 0.0)
    further = next(iter(tags.numbers("DistanceSourceToDetector")), 0.0)
    if nearer <= 0:
        return None
    ratio = (further if further > 0 else USUAL_SOURCE_TO_DETECTOR_MM) / nearer
    return ratio / 10 if GREATEST_MAGNIFICATION < ratio < 10 * GREATEST_MAGNIFICATION else ratio


def _by_paddle(tags: Tags) -> NotAWholeView | None:
    """Refuse a spot or biopsy paddle, and a small paddle without a grid; doubt other small ones."""
    text = (tags.text("PaddleDescription") or "")[:LONGEST_PADDLE]
    topics = read_description(text).topics
    refused = _first(topics & REFUSED_PARTS)
    if refused is not None:
        return _refusal(tags, refused.value, "PaddleDescription")
    _note(tags, topics, "PaddleDescription")
    if not _is_small(text):
        return None
    if tags.code("Grid") == "NONE":
        return _refusal(tags, "a small paddle and no grid, as for magnified views", "Grid")
    tags.doubt(MODIFIED, "PaddleDescription describes a paddle for a part of the breast")
    return None


def _is_small(paddle: str) -> bool:
    if re.search(r"\bquad", paddle, re.IGNORECASE):
        return True
    sizes = re.search(r"(\d+(?:[.,]\d+)?)\s*(?:x\s*(\d+(?:[.,]\d+)?)\s*)?cm", paddle, re.IGNORECASE)
    if sizes is None:
        return False
    return max(float((size or "0").replace(",", ".")) for size in sizes.groups()) <= SMALL_PADDLE_CM


def _by_words(tags: Tags) -> NotAWholeView | None:
    for keyword in (*SERIES_TEXTS, PROCESSING_TEXT):
        topics = read_description(tags.text(keyword) or "").topics
        refused = _first(topics & REFUSED_PARTS)
        if refused is not None:
            return _refusal(tags, refused.value, keyword)
        _note(tags, topics, keyword)
    for keyword in STUDY_TEXTS:
        topics = read_description(tags.text(keyword) or "").topics
        _note(tags, topics, keyword, REFUSED_PARTS | DOUBTED_PARTS)
    return None


def _note_attributes(tags: Tags) -> None:
    if tags.code("BreastImplantPresent") == "YES":
        tags.doubt(IMPLANT, "the breast has an implant")
    if tags.code("PartialView") == "YES":
        tags.doubt(PARTIAL, "the image shows a part of the breast")
    _note_angle(tags)


def _note_angle(tags: Tags) -> None:
    """Doubt a view if the angle of the tube does not fit its name, as in a stereo pair."""
    angle = next(iter(tags.numbers("PositionerPrimaryAngle")), None)
    position = tags.text("ViewPosition")
    if angle is None or position is None:
        return
    from_vertical = abs((angle + 90.0) % 180.0 - 90.0)
    view = read_view_position(position).view_position
    if view not in _ANGLES:
        return
    low, high = _ANGLES[view]
    if not low <= from_vertical <= high:
        text = f"the tube was {from_vertical:.0f}° from the vertical, unusual for {view.value}"
        tags.doubt("view_angle", text)


_ANGLES: Final = {ViewPosition.CC: (0.0, 12.0), ViewPosition.MLO: (20.0, 80.0)}
"""Usual degrees from the vertical. CC views are hardly tilted, stereo pairs have 15°; MLO views
follow the pectoral muscle, 30 to 70°."""


def _note(
    tags: Tags, topics: Iterable[Topic], source: str, doubted: frozenset[Topic] = DOUBTED_PARTS
) -> None:
    """Add a doubt or a caution for each topic; `source` names the attribute in the message."""
    for topic in sorted(topics):
        if topic is Topic.IMPLANT:
            tags.doubt(IMPLANT, "the breast has an implant")
        elif topic is Topic.PARTIAL:
            tags.doubt(PARTIAL, "the image shows a part of the breast")
        elif topic is Topic.NIPPLE:
            tags.caution(MODIFIED, f"{source} says that this is {topic.value}")
        elif topic in doubted:
            tags.doubt(MODIFIED, f"{source} says that this is {topic.value}")


def _first(topics: Iterable[Topic]) -> Topic | None:
    return next(iter(sorted(topics)), None)


def _refusal(tags: Tags, what: str, keyword: str) -> NotAWholeView:
    return NotAWholeView(
        f"the view does not show a whole breast at the usual scale: {what}",
        source=tags.source,
        keyword=keyword,
        remedy="Send the standard views of the breast",
    )
