"""``dicom-cad-sr/``: a Mammography CAD SR per exam, the object that mammography workstations read.

PS3.16 TID 4000. Whether the exam was analysed stands in the summary: with findings, without, or
failed; a failed exam has no number at all. A probability is a number only where the site has stated
its prevalence; else it stands in words together with the prevalence of the model's own data.
Coordinates are (column, row) in pixels of the source image. Every report passes `_tid4000.check`
before it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from mammolens.core import (
    BreastPrediction,
    Finding,
    ImagePrediction,
    Laterality,
    ModelId,
    Prediction,
    Source,
    TriageCategory,
)
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.sinks import RunInfo, _tid4000
from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks import _dicom_items as items
from mammolens.sinks._dicom_common import code_item, encode, finish, identify, orientation, sign
from mammolens.sinks._dicom_report import (
    DocumentRef,
    ExamSources,
    certainty,
    content_digest,
    exam_ref,
    exam_sources,
    exam_words,
    hierarchy,
    meaning_of_numbers,
    percentage,
    revised,
    summary_code,
)
from mammolens.sinks._dicom_values import date, time
from mammolens.sinks._folder import FilePerExam, Made
from mammolens.sinks._statements import probability_words
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import DISCLAIMER, printable

__all__ = ["build_cad_sr", "open_sink"]

_SINK: Final = "dicom-cad-sr"
_LIBRARY: Final = (1, 2)
_Positions = Mapping[str | None, tuple[int, ...]]


def open_sink(out: Path, run: RunInfo) -> FilePerExam:
    """Open the folder ``dicom-cad-sr`` in a folder."""
    return FilePerExam(out / _SINK, ".dcm", partial(_made, run=run))


def _made(prediction: Prediction, run: RunInfo) -> Made:
    with quiet_pydicom():
        data = encode(build_cad_sr(prediction, run))
    yield "", data


def build_cad_sr(prediction: Prediction, run: RunInfo) -> Dataset:
    """Say an exam's result as a Mammography CAD SR.

    The same result gives the same SOP Instance UID; only the times are those of the run. It names
    the document that it revises, if `run` knows of one.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        The images cannot be referred to, or belong to several studies.

    Source: PS3.3 A.35.5, PS3.16 TID 4000.
    """
    sources = exam_sources(prediction)
    first = sources.all[0]
    made = Dataset()
    made.SOPClassUID, made.Modality = MammographyCADSRStorage, "SR"
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "UNVERIFIED"
    made.ReferencedPerformedProcedureStepSequence = []
    made.PerformedProcedureCodeSequence = []
    made.CurrentRequestedProcedureEvidenceSequence = hierarchy(map(_instance, sources.all))
    if (before := revised(run, _SINK, str(first.ref.study_instance_uid))) is not None:
        made.PredecessorDocumentsSequence = hierarchy([before])
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code_item(*codes.CAD_REPORT)]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "4000"
    made.ContentTemplateSequence = [template]
    made.ContentSequence = list(_content(prediction, sources, run))
    ref = exam_ref(first)
    sign(made, identify(_SINK, ref, run.model, 1, content_digest(made)))
    finish(made, _SINK, ref, first.header, run)
    _tid4000.check(made)
    return made


def _instance(source: Source) -> DocumentRef:
    ref = source.ref
    return DocumentRef(
        str(ref.study_instance_uid),
        str(ref.series_instance_uid),
        str(source.header.sop_class_uid),
        str(ref.sop_instance_uid),
    )


def _content(prediction: Prediction, sources: ExamSources, run: RunInfo) -> Iterator[Dataset]:
    library = {
        source.ref.sop_instance_uid: (*_LIBRARY, number)
        for number, source in enumerate(sources.all, start=1)
    }
    yield items.code(items.MODIFIER, codes.LANGUAGE, codes.ENGLISH)
    yield items.container(items.CONTAINS, codes.LIBRARY, map(_library_entry, sources.all))
    yield _summary(prediction, sources, library, run)
    yield _detections(prediction, sources, library)
    yield items.code(items.CONTAINS, codes.ANALYSES, codes.NOT_ATTEMPTED)


def _library_entry(source: Source) -> Dataset:
    return items.image(
        items.CONTAINS,
        str(source.header.sop_class_uid),
        str(source.ref.sop_instance_uid),
        _descriptors(source),
    )


def _descriptors(source: Source) -> Iterator[Dataset]:
    """TID 4020: what is known of an image; what is not is left out."""
    ref, header = source.ref, source.header
    relationship = items.ACQUISITION
    if ref.laterality is not None:
        breast = codes.BREASTS[ref.laterality]
        yield items.code(relationship, codes.IMAGE_LATERALITY, breast)
    if ref.view_position in codes.VIEWS:
        modifiers = [
            items.code(items.MODIFIER, codes.IMAGE_VIEW_MODIFIER, codes.Code(*modifier))
            for modifier in header.view_modifiers
        ]
        view = codes.VIEWS[ref.view_position]
        yield items.code(relationship, codes.IMAGE_VIEW, view, modifiers)
    directions = orientation(header)
    names = codes.ORIENTATION_ROW, codes.ORIENTATION_COLUMN
    for name, direction in zip(names, directions, strict=False):
        yield items.text(relationship, name, direction)
    yield from _moment(codes.STUDY_DATE, header.study_date, codes.STUDY_TIME, header.study_time)
    day, moment = header.content_date, header.content_time
    yield from _moment(codes.CONTENT_DATE, day, codes.CONTENT_TIME, moment)
    if ref.spacing_mm is not None:
        down, across = (1000 * spacing for spacing in ref.spacing_mm)
        yield items.number(relationship, codes.SPACING_ACROSS, across, codes.MICROMETRE)
        yield items.number(relationship, codes.SPACING_DOWN, down, codes.MICROMETRE)


def _moment(
    day_name: codes.Code, day: str | None, time_name: codes.Code, moment: str | None
) -> Iterator[Dataset]:
    if date(day):
        yield items.item(items.ACQUISITION, "DATE", day_name, Date=date(day))
    if time(moment):
        yield items.item(items.ACQUISITION, "TIME", time_name, Time=time(moment))


def _summary(
    prediction: Prediction, sources: ExamSources, library: _Positions, run: RunInfo
) -> Dataset:
    """TID 4001: whether the algorithm worked and found, and what it makes of the exam."""
    malignant = prediction.scores.malignant if prediction.scores else None
    words = exam_words(prediction, run)
    body = _impression(items.PROPERTIES, words, malignant, run)
    individual = (
        _individual(prediction, breast, images, library, run)
        for breast, images in _marked(prediction)
    )
    value = summary_code(prediction, sources)
    return items.code(items.CONTAINS, codes.SUMMARY, value, [*body, *individual])


def _impression(
    relationship: str, words: str, malignant: float | None, run: RunInfo
) -> Iterator[Dataset]:
    """TID 4002: an impression in words, and how certain cancer is, where the site says for whom."""
    yield items.text(relationship, codes.DESCRIPTION, words)
    if malignant is not None and run.prevalence_stated:
        value = percentage(malignant)
        yield items.number(relationship, codes.IMPRESSION_CERTAINTY, value, codes.PERCENT)
    yield from _algorithm(relationship, run.model)


def _algorithm(relationship: str, model: ModelId) -> Iterator[Dataset]:
    """TID 4019."""
    yield items.text(relationship, codes.ALGORITHM_NAME, printable(model.name))
    yield items.text(relationship, codes.ALGORITHM_VERSION, printable(model.version))


def _marked(
    prediction: Prediction,
) -> Iterator[tuple[BreastPrediction, list[ImagePrediction]]]:
    """Each breast that has findings, with its marked images; one of unknown side stands alone."""
    marked = [image for image in images_in_order(prediction) if image.findings]
    for breast in prediction.breasts:
        images = [image for image in marked if image.ref.laterality is breast.laterality]
        if breast.laterality is not None and images:
            yield breast, images
    for image in marked:
        if image.ref.laterality is None:
            yield BreastPrediction(None, image.scores), [image]


def _individual(
    prediction: Prediction,
    breast: BreastPrediction,
    images: list[ImagePrediction],
    library: _Positions,
    run: RunInfo,
) -> Dataset:
    """TID 4003: what is thought of one breast, from its findings."""
    low = prediction.category is TriageCategory.LOW
    intent = items.code(items.MODIFIER, codes.INTENT, codes.OPTIONAL if low else codes.REQUIRED)
    names = {Laterality.RIGHT: "Right breast", Laterality.LEFT: "Left breast"}
    side = names[breast.laterality] if breast.laterality else "Breast of unknown side"
    malignant = breast.scores.malignant
    stated = probability_words(malignant, prediction, run)
    words = f"{side}: probability of cancer {stated}. {DISCLAIMER}."
    children = [intent, *_impression(items.CONTAINS, words, malignant, run)]
    for image in images:
        position = library[image.ref.sop_instance_uid]
        stated = meaning_of_numbers(prediction, image, run)
        for finding in image.findings:
            children.append(_finding(image, finding, intent, position, stated, run))
    return items.container(items.INFERRED, codes.IMPRESSION, children)


def _finding(
    image: ImagePrediction,
    finding: Finding,
    intent: Dataset,
    position: tuple[int, ...],
    stated: str,
    run: RunInfo,
) -> Dataset:
    """TID 4006: a place, the strength of the map there, and the probability of its image."""
    row0, col0, row1, col1 = finding.box_source_px
    corners = [(row0, col0), (row0, col1), (row1, col1), (row1, col0), (row0, col0)]
    numbers = {codes.FINDING_CERTAINTY: certainty(finding)}
    if run.prevalence_stated:
        numbers[codes.PROBABILITY] = percentage(image.scores.malignant)
    return items.code(
        items.CONTAINS,
        codes.FINDING,
        codes.DENSITY,
        [
            intent,
            *_algorithm(items.PROPERTIES, run.model),
            items.text(items.PROPERTIES, codes.ALGORITHM_PARAMETERS, stated),
            *(
                items.number(items.PROPERTIES, name, value, codes.PERCENT)
                for name, value in numbers.items()
            ),
            items.point(codes.CENTRE, (row0 + row1) / 2, (col0 + col1) / 2, position),
            items.polyline(codes.OUTLINE, corners, position),
        ],
    )


def _detections(prediction: Prediction, sources: ExamSources, library: _Positions) -> Dataset:
    """TID 4015: on which images the detection worked, and on which it failed."""
    groups = (
        (codes.SUCCESSFUL_DETECTIONS, sources.analysed),
        (codes.FAILED_DETECTIONS, sources.failed),
    )
    if prediction.scores is None:
        value = codes.FAILED
    else:
        value = codes.PARTLY if sources.is_partial else codes.SUCCEEDED
    children = []
    for name, group in groups:
        if group:
            references = [
                items.reference(items.PROPERTIES, library[source.ref.sop_instance_uid])
                for source in group
            ]
            algorithm = _algorithm(items.PROPERTIES, prediction.model)
            performed = items.code(
                items.CONTAINS, codes.DETECTION, codes.DENSITY, [*algorithm, *references]
            )
            children.append(items.container(items.INFERRED, name, [performed]))
    return items.code(items.CONTAINS, codes.DETECTIONS, value, children)
