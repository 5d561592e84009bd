"""One row of a worklist, with as much of the AI's result as a person may see now."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from mammolens.images.film_photograph import FROM_PHOTOGRAPH
from mammolens.serve.people import Person
from mammolens.serve.reading import (
    ai_is_visible,
    category_is_visible,
    reader_id,
    reader_name,
    reading_status,
)
from mammolens.serve.record import EXAMS, INSTANCES, JOBS, SITES, Role, WorkState
from mammolens.wording import percent

__all__ = ["AiSummary", "ExamRow", "ExamStatus", "exam_status", "is_earlier", "read_rows"]

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


@dataclass(frozen=True)
class AiSummary:
    """What the AI says, as far as the person may see it: in triage alone there is no score."""

    category: str
    score: float | None
    score_text: str | None
    prevalence: float | None
    doubts: tuple[str, ...]
    failure: str | None
    model: str
    from_photograph: bool = False
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
    patient_id: str | None
    patient_name: str | None
    patient_key: str | None
    birth_date: str | None
    age_years: int | None
    sex: str | None
    site_id: int | None
    site_name: str | None
    received_at: datetime
    study_date: str | None
    views: tuple[str, ...]
    complete: bool
    refused: int
    ai: AiSummary | None
    ai_hidden: bool
    status: ExamStatus
    reader_id: int | None
    reader_name: str | None
    has_priors: bool
    version: int
    revision: int | None
    mode: str
    banner: str | None


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
    return ExamRow(
        id=row.id,
        study_instance_uid=row.study_instance_uid,
        accession_number=row.accession_number,
        patient_id=row.patient_id,
        patient_name=row.patient_name,
        patient_key=f"{row.site_id}-{row.patient_key}" if row.site_id and row.patient_key else None,
        birth_date=row.birth_date,
        age_years=_age(row),
        sex=row.sex,
        site_id=row.site_id,
        site_name=row.site_name,
        received_at=row.first_received_at,
        study_date=row.study_date,
        views=views,
        complete={*complete_views} <= {*views} and row.refused == 0,
        refused=row.refused,
        ai=_ai(row),
        ai_hidden=not row.shows_ai,
        status=ExamStatus(row.status),
        reader_id=row.reader_id,
        reader_name=row.reader_name,
        has_priors=bool(row.has_priors),
        version=row.version,
        revision=row.revision,
        mode=row.reading_mode or "concurrent",
        banner=row.banner,
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
    """Age in years at the study."""
    if row.birth_date and row.study_date:
        try:
            born, studied = (date.fromisoformat(d) for d in (row.birth_date, row.study_date))
        except ValueError:
            return None
        before = (studied.month, studied.day) < (born.month, born.day)
        years = studied.year - born.year - before
        return years if 0 <= years <= 130 else None
    return None if row.age_years is None else int(row.age_years)
