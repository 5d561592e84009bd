"""``dicom-sr/``: a Comprehensive 3D SR per exam, the measurement report of IHE AI Results.

PS3.16 TID 1500, built with highdicom: a group of measurements for the exam, one for each breast,
and one for each finding with its region in (column, row) of the source image. A failed exam has
one group without numbers, with the code for failed. If the site has not stated its prevalence, no
probability is written as a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as known
from pydicom.sr.coding import Code as Coded

from mammolens.core import Density, Finding, ImagePrediction, Laterality, Prediction, Source
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks._dicom_common import (
    evidence,
    finish,
    identify,
    per_exam,
    result_uid,
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
from mammolens.sinks._statements import BREAST_NAMES, percentage
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import printable

__all__ = ["build_measurement_report", "reports"]

_SINK: Final = "dicom-sr"


def reports(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give the measurement report of an exam."""
    return per_exam(prediction, run, build_measurement_report)


def build_measurement_report(prediction: Prediction, run: RunInfo) -> Dataset:
    """Make the measurement report of an exam.

    The same result gives the same SOP Instance UID; only the times change from run to run. If the
    run revises an earlier document, the report names it.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        The images cannot be referred to, or belong to several studies.

    Source: PS3.3 A.35.13, PS3.16 TID 1500.
    """
    sources = exam_sources(prediction)
    first = sources.all[0]
    content = sr.MeasurementReport(
        observation_context=_observer(prediction),
        procedure_reported=Coded(*codes.MAMMOGRAPHY),
        imaging_measurements=list(_groups(prediction, sources, run)),
        title=Coded(*codes.MEASUREMENT_REPORT),
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(
            sr.CodedConcept.from_code(Coded(*codes.ENGLISH))
        ),
    )
    earlier = Dataset()
    if (before := revised(run, _SINK, str(first.ref.study_instance_uid))) is not None:
        earlier.PredecessorDocumentsSequence = hierarchy([before])
    ref = exam_ref(first)
    digest = content_digest(content[0], earlier)
    made = sr.Comprehensive3DSR(
        evidence=[evidence(source) for source in sources.all],
        content=content[0],
        is_complete=True,
        **identify(_SINK, ref, run.model, 1, digest),
    )
    made.update(earlier)
    return finish(made, _SINK, ref, first.header, run.created)


def _observer(prediction: Prediction) -> sr.ObservationContext:
    """TID 1001, 1002 and 1004: the observer is a device."""
    model = prediction.model
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=result_uid("device", model.name, model.version, model.digest),
        name="mammolens",
        manufacturer_name="mammolens",
        model_name=printable(model.name),
        serial_number=printable(model.digest[:16]) or "unknown",
    )
    context = sr.ObserverContext(known.DCM.Device, device)
    return sr.ObservationContext(observer_device_context=context)


def _groups(prediction: Prediction, sources: ExamSources, run: RunInfo) -> Iterator[Any]:
    """TID 1501 for the exam and each breast, TID 1410 for each finding.

    A breast has a group only if its probability may be written as a number. If not, the words of
    the exam give it.
    """
    exam = prediction.scores
    seen = sources.analysed if exam else sources.failed
    summary = Coded(*summary_code(prediction, sources))
    words = exam_words(prediction, run)
    yield sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("exam", seen),
        algorithm_id=_algorithm(prediction, words),
        finding_sites=[_site(None)],
        measurements=[_probability(exam.malignant)] if exam and run.prevalence_stated else None,
        qualitative_evaluations=[
            sr.QualitativeEvaluation(Coded(*codes.SUMMARY), summary),
            *_composition(prediction.density),
        ],
        source_images=_images(seen),
    )
    for breast in prediction.breasts:
        if breast.laterality is None or not run.prevalence_stated:
            continue
        views = [s for s in sources.analysed if s.ref.laterality is breast.laterality]
        yield sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(BREAST_NAMES[breast.laterality], views),
            algorithm_id=_algorithm(prediction, words),
            finding_sites=[_site(breast.laterality)],
            measurements=[_probability(breast.scores.malignant)],
            qualitative_evaluations=_composition(breast.density) or None,
            source_images=_images(views),
        )
    numbered = (
        (image, finding) for image in images_in_order(prediction) for finding in image.findings
    )
    for number, (image, finding) in enumerate(numbered, start=1):
        yield _region(prediction, image, finding, number, run)


def _region(
    prediction: Prediction, image: ImagePrediction, finding: Finding, number: int, run: RunInfo
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    row0, col0, row1, col1 = finding.box_source_px
    corners = [(col0, row0), (col1, row0), (col1, row1), (col0, row1), (col0, row0)]
    source = Source(image.ref, image.header)
    strength = sr.Measurement(
        Coded(*codes.FINDING_CERTAINTY), _figure(certainty(finding)), Coded(*codes.PERCENT)
    )
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(f"finding {number}", [source], corners),
        referenced_region=sr.ImageRegion(
            sr.GraphicTypeValues.POLYLINE,
            np.array(corners, dtype=np.float64),
            sr.SourceImageForRegion(
                str(image.header.sop_class_uid), str(image.ref.sop_instance_uid)
            ),
        ),
        finding_type=Coded(*codes.LESION),
        algorithm_id=_algorithm(prediction, meaning_of_numbers(prediction, image, run)),
        finding_sites=[_site(image.ref.laterality)],
        measurements=[
            *([_probability(image.scores.malignant)] if run.prevalence_stated else []),
            strength,
        ],
    )


def _tracking(name: str, sources: Sequence[Source], *place: object) -> sr.TrackingIdentifier:
    """Give a tracking identifier; the same place on the same images has the same UID."""
    images = [str(source.ref.sop_instance_uid) for source in sources]
    uid = result_uid("tracking", name, *images, repr(place))
    return sr.TrackingIdentifier(uid, name)


def _algorithm(prediction: Prediction, stated: str) -> sr.AlgorithmIdentification:
    """TID 4019."""
    model = prediction.model
    return sr.AlgorithmIdentification(printable(model.name), printable(model.version), [stated])


def _site(laterality: Laterality | None) -> sr.FindingSite:
    side = Coded(*codes.SIDES[laterality]) if laterality else None
    return sr.FindingSite(Coded(*codes.BREAST), laterality=side)


def _probability(malignant: float) -> sr.Measurement:
    name, unit = Coded(*codes.PROBABILITY), Coded(*codes.PERCENT)
    return sr.Measurement(name, _figure(percentage(malignant)), unit)


def _composition(density: Density | None) -> list[sr.QualitativeEvaluation]:
    """Give the breast composition where the model states it."""
    if density is None or density.category is None:
        return []
    value = Coded(*codes.COMPOSITIONS[density.category])
    return [sr.QualitativeEvaluation(Coded(*codes.COMPOSITION), value)]


def _figure(value: float) -> float:
    return float(f"{value:.4g}")


def _images(sources: Sequence[Source]) -> list[sr.SourceImageForMeasurementGroup]:
    return [
        sr.SourceImageForMeasurementGroup(
            str(source.header.sop_class_uid), str(source.ref.sop_instance_uid)
        )
        for source in sources
    ]
