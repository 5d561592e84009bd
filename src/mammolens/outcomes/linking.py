"""Link outcomes to exams, and decide of each exam whether its truth is known.

An outcome belongs to the latest screening exam of its patient on or before its day, if it is at
most 365 days later. The truth of an exam is known if a cancer can have been found in all that time:
a year has passed, or the patient's next screening exam has come. Every other exam is left out of
the figures with its reason; it is never counted as negative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Final

from mammolens.core import Laterality
from mammolens.errors import InvalidManifest
from mammolens.outcomes.exams import Exam
from mammolens.outcomes.results import CANCERS, UNKNOWN, Finding, Outcome

__all__ = ["FOLLOW_UP", "Case", "Linked", "Reason", "Unlinked", "link"]

FOLLOW_UP: Final = timedelta(days=365)
"""A cancer within this time after an exam, and before the next screening exam, counts for the exam
(BCSC, PMC2714544). A longer time turns true negatives into false negatives."""
BETWEEN_SCREENS: Final = timedelta(days=270)
"""An exam sooner than nine months after another exam is not a screening exam, a usual limit in
studies of registries. With a shorter time, control images after a recall would count as screening
exams; with a longer one, yearly screening exams would be lost."""
MINIMAL_MM: Final = 10.0
"""Largest invasive tumour that counts as a minimal cancer (BI-RADS; Lehman 2017)."""


class Reason(str, Enum):
    """Why an exam is not in the figures, in words."""

    SAME_DAY = "another exam of the patient on the same day"
    TOO_SOON = "less than 9 months after another exam of the patient"
    KNOWN_CANCER = "BI-RADS 6, a cancer that was known before"
    NOT_ASSESSED = "a breast without a BI-RADS category, and no positive other breast"
    NO_FOLLOW_UP = "less than a year of follow-up"
    CONTRADICTION = "outcomes that contradict each other"
    NOT_KNOWN = "tissue was taken, and the outcome is not known"


@dataclass(frozen=True)
class Case:
    """An exam whose truth is known.

    `outcomes` are those of its time of follow-up, by day. `sides` are the breasts with a cancer;
    it is empty without a cancer, or if no side is known.
    """

    exam: Exam
    outcomes: tuple[Outcome, ...]

    @property
    def cancers(self) -> tuple[Outcome, ...]:
        """The outcomes that are cancers."""
        return tuple(one for one in self.outcomes if one.finding in CANCERS)

    @property
    def sides(self) -> frozenset[Laterality]:
        """The breasts with a cancer, as far as they are known."""
        return frozenset(one.side for one in self.cancers if one.side is not None)

    @property
    def invasive(self) -> bool | None:
        """Whether the cancer is invasive; ``None`` if it is not known or there is no cancer."""
        findings = {one.finding for one in self.cancers}
        if Finding.INVASIVE in findings:
            return True
        return False if findings == {Finding.IN_SITU} else None

    @property
    def minimal(self) -> bool | None:
        """Whether the cancer is in situ, or invasive and at most 10 mm; ``None`` if not known."""
        if self.invasive is False:
            return True
        invasive = [one for one in self.cancers if one.finding is Finding.INVASIVE]
        sizes = [one.size_mm for one in invasive if one.size_mm is not None]
        return max(sizes) <= MINIMAL_MM if sizes else None

    @property
    def node_negative(self) -> bool | None:
        """Whether no lymph node of an invasive cancer has tumour; ``None`` if not known."""
        if not self.invasive:
            return None
        positive = [one.nodes_positive for one in self.cancers if one.nodes_positive is not None]
        return max(positive) == 0 if positive else None


@dataclass(frozen=True)
class Unlinked:
    """An outcome that belongs to no exam of the table, and why."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Linked:
    """Exams with known truth, exams without it, and outcomes without an exam."""

    cases: tuple[Case, ...]
    excluded: tuple[tuple[Exam, Reason], ...]
    unlinked: tuple[Unlinked, ...]


def link(
    exams: Sequence[Exam],
    outcomes: Sequence[Outcome],
    complete_until: date,
    positive: frozenset[str],
) -> Linked:
    """Link outcomes to exams.

    Parameters
    ----------
    complete_until
        Day up to which every outcome of these patients is in the table.
    positive
        Categories of a positive screen. One positive breast makes an exam positive, also if the
        other breast has no category.

    Raises
    ------
    InvalidManifest
        No outcome is of a patient of these exams.
    """
    exams_of: dict[str, list[Exam]] = {}
    outcomes_of: dict[str, list[Outcome]] = {}
    for exam in exams:
        exams_of.setdefault(exam.patient_id, []).append(exam)
    for outcome in outcomes:
        outcomes_of.setdefault(outcome.patient_id, []).append(outcome)
    if not exams_of.keys() & outcomes_of.keys():
        raise InvalidManifest(
            f"none of the {len(outcomes_of)} patients with outcomes has an exam in the table",
            keyword="patient_id",
            remedy="Use the same patient identifiers in both tables, pseudonyms or not",
        )
    cases: list[Case] = []
    excluded: list[tuple[Exam, Reason]] = []
    unlinked = [
        Unlinked(one, "no exam of this patient")
        for patient_id, found in outcomes_of.items()
        if patient_id not in exams_of
        for one in found
    ]
    for patient_id, own in exams_of.items():
        found = sorted(outcomes_of.get(patient_id, ()), key=lambda one: one.day)
        _link_patient(own, found, complete_until, positive, cases, excluded, unlinked)
    return Linked(tuple(cases), tuple(excluded), tuple(unlinked))


def _link_patient(
    exams: Sequence[Exam],
    outcomes: Sequence[Outcome],
    complete_until: date,
    positive: frozenset[str],
    cases: list[Case],
    excluded: list[tuple[Exam, Reason]],
    unlinked: list[Unlinked],
) -> None:
    """Add the cases, excluded exams and unlinked outcomes of one patient."""
    screens, others = _screening_exams(exams)
    excluded += others
    left = list(outcomes)
    for place, exam in enumerate(screens):
        following = screens[place + 1].day if place + 1 < len(screens) else None
        end = exam.day + FOLLOW_UP
        if following is not None and following <= end:
            end = following - timedelta(days=1)
        own = [one for one in left if exam.day <= one.day <= end]
        left = [one for one in left if one not in own]
        reason = _reason(exam, own, end <= complete_until, positive)
        if reason:
            excluded.append((exam, reason))
        else:
            cases.append(Case(exam, tuple(own)))
    first = min(exam.day for exam in exams)
    before, after = "before the patient's first exam", "more than a year after the patient's exam"
    no_screen = "no screening exam of this patient is in the figures"
    late = after if screens else no_screen
    unlinked += [Unlinked(one, before if one.day < first else late) for one in left]


def _screening_exams(exams: Sequence[Exam]) -> tuple[list[Exam], list[tuple[Exam, Reason]]]:
    """Part a patient's exams by day into screening exams, and others with the reason."""
    days = Counter(exam.day for exam in exams)
    screens: list[Exam] = []
    others: list[tuple[Exam, Reason]] = []
    previous: date | None = None
    for exam in sorted(exams, key=lambda exam: exam.day):
        if days[exam.day] > 1:
            others.append((exam, Reason.SAME_DAY))
        elif previous is not None and exam.day - previous < BETWEEN_SCREENS:
            others.append((exam, Reason.TOO_SOON))
        else:
            screens.append(exam)
        previous = exam.day
    return screens, others


def _reason(
    exam: Exam, outcomes: Sequence[Outcome], followed: bool, positive: frozenset[str]
) -> Reason | None:
    """Say why the exam cannot be in the figures; ``None`` if it can."""
    categories = set(exam.birads.values())
    if "6" in categories:
        return Reason.KNOWN_CANCER
    if None in categories and not categories & positive:
        return Reason.NOT_ASSESSED
    if not followed:
        return Reason.NO_FOLLOW_UP
    if _contradict(outcomes):
        return Reason.CONTRADICTION
    if not any(one.finding in CANCERS for one in outcomes) and _is_open(outcomes):
        return Reason.NOT_KNOWN
    return None


def _contradict(outcomes: Iterable[Outcome]) -> bool:
    """Say whether one source calls one breast a cancer and not a cancer on the same day.

    Different sources on one day are different specimens: then one cancer is a cancer.
    """
    answers_of: dict[tuple[Laterality | None, date, str], set[bool]] = {}
    for one in outcomes:
        if one.finding not in UNKNOWN:
            key = (one.side, one.day, one.source)
            answers_of.setdefault(key, set()).add(one.finding in CANCERS)
    return any(len(answers) > 1 for answers in answers_of.values())


def _is_open(outcomes: Sequence[Outcome]) -> bool:
    """Say whether a breast has an unknown outcome that no later known outcome replaces."""
    for side in {one.side for one in outcomes}:
        own = [one for one in outcomes if one.side is side]
        newest = max(one.day for one in own)
        last = [one.finding in UNKNOWN for one in own if one.day == newest]
        if any(last):
            return True
    return False
