"""Work that one process at a time may hold: jobs, deliveries and procedure steps.

queued ──claim──▶ running ──▶ done, or back to queued after a wait, or dead after too many attempts.
A holder renews its lease; one that does not, because it was killed or is stuck, loses it, and
the work is queued again. Every claim has a token of its own, and nothing is entered for a token
that is no longer the row's: a holder that was thought dead changes nothing after its successor.
"""

from __future__ import annotations

import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple

import sqlalchemy as sa

from mammolens.serve.record import audit
from mammolens.serve.record.database import Database
from mammolens.serve.record.tables import WorkState
from mammolens.serve.settings import JobSettings

__all__ = [
    "Claim",
    "HeldWork",
    "Lease",
    "change",
    "claim",
    "postpone",
    "release",
    "renew",
    "retry",
    "revive",
    "settle",
    "wait_after",
]

LONGEST_DOUBLING: Final = 32
EXPIRED: Final = "its holder fell silent"
_FREE: Final = {"token": None, "lease_until": None}
"""What a row of work has while nobody holds it."""


@dataclass(frozen=True)
class Lease:
    """The right to work on one row until it is renewed, settled or lost."""

    id: int
    token: str


@dataclass(frozen=True)
class HeldWork(ABC):
    """Work on an exam that this process holds, and how the audit trail names it.

    `attempts` counts the present one. `FAILED` and `GIVEN_UP` are the actions of the audit trail
    for a failure after which the work is tried again, and for the last one.
    """

    TABLE: ClassVar[sa.Table]
    FAILED: ClassVar[str]
    GIVEN_UP: ClassVar[str]

    lease: Lease
    exam_id: int
    attempts: int

    @property
    @abstractmethod
    def actor(self) -> str:
        """Who acts: ``worker:NAME``, ``route:NAME``."""

    @property
    @abstractmethod
    def detail(self) -> dict[str, str | int | None]:
        """What the work is about, for the audit trail."""


class Claim(NamedTuple):
    """A row as it was before it was claimed, the lease of it, and the time of the claim."""

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
    """Hold rows that may be worked on now; each claim counts as an attempt.

    Rows whose lease ran out are queued again first. Where there is nothing to do, nothing is
    locked or written.

    Parameters
    ----------
    find
        Selects and locks the wanted rows among those that fit the given condition.
    note_lost
        Enters a lost lease in the audit trail, given the row as it was.
    max_attempts
        After so many claims, a row whose lease ran out is dead and not queued.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        if not _needs_look(database, connection, table, jobs):
            return []
    with database.write() as connection:
        _mend_waits(database, connection, table, jobs)
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
    """Lengthen leases; give the ids of those that are still held.

    Raises
    ------
    StorageError
        The database is away: nothing is known of the leases.
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
    return change(connection, table, lease, **_FREE, state=done, error=None, finished_at=now)


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
    return change(connection, table, lease, **_FREE, state=queued, not_before=again, **values)


def retry(
    database: Database, work: HeldWork, error: str, jobs: JobSettings, max_attempts: int
) -> WorkState | None:
    """Queue work again after a failure, later each time; after the last attempt it is dead.

    Parameters
    ----------
    error
        What went wrong, without identifiers.
    max_attempts
        Attempts after which the work is dead; 0: it is dead now.

    Returns
    -------
    WorkState or None
        ``QUEUED`` or ``DEAD``; ``None`` if the lease was lost, and nothing was changed.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    dead = work.attempts >= max_attempts
    with database.write() as connection:
        if dead:
            now = database.now(connection)
            ended = {**_FREE, "state": WorkState.DEAD.value, "error": error, "finished_at": now}
            held = change(connection, work.TABLE, work.lease, **ended)
        else:
            wait_s = wait_after(work.attempts, jobs)
            held = release(database, connection, work.TABLE, work.lease, wait_s, error=error)
        if held:
            action = work.GIVEN_UP if dead else work.FAILED
            _note(database, connection, work, action, error)
    if not held:
        return None
    return WorkState.DEAD if dead else WorkState.QUEUED


def postpone(database: Database, work: HeldWork, error: str, wait_s: float) -> bool:
    """Queue work again after a fault of our own disk or database: no attempt is counted.

    The audit trail records each fault of a piece of work once, not at each try.

    Parameters
    ----------
    error
        What prevents the work, without identifiers.

    Returns
    -------
    bool
        ``False`` if the lease was lost, and nothing was changed.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    table = work.TABLE
    uncounted = sa.case((table.c.attempts > 0, table.c.attempts - 1), else_=0)
    with database.write() as connection:
        before = connection.execute(
            sa.select(table.c.error).where(table.c.id == work.lease.id)
        ).scalar_one_or_none()
        held = release(
            database, connection, table, work.lease, wait_s, error=error, attempts=uncounted
        )
        if held and before != error:
            _note(database, connection, work, "postponed", error)
    return held


def revive(
    database: Database,
    table: sa.Table,
    actor: str,
    which: sa.ColumnElement[bool],
    detail: Callable[[sa.Row[Any]], audit.Detail],
) -> int:
    """Queue dead work again, as if it had never been tried, and give the number of rows.

    Parameters
    ----------
    detail
        What the audit trail says of a row.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    dead = table.c.state == WorkState.DEAD.value
    with database.write() as connection:
        rows = connection.execute(sa.select(table).where(dead, which).with_for_update()).all()
        connection.execute(
            table.update()
            .where(table.c.id.in_([row.id for row in rows]))
            .values(
                state=WorkState.QUEUED.value,
                attempts=0,
                not_before=database.now(connection),
                finished_at=None,
            )
        )
        for row in rows:
            audit.append(database, connection, actor, "revived", row.exam_id, detail(row))
    return len(rows)


def wait_after(attempts: int, jobs: JobSettings) -> float:
    """Give the seconds to wait after so many failures: doubled each time, up to the longest.

    Examples
    --------
    >>> [wait_after(n, JobSettings(backoff_s=10, backoff_max_s=60)) for n in (1, 2, 3, 4, 99)]
    [10.0, 20.0, 40.0, 60.0, 60.0]
    """
    doubled = jobs.backoff_s * 2.0 ** min(max(attempts, 1) - 1, LONGEST_DOUBLING)
    return min(doubled, jobs.backoff_max_s)


def _note(
    database: Database, connection: sa.Connection, work: HeldWork, action: str, error: str
) -> None:
    detail = {**work.detail, "error": error}
    audit.append(database, connection, work.actor, action, work.exam_id, detail)


def _needs_look(
    database: Database, connection: sa.Connection, table: sa.Table, jobs: JobSettings
) -> bool:
    """Whether there is anything to take, to return or to mend: a look that locks nothing."""
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


def _mend_waits(
    database: Database, connection: sa.Connection, table: sa.Table, jobs: JobSettings
) -> None:
    """Shorten waits and leases that lie further ahead than any can: the clock was put back."""
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
    """Queue again what is held under a lease that ran out; give the rows as they were.

    Work that was taken `max_attempts` times is dead instead: what kills each of its holders would
    otherwise be tried for ever.
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
                    **_FREE,
                    state=state.value,
                    not_before=now,
                    error=EXPIRED,
                    finished_at=ended,
                )
            )
    return rows
