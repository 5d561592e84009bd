"""One row of a worklist, with as much of the AI's result as a person may see now.

`exam_status` says the status of one row. `has_status` says the same as sets, which a database makes
once for a list of thousands; a test holds both together.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import sqlalchemy as sa
from pydantic import Field

from mammolens.images.film_photograph import FROM_PHOTOGRAPH
from mammolens.serve.people import Named, Person
from mammolens.serve.reading import (
    ai_is_visible,
    category_is_visible,
    reader_id,
    reader_name,
    reading_status,
)
from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    JOBS,
    READINGS,
    ROUNDS,
    SITES,
    ReadingState,
    Role,
    RoundState,
    WorkState,
    from_row,
)
from mammolens.wording import percent

__all__ = [
    "CategoryName",
    "ExamRow",
    "ExamStatus",
    "exam_status",
    "has_status",
    "is_earlier",
    "read_rows",
]

NOTICE: Final = "Research use only. Not a medical device."


class ExamStatus(str, Enum):
    """The state of an exam, for readers."""

    WAITING = "waiting"
    """Received; images may still come, or a worker has not begun."""
    ANALYSING = "analysing"
    NEW = "new"
    IN_READING = "in_reading"
    READ = "read"
    ARBITRATION = "arbitration"
    SIGNED = "signed"


CategoryName = Literal["high", "failed", "withheld", "intermediate", "low"]


@dataclass(frozen=True)
class Patient:
    """The patient of an exam; `key` finds their exams at the same site."""

    id: str | None
    name: str | None
    key: str | None
    birth_date: str | None
    age_years: int | None
    sex: str | None


@dataclass(frozen=True)
class AiSummary:
    """What the AI says, as far as the person may see it; a failure has no score, nor has triage."""

    category: CategoryName
    score: float | None
    score_text: str | None
    prevalence: float | None
    doubts: tuple[str, ...]
    failure: str | None
    model: str
    from_photograph: Annotated[
        bool, Field(description="an image is a photograph of a film: never low")
    ]
    notice: str = NOTICE


@dataclass(frozen=True)
class ExamRow:
    """One exam in a list.

    `version` grows with the images that come, `revision` with the results; both are ``None`` or
    unchanged exactly where nothing new is to be looked at. `ai_hidden` says that there may be a
    result which the person may not see now.
    """

    id: int
    study_instance_uid: str
    accession_number: str | None
    patient: Patient
    site: Named | None
    received_at: datetime
    study_date: str | None
    views: tuple[str, ...]
    complete: bool
    refused: int
    ai: AiSummary | None
    ai_hidden: bool
    status: ExamStatus
    reader: Named | None
    has_priors: bool
    version: int
    revision: int | None
    banner: Annotated[str | None, Field(description="must be visible wherever the exam is")]
    mode: Annotated[str, Field(exclude=True)]
    """How exams of its site are read; a list does not show it."""


def exam_status() -> sa.Case[str]:
    """Give the `ExamStatus` of a row of `EXAMS`."""
    read = reading_status()
    analyses = sa.exists().where(
        JOBS.c.exam_id == EXAMS.c.id, JOBS.c.state == WorkState.RUNNING.value
    )
    return sa.case(
        (read != ExamStatus.NEW.value, read),
        (EXAMS.c.category.is_not(None), ExamStatus.NEW.value),
        (analyses, ExamStatus.ANALYSING.value),
        else_=ExamStatus.WAITING.value,
    )


def is_earlier(other: sa.FromClause, exam: sa.FromClause) -> sa.ColumnElement[bool]:
    """Say whether an exam is an earlier one of the same patient at the same site.

    By the dates of the studies; where one is not known, or both are of one day, by reception.
    """
    ours, theirs = exam.c, other.c
    same_day = sa.or_(
        theirs.study_date.is_(None),
        ours.study_date.is_(None),
        theirs.study_date == ours.study_date,
    )
    return sa.and_(
        theirs.site_id == ours.site_id,
        theirs.patient_key == ours.patient_key,
        theirs.id != ours.id,
        sa.or_(
            theirs.study_date < ours.study_date,
            sa.and_(same_day, theirs.first_received_at < ours.first_received_at),
        ),
    )


def read_rows(
    connection: sa.Connection, person: Person, ids: Sequence[int], complete_views: Collection[str]
) -> list[ExamRow]:
    """Read exams that the person may know of, in the order of `ids`. Check `visible_exams` before.

    Parameters
    ----------
    complete_views
        Names of the views without which an exam is not complete, such as RCC.
    """
    asked = connection.execute(_query(person), {"ids": [*ids]})
    found = {row.id: row for row in asked}
    return [_row(found[number], complete_views) for number in ids if number in found]


@lru_cache(maxsize=512)
def _query(person: Person) -> sa.Select[Any]:
    """Give the query for rows; to build it takes longer than to run it."""
    other, site = EXAMS.alias("other"), SITES.alias("site")
    refused = (
        sa.select(sa.func.count())
        .where(INSTANCES.c.exam_id == EXAMS.c.id, INSTANCES.c.role == Role.REFUSED.value)
        .scalar_subquery()
    )
    return (
        sa.select(
            EXAMS,
            site.c.name.label("site_name"),
            site.c.reading_mode,
            exam_status().label("status"),
            reader_id().label("reader_id"),
            reader_name().label("reader_name"),
            ai_is_visible(person).label("shows_ai"),
            category_is_visible(person).label("shows_category"),
            sa.exists().where(is_earlier(other, EXAMS)).label("has_priors"),
            refused.label("refused"),
        )
        .outerjoin(site, site.c.id == EXAMS.c.site_id)
        .where(EXAMS.c.id.in_(sa.bindparam("ids", expanding=True)))
    )


def _row(row: sa.Row[Any], complete_views: Collection[str]) -> ExamRow:
    views = tuple((row.views or "").split())
    # With the site: patients of two sites are never taken for one.
    key = f"{row.site_id}-{row.patient_key}" if row.site_id and row.patient_key else None
    return from_row(
        ExamRow,
        row,
        patient=Patient(row.patient_id, row.patient_name, key, row.birth_date, _age(row), row.sex),
        site=Named(row.site_id, row.site_name or "") if row.site_id is not None else None,
        received_at=row.first_received_at,
        views=views,
        complete={*complete_views} <= {*views} and row.refused == 0,
        ai=_ai(row),
        ai_hidden=not row.shows_ai,
        reader=Named(row.reader_id, row.reader_name or "") if row.reader_id is not None else None,
        mode=row.reading_mode or "concurrent",
    )


def _ai(row: sa.Row[Any]) -> AiSummary | None:
    if row.category is None or not (row.shows_ai or row.shows_category):
        return None
    shows_score = bool(row.shows_ai) and row.score is not None
    named = json.loads(row.doubts or "[]")
    doubts = tuple(str(text) for _, text in named)
    return AiSummary(
        category=row.category,
        score=row.score if shows_score else None,
        score_text=_score_text(row.score, row.prevalence) if shows_score else None,
        prevalence=row.prevalence if shows_score else None,
        doubts=doubts,
        failure=row.failure,
        model=row.model or "",
        from_photograph=any(name == FROM_PHOTOGRAPH.name for name, _ in named),
    )


def _score_text(score: float, prevalence: float | None) -> str:
    if prevalence is None:
        return f"{percent(score)} for an unknown prevalence"
    return f"{percent(score)} for a prevalence of {percent(prevalence)} among breasts"


def _age(row: sa.Row[Any]) -> int | None:
    """Age at the study in completed years, as people say it."""
    if row.birth_date and row.study_date:
        try:
            born, studied = (date.fromisoformat(d) for d in (row.birth_date, row.study_date))
        except ValueError:
            return None
        before = (studied.month, studied.day) < (born.month, born.day)
        years = studied.year - born.year - before
        return years if 0 <= years <= 130 else None
    return None if row.age_years is None else int(row.age_years)


def has_status(wanted: Collection[ExamStatus]) -> sa.ColumnElement[bool]:
    """Say which rows of `EXAMS` have one of some statuses."""
    disputed = _in(_rounds(RoundState.DISPUTED))
    is_open = _in(_rounds(RoundState.OPEN))
    signs = READINGS.c.round_id == ROUNDS.c.id, READINGS.c.state == ReadingState.SIGNED.value
    has_signed = _in(_rounds(RoundState.OPEN).join(READINGS, sa.and_(*signs)))
    # An answer that was signed before the newest images came does not count.
    exam = EXAMS.alias("answered")
    answered = sa.and_(exam.c.id == ROUNDS.c.exam_id, exam.c.version == ROUNDS.c.version)
    decided = _in(_rounds(RoundState.DECIDED).join(exam, answered))
    running = _in(sa.select(JOBS.c.exam_id).where(JOBS.c.state == WorkState.RUNNING.value))
    unread = sa.not_(sa.or_(disputed, is_open, decided))
    has_result = EXAMS.c.category.is_not(None)
    rules = {
        ExamStatus.ARBITRATION: disputed,
        ExamStatus.READ: sa.and_(~disputed, has_signed),
        ExamStatus.IN_READING: sa.and_(~disputed, ~has_signed, is_open),
        ExamStatus.SIGNED: sa.and_(~disputed, ~is_open, decided),
        ExamStatus.NEW: sa.and_(unread, has_result),
        ExamStatus.ANALYSING: sa.and_(unread, ~has_result, running),
        ExamStatus.WAITING: sa.and_(unread, ~has_result, ~running),
    }
    asked = {*wanted}
    if len(asked) <= len(rules) // 2:
        return sa.or_(sa.false(), *(rules[status] for status in asked))
    return sa.not_(sa.or_(sa.false(), *(rule for s, rule in rules.items() if s not in asked)))


def _rounds(state: RoundState) -> sa.Select[Any]:
    return sa.select(ROUNDS.c.exam_id).where(ROUNDS.c.state == state.value)


def _in(ids: sa.Select[Any]) -> sa.ColumnElement[bool]:
    return EXAMS.c.id.in_(ids)
