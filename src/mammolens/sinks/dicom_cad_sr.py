"""``dicom-cad-sr/``: a Mammography CAD SR per exam, the object that mammography workstations read.

PS3.16 TID 4000. Whether the exam was analysed stands in the summary: with findings, without, or
failed; a failed exam has no number at all. A probability is a number only where the site has stated
its prevalence; else it stands in words together with the prevalence of the model's own data.
Coordinates are (column, row) in pixels of the source image. Every report passes `_tid4000.check`
before it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from mammolens.sinks import Artefact, DicomIds, RunInfo
from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks import _tid4000 as rows
from mammolens.sinks._dicom_common import code_item, finish, identify, orientation, per_exam, sign
from mammolens.sinks._dicom_items import Row
from mammolens.sinks._dicom_report import (
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
from mammolens.sinks._statements import probability_words
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
    rows.check(made)
    return made


def _instance(source: Source) -> DicomIds:
    ref = source.ref
    return DicomIds(
        str(source.header.sop_class_uid),
        str(ref.sop_instance_uid),
        str(ref.series_instance_uid),
        str(ref.study_instance_uid),
    )


def _content(prediction: Prediction, sources: ExamSources, run: RunInfo) -> Iterator[Dataset]:
    library = {
        source.ref.sop_instance_uid: (*_LIBRARY, number)
        for number, source in enumerate(sources.all, start=1)
    }
    yield rows.LANGUAGE.make(codes.ENGLISH)
    yield rows.LIBRARY.make(children=map(_library_entry, sources.all))
    yield _summary(prediction, sources, library, run)
    yield _detections(prediction, sources, library)
    yield rows.ANALYSES.make(codes.NOT_ATTEMPTED)


def _library_entry(source: Source) -> Dataset:
    uids = str(source.header.sop_class_uid), str(source.ref.sop_instance_uid)
    return rows.LIBRARY_ENTRY.make(uids, _descriptors(source))


def _descriptors(source: Source) -> Iterator[Dataset]:
    """TID 4020: what is known of an image; what is not is left out."""
    ref, header = source.ref, source.header
    if ref.laterality is not None:
        yield rows.IMAGE_LATERALITY.make(codes.BREASTS[ref.laterality])
    if ref.view_position in codes.VIEWS:
        modifiers = map(rows.IMAGE_VIEW_MODIFIER.make, header.view_modifiers)
        yield rows.IMAGE_VIEW.make(codes.VIEWS[ref.view_position], modifiers)
    for row, direction in zip(rows.ORIENTATION, orientation(header), strict=False):
        yield row.make(direction)
    yield from _moment(rows.STUDY_MOMENT, header.study_date, header.study_time)
    yield from _moment(rows.CONTENT_MOMENT, header.content_date, header.content_time)
    if ref.spacing_mm is not None:
        for row, spacing in zip(rows.SPACING, reversed(ref.spacing_mm), strict=True):
            yield row.make(1000 * spacing)


def _moment(moment_rows: Sequence[Row], day: str | None, moment: str | None) -> Iterator[Dataset]:
    for row, value in zip(moment_rows, (date(day), time(moment)), strict=True):
        if value:
            yield row.make(value)


def _summary(
    prediction: Prediction, sources: ExamSources, library: _Positions, run: RunInfo
) -> Dataset:
    """TID 4001: whether the algorithm worked and found, and what it makes of the exam."""
    malignant = prediction.scores.malignant if prediction.scores else None
    words = exam_words(prediction, run)
    body = _impression(rows.EXAM_IMPRESSION, words, malignant, run)
    individual = (
        _individual(prediction, breast, images, library, run)
        for breast, images in _marked(prediction)
    )
    value = summary_code(prediction, sources)
    return rows.SUMMARY.make(value, [*body, *individual])


def _impression(
    impression: Sequence[Row], words: str, malignant: float | None, run: RunInfo
) -> Iterator[Dataset]:
    """TID 4002: an impression in words, and how certain cancer is, where the site says for whom."""
    description, certain, *algorithm = impression
    yield description.make(words)
    if malignant is not None and run.prevalence_stated:
        yield certain.make(percentage(malignant))
    yield from _algorithm(algorithm, run.model)


def _algorithm(algorithm: Sequence[Row], model: ModelId) -> Iterator[Dataset]:
    """TID 4019."""
    name, version, *_ = algorithm
    yield name.make(printable(model.name))
    yield version.make(printable(model.version))


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
    intent = rows.INTENT.make(codes.OPTIONAL if low else codes.REQUIRED)
    names = {Laterality.RIGHT: "Right breast", Laterality.LEFT: "Left breast"}
    side = names[breast.laterality] if breast.laterality else "Breast of unknown side"
    malignant = breast.scores.malignant
    stated = probability_words(malignant, prediction, run)
    words = f"{side}: probability of cancer {stated}. {DISCLAIMER}."
    children = [intent, *_impression(rows.BREAST_IMPRESSION, words, malignant, run)]
    for image in images:
        position = library[image.ref.sop_instance_uid]
        stated = meaning_of_numbers(prediction, image, run)
        for finding in image.findings:
            children.append(_finding(image, finding, intent, position, stated, run))
    return rows.BREAST.make(children=children)


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
    *_, parameters = rows.PROPERTY_ALGORITHM
    children = [
        intent,
        *_algorithm(rows.PROPERTY_ALGORITHM, run.model),
        parameters.make(stated),
        rows.FINDING_CERTAINTY.make(certainty(finding)),
    ]
    if run.prevalence_stated:
        children.append(rows.PROBABILITY.make(percentage(image.scores.malignant)))
    for row, points in (
        (rows.CENTRE, [((row0 + row1) / 2, (col0 + col1) / 2)]),
        (rows.OUTLINE, corners),
    ):
        children.append(row.make(points, [rows.SELECTED.make(position)]))
    return rows.FINDING.make(codes.DENSITY, children)


def _detections(prediction: Prediction, sources: ExamSources, library: _Positions) -> Dataset:
    """TID 4015: on which images the detection worked, and on which it failed."""
    if prediction.scores is None:
        value = codes.FAILED
    else:
        value = codes.PARTLY if sources.is_partial else codes.SUCCEEDED
    children = []
    for row, group in ((rows.SUCCESSFUL, sources.analysed), (rows.FAILED, sources.failed)):
        if group:
            positions = (library[source.ref.sop_instance_uid] for source in group)
            algorithm = _algorithm(rows.PROPERTY_ALGORITHM, prediction.model)
            below = [*algorithm, *map(rows.DETECTED_IMAGE.make, positions)]
            children.append(row.make(children=[rows.DETECTION.make(codes.DENSITY, below)]))
    return rows.DETECTIONS.make(value, children)
