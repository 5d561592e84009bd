"""Search for exams by the identifiers that a hospital knows; each has a state.

An exam has one `ExamState`: the first in the list that applies. If objects are de-identified, the
database has pseudonyms of patients and studies, which are computed from the given identifiers.
Accession numbers are only in the encrypted identities, which are decrypted one by one. The output
shows no more identity than the database has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from mammolens.core import TriageCategory
from mammolens.errors import ConfigError
from mammolens.serve.holdings import NodeState, count_sealed, exams_with_accession, open_seal
from mammolens.serve.record import (
    DELIVERIES,
    EXAMS,
    INSTANCES,
    IS_PRIOR,
    JOBS,
    OVERTAKEN,
    RESULTS,
    SUPERSEDED,
    WAITS,
    Role,
    WorkState,
    batches,
    from_row,
)

__all__ = ["ExamAnswer", "ExamRow", "ExamState", "look_up", "notes_on", "plain", "select_exams"]

_FAILED: Final = (
    sa.select(RESULTS.c.id)
    .where(
        RESULTS.c.exam_id == EXAMS.c.id,
        RESULTS.c.category == TriageCategory.FAILED.value,
        ~SUPERSEDED,
    )
    .exists()
)
"""Exams whose newest result failed."""


class ExamState(str, Enum):
    """State of an exam; if several apply, the first of this list."""

    PRIOR = "prior"
    """Fetched for comparison, not analysed."""
    WAITING = "waiting"
    """Received; more images may come before it is analysed."""
    RUNNING = "running"
    """A worker analyses it."""
    QUEUED = "queued"
    """Waits for a free worker, or for another attempt after a failure."""
    GIVEN_UP = "given_up"
    """Its analysis was given up; a person can queue it again (``mammolens node retry``)."""
    UNDELIVERED = "undelivered"
    """A result was refused or tried too often: a person must look (``mammolens node dead``)."""
    DELIVERING = "delivering"
    """A result is being sent, or waits for its destination."""
    FAILED = "failed"
    """Its newest result is failed, and was delivered."""
    DONE = "done"
    """Analysed, and all files of its routes were delivered."""


@dataclass(frozen=True)
class ExamRow:
    """One exam in a list for whoever runs the node; readers see that of `serve.worklist`.

    `deliveries` counts by route and state, `views` are those analysed.
    """

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
class ExamAnswer:
    """The exams that match a search, newest first; the number of all matches; notes on both."""

    rows: tuple[ExamRow, ...]
    n_found: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the answer as plain values for JSON."""
        rows = [plain(vars(row)) for row in self.rows]
        return {"n_found": self.n_found, "exams": rows, "notes": list(self.notes)}


def look_up(
    state: NodeState,
    patient_id: str | None = None,
    accession_number: str | None = None,
    study_instance_uid: str | None = None,
    exam_state: str | None = None,
    limit: int | None = None,
) -> ExamAnswer:
    """Find the exams that match all given values.

    Parameters
    ----------
    exam_state
        Name of an `ExamState`; ``failed`` finds every exam whose newest result failed, delivered or
        not.
    limit
        Largest number of rows; `ExamAnswer.n_found` counts all matches.

    Raises
    ------
    ConfigError
        There is no such state.
    StorageError
        The database cannot be used, or the key of encrypted identities is missing.
    """
    patient, accession, study = (
        (given or "").strip() for given in (patient_id, accession_number, study_instance_uid)
    )
    seal = open_seal(state.database, state.settings.intake.deidentify)
    fits: list[sa.ColumnElement[bool]] = []
    if patient:
        known = [patient] if seal is None else [patient, seal.pseudonyms.person(patient)]
        fits.append(EXAMS.c.patient_id.in_(known))
    if study:
        known = [study] if seal is None else [study, seal.pseudonyms.uid(study)]
        fits.append(EXAMS.c.study_instance_uid.in_(known))
    if accession:
        hidden = exams_with_accession(state.database, seal, accession) if seal else frozenset()
        open_to_all = EXAMS.c.accession_number == accession
        fits.append(sa.or_(open_to_all, EXAMS.c.id.in_(sorted(hidden))))
    if exam_state:
        wanted = _named(exam_state)
        is_failed = wanted is ExamState.FAILED
        fits.append(_FAILED if is_failed else _state_of_exam() == wanted.value)
    with state.database.read() as connection:
        count = sa.select(sa.func.count(EXAMS.c.id)).where(*fits)
        n_found = int(connection.execute(count).scalar_one())
        return ExamAnswer(select_exams(connection, fits, limit), n_found, notes_on(state))


def select_exams(
    connection: sa.Connection, fits: Sequence[sa.ColumnElement[bool]], limit: int | None = None
) -> tuple[ExamRow, ...]:
    """Read the matching exams; the one with the latest received object comes first."""
    newest = EXAMS.c.last_received_at.desc(), EXAMS.c.id.desc()
    in_state = _state_of_exam().label("state")
    asked = sa.select(EXAMS, in_state).where(*fits).order_by(*newest).limit(limit)
    return tuple(_rows(connection, connection.execute(asked).all()))


def notes_on(state: NodeState) -> tuple[str, ...]:
    """Explain what can be found if identities are encrypted."""
    sealed = count_sealed(state.database)
    if state.settings.intake.deidentify is not None:
        return (
            "identity is taken off at reception: patients and studies are looked up, and shown, by"
            f" their pseudonyms; an accession number by opening {sealed} sealed identities",
        )
    if sealed:
        return (
            f"{sealed} objects were received with their identity taken off, and the settings have"
            " no key (intake.deidentify.key): their exams cannot be found by patient, accession"
            " number or study",
        )
    return ()


def plain(value: Any) -> Any:
    """Turn enums, times, tuples and mappings into values for JSON."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def _named(exam_state: str) -> ExamState:
    names = [state.value for state in ExamState]
    given = exam_state.strip().lower().replace("-", "_")
    if given not in names:
        raise ConfigError(
            f"an exam is in no state {exam_state!r}",
            keyword="state",
            remedy=f"Give one of {', '.join(names)}",
        )
    return ExamState(given)


def _state_of_exam() -> sa.Case[str]:
    """Give the state of an exam as one expression, in the order of `ExamState`."""

    def any_of(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.select(table.c.id).where(table.c.exam_id == EXAMS.c.id, *where).exists()

    def job(state: WorkState) -> sa.ColumnElement[bool]:
        return any_of(JOBS, JOBS.c.state == state.value)

    changed = EXAMS.c.version > EXAMS.c.queued_version
    later = JOBS.alias()
    same, after = later.c.exam_id == JOBS.c.exam_id, later.c.id > JOBS.c.id
    newest = ~sa.select(later.c.id).where(same, after).exists()
    dead = DELIVERIES.c.state == WorkState.DEAD.value
    rules = {
        ExamState.PRIOR: sa.and_(changed, IS_PRIOR),  # `changed`: it was not queued.
        ExamState.WAITING: WAITS,
        ExamState.RUNNING: job(WorkState.RUNNING),
        ExamState.QUEUED: job(WorkState.QUEUED),
        ExamState.GIVEN_UP: any_of(JOBS, JOBS.c.state == WorkState.DEAD.value, newest),
        ExamState.UNDELIVERED: any_of(DELIVERIES, dead, ~OVERTAKEN),
        ExamState.DELIVERING: any_of(DELIVERIES, DELIVERIES.c.finished_at.is_(None)),
        ExamState.FAILED: _FAILED,
        ExamState.DONE: any_of(RESULTS),
    }
    whens = [(rule, state.value) for state, rule in rules.items()]
    # What is left has no open job and no result.
    return sa.case(*whens, else_=ExamState.WAITING.value)


def _rows(connection: sa.Connection, exams: Sequence[sa.Row[Any]]) -> list[ExamRow]:
    """Add the received objects, the newest result and the deliveries to each exam."""
    ids = [exam.id for exam in exams]

    def grouped(statement: sa.Select[Any], of: sa.Column[Any]) -> dict[int, list[sa.Row[Any]]]:
        found: dict[int, list[sa.Row[Any]]] = {number: [] for number in ids}
        for chunk in batches(ids):
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
    views = {row.view for row in came if row.view and row.role == Role.INPUT.value}
    return from_row(
        ExamRow,
        exam,
        category=newest.category if newest else None,
        revision=newest.revision if newest else None,
        views=tuple(sorted(views)),
        received=received,
        deliveries=deliveries,
    )
