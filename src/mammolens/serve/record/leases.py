"""Work that one process at a time may hold: jobs and deliveries, by the same rules.

queued ──take──▶ running ──▶ done, or back to queued after a wait, or dead after too many attempts.
A holder renews its lease; one that does not, because it was killed or stands still, loses it, and
the work is queued again. Every take has a token of its own, and nothing is entered for a token
that is no longer the row's: a holder that was thought dead cannot speak after its successor.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.record.database import Database
from mammolens.serve.record.tables import WorkState
from mammolens.serve.settings import JobSettings

__all__ = [
    "Lease",
    "give_back",
    "mend_waits",
    "needs_look",
    "put_off",
    "ready",
    "renew",
    "return_expired",
    "revive",
    "settle",
    "take",
    "wait_after",
]

LONGEST_DOUBLING: Final = 32
EXPIRED: Final = "its holder fell silent"


@dataclass(frozen=True)
class Lease:
    """The right to work on one row until it is renewed, settled or lost."""

    id: int
    token: str


def ready(database: Database, connection: sa.Connection, table: sa.Table) -> sa.ColumnElement[bool]:
    """Say which rows may be taken now."""
    now = database.now(connection)
    return sa.and_(table.c.state == WorkState.QUEUED.value, table.c.not_before <= now)


def needs_look(
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


def mend_waits(
    database: Database, connection: sa.Connection, table: sa.Table, jobs: JobSettings
) -> None:
    """Shorten waits and leases that lie further ahead than any can: the clock was put back."""
    now = database.now(connection)
    for column, longest in (("not_before", jobs.backoff_max_s), ("lease_until", jobs.lease_s)):
        limit = now + timedelta(seconds=longest)
        late = table.c[column] > limit
        connection.execute(table.update().where(late).values({column: limit}))


def return_expired(
    database: Database,
    connection: sa.Connection,
    table: sa.Table,
    max_attempts: int = sys.maxsize,
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
                    state=state.value,
                    token=None,
                    lease_until=None,
                    not_before=now,
                    error=EXPIRED,
                    finished_at=ended,
                )
            )
    return rows


def take(
    database: Database,
    connection: sa.Connection,
    table: sa.Table,
    ids: Sequence[int],
    worker: str,
    lease_s: float,
) -> str:
    """Hold rows that were found `ready` and are locked; each take counts as an attempt.

    Returns
    -------
    str
        The token of this take.
    """
    token = str(uuid.uuid4())
    connection.execute(
        table.update()
        .where(table.c.id.in_(list(ids)))
        .values(
            state=WorkState.RUNNING.value,
            token=token,
            worker=worker[:128],
            attempts=table.c.attempts + 1,
            lease_until=database.now(connection) + timedelta(seconds=lease_s),
        )
    )
    return token


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
            done = connection.execute(
                table.update().where(_is_held(table, lease)).values(lease_until=until)
            )
            if done.rowcount:
                held.add(lease.id)
    return frozenset(held)


def settle(
    database: Database,
    connection: sa.Connection,
    table: sa.Table,
    lease: Lease,
    state: WorkState,
    error: str | None = None,
) -> bool:
    """End held work as done or dead; ``False`` if the lease is lost, and nothing was changed."""
    done = connection.execute(
        table.update()
        .where(_is_held(table, lease))
        .values(
            state=state.value,
            token=None,
            lease_until=None,
            error=error,
            finished_at=database.now(connection),
        )
    )
    return bool(done.rowcount)


def give_back(
    database: Database,
    connection: sa.Connection,
    table: sa.Table,
    lease: Lease,
    error: str,
    jobs: JobSettings,
    max_attempts: int,
) -> WorkState | None:
    """Queue held work again after a failure, later each time, or let it be dead.

    Parameters
    ----------
    error
        What went wrong, without identifiers.

    Returns
    -------
    WorkState or None
        ``QUEUED`` or ``DEAD``; ``None`` if the lease is lost, and nothing was changed.
    """
    row = connection.execute(
        sa.select(table).where(_is_held(table, lease)).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    now = database.now(connection)
    dead = row.attempts >= max_attempts
    connection.execute(
        table.update()
        .where(table.c.id == lease.id)
        .values(
            state=(WorkState.DEAD if dead else WorkState.QUEUED).value,
            token=None,
            lease_until=None,
            error=error,
            not_before=now + timedelta(seconds=wait_after(row.attempts, jobs)),
            finished_at=now if dead else None,
        )
    )
    return WorkState.DEAD if dead else WorkState.QUEUED


def put_off(
    database: Database,
    connection: sa.Connection,
    table: sa.Table,
    lease: Lease,
    error: str,
    wait_s: float,
) -> bool:
    """Queue held work again after a wait, and do not count the attempt: the fault is our own.

    Returns
    -------
    bool
        ``False`` if the lease is lost, and nothing was changed.
    """
    done = connection.execute(
        table.update()
        .where(_is_held(table, lease))
        .values(
            state=WorkState.QUEUED.value,
            token=None,
            lease_until=None,
            error=error,
            attempts=sa.case((table.c.attempts > 0, table.c.attempts - 1), else_=0),
            not_before=database.now(connection) + timedelta(seconds=wait_s),
        )
    )
    return bool(done.rowcount)


def revive(
    database: Database, connection: sa.Connection, table: sa.Table, ids: Sequence[int]
) -> None:
    """Queue dead work again, as if it had never been tried."""
    connection.execute(
        table.update()
        .where(table.c.id.in_(list(ids)), table.c.state == WorkState.DEAD.value)
        .values(
            state=WorkState.QUEUED.value,
            attempts=0,
            not_before=database.now(connection),
            finished_at=None,
        )
    )


def wait_after(attempts: int, jobs: JobSettings) -> float:
    """Give the seconds to wait after so many failures: doubled each time, up to the longest.

    Examples
    --------
    >>> [wait_after(n, JobSettings(backoff_s=10, backoff_max_s=60)) for n in (1, 2, 3, 4, 99)]
    [10.0, 20.0, 40.0, 60.0, 60.0]
    """
    doubled = jobs.backoff_s * 2.0 ** min(max(attempts, 1) - 1, LONGEST_DOUBLING)
    return min(doubled, jobs.backoff_max_s)


def _is_held(table: sa.Table, lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.id == lease.id,
        table.c.token == lease.token,
        table.c.state == WorkState.RUNNING.value,
    )
