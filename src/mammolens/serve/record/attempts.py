"""What happens to held work that failed: it is queued again, postponed, given up, or revived.

Each change and its row of the audit trail are one transaction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import sqlalchemy as sa

from mammolens.serve.record import audit
from mammolens.serve.record.database import Database
from mammolens.serve.record.leases import FREE, Lease, change, release
from mammolens.serve.record.tables import WorkState
from mammolens.serve.settings import JobSettings

__all__ = [
    "HeldWork",
    "give_up",
    "postpone",
    "queue_again",
    "retry",
    "revive",
    "wait_after",
]

LONGEST_DOUBLING: Final = 32  # Gives waits far above every limit, and does not overflow.


@dataclass(frozen=True)
class HeldWork(ABC):
    """Work on an exam that this process holds, and how the audit trail names it.

    `attempts` includes the current one. In the audit trail, `FAILED` is the action for a failure
    after which the work is tried again, and `GIVEN_UP` the action for the last failure.
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
        """The holder, for the audit trail: ``worker:NAME``, ``route:NAME``."""

    @property
    @abstractmethod
    def detail(self) -> dict[str, str | int | None]:
        """Details of the work, for the audit trail."""


def retry(
    database: Database, work: HeldWork, error: str, jobs: JobSettings, max_attempts: int
) -> bool:
    """Queue work again after a failure, later each time; after `max_attempts` it is given up.

    Parameters, result and errors are those of `queue_again`.
    """
    if work.attempts >= max_attempts:
        return give_up(database, work, error)
    return queue_again(database, work, error, wait_after(work.attempts, jobs))


def queue_again(database: Database, work: HeldWork, error: str, wait_s: float) -> bool:
    """Queue work again after a wait; the attempt counts.

    Parameters
    ----------
    error
        What went wrong, without identifiers.

    Returns
    -------
    bool
        ``False`` if the lease was lost, and nothing was changed.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    with database.write() as connection:
        held = release(database, connection, work.TABLE, work.lease, wait_s, error=error)
        if held:
            _note(database, connection, work, work.FAILED, error)
    return held


def give_up(database: Database, work: HeldWork, error: str) -> bool:
    """Mark work as dead: only a person can queue it again.

    Parameters, result and errors are those of `queue_again`.
    """
    with database.write() as connection:
        now = database.now(connection)
        ended = {**FREE, "state": WorkState.DEAD.value, "error": error, "finished_at": now}
        held = change(connection, work.TABLE, work.lease, **ended)
        if held:
            _note(database, connection, work, work.GIVEN_UP, error)
    return held


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
    """Queue dead work again with its attempts set to 0; give the number of rows.

    Parameters
    ----------
    detail
        Gives the details of a row for the audit trail.

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
    """Give the seconds to wait after so many failures: doubled each time, up to a limit.

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
