"""The failed result of an exam that was given up, made without opening any of its objects.

An object may kill or hang the process that opens it. The database has enough to name the exam and
its objects: patient ID, accession number, and the UIDs of study, series and objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mammolens.core import (
    Caution,
    Exam,
    ImageRef,
    Laterality,
    Source,
    SourceHeader,
    Unreadable,
    ViewPosition,
)
from mammolens.exams import SEVERAL_PATIENTS
from mammolens.serve.record import GIVEN_UP_NAME, Role
from mammolens.serve.work.results import ExamInputs, StoredInstance

__all__ = ["GIVEN_UP", "RIVAL", "cautions_of", "given_up"]

RIVAL: Final = Caution(
    "rival_instance",
    "another object claims the SOPInstanceUID of one of these images with another content",
    doubt=True,
)
GIVEN_UP: Final = Caution(GIVEN_UP_NAME, "the analysis was begun several times and never finished")


def given_up(inputs: ExamInputs) -> tuple[Exam, list[Unreadable]]:
    """Describe an exam and its objects from the database; no object is opened.

    The database has patient ID, accession number and UIDs. It does not have name and birth date, so
    they are empty in the result. With de-identification, it has them encrypted, and they are
    restored.
    """
    cautions = (*cautions_of(inputs), GIVEN_UP)
    exam = Exam(inputs.patient_id, inputs.study_instance_uid, {}, cautions)
    kept = {i.digest: i for i in inputs.instances if i.role is not Role.COPY}
    return exam, [
        Unreadable(
            instance.digest,
            "IncompleteExam",
            GIVEN_UP.message,
            _source_of(inputs, instance),
        )
        for instance in kept.values()
    ]


def _source_of(inputs: ExamInputs, instance: StoredInstance) -> Source:
    view = instance.view or ""
    ref = ImageRef(
        instance.digest,
        patient_id=inputs.patient_id,
        study_instance_uid=inputs.study_instance_uid,
        series_instance_uid=instance.series_instance_uid,
        sop_instance_uid=instance.sop_instance_uid,
        laterality=Laterality(view[0]) if view else None,
        view_position=ViewPosition(view[1:]) if view else None,
        digest=instance.digest,
    )
    header = SourceHeader(
        sop_class_uid=instance.sop_class_uid, accession_number=inputs.accession_number
    )
    return Source(ref, header)


def cautions_of(inputs: ExamInputs) -> Iterator[Caution]:
    """Give the cautions of the exam that reception and the database show."""
    yield from dict.fromkeys(_doubts_at_reception(inputs))
    if any(instance.role is Role.RIVAL for instance in inputs.instances):
        yield RIVAL
    if inputs.n_identities > 1:
        yield SEVERAL_PATIENTS


def _doubts_at_reception(inputs: ExamInputs) -> Iterator[Caution]:
    for instance in inputs.instances:
        if instance.role is Role.INPUT and instance.reason:
            text = f"the header of an image raised {instance.reason} before it was de-identified"
            yield Caution("doubt_at_reception", text, doubt=True)
