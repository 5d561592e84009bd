"""Retention: old exams and other old rows are deleted, after the days in the settings.

An exam is deleted as a whole, with its images, results and identity. Its images are never deleted
alone: a late view would then be analysed by itself, and its result would replace the result of the
whole exam. An old exam stays while it is analysed, waits, has results to deliver, or waits for a
person. Rows are deleted first; then no row refers to their files, and `sweep` removes them. The
audit trail is never deleted.

If a clock runs ahead, everything looks old. Therefore nothing is deleted if, by that clock, nothing
was received for a long time, if the clocks of the host and of the database differ, or if most exams
would be deleted at once. A person can check this and confirm that the clock is right.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import ConfigError
from mammolens.serve.holdings.state import NodeState
from mammolens.serve.holdings.store import sweep
from mammolens.serve.record import (
    COMMITMENTS,
    DELIVERIES,
    EXAMS,
    FILES,
    IDENTITIES,
    IN_HANDS,
    INSTANCES,
    IS_PRIOR,
    JOBS,
    OUTCOMES,
    OVERLAYS,
    PICTURES,
    PRIORS,
    RESULTS,
    SHADOW_SCORES,
    Database,
    OutcomeState,
    Role,
    WorkState,
    audit,
    batches,
    server_time,
    without_outcomes,
    without_readings,
)
from mammolens.serve.settings import RetentionSettings

__all__ = ["Expired", "check_plausible", "count_expired", "expire", "expired_lines"]

BATCH: Final = 100
CLOCK_AHEAD: Final = timedelta(days=14)
"""If nothing was received for so long, the clock runs ahead or the unit is closed: a person must
confirm. Longer than the holidays of a unit, shorter than any useful time of retention."""
CLOCKS_APART: Final = timedelta(hours=1)
"""Largest difference of the two clocks; both are normally set by NTP. Time zones do not matter."""
FEW: Final = 20
MOST: Final = 0.5
"""Largest share of more than `FEW` exams that is deleted at once. Each night, a small share becomes
old; if it is more, the clock jumped or the settings are new, and a person must confirm."""
ACTOR: Final = "retention"


@dataclass(frozen=True)
class Expired:
    """How many of each kind were deleted, or would be. `held` are old exams that must stay."""

    exams: int = 0
    priors: int = 0
    superseded: int = 0
    ignored: int = 0
    commitments: int = 0
    outcomes: int = 0
    held: int = 0
    files: int = 0


def count_expired(database: Database, retention: RetentionSettings) -> Expired:
    """Count what `expire` would delete; `files` are not counted.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        due = _due(database.now(connection), retention)
        return Expired(**{kind: _count(connection, rows) for kind, rows in due.items()})


def check_plausible(database: Database, retention: RetentionSettings) -> None:
    """Refuse to delete if a clock may be wrong, or if most exams would be deleted at once.

    Raises
    ------
    ConfigError
        The message gives the cause, and how many exams are due.
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        now = database.now(connection)
        newest = connection.execute(sa.select(sa.func.max(INSTANCES.c.received_at))).scalar()
        kept = _count(connection, sa.select(EXAMS.c.id))
        rows = _due(now, retention)
        due = _count(connection, rows["exams"]) + _count(connection, rows["priors"])
        away = None if database.is_sqlite else server_time(connection) - datetime.now(UTC)
    if away is not None and abs(away) > CLOCKS_APART:
        raise _refused(f"the clocks of the database and of this host are {abs(away)} apart", due)
    if newest is not None and now - newest > CLOCK_AHEAD:
        days = (now - newest).days
        raise _refused(f"by the clock nothing was received for {days} days", due)
    if kept > FEW and due > MOST * kept:
        raise _refused(f"{due} of {kept} exams would be deleted at once", due)


def _refused(why: str, due: int) -> ConfigError:
    return ConfigError(
        f"nothing was deleted: {why} ({due} exams are due)",
        keyword="retention",
        remedy="Check the clock and look at --dry-run; if all is right, add --clock-is-right",
    )


def expire(state: NodeState, *, clock_is_right: bool = False) -> Expired:
    """Delete what is older than the settings allow, then the files that no row refers to.

    Parameters
    ----------
    clock_is_right
        A person has checked the clock: `check_plausible` is not called.

    Raises
    ------
    ConfigError
        The clock may be wrong.
    StorageError
        The database or a folder cannot be used; the rest is deleted the next time.
    """
    database, retention = state.database, state.settings.retention
    if not clock_is_right:
        check_plausible(database, retention)
    held = count_expired(database, retention).held
    return Expired(
        exams=_delete_exams(database, retention, "exams"),
        priors=_delete_exams(database, retention, "priors"),
        superseded=_delete_superseded(database, retention),
        ignored=_delete_rows(database, retention, "ignored", INSTANCES),
        commitments=_delete_rows(database, retention, "commitments", COMMITMENTS),
        outcomes=_delete_rows(database, retention, "outcomes", OUTCOMES),
        held=held,
        files=sum(sweep(database, store) for store in (state.received, state.results)),
    )


def expired_lines(found: Expired, done: bool) -> list[str]:
    """Describe the deleted data, or the data to delete, as lines of text."""
    verb = "deleted" if done else "would be deleted"
    lines = [
        f"{number} {what} {verb}"
        for number, what in (
            (found.exams, "exams with all that belongs to them"),
            (found.priors, "earlier studies"),
            (found.superseded, "files of superseded results"),
            (found.ignored, "notes of objects that were passed over"),
            (found.commitments, "commitments"),
            (found.outcomes, "outcomes of pathology reports without an exam"),
        )
        if number
    ]
    if found.held:
        why = "in work, undelivered, given up, or waiting for people"
        lines.append(f"{found.held} exams are old and stay: {why}")
    return lines or ["nothing is due"]


def _due(now: datetime, retention: RetentionSettings) -> dict[str, sa.Select[Any]]:
    """Select the ids of the rows that are due, by the kinds of `Expired`."""

    def is_old(column: sa.Column[Any], days: float | None) -> sa.ColumnElement[bool]:
        return sa.false() if days is None else column < now - timedelta(days=days)

    def undone(table: sa.Table, column: sa.Column[Any], own: sa.Column[Any]) -> sa.Exists:
        open_work = table.c.state != WorkState.DONE.value
        return sa.select(table.c.id).where(column == own, open_work).exists()

    old_exam = is_old(EXAMS.c.last_received_at, retention.exams_days)
    old_prior = is_old(EXAMS.c.last_received_at, retention.priors_days)
    analysed = sa.select(JOBS.c.id).where(JOBS.c.exam_id == EXAMS.c.id).exists()
    # The last change of the exam has a result, and everything was delivered.
    is_settled = sa.and_(
        EXAMS.c.version == EXAMS.c.queued_version,
        ~undone(JOBS, JOBS.c.exam_id, EXAMS.c.id),
        ~undone(DELIVERIES, DELIVERIES.c.exam_id, EXAMS.c.id),
        ~IN_HANDS,
    )
    newer = RESULTS.alias()
    replaced = sa.select(newer.c.id).where(
        newer.c.supersedes == RESULTS.c.id,
        is_old(newer.c.created_at, retention.superseded_days),
    )
    # Files of results that a later one replaced, if they were delivered wherever they had to go.
    superseded = (
        sa.select(FILES.c.id)
        .join(RESULTS, RESULTS.c.id == FILES.c.result_id)
        .where(replaced.exists(), ~undone(DELIVERIES, DELIVERIES.c.file_id, FILES.c.id))
    )
    is_ignored = INSTANCES.c.role == Role.IGNORED.value
    old_instance = is_old(INSTANCES.c.received_at, retention.ignored_days)
    old_commitment = is_old(COMMITMENTS.c.asked_at, retention.commitments_days)
    return {
        "exams": sa.select(EXAMS.c.id).where(old_exam, ~IS_PRIOR, is_settled),
        "held": sa.select(EXAMS.c.id).where(old_exam, ~IS_PRIOR, ~is_settled),
        "priors": sa.select(EXAMS.c.id).where(old_prior, IS_PRIOR, ~analysed),
        "superseded": superseded,
        "ignored": sa.select(INSTANCES.c.id).where(old_instance, is_ignored),
        "commitments": sa.select(COMMITMENTS.c.id).where(old_commitment),
        "outcomes": sa.select(OUTCOMES.c.id).where(
            OUTCOMES.c.exam_id.is_(None),
            OUTCOMES.c.state != OutcomeState.WAITING.value,
            is_old(OUTCOMES.c.changed_at, retention.exams_days),
        ),
    }


def _count(connection: sa.Connection, what: sa.Select[Any]) -> int:
    counted = sa.select(sa.func.count()).select_from(what.subquery())
    return int(connection.execute(counted).scalar_one())


def _delete_exams(database: Database, retention: RetentionSettings, kind: str) -> int:
    deleted = 0
    while True:
        with database.write() as connection:
            due = _due(database.now(connection), retention)[kind].order_by(EXAMS.c.id).limit(BATCH)
            locked = due.with_for_update(skip_locked=True, of=EXAMS)
            ids = list(connection.execute(locked).scalars())
            if not ids:
                return deleted
            asked = sa.select(EXAMS.c.id, EXAMS.c.site_id).where(EXAMS.c.id.in_(ids))
            sites = {row.id: row.site_id for row in connection.execute(asked)}
            objects = _delete_exam_rows(connection, ids)
            for exam_id in ids:
                # The site says who has to hear of it: the exam's own row is gone.
                detail: audit.Detail = {
                    "kind": kind,
                    "objects": objects[exam_id],
                    "site": sites[exam_id],
                }
                audit.append(database, connection, ACTOR, "expired", exam_id, detail)
            deleted += len(ids)


def _delete_exam_rows(connection: sa.Connection, ids: Sequence[int]) -> dict[int, int]:
    """Delete exams and all that refers to them; give how many objects each had."""
    counted = connection.execute(
        sa.select(INSTANCES.c.exam_id, sa.func.count())
        .where(INSTANCES.c.exam_id.in_(ids))
        .group_by(INSTANCES.c.exam_id)
    ).all()
    results = sa.select(RESULTS.c.id).where(RESULTS.c.exam_id.in_(ids))
    objects = sa.select(INSTANCES.c.id).where(INSTANCES.c.exam_id.in_(ids))
    mine = sa.select(INSTANCES.c.digest).where(INSTANCES.c.exam_id.in_(ids))
    studies = sa.select(EXAMS.c.study_instance_uid).where(EXAMS.c.id.in_(ids))
    siblings = sa.select(EXAMS.c.study_instance_uid).where(EXAMS.c.id.not_in(ids))
    for statement in (
        *without_readings(ids),
        *without_outcomes(OUTCOMES.c.exam_id.in_(ids)),
        SHADOW_SCORES.delete().where(SHADOW_SCORES.c.exam_id.in_(ids)),
        DELIVERIES.delete().where(DELIVERIES.c.exam_id.in_(ids)),
        FILES.delete().where(FILES.c.result_id.in_(results)),
        OVERLAYS.delete().where(OVERLAYS.c.result_id.in_(results)),
        RESULTS.delete().where(RESULTS.c.exam_id.in_(ids)),
        JOBS.delete().where(JOBS.c.exam_id.in_(ids)),
        IDENTITIES.delete().where(IDENTITIES.c.digest.in_(mine)),
        PICTURES.delete().where(PICTURES.c.instance_id.in_(objects)),
        INSTANCES.delete().where(INSTANCES.c.exam_id.in_(ids)),
        PRIORS.delete().where(
            PRIORS.c.study_instance_uid.in_(studies), PRIORS.c.study_instance_uid.not_in(siblings)
        ),
    ):
        connection.execute(statement)
    _forget_choices(connection, frozenset(ids))
    connection.execute(EXAMS.delete().where(EXAMS.c.id.in_(ids)))
    return dict.fromkeys(ids, 0) | {int(row[0]): int(row[1]) for row in counted}


def _forget_choices(connection: sa.Connection, gone: frozenset[int]) -> None:
    """Take exams off the choices of outcomes; one that has no choice left waits no more.

    Nobody could see or decide it, and its report would stay for ever.
    """
    asked = sa.select(OUTCOMES).where(OUTCOMES.c.candidates != "[]")
    for row in connection.execute(asked).all():
        left = [one for one in json.loads(row.candidates) if one not in gone]
        values = {"candidates": json.dumps(left)}
        if not left and row.exam_id is None and row.state == OutcomeState.WAITING.value:
            values |= {"state": OutcomeState.SETTLED.value, "reasons": "[]"}
        if values["candidates"] != row.candidates:
            connection.execute(OUTCOMES.update().where(OUTCOMES.c.id == row.id).values(values))


def _delete_superseded(database: Database, retention: RetentionSettings) -> int:
    deleted = 0
    while True:
        with database.write() as connection:
            due = _due(database.now(connection), retention)["superseded"]
            ids = list(connection.execute(due.order_by(FILES.c.id).limit(BATCH)).scalars())
            if not ids:
                return deleted
            connection.execute(DELIVERIES.delete().where(DELIVERIES.c.file_id.in_(ids)))
            connection.execute(FILES.delete().where(FILES.c.id.in_(ids)))
            audit.append(database, connection, ACTOR, "expired", kind="superseded", files=len(ids))
            deleted += len(ids)


def _delete_rows(
    database: Database, retention: RetentionSettings, kind: str, table: sa.Table
) -> int:
    with database.write() as connection:
        now = database.now(connection)
        due = list(connection.execute(_due(now, retention)[kind]).scalars())
        for some in batches(due):
            own = table.c.id.in_(some)
            deletes = without_outcomes(own) if table is OUTCOMES else (table.delete().where(own),)
            for statement in deletes:
                connection.execute(statement)
        if due:
            audit.append(database, connection, ACTOR, "expired", kind=kind, rows=len(due))
    return len(due)
