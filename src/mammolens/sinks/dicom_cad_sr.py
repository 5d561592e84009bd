"""``dicom-cad-sr/``: a Mammography CAD SR per exam, the object that mammography workstations read.

PS3.16 TID 4000. The summary says whether the exam was analysed, and whether it has findings; a
failed exam has no number. A probability is a number only if the site has stated its prevalence. If
not, it is given in words, with the prevalence of the model's own data.
Coordinates are (column, row) in pixels of the source image. The tests hold the reports to every row
of the template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from mammolens.core import (
    BreastPrediction,
    Finding,
    ImagePrediction,
    ModelId,
    Prediction,
    Source,
    TriageCategory,
)
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks import _dicom_items as items
from mammolens.sinks._dicom_common import (
    code_item,
    evidence,
    finish,
    identify,
    ids_of,
    orientation,
    per_exam,
    sign,
)
from mammolens.sinks._dicom_report import (
    ExamSources,
    certainty,
    content_digest,
    exam_ref,
    exam_sources,
    exam_words,
    hierarchy,
    meaning_of_numbers,
    revised,
    summary_code,
)
from mammolens.sinks._dicom_values import date, time
from mammolens.sinks._statements import BREAST_NAMES, percentage, probability_words
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import DISCLAIMER, printable

__all__ = ["build_cad_sr", "reports"]

_SINK: Final = "dicom-cad-sr"
_LIBRARY: Final = (1, 2)
_Positions = Mapping[str | None, tuple[int, ...]]


def reports(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give the CAD report of an exam."""
    return per_exam(prediction, run, build_cad_sr)


def build_cad_sr(prediction: Prediction, run: RunInfo) -> Dataset:
    """Make the Mammography CAD SR of an exam.

    The same result gives the same SOP Instance UID; only the times change from run to run. If the
    run revises an earlier document, the report names it.

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
    made.CurrentRequestedProcedureEvidenceSequence = hierarchy(
        ids_of(evidence(source)) for source in sources.all
    )
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
    return finish(made, _SINK, ref, first.header, run.created)


def _content(prediction: Prediction, sources: ExamSources, run: RunInfo) -> Iterator[Dataset]:
    """TID 4000: language, image library, summary, detections, analyses."""
    library = {
        source.ref.sop_instance_uid: (*_LIBRARY, number)
        for number, source in enumerate(sources.all, start=1)
    }
    yield items.code("HAS CONCEPT MOD", codes.LANGUAGE, codes.ENGLISH)
    yield items.container("CONTAINS", codes.LIBRARY, map(_library_entry, sources.all))
    yield _summary(prediction, sources, library, run)
    yield _detections(prediction, sources, library)
    yield items.code("CONTAINS", codes.ANALYSES, codes.NOT_ATTEMPTED)


def _library_entry(source: Source) -> Dataset:
    referred = Dataset()
    referred.ReferencedSOPClassUID = source.header.sop_class_uid
    referred.ReferencedSOPInstanceUID = source.ref.sop_instance_uid
    return items.image("CONTAINS", referred, _descriptors(source))


def _descriptors(source: Source) -> Iterator[Dataset]:
    """TID 4020: the known attributes of an image; unknown ones are left out."""
    ref, header = source.ref, source.header
    context = "HAS ACQ CONTEXT"
    if ref.laterality is not None:
        yield items.code(context, codes.IMAGE_LATERALITY, codes.BREASTS[ref.laterality])
    if ref.view_position in codes.VIEWS:
        modifiers = (
            items.code("HAS CONCEPT MOD", codes.IMAGE_VIEW_MODIFIER, modifier)
            for modifier in header.view_modifiers
            if all(modifier)
        )
        yield items.code(context, codes.IMAGE_VIEW, codes.VIEWS[ref.view_position], modifiers)
    directions = codes.ORIENTATION_ROW, codes.ORIENTATION_COLUMN
    for name, direction in zip(directions, orientation(header), strict=False):
        yield items.text(context, name, direction)
    if day := date(header.study_date):
        yield items.day(context, codes.STUDY_DATE, day)
    if moment := time(header.study_time):
        yield items.time_of_day(context, codes.STUDY_TIME, moment)
    if day := date(header.content_date):
        yield items.day(context, codes.CONTENT_DATE, day)
    if moment := time(header.content_time):
        yield items.time_of_day(context, codes.CONTENT_TIME, moment)
    if ref.spacing_mm is not None:
        down, across = (1000 * spacing for spacing in ref.spacing_mm)
        yield items.number(context, codes.SPACING_ACROSS, across, codes.MICROMETRE)
        yield items.number(context, codes.SPACING_DOWN, down, codes.MICROMETRE)


def _summary(
    prediction: Prediction, sources: ExamSources, library: _Positions, run: RunInfo
) -> Dataset:
    """TID 4001: whether the algorithm worked, whether it found anything, and the exam's result."""
    malignant = prediction.scores.malignant if prediction.scores else None
    words = exam_words(prediction, run)
    body = _impression("HAS PROPERTIES", words, malignant, run)
    individual = (
        _individual(prediction, breast, images, library, run)
        for breast, images in _marked(prediction)
    )
    value = summary_code(prediction, sources)
    return items.code("CONTAINS", codes.SUMMARY, value, [*body, *individual])


def _impression(
    relationship: str, words: str, malignant: float | None, run: RunInfo
) -> Iterator[Dataset]:
    """TID 4002: an impression in words; the probability of cancer where the site has stated its
    prevalence."""
    yield items.text(relationship, codes.DESCRIPTION, words)
    if malignant is not None and run.prevalence_stated:
        certain = percentage(malignant)
        yield items.number(relationship, codes.IMPRESSION_CERTAINTY, certain, codes.PERCENT)
    yield from _algorithm(relationship, run.model)


def _algorithm(relationship: str, model: ModelId) -> Iterator[Dataset]:
    """TID 4019."""
    yield items.text(relationship, codes.ALGORITHM_NAME, printable(model.name))
    yield items.text(relationship, codes.ALGORITHM_VERSION, printable(model.version))


def _marked(
    prediction: Prediction,
) -> Iterator[tuple[BreastPrediction, list[ImagePrediction]]]:
    """Give each breast that has findings, with its marked images.

    An image of unknown side counts as a breast of its own.
    """
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
    """TID 4003: the impression of one breast and its findings."""
    low = prediction.category is TriageCategory.LOW
    intent = items.code("HAS CONCEPT MOD", codes.INTENT, codes.OPTIONAL if low else codes.REQUIRED)
    side = BREAST_NAMES[breast.laterality].capitalize()
    malignant = breast.scores.malignant
    stated = probability_words(malignant, prediction, run)
    words = f"{side}: probability of cancer {stated}. {DISCLAIMER}."
    children = [intent, *_impression("CONTAINS", words, malignant, run)]
    for image in images:
        position = library[image.ref.sop_instance_uid]
        stated = meaning_of_numbers(prediction, image, run)
        for finding in image.findings:
            children.append(_finding(image, finding, intent, position, stated, run))
    return items.container("INFERRED FROM", codes.IMPRESSION, children)


def _finding(
    image: ImagePrediction,
    finding: Finding,
    intent: Dataset,
    position: tuple[int, ...],
    stated: str,
    run: RunInfo,
) -> Dataset:
    """TID 4006 and 4021: a place, the strength of the map there, the probability of its image."""
    row0, col0, row1, col1 = finding.box_source_px
    corners = [(row0, col0), (row0, col1), (row1, col1), (row1, col0), (row0, col0)]
    centre = (row0 + row1) / 2, (col0 + col1) / 2
    properties = "HAS PROPERTIES"
    strength = items.number(properties, codes.FINDING_CERTAINTY, certainty(finding), codes.PERCENT)
    children = [
        intent,
        *_algorithm(properties, run.model),
        items.text(properties, codes.ALGORITHM_PARAMETERS, stated),
        strength,
    ]
    if run.prevalence_stated:
        malignant = percentage(image.scores.malignant)
        children.append(items.number(properties, codes.PROBABILITY, malignant, codes.PERCENT))
    for shape, name, points in (
        ("POINT", codes.CENTRE, [centre]),
        ("POLYLINE", codes.OUTLINE, corners),
    ):
        selected = items.reference("SELECTED FROM", position)
        children.append(items.coordinates(properties, name, shape, points, [selected]))
    return items.code("CONTAINS", codes.FINDING, codes.DENSITY, children)


def _detections(prediction: Prediction, sources: ExamSources, library: _Positions) -> Dataset:
    """TID 4015 and 4017: on which images the detection worked, and on which it failed."""
    if prediction.scores is None:
        value = codes.FAILED
    else:
        value = codes.PARTLY if sources.is_partial else codes.SUCCEEDED
    groups = (
        (codes.SUCCESSFUL_DETECTIONS, sources.analysed),
        (codes.FAILED_DETECTIONS, sources.failed),
    )
    children = []
    for name, group in groups:
        if group:
            algorithm = _algorithm("HAS PROPERTIES", prediction.model)
            positions = (library[source.ref.sop_instance_uid] for source in group)
            images = (items.reference("HAS PROPERTIES", position) for position in positions)
            below = [*algorithm, *images]
            detection = items.code("CONTAINS", codes.DETECTION, codes.DENSITY, below)
            children.append(items.container("INFERRED FROM", name, [detection]))
    return items.code("CONTAINS", codes.DETECTIONS, value, children)
