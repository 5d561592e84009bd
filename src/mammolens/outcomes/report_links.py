"""Link a pathology report to the exam of its patient. What can be read twice is never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from mammolens.outcomes.linking import FOLLOW_UP

__all__ = ["ExamLink", "KnownExam", "LinkDoubt", "Sender", "link_report"]


class LinkDoubt(str, Enum):
    """Why a person must say to which exam a report belongs."""

    NO_PATIENT = "no_patient"
    """The report names no patient, and its accession number is that of an exam."""
    OTHER_PATIENT = "other_patient"
    """Its accession number is that of an exam of another patient."""
    BIRTH_DATE = "birth_date"
    """Report and exam give the patient different birth dates."""
    NO_DATE = "no_date"
    """It is not known when the tissue was taken."""
    SEVERAL_EXAMS = "several_exams"
    """More than one exam lies in the year before."""
    NO_EXAM_DATE = "no_exam_date"
    """An exam of the patient has no date."""


@dataclass(frozen=True)
class Sender:
    """What a report says of whom it is about; unknown is ``None``."""

    patient_id: str | None
    accession_number: str | None
    birth_date: date | None
    taken: date | None


@dataclass(frozen=True)
class KnownExam:
    """An exam that may be meant: one of the patient, or one with the report's accession number."""

    id: int
    patient_id: str | None
    accession_number: str | None
    birth_date: date | None
    day: date | None


@dataclass(frozen=True)
class ExamLink:
    """The exam of a report, or the exams among which a person must choose and the reason.

    Without an exam, a candidate and a doubt, the patient has no exam that the report can belong to.
    """

    exam_id: int | None = None
    candidates: tuple[int, ...] = ()
    doubt: LinkDoubt | None = None


def link_report(sender: Sender, exams: Sequence[KnownExam]) -> ExamLink:
    """Link a report to an exam.

    The accession number decides if it is that of an exam of the same patient. Else the tissue must
    have been taken within a year after exactly one exam (`FOLLOW_UP`, as in the audit).

    Parameters
    ----------
    exams
        All exams of the patient, and those with the report's accession number, of one site.

    Examples
    --------
    >>> exam = KnownExam(7, "P1", None, None, date(2026, 1, 10))
    >>> link_report(Sender("P1", None, None, date(2026, 2, 1)), [exam]).exam_id
    7
    >>> link_report(Sender("P1", None, None, date(2028, 2, 1)), [exam])
    ExamLink(exam_id=None, candidates=(), doubt=None)
    """
    number = sender.accession_number
    numbered = [exam for exam in exams if number and exam.accession_number == number]
    if sender.patient_id is None:
        return _ask(numbered, LinkDoubt.NO_PATIENT) if numbered else ExamLink()
    if any(exam.patient_id != sender.patient_id for exam in numbered):
        return _ask([*numbered, *_own(sender, exams)], LinkDoubt.OTHER_PATIENT)
    own = _own(sender, exams)
    if any(_differ(exam.birth_date, sender.birth_date) for exam in own):
        return _ask(own, LinkDoubt.BIRTH_DATE)
    if len(numbered) == 1:
        return ExamLink(numbered[0].id)
    if sender.taken is None:
        return _ask(own, LinkDoubt.NO_DATE) if own else ExamLink()
    taken = sender.taken
    due = [exam for exam in own if exam.day and exam.day <= taken <= exam.day + FOLLOW_UP]
    undated = [exam for exam in own if exam.day is None]
    if undated:
        return _ask([*due, *undated], LinkDoubt.NO_EXAM_DATE)
    if len(due) > 1:
        return _ask(due, LinkDoubt.SEVERAL_EXAMS)
    return ExamLink(due[0].id) if due else ExamLink()


def _own(sender: Sender, exams: Sequence[KnownExam]) -> list[KnownExam]:
    return [exam for exam in exams if exam.patient_id == sender.patient_id]


def _differ(one: date | None, other: date | None) -> bool:
    return one is not None and other is not None and one != other


def _ask(exams: Sequence[KnownExam], doubt: LinkDoubt) -> ExamLink:
    ids = tuple(dict.fromkeys(exam.id for exam in exams))
    return ExamLink(None, ids, doubt)
