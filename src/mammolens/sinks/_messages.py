"""What messages to a hospital's information system share: whose exam it is, and what is said."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from mammolens import __version__
from mammolens.core import ImageRef, ModelId, Prediction, Source, SourceHeader
from mammolens.errors import MissingAttribute, UnsupportedImage
from mammolens.sinks._dicom_values import is_uid
from mammolens.wording import CATEGORY_WORDS, DISCLAIMER, not_validated, percent

__all__ = [
    "FAILED_WORDS",
    "ExamIdentity",
    "conclusion",
    "exam_identity",
    "message_id",
    "model_id",
    "percentage",
]

FAILED_WORDS: Final = "Failed, not interpretable: nothing is known of this exam, it is not normal"


@dataclass(frozen=True)
class ExamIdentity:
    """Whose exam a message is about; `sources` are the images that can be named."""

    patient_id: str
    study_instance_uid: str
    header: SourceHeader
    sources: tuple[Source, ...]


def exam_identity(prediction: Prediction) -> ExamIdentity:
    """Find patient and study of an exam, among refused images too.

    Raises
    ------
    MissingAttribute
        If patient or study are unknown: no receiver could say whose the result is.
    UnsupportedImage
        If the images name several patients or studies.
    """
    sources = [Source(image.ref, image.header) for image in prediction.images]
    sources += [item.source for item in prediction.unreadable if item.source is not None]
    first = sources[0] if sources else Source(ImageRef("an exam without images"), SourceHeader())
    patient = first.ref.patient_id or prediction.patient_id
    study = first.ref.study_instance_uid or prediction.study_instance_uid
    if not patient or not is_uid(study):
        raise MissingAttribute(
            "no message can say whose result this is",
            source=first.ref.path,
            keyword="StudyInstanceUID" if patient else "PatientID",
            remedy="Send the original DICOM images",
        )
    if len({(s.ref.patient_id, s.ref.study_instance_uid) for s in sources}) > 1:
        raise UnsupportedImage(
            "the images of the exam name several patients or studies: a message is about one",
            source=first.ref.path,
            keyword="StudyInstanceUID",
            remedy="Give the images of the exam one PatientID and one StudyInstanceUID",
        )
    return ExamIdentity(patient, str(study), first.header, tuple(sources))


def message_id(identity: ExamIdentity, model: ModelId, *what: str) -> uuid.UUID:
    """Name a thing about an exam; the same exam, model and thing always get the same name."""
    parts = identity.patient_id, identity.study_instance_uid, model.name, model.version, *what
    return uuid.uuid5(uuid.NAMESPACE_OID, repr(parts))


def model_id(model: ModelId) -> uuid.UUID:
    """Name a model and the software that runs it, whatever the exam."""
    parts = model.name, model.version, model.digest, __version__
    return uuid.uuid5(uuid.NAMESPACE_OID, repr(parts))


def percentage(probability: float) -> float:
    """Give a probability in percent, within 0.01–99.99, so that rounding makes nothing certain.

    Examples
    --------
    >>> percentage(0.507036), percentage(0.0), percentage(1.0)
    (50.7, 0.01, 99.99)
    """
    return min(max(round(100.0 * float(probability), 2), 0.01), 99.99)


def conclusion(prediction: Prediction, revision: int = 1) -> str:
    """Say an exam's result in a few sentences; a failure never reads as normal."""
    model = f"{prediction.model.name} {prediction.model.version}"
    corrects = [f"Result {revision} of this exam, in place of result {revision - 1}."]
    if prediction.scores is None:
        words = [f"{FAILED_WORDS}.", *corrects * (revision > 1), f"{model}.", f"{DISCLAIMER}."]
        return " ".join(words)
    missed = len(prediction.unreadable)
    words = [
        f"AI triage: {CATEGORY_WORDS[prediction.category]}.",
        f"Probability of malignancy {percent(prediction.scores.malignant)}, where"
        f" {percent(prediction.prevalence)} of breasts are malignant.",
        *([f"{missed} images were not analysed."] if missed else []),
        *not_validated(prediction),
        *corrects * (revision > 1),
        f"Preliminary, by {model}. {DISCLAIMER}.",
    ]
    return " ".join(words)
