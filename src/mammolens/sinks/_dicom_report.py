"""Functions that all structured reports share: their images, evidence, texts and predecessors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from mammolens.core import (
    Finding,
    ImagePrediction,
    ImageRef,
    Prediction,
    Source,
    TriageCategory,
    Unreadable,
)
from mammolens.errors import MissingAttribute, UnsupportedImage
from mammolens.sinks import DicomIds, RunInfo
from mammolens.sinks import _dicom_codes as codes
from mammolens.sinks._clinical import fusion_words, risk_words
from mammolens.sinks._density import density_words
from mammolens.sinks._dicom_values import (
    carried_back,
    is_image_class,
    lacking_identifier,
    require_identifiers,
)
from mammolens.sinks._statements import (
    category_thresholds,
    prevalence_words,
    probability_words,
    refused_words,
    sort_refused,
    withheld_words,
)
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import CATEGORY_WORDS, DISCLAIMER, not_validated, percent


def revised(run: RunInfo, sink: str, study_instance_uid: str) -> DicomIds | None:
    """Give the earlier document of a sink that this run revises; ``None`` if there is none."""
    for name, series, sop_class, instance in run.supersedes:
        if name == sink:
            return DicomIds(sop_class, instance, series, study_instance_uid)
    return None


@dataclass(frozen=True)
class ExamSources:
    """The images of an exam: analysed and failed. `n_lost` failed and cannot be referred to.

    Images that were passed over (tomosynthesis, ultrasound, the raw data of analysed images) are
    included only if the exam has no other image.
    """

    analysed: tuple[Source, ...]
    failed: tuple[Source, ...]
    n_lost: int = 0

    @property
    def all(self) -> tuple[Source, ...]:
        """All images that can be referred to: first the analysed ones, in hanging order."""
        return self.analysed + self.failed

    @property
    def is_partial(self) -> bool:
        """Whether images that may show a breast were not analysed."""
        return bool(self.failed) or self.n_lost > 0


def exam_sources(prediction: Prediction) -> ExamSources:
    """Find the images that a report of the exam must refer to.

    Raises
    ------
    MissingAttribute
        An analysed image lacks an identifier, or no image has identifiers.
    UnsupportedImage
        The SOP class of an analysed image is not that of an image, or the images name several
        patients or studies, so that no study can take the result.
    """
    analysed = tuple(Source(image.ref, image.header) for image in images_in_order(prediction))
    for source in analysed:
        _require(source)
    seen = {source.ref.sop_instance_uid for source in analysed}
    refused = sort_refused(prediction)
    failed, n_lost = _referred(refused.missed, seen)
    if not analysed and not failed:
        failed, _ = _referred(refused.passed_over, seen)
    sources = ExamSources(analysed, failed, n_lost)
    _one_study(prediction, sources)
    return sources


def _referred(items: Iterable[Unreadable], seen: set[str | None]) -> tuple[tuple[Source, ...], int]:
    """Give the images that a report can refer to, each once, and the number of the others."""
    found: list[Source] = []
    n_lost = 0
    for item in items:
        source = item.source
        if source is None or not _can_be_referred_to(source):
            n_lost += 1
        elif source.ref.sop_instance_uid not in seen:
            seen.add(source.ref.sop_instance_uid)
            found.append(source)
    return tuple(found), n_lost


def _can_be_referred_to(source: Source) -> bool:
    return lacking_identifier(source) is None and is_image_class(source.header.sop_class_uid)


def _require(source: Source) -> None:
    require_identifiers(source)
    if not is_image_class(source.header.sop_class_uid):
        raise UnsupportedImage(
            f"no report may refer to an object of SOP class {source.header.sop_class_uid} as an"
            " image",
            source=source.ref.path,
            keyword="SOPClassUID",
            remedy="Send the image in a class of the standard; the other outputs take it",
        )
    carried_back(source.ref, source.header)


def _one_study(prediction: Prediction, sources: ExamSources) -> None:
    if not sources.all:
        raise MissingAttribute(
            "no image of the exam has identifiers that a DICOM result could refer to",
            source=next((item.path for item in prediction.unreadable), None),
            keyword="SOPInstanceUID",
            remedy="Send the original DICOM images, and do not pseudonymise",
        )
    first = sources.all[0].ref
    for source in sources.all[1:]:
        if _patient_and_study(source.ref) != _patient_and_study(first):
            raise UnsupportedImage(
                "the images of the exam name several patients or studies: a DICOM result belongs"
                " to one",
                source=source.ref.path,
                keyword="StudyInstanceUID",
                remedy="Give the images of the exam one PatientID and one StudyInstanceUID",
            )


def _patient_and_study(ref: ImageRef) -> tuple[str | None, str | None]:
    return ref.patient_id, ref.study_instance_uid


def exam_ref(source: Source) -> ImageRef:
    """Give the reference of an image without side and view: it means the whole exam."""
    return replace(source.ref, laterality=None, view_position=None)


def hierarchy(documents: Iterable[DicomIds]) -> list[Dataset]:
    """List instances by study and series (PS3.3 Table C.17-3b)."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for document in documents:
        item = Dataset()
        item.ReferencedSOPClassUID = document.sop_class_uid
        item.ReferencedSOPInstanceUID = document.sop_instance_uid
        series = studies.setdefault(document.study_instance_uid, {})
        series.setdefault(document.series_instance_uid, []).append(item)
    return [_study(uid, series) for uid, series in studies.items()]


def _study(uid: str, series: Mapping[str, list[Dataset]]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = uid
    study.ReferencedSeriesSequence = []
    for series_uid, items in series.items():
        one = Dataset()
        one.SeriesInstanceUID = series_uid
        one.ReferencedSOPSequence = items
        study.ReferencedSeriesSequence.append(one)
    return study


def content_digest(*parts: Dataset) -> bytes:
    """Give the SHA-256 of data sets; they must not include the times of a run."""
    said = [json.dumps(part.to_json_dict(), sort_keys=True) for part in parts]
    return hashlib.sha256("\n".join(said).encode("utf-8")).digest()


def certainty(finding: Finding) -> float:
    """Convert the strength of a finding to percent: 50 at the validated level, never 100.

    Examples
    --------
    >>> certainty(Finding((0.0, 0.0, 1.0, 1.0), 1.0)), certainty(Finding((0, 0, 1, 1), 3.0))
    (50.0, 75.0)
    """
    return 100 * finding.score / (1 + finding.score)


def meaning_of_numbers(prediction: Prediction, image: ImagePrediction, run: RunInfo) -> str:
    """Explain the numbers of a finding in words."""
    malignant = image.scores.malignant
    return (
        "Probability of cancer of the whole image:"
        f" {probability_words(malignant, prediction, run)}. Certainty of finding: strength of the"
        " map, 50 % at the validated level; not a probability. The kind of lesion is not reported."
    )


def summary_code(prediction: Prediction, sources: ExamSources) -> codes.Code:
    """Give the code for whether the exam was analysed and has findings (CID 6047)."""
    marked = any(image.findings for image in prediction.images)
    if prediction.scores is None:
        return codes.NONE_SUCCEEDED
    if sources.is_partial:
        return codes.PART_WITH if marked else codes.PART_WITHOUT
    return codes.ALL_WITH if marked else codes.ALL_WITHOUT


def exam_words(prediction: Prediction, run: RunInfo) -> str:
    """Describe the result of an exam and its gaps in a few sentences: the category comes first."""
    refused = refused_words(prediction)
    if prediction.scores is None:
        return " ".join([*refused, f"Result: {_category(prediction)}.", f"{DISCLAIMER}."])
    thresholds = "; ".join(category_thresholds(prediction, run))
    breasts = "; ".join(
        f"{breast.laterality.value if breast.laterality else 'side unknown'}"
        f" {percent(breast.scores.malignant)}"
        for breast in prediction.breasts
    )
    words = [
        f"Triage: {_category(prediction)}{thresholds and f' ({thresholds})'}.",
        f"Probability of cancer {percent(prediction.scores.malignant)} (breasts: {breasts})"
        f" {prevalence_words(prediction, run)}.",
        *fusion_words(prediction),
        *withheld_words(prediction),
        *refused,
        *not_validated(prediction),
        *risk_words(prediction.risk),
        *density_words(prediction),
    ]
    return " ".join([*words, f"{DISCLAIMER}."])


def _category(prediction: Prediction) -> str:
    words = CATEGORY_WORDS[prediction.category]
    return words.partition(": ")[2] if prediction.category is TriageCategory.FAILED else words
