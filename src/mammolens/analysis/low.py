"""The rule that decides when an exam may be called low. It is decided only here.

An exam is ``low`` only if its score is below the card's lower threshold **and** this module gives
no reason against it. The command line, the node and every output show this answer, and none of them
decides again.

1. Every view that makes an exam complete was *scored*. These are CC and MLO of both breasts, unless
   the settings name other views (`complete_views`), or a coded diagnosis says that a breast is
   absent.
2. Every other object of the study is proven not to be a 2D picture of these breasts
   (`ObjectKind.may_show_breast`), or it shows nothing more than a scored picture: it is the raw
   data of one, or a secondary capture that names one as its source.
3. If clinical data changed the score, the images alone, the exam at the age of its headers and the
   exam without the fusion are low too: what is stated of the patient never makes an exam low
   (`reasons_of_images`).
4. No image and no fact about the exam has a doubt (`Caution.doubt`), including a doubt about the
   identity of the patient.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from mammolens.core import (
    Caution,
    ImagePrediction,
    Laterality,
    PresentationIntent,
    SourceHeader,
    TriageCategory,
    Unreadable,
)
from mammolens.exams import STANDARD_VIEWS, View
from mammolens.wording import view_name

__all__ = ["complete_without", "reasons_against_low", "reasons_of_images", "shown_by"]

_ABSENT: Final = {
    ("Z90.11", Laterality.RIGHT),
    ("Z90.12", Laterality.LEFT),
}
"""ICD-10-CM: acquired absence of the right or left breast and nipple."""
_ICD_SCHEMES: Final = frozenset(("I10C", "I10", "ICD10CM", "ICD-10-CM"))
_SECONDARY_CAPTURE: Final = tuple(
    f"1.2.840.10008.5.1.4.1.1.7{end}" for end in ("", ".1", ".2", ".3", ".4")
)
_NAMED: Final = 3
"""Doubts that are written out; the further ones are counted, and written with their images."""


def reasons_against_low(
    images: Sequence[ImagePrediction],
    refused: Sequence[Unreadable],
    cautions: Sequence[Caution],
    complete_views: Collection[View],
) -> tuple[str, ...]:
    """Give the reasons why an exam may not be called low; empty if it may.

    Parameters
    ----------
    images
        The scored images.
    refused
        Every other object of the study.
    cautions
        Cautions about the exam itself.
    complete_views
        The views that make an exam complete.

    Returns
    -------
    Reasons in words, most important first.
    """
    return (
        *_missing(images, complete_views),
        *_passed_over(images, refused),
        *_doubts(images, cautions),
    )


def reasons_of_images(*categories: TriageCategory) -> tuple[str, ...]:
    """Give the reason why clinical data may not make an exam low; empty if they may.

    Parameters
    ----------
    categories
        Categories of the images alone, without the age and without any other clinical data, of the
        exam at the age of its headers, and of the exam as it is without a fusion: all of them must
        be low.
    """
    if all(category is TriageCategory.LOW for category in categories):
        return ()
    return ("the images alone are not low, and clinical data never make an exam low",)


def complete_without(images: Sequence[ImagePrediction]) -> str:
    """Name the standard views that an exam called low does not have; empty if it has them all."""
    scored = {(image.ref.laterality, image.ref.view_position) for image in images}
    return ", ".join(view_name(view) for view in STANDARD_VIEWS if view not in scored)


def _missing(images: Sequence[ImagePrediction], complete_views: Collection[View]) -> Iterator[str]:
    scored = {(image.ref.laterality, image.ref.view_position) for image in images}
    absent = _absent_breasts(images)
    missing = [view for view in complete_views if view not in scored and view[0] not in absent]
    if missing:
        yield f"not scored: {', '.join(map(view_name, missing))}"


def _absent_breasts(images: Sequence[ImagePrediction]) -> set[Laterality]:
    """Give the breasts that a coded diagnosis calls absent, and that no picture shows."""
    codes = {
        value.strip().upper()
        for image in images
        for value, scheme, _ in image.header.admitting_diagnoses
        if scheme.strip().upper() in _ICD_SCHEMES
    }
    shown = {image.ref.laterality for image in images}
    return {side for code, side in _ABSENT if code in codes and side not in shown}


def _passed_over(images: Sequence[ImagePrediction], refused: Sequence[Unreadable]) -> Iterator[str]:
    count = sum(item.kind.may_show_breast and not shown_by(images, item) for item in refused)
    if count:
        noun, verb = ("object", "was") if count == 1 else ("objects", "were")
        yield f"{count} {noun} that may show a breast {verb} not analysed"


def shown_by(images: Sequence[ImagePrediction], item: Unreadable) -> bool:
    """Say whether scored pictures show everything that a refused object can show.

    This is true for the raw data (FOR PROCESSING) of a scored picture, and for a secondary capture
    that names a scored picture as its source.
    """
    if item.source is None:
        return False
    ref, header = item.source.ref, item.source.header
    if header.sop_class_uid in _SECONDARY_CAPTURE:
        scored = {image.ref.sop_instance_uid for image in images} - {None}
        return not scored.isdisjoint(header.source_instance_uids)
    if ref.presentation_intent is not PresentationIntent.FOR_PROCESSING:
        return False
    if any(ref.sop_instance_uid in image.header.source_instance_uids for image in images):
        return True
    place = ref.laterality, ref.view_position
    times = Counter(image.header.acquisition_time for image in images)
    return None not in place and any(
        place == (image.ref.laterality, image.ref.view_position)
        and _one_exposure(header, image.header, times)
        for image in images
    )


def _one_exposure(one: SourceHeader, other: SourceHeader, times: Counter[str | None]) -> bool:
    """Say whether two headers belong to the same exposure.

    They do if they name the same irradiation event. If a header does not name its event, the times
    of acquisition must be equal. A time that several pictures share was blanked or rounded, and
    proves nothing. It must have seconds (HHMMSS): two exposures of one view are never made within
    one second.
    """
    events = one.irradiation_event_uid, other.irradiation_event_uid
    if all(events):
        return events[0] == events[1]
    moment = one.acquisition_time
    proves = moment is not None and len(moment) >= 6 and times[moment] == 1
    return proves and moment == other.acquisition_time


def _doubts(images: Sequence[ImagePrediction], cautions: Sequence[Caution]) -> Iterator[str]:
    noted = [*cautions, *(caution for image in images for caution in image.cautions)]
    doubts = list(dict.fromkeys(caution.message for caution in noted if caution.doubt))
    yield from doubts[:_NAMED]
    if len(doubts) > _NAMED:
        yield f"{len(doubts) - _NAMED} further doubts"
