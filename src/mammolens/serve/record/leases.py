"""Leases: only one process at a time holds a job, a delivery or a procedure step.

queued ──claim──▶ running ──▶ done, or queued again after a wait, or dead after too many attempts.
The holder renews its lease. If it does not, because it was killed or hangs, it loses the lease and
the work is queued again. Each claim has its own token, and a change is accepted only with the token
of the row: a slow holder cannot change anything after its successor.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from mammolens.serve.record.database import Database
from mammolens.serve.record.tables import WorkState
from mammolens.serve.settings import JobSettings

__all__ = [
    "FREE",
    "Claim",
    "Lease",
    "change",
    "claim",
    "release",
    "renew",
    "settle",
]

EXPIRED: Final = "its holder fell silent"
FREE: Final = {"token": None, "lease_until": None}
"""Columns of a row that nobody holds."""


@dataclass(frozen=True)
class Lease:
    """The right to work on one row, until it is settled, released or lost."""

    id: int
    token: str


class Claim(NamedTuple):
    """A row as it was before the claim, its lease, and the time of the claim."""

    row: sa.Row[Any]
    lease: Lease
    at: datetime


def claim(
    database: Database,
    table: sa.Table,
    worker: str,
    jobs: JobSettings,
    find: Callable[[sa.Connection, sa.ColumnElement[bool]], Sequence[sa.Row[Any]]],
    note_lost: Callable[[sa.Connection, sa.Row[Any]], None] | None = None,
    max_attempts: int = sys.maxsize,
) -> list[Claim]:
    """Claim rows that may be worked on now; each claim counts as an attempt.

    First, rows whose lease ran out are queued again. If there is nothing to do, nothing is locked
    or written.

    Parameters
    ----------
    find
        Selects and locks the rows to claim, among those that meet the given condition.
    note_lost
        Enters a lost lease in the audit trail; it gets the row as it was before.
    max_attempts
        After so many claims, a row whose lease ran out becomes dead.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        if not _has_work(database, connection, table, jobs):
            return []
    with database.write() as connection:
        _shorten_waits(database, connection, table, jobs)
        lapsed = _return_expired(database, connection, table, max_attempts)
        now = database.now(connection)
        ready = sa.and_(table.c.state == WorkState.QUEUED.value, table.c.not_before <= now)
        rows = find(connection, ready)
        token = str(uuid.uuid4())
        if rows:
            connection.execute(
                table.update()
                .where(table.c.id.in_([row.id for row in rows]))
                .values(
                    state=WorkState.RUNNING.value,
                    token=token,
                    worker=worker[:128],
                    attempts=table.c.attempts + 1,
                    lease_until=now + timedelta(seconds=jobs.lease_s),
                )
            )
        if note_lost is not None:
            for lost in lapsed:
                note_lost(connection, lost)
    return [Claim(row, Lease(row.id, token), now) for row in rows]


def renew(
    database: Database, table: sa.Table, leases: Sequence[Lease], lease_s: float
) -> frozenset[int]:
    """Extend leases; give the ids of the rows that are still held.

    Raises
    ------
    StorageError
        The database is away: it is unknown whether the leases are held.
    """
    held = set()
    with database.write() as connection:
        until = database.now(connection) + timedelta(seconds=lease_s)
        for lease in leases:
            if change(connection, table, lease, lease_until=until):
                held.add(lease.id)
    return frozenset(held)


def change(connection: sa.Connection, table: sa.Table, lease: Lease, **values: Any) -> bool:
    """Set columns of held work; ``False`` if the lease is lost, and nothing was changed."""
    held = sa.and_(
        table.c.id == lease.id,
        table.c.token == lease.token,
        table.c.state == WorkState.RUNNING.value,
    )
    return bool(connection.execute(table.update().where(held).values(**values)).rowcount)


def settle(database: Database, connection: sa.Connection, table: sa.Table, lease: Lease) -> bool:
    """End held work as done; ``False`` if the lease is lost, and nothing was changed."""
    now = database.now(connection)
    done = WorkState.DONE.value
    return change(connection, table, lease, **FREE, state=done, error=None, finished_at=now)


def release(
    database: Database,
    connection: sa.Connection,
    table: sa.Table,
    lease: Lease,
    wait_s: float,
    **values: Any,
) -> bool:
    """Queue held work again after a wait; ``False`` if the lease is lost."""
    again = database.now(connection) + timedelta(seconds=wait_s)
    queued = WorkState.QUEUED.value
    return change(connection, table, lease, **FREE, state=queued, not_before=again, **values)


def _has_work(
    database: Database, connection: sa.Connection, table: sa.Table, jobs: JobSettings
) -> bool:
    """Whether there is a row to claim, to return or to correct; this locks nothing."""
    now = database.now(connection)
    running, queued = (table.c.state == s.value for s in (WorkState.RUNNING, WorkState.QUEUED))
    latest_lease = now + timedelta(seconds=jobs.lease_s)
    latest_wait = now + timedelta(seconds=jobs.backoff_max_s)
    held, waits = table.c.lease_until, table.c.not_before
    asked = sa.or_(
        sa.and_(running, sa.or_(held <= now, held > latest_lease)),
        sa.and_(queued, sa.or_(waits <= now, waits > latest_wait)),
    )
    return connection.execute(sa.select(table.c.id).where(asked).limit(1)).first() is not None


def _shorten_waits(
    database: Database, connection: sa.Connection, table: sa.Table, jobs: JobSettings
) -> None:
    """Shorten waits and leases that end too late, because the clock was set back."""
    now = database.now(connection)
    for column, longest in (("not_before", jobs.backoff_max_s), ("lease_until", jobs.lease_s)):
        limit = now + timedelta(seconds=longest)
        late = table.c[column] > limit
        connection.execute(table.update().where(late).values({column: limit}))


def _return_expired(
    database: Database,
    connection: sa.Connection,
    table: sa.Table,
    max_attempts: int,
) -> Sequence[sa.Row[Any]]:
    """Queue the rows again whose lease ran out; give them as they were before.

    A row that was claimed `max_attempts` times becomes dead instead: work that kills each of its
    holders would otherwise be tried for ever.
    """
    lapsed = sa.and_(
        table.c.state == WorkState.RUNNING.value,
        table.c.lease_until <= database.now(connection),
    )
    rows = connection.execute(
        sa.select(table).where(lapsed).order_by(table.c.id).with_for_update(skip_locked=True)
    ).all()
    now = database.now(connection)
    spent = [row.id for row in rows if row.attempts >= max_attempts]
    again = [row.id for row in rows if row.attempts < max_attempts]
    for ids, state, ended in ((again, WorkState.QUEUED, None), (spent, WorkState.DEAD, now)):
        if ids:
            connection.execute(
                table.update()
                .where(table.c.id.in_(ids))
                .values(
                    **FREE,
                    state=state.value,
                    not_before=now,
                    error=EXPIRED,
                    finished_at=ended,
                )
            )
    return rows
