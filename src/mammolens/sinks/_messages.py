"""Functions that FHIR and HL7 messages share: patient and study of an exam, ids, conclusion."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mammolens import __version__
from mammolens.core import ImageRef, ModelId, ObjectKind, Prediction, Source, SourceHeader
from mammolens.errors import MissingAttribute, UnsupportedImage
from mammolens.sinks import RunInfo
from mammolens.sinks._clinical import fusion_words, risk_words
from mammolens.sinks._density import density_words
from mammolens.sinks._dicom_values import is_image_class, is_uid
from mammolens.sinks._statements import (
    Refused,
    category_thresholds,
    missed_name,
    probability_words,
    refused_words,
    sort_refused,
    withheld_words,
)
from mammolens.wording import CATEGORY_WORDS, DISCLAIMER, not_validated

FAILED_WORDS: Final = "Failed, not interpretable: nothing is known of this exam, it is not normal"


_MUST_BE_READ: Final = frozenset(("PatientID", "PatientName"))


@dataclass(frozen=True)
class ExamIdentity:
    """Patient, study and images of the exam that a message is about.

    `analysed` are its analysed images. `missed` are images without a score that can be named, each
    with its view and the reason.
    """

    patient_id: str
    study_instance_uid: str
    header: SourceHeader
    analysed: tuple[Source, ...]
    missed: tuple[tuple[Source, str], ...]


def exam_identity(prediction: Prediction) -> ExamIdentity:
    """Find patient and study of an exam, also from refused images.

    Raises
    ------
    MissingAttribute
        If patient or study are unknown.
    UnsupportedImage
        If the images name several patients or studies, or the name cannot be decoded.
    """
    analysed = tuple(Source(image.ref, image.header) for image in prediction.images)
    missed = tuple(_named(sort_refused(prediction)))
    sources = [*analysed, *(source for source, _ in missed)]
    if not sources:
        sources += [item.source for item in prediction.unreadable if item.source is not None]
    patient, study = prediction.patient_id, prediction.study_instance_uid
    return identity_of(sources, analysed, missed, patient, study)


def identity_of(
    sources: Sequence[Source],
    analysed: tuple[Source, ...],
    missed: tuple[tuple[Source, str], ...] = (),
    patient_id: str | None = None,
    study_instance_uid: str | None = None,
) -> ExamIdentity:
    """Make sure that images are of one patient and study, and give both.

    Parameters
    ----------
    patient_id, study_instance_uid
        For what the first image does not say.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        As `exam_identity`.
    """
    first = sources[0] if sources else Source(ImageRef("an exam without images"), SourceHeader())
    patient = first.ref.patient_id or patient_id
    study = first.ref.study_instance_uid or study_instance_uid
    if not patient or not is_uid(study):
        raise MissingAttribute(
            "no message can say whose result this is",
            source=first.ref.path,
            keyword="StudyInstanceUID" if patient else "PatientID",
            remedy="Send the original DICOM images",
        )
    broken = {word for s in sources for word in s.header.undecoded} & _MUST_BE_READ
    if broken:
        raise UnsupportedImage(
            "the character set of the patient's name or ID is unknown: a message must not carry"
            " it wrong",
            source=first.ref.path,
            keyword=min(broken),
            remedy="Correct SpecificCharacterSet, and send the images again",
        )
    if len({(s.ref.patient_id, s.ref.study_instance_uid) for s in sources}) > 1:
        raise UnsupportedImage(
            "the images of the exam name several patients or studies: a message is about one",
            source=first.ref.path,
            keyword="StudyInstanceUID",
            remedy="Give the images of the exam one PatientID and one StudyInstanceUID",
        )
    return ExamIdentity(patient, str(study), first.header, analysed, missed)


def _named(refused: Refused) -> Iterator[tuple[Source, str]]:
    """Give the refused X-ray images that a message can name as images, with view and reason."""
    for item in refused.images:
        source = item.source
        if source is None or item.kind is ObjectKind.OTHER_IMAGE:
            continue
        if is_image_class(source.header.sop_class_uid):
            yield source, missed_name(item)


def message_id(identity: ExamIdentity, model: ModelId, *what: str) -> uuid.UUID:
    """Give the UUID of a part of a message; the same exam, model and part give the same UUID."""
    parts = identity.patient_id, identity.study_instance_uid, model.name, model.version, *what
    return uuid.uuid5(uuid.NAMESPACE_OID, repr(parts))


def model_id(model: ModelId) -> uuid.UUID:
    """Give the UUID of a model and its software; it does not depend on the exam."""
    parts = model.name, model.version, model.digest, __version__
    return uuid.uuid5(uuid.NAMESPACE_OID, repr(parts))


def conclusion(prediction: Prediction, run: RunInfo) -> list[str]:
    """Describe an exam's result in a few sentences; a failed exam never reads as normal."""
    model = f"{prediction.model.name} {prediction.model.version}"
    before = f"Result {run.revision} of this exam, in place of result {run.revision - 1}."
    corrects = [before] * (run.revision > 1)
    if prediction.scores is None:
        refused = refused_words(prediction)
        return [f"{FAILED_WORDS}.", *refused, *corrects, f"{model}.", f"{DISCLAIMER}."]
    malignant = prediction.scores.malignant
    thresholds = "; ".join(category_thresholds(prediction, run))
    return [
        f"AI triage: {CATEGORY_WORDS[prediction.category]}{thresholds and f' ({thresholds})'}.",
        f"Probability of malignancy {probability_words(malignant, prediction, run)}.",
        *fusion_words(prediction),
        *withheld_words(prediction),
        *refused_words(prediction),
        *not_validated(prediction),
        *risk_words(prediction.risk),
        *density_words(prediction),
        *corrects,
        f"Preliminary, by {model}. {DISCLAIMER}.",
    ]
