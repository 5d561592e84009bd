"""A signed reading as a DICOM structured report: PS3.16 TID 1500, verified by the person.

A group for the exam (recall, comment), one for each breast (BI-RADS, density) and one for each mark
with its region, its descriptors and its length. Unlike the report of the AI, the observer is a
person, and the document is final unless images came afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code as Coded

from mammolens.core import Laterality, Source
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.readings import Mark, MarkShape, SignedReading
from mammolens.sinks import Artefact
from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks._dicom_common import dicom_file, evidence, result_uid
from mammolens.sinks._dicom_report import content_digest, exam_ref
from mammolens.sinks.reading import codes as birads
from mammolens.sinks.reading._common import (
    complete,
    corners,
    identifiers,
    person_name,
    referable,
    tip,
)
from mammolens.wording import printable

if TYPE_CHECKING:
    from highdicom import sr

__all__ = ["build_reading_sr", "reading_report"]

_TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"


def reading_report(reading: SignedReading) -> Artefact:
    """Give the structured report of a reading as a file."""
    with quiet_pydicom():
        return dicom_file("reading", build_reading_sr(reading))


def build_reading_sr(reading: SignedReading) -> Dataset:
    """Make the structured report of a reading.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        The images cannot be referred to, or belong to several studies.

    Source: PS3.3 A.35.13, PS3.16 TID 1500, 1003 and 1410.
    """
    from highdicom import sr

    sources = referable(reading)
    content = sr.MeasurementReport(
        observation_context=_observer(reading),
        procedure_reported=Coded(*codes.MAMMOGRAPHY),
        imaging_measurements=list(_groups(reading, sources)),
        title=Coded(*codes.MEASUREMENT_REPORT),
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(
            sr.CodedConcept.from_code(Coded(*codes.ENGLISH))
        ),
    )
    first = sources[0]
    ref = exam_ref(first)
    made = sr.Comprehensive3DSR(
        evidence=[evidence(source) for source in sources],
        content=content[0],
        is_complete=True,
        is_final=not (reading.is_behind or reading.role == "opinion"),
        is_verified=True,
        verifying_observer_name=person_name(reading.observer.name) or "unnamed",
        verifying_organization=printable(reading.observer.organisation or "unknown")[:64],
        **identifiers("reading-sr", reading, ref, 1, content_digest(content[0])),
    )
    for item in made.VerifyingObserverSequence:
        item.VerificationDateTime = reading.signed.astimezone().strftime("%Y%m%d%H%M%S")
    return complete(made, "reading-sr", first, reading)


def _observer(reading: SignedReading) -> sr.ObservationContext:
    """TID 1001 to 1003: the observer is a person."""
    from highdicom import sr
    from pydicom.sr.codedict import codes as known

    person = sr.PersonObserverIdentifyingAttributes(
        name=person_name(reading.observer.name) or "unnamed",
        login_name=printable(reading.observer.account),
        organization_name=reading.observer.organisation,
    )
    context = sr.ObserverContext(known.DCM.Person, person)
    return sr.ObservationContext(observer_person_context=context)


def _groups(reading: SignedReading, sources: Sequence[Source]) -> Iterator[Any]:
    """TID 1501 for the exam and each breast, TID 1410 for each mark."""
    from highdicom import sr

    answer = reading.answer
    recall = birads.YES if answer.recall else birads.NO
    whole = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("exam", sources),
        finding_sites=[_site(None)],
        qualitative_evaluations=[_said(birads.RECALL, recall)],
        source_images=_images(sources),
    )
    added = [f"{one.author}, {one.created:%Y-%m-%d}: {one.text}" for one in reading.additions]
    words = [*birads.status_words(reading), answer.comment, answer.urgent, *added]
    yield _with_words(whole, words)
    for side, category, density in answer.breasts():
        said = []
        if category is not None:
            said.append(_said(birads.ASSESSMENT, birads.ASSESSMENTS[category]))
        if density is not None:
            said.append(_said(birads.COMPOSITION, birads.COMPOSITIONS[density]))
        views = [source for source in sources if source.ref.laterality is side]
        if said:
            yield sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=_tracking(f"{side.value} breast", views),
                finding_sites=[_site(side)],
                qualitative_evaluations=said,
                source_images=_images(views) or None,
            )
    known = {source.ref.sop_instance_uid: source for source in sources}
    for number, mark in enumerate(answer.findings, start=1):
        if mark.image in known:
            yield _marked(mark, known[mark.image], number)


def _marked(mark: Mark, source: Source, number: int) -> Any:
    from highdicom import sr

    kind, points = _region(mark)
    described = birads.descriptor_codes(mark.descriptors) if mark.descriptors else []
    said = [_said(*pair) for pair in described]
    if mark.birads is not None:
        said.append(_said(birads.ASSESSMENT, birads.ASSESSMENTS[mark.birads]))
    is_word = mark.shape in (MarkShape.TEXT, MarkShape.LENGTH) and mark.descriptors is None
    name = birads.SELECTED_REGION if is_word else birads.finding_code(mark.descriptors)
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(f"mark {number}", [source], mark.points_source_px),
        referenced_region=sr.ImageRegion(
            sr.GraphicTypeValues(kind), np.array(points, np.float64), _source_of(mark, source)
        ),
        finding_type=Coded(*name),
        finding_sites=[_site(source.ref.laterality)],
        measurements=[_length(mark)] if mark.shape is MarkShape.LENGTH else None,
        qualitative_evaluations=said or None,
    )
    return _with_words(group, [mark.text])


def _region(mark: Mark) -> tuple[str, list[tuple[float, float]]]:
    """Give a mark as DICOM has it: an ellipse by the ends of its axes, the longer one first.

    Source: PS3.3 C.18.6.1.2.
    """
    left, top, right, bottom = corners(mark)
    if mark.shape is MarkShape.LENGTH:
        return "POLYLINE", list(mark.points_source_px)
    if mark.shape is not MarkShape.ELLIPSE or left == right or top == bottom:
        return "POINT", [tip(mark)]
    x, y = (left + right) / 2, (top + bottom) / 2
    across, along = [(left, y), (right, y)], [(x, top), (x, bottom)]
    return "ELLIPSE", across + along if right - left >= bottom - top else along + across


def _source_of(mark: Mark, source: Source) -> sr.SourceImageForRegion:
    from highdicom import sr

    frames = [mark.frame] if source.header.sop_class_uid == _TOMOSYNTHESIS else None
    return sr.SourceImageForRegion(
        str(source.header.sop_class_uid), str(source.ref.sop_instance_uid), frames
    )


def _length(mark: Mark) -> sr.Measurement:
    from highdicom import sr

    (x0, y0), (x1, y1) = mark.points_source_px
    value, unit = float(np.hypot(x1 - x0, y1 - y0)), birads.PIXEL
    if mark.length_mm is not None:
        value, unit = mark.length_mm, birads.MILLIMETRE
    return sr.Measurement(Coded(*birads.LENGTH), float(f"{value:.4g}"), Coded(*unit))


def _with_words(group: Any, words: Sequence[str]) -> Any:
    """Add comments to a group (TID 1501: qualitative evaluations may be text)."""
    from highdicom import sr

    for text in filter(None, words):
        item = sr.TextContentItem(
            name=Coded(*birads.COMMENT),
            value=printable(text),
            relationship_type=sr.RelationshipTypeValues.CONTAINS,
        )
        group[0].ContentSequence.append(item)
    return group


def _said(name: codes.Code, value: codes.Code) -> sr.QualitativeEvaluation:
    from highdicom import sr

    return sr.QualitativeEvaluation(Coded(*name), Coded(*value))


def _tracking(name: str, sources: Sequence[Source], *place: object) -> sr.TrackingIdentifier:
    from highdicom import sr

    images = [str(source.ref.sop_instance_uid) for source in sources]
    return sr.TrackingIdentifier(result_uid("reading", name, *images, repr(place)), name)


def _site(laterality: Laterality | None) -> sr.FindingSite:
    from highdicom import sr

    side = Coded(*codes.SIDES[laterality]) if laterality else None
    return sr.FindingSite(Coded(*codes.BREAST), laterality=side)


def _images(sources: Sequence[Source]) -> list[sr.SourceImageForMeasurementGroup]:
    from highdicom import sr

    return [
        sr.SourceImageForMeasurementGroup(
            str(source.header.sop_class_uid), str(source.ref.sop_instance_uid)
        )
        for source in sources
    ]
