"""Where exams stand: found by whose they are, and told in full, from the tables alone.

An exam is in one `ExamState` at a time: the first of the list that is true of it. What a later
look at its files could add (why an object was refused) is not here; see ``holdings``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from mammolens.core import TriageCategory
from mammolens.errors import ConfigError
from mammolens.serve.record.database import Database
from mammolens.serve.record.tables import (
    AUDIT,
    DELIVERIES,
    EXAMS,
    FILES,
    INSTANCES,
    JOBS,
    PRIORS,
    RESULTS,
    WAITS,
    Role,
    WorkState,
)

__all__ = [
    "ExamFilter",
    "ExamRow",
    "ExamState",
    "ExamStory",
    "FoundExams",
    "find_exams",
    "is_overtaken",
    "read_exam",
]

_CHUNK: Final = 500
"""Ids in one statement: SQLite takes 32,766 values, and 999 before version 3.32."""


class ExamState(str, Enum):
    """Where an exam stands; of several that are true of it, the first."""

    PRIOR = "prior"
    """Fetched to compare with, not analysed."""
    WAITING = "waiting"
    """Received; more images may come before it is analysed."""
    RUNNING = "running"
    """A worker analyses it."""
    QUEUED = "queued"
    """To be analysed by the next worker that is free, or again after a failure."""
    GIVEN_UP = "given_up"
    """Its analysis was given up: only a person brings it back (``mammolens node retry``)."""
    UNDELIVERED = "undelivered"
    """A result was refused or tried too often: a person must look (``mammolens node dead``)."""
    DELIVERING = "delivering"
    """A result is on its way, or waits for its destination."""
    FAILED = "failed"
    """Its newest result says that nothing is known of it; that was delivered."""
    DONE = "done"
    """Analysed, and everything that routes ask for was delivered."""


@dataclass(frozen=True)
class ExamFilter:
    """Which exams are asked for: those that fit all that is given.

    Several values of one kind are alternatives. `accession_exams` are exams of which it is known
    otherwise that they bear the accession number. `state` ``FAILED`` means every exam whose
    newest result failed, delivered or not.
    """

    exam_id: int | None = None
    patient_ids: tuple[str, ...] = ()
    accession_number: str | None = None
    accession_exams: frozenset[int] = frozenset()
    study_instance_uids: tuple[str, ...] = ()
    state: ExamState | None = None


@dataclass(frozen=True)
class ExamRow:
    """One exam in a list; `deliveries` counts by route and state, `views` are those analysed."""

    id: int
    patient_id: str | None
    accession_number: str | None
    study_instance_uid: str
    state: ExamState
    category: TriageCategory | None
    revision: int | None
    views: tuple[str, ...]
    received: Mapping[str, int]
    first_received_at: datetime
    last_received_at: datetime
    deliveries: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class FoundExams:
    """The newest exams that fit, `rows`, and how many fit in all."""

    rows: tuple[ExamRow, ...]
    n_found: int


@dataclass(frozen=True)
class ExamStory:
    """Everything that the tables tell of one exam, each part in the order in which it happened.

    `passed_over` are objects of its study that were noted and not kept.
    """

    row: ExamRow
    instances: tuple[Mapping[str, Any], ...]
    passed_over: tuple[Mapping[str, Any], ...]
    jobs: tuple[Mapping[str, Any], ...]
    results: tuple[Mapping[str, Any], ...]
    files: tuple[Mapping[str, Any], ...]
    deliveries: tuple[Mapping[str, Any], ...]
    trail: tuple[Mapping[str, Any], ...]


def find_exams(database: Database, asked: ExamFilter, limit: int | None = None) -> FoundExams:
    """Find exams, the ones that received something last first.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    standing = _standing()
    fits = _conditions(asked, standing)
    newest = EXAMS.c.last_received_at.desc(), EXAMS.c.id.desc()
    with database.read() as connection:
        n_found = connection.execute(sa.select(sa.func.count(EXAMS.c.id)).where(*fits)).scalar_one()
        rows = connection.execute(
            sa.select(EXAMS, standing.label("standing")).where(*fits).order_by(*newest).limit(limit)
        ).all()
        return FoundExams(tuple(_rows(connection, rows)), int(n_found))


def read_exam(database: Database, exam_id: int) -> ExamStory:
    """Read everything about an exam.

    Raises
    ------
    ConfigError
        There is no exam of this number.
    StorageError
        The database cannot be used.
    """
    found = find_exams(database, ExamFilter(exam_id=exam_id))
    if not found.rows:
        raise ConfigError(
            f"there is no exam {exam_id}",
            keyword="ID",
            remedy="mammolens node exams lists them; retention may have deleted it",
        )
    (row,) = found.rows
    with database.read() as connection:

        def listed(table: sa.Table) -> tuple[Mapping[str, Any], ...]:
            asked = sa.select(table).where(table.c.exam_id == exam_id).order_by(table.c[0])
            return tuple(dict(row._mapping) for row in connection.execute(asked))

        files = connection.execute(
            sa.select(FILES, RESULTS.c.revision)
            .join(RESULTS, RESULTS.c.id == FILES.c.result_id)
            .where(RESULTS.c.exam_id == exam_id)
            .order_by(FILES.c.id)
        ).all()
        deliveries = connection.execute(
            sa.select(DELIVERIES, FILES.c.sink, FILES.c.name, is_overtaken().label("overtaken"))
            .join(FILES, FILES.c.id == DELIVERIES.c.file_id)
            .where(DELIVERIES.c.exam_id == exam_id)
            .order_by(DELIVERIES.c.route, DELIVERIES.c.id)
        ).all()
        return ExamStory(
            row,
            instances=listed(INSTANCES),
            passed_over=_passed_over(connection, row.study_instance_uid),
            jobs=listed(JOBS),
            results=listed(RESULTS),
            files=tuple(dict(row._mapping) for row in files),
            deliveries=tuple(dict(row._mapping) for row in deliveries),
            trail=listed(AUDIT),
        )


def is_overtaken() -> sa.ColumnElement[bool]:
    """Say of a delivery that a later result of its exam has gone by its route, or is going."""
    later = DELIVERIES.alias()
    gone = (WorkState.RUNNING.value, WorkState.DONE.value)
    return (
        sa.select(later.c.id)
        .where(
            later.c.exam_id == DELIVERIES.c.exam_id,
            later.c.route == DELIVERIES.c.route,
            later.c.revision > DELIVERIES.c.revision,
            later.c.state.in_(gone),
        )
        .exists()
    )


def _conditions(asked: ExamFilter, standing: sa.Case[str]) -> list[sa.ColumnElement[bool]]:
    given = {
        EXAMS.c.patient_id: asked.patient_ids,
        EXAMS.c.study_instance_uid: asked.study_instance_uids,
    }
    found: list[sa.ColumnElement[bool]] = [
        column.in_(values) for column, values in given.items() if values
    ]
    if asked.exam_id is not None:
        found.append(EXAMS.c.id == asked.exam_id)
    if asked.accession_number is not None:
        bears = EXAMS.c.accession_number == asked.accession_number
        found.append(sa.or_(bears, EXAMS.c.id.in_(sorted(asked.accession_exams))))
    if asked.state is ExamState.FAILED:
        found.append(_newest_is(TriageCategory.FAILED))
    elif asked.state is not None:
        found.append(standing == asked.state.value)
    return found


def _standing() -> sa.Case[str]:
    """Give the state of an exam as one expression, in the order of `ExamState`."""

    def any_of(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.select(table.c.id).where(table.c.exam_id == EXAMS.c.id, *where).exists()

    def job(state: WorkState) -> sa.ColumnElement[bool]:
        return any_of(JOBS, JOBS.c.state == state.value)

    changed = EXAMS.c.version > EXAMS.c.queued_version
    fetched = PRIORS.c.study_instance_uid == EXAMS.c.study_instance_uid
    later = JOBS.alias()
    same, after = later.c.exam_id == JOBS.c.exam_id, later.c.id > JOBS.c.id
    newest = ~sa.select(later.c.id).where(same, after).exists()
    dead = DELIVERIES.c.state == WorkState.DEAD.value
    rules = {
        ExamState.PRIOR: sa.and_(changed, sa.select(PRIORS.c.id).where(fetched).exists()),
        ExamState.WAITING: WAITS,
        ExamState.RUNNING: job(WorkState.RUNNING),
        ExamState.QUEUED: job(WorkState.QUEUED),
        ExamState.GIVEN_UP: any_of(JOBS, JOBS.c.state == WorkState.DEAD.value, newest),
        ExamState.UNDELIVERED: any_of(DELIVERIES, dead, ~is_overtaken()),
        ExamState.DELIVERING: any_of(DELIVERIES, DELIVERIES.c.finished_at.is_(None)),
        ExamState.FAILED: _newest_is(TriageCategory.FAILED),
        ExamState.DONE: any_of(RESULTS),
    }
    whens = [(rule, state.value) for state, rule in rules.items()]
    return sa.case(*whens, else_=ExamState.WAITING.value)


def _newest_is(category: TriageCategory) -> sa.ColumnElement[bool]:
    later = RESULTS.alias()
    newer = sa.select(later.c.id).where(later.c.supersedes == RESULTS.c.id).exists()
    return (
        sa.select(RESULTS.c.id)
        .where(RESULTS.c.exam_id == EXAMS.c.id, RESULTS.c.category == category.value, ~newer)
        .exists()
    )


def _rows(connection: sa.Connection, exams: Sequence[sa.Row[Any]]) -> list[ExamRow]:
    """Add to exams what they received, their newest results and their deliveries."""
    ids = [exam.id for exam in exams]

    def grouped(statement: sa.Select[Any], of: sa.Column[Any]) -> dict[int, list[sa.Row[Any]]]:
        found: dict[int, list[sa.Row[Any]]] = {number: [] for number in ids}
        for chunk in _chunked(ids):
            for row in connection.execute(statement.where(of.in_(chunk))):
                found[row.exam_id].append(row)
        return found

    number = sa.func.count().label("number")
    kinds = (INSTANCES.c.exam_id, INSTANCES.c.role, INSTANCES.c.view)
    came = grouped(sa.select(*kinds, number).group_by(*kinds), INSTANCES.c.exam_id)
    columns = RESULTS.c.exam_id, RESULTS.c.revision, RESULTS.c.category
    results = grouped(sa.select(*columns).order_by(RESULTS.c.revision), RESULTS.c.exam_id)
    ways = (DELIVERIES.c.exam_id, DELIVERIES.c.route, DELIVERIES.c.state)
    asked = sa.select(*ways, number).group_by(*ways).order_by(DELIVERIES.c.route)
    sent = grouped(asked, DELIVERIES.c.exam_id)
    return [_row(exam, came[exam.id], results[exam.id], sent[exam.id]) for exam in exams]


def _row(
    exam: sa.Row[Any],
    came: Sequence[sa.Row[Any]],
    results: Sequence[sa.Row[Any]],
    sent: Sequence[sa.Row[Any]],
) -> ExamRow:
    received = dict.fromkeys((role.value for role in Role if role is not Role.IGNORED), 0)
    for row in came:
        received[row.role] += row.number
    deliveries: dict[str, dict[str, int]] = {}
    for row in sent:
        deliveries.setdefault(row.route, {})[row.state] = row.number
    newest = results[-1] if results else None
    return ExamRow(
        exam.id,
        exam.patient_id,
        exam.accession_number,
        exam.study_instance_uid,
        ExamState(exam.standing),
        TriageCategory(newest.category) if newest else None,
        newest.revision if newest else None,
        tuple(sorted({row.view for row in came if row.view and row.role == Role.INPUT.value})),
        received,
        exam.first_received_at,
        exam.last_received_at,
        deliveries,
    )


def _passed_over(connection: sa.Connection, study: str) -> tuple[Mapping[str, Any], ...]:
    """Find what was noted and not kept of a study: its rows tell no study, but the trail does."""
    named = AUDIT.c.detail.contains(f'"study_instance_uid": "{study}"', autoescape=True)
    rows = connection.execute(
        sa.select(AUDIT).where(AUDIT.c.action == Role.IGNORED.value, named).order_by(AUDIT.c.number)
    ).all()
    return tuple({**json.loads(row.detail), "at": row.at, "actor": row.actor} for row in rows)


def _chunked(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
