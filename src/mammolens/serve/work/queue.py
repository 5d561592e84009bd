"""Exams become due, and workers claim them: one job for one version of an exam, one at a time.

An exam is due when nothing has come for the quiet time, or at once when its four standard views are
there for the first time. What comes after a job was made raises the exam's version: a job that
still waits takes it in; one that runs is followed by another, whose result supersedes the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record import (
    EXAMS,
    JOBS,
    WAITS,
    Database,
    Lease,
    WorkState,
    audit,
    insert_once,
    leases,
)
from mammolens.serve.settings import ExamSettings, JobSettings

__all__ = [
    "LAST_CHANCES",
    "Job",
    "claim_job",
    "fail_job",
    "postpone_job",
    "queue_due",
    "revive_jobs",
]

LAST_CHANCES: Final = 3
"""How often the failed result of an exam is begun. It touches no object, so only something outside
(a power cut, an operator) can end its worker; after that the job is dead, and readiness says so."""


@dataclass(frozen=True)
class Job:
    """One analysis, held by one worker: the instances of an exam up to `version`.

    `attempts` counts this one; `last` says that it is more than may be made, so that no object is
    touched again and the exam gets its failed result. `made_at` is when the job was made.
    """

    lease: Lease
    exam_id: int
    version: int
    attempts: int
    last: bool
    claimed_at: datetime
    made_at: datetime | None = None


def queue_due(database: Database, exams: ExamSettings) -> int:
    """Make a job of every exam that is due, or let its waiting job take in what came.

    Returns
    -------
    int
        How many exams were due.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        if connection.execute(_due(database, connection, exams).limit(1)).first() is None:
            return 0
    with database.write() as connection:
        now = database.now(connection)
        ahead = EXAMS.c.last_received_at > now
        connection.execute(EXAMS.update().where(ahead).values(last_received_at=now))
        due = connection.execute(
            _due(database, connection, exams)
            .order_by(EXAMS.c.id)
            .with_for_update(skip_locked=True, key_share=True, of=EXAMS)
        ).all()
        queued = []
        for exam in due:
            if _queue(connection, exam, now):
                queued.append(exam)
        for exam in queued:
            audit.append(
                database, connection, "queue", "queued", exam.id, {"version": exam.version}
            )
    return len(queued)


def claim_job(database: Database, worker: str, jobs: JobSettings) -> Job | None:
    """Hold the oldest job that may run, if there is one; no other worker holds it then.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        if not leases.needs_look(database, connection, JOBS, jobs):
            return None
    with database.write() as connection:
        leases.mend_waits(database, connection, JOBS, jobs)
        ceiling = jobs.max_attempts + LAST_CHANCES
        lapsed = leases.return_expired(database, connection, JOBS, ceiling)
        row = connection.execute(
            sa.select(JOBS)
            .where(leases.ready(database, connection, JOBS))
            .order_by(JOBS.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).one_or_none()
        job = None
        if row is not None:
            token = leases.take(database, connection, JOBS, [row.id], worker, jobs.lease_s)
            job = Job(
                lease=Lease(row.id, token),
                exam_id=row.exam_id,
                version=row.version,
                attempts=row.attempts + 1,
                last=row.attempts + 1 > jobs.max_attempts,
                claimed_at=database.now(connection),
                made_at=row.created_at,
            )
        for lost in lapsed:
            actor = f"worker:{lost.worker}"
            action = "dead" if lost.attempts >= ceiling else "lease_lost"
            audit.append(database, connection, actor, action, lost.exam_id, {"job": lost.id})
    return job


def fail_job(
    database: Database, job: Job, worker: str, error: str, jobs: JobSettings
) -> WorkState | None:
    """Queue a job again after a failure; after the last attempt it is dead.

    Parameters
    ----------
    error
        What went wrong, without identifiers.

    Returns
    -------
    WorkState or None
        Where the job stands; ``None`` if the lease was lost before.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    with database.write() as connection:
        state = leases.give_back(
            database, connection, JOBS, job.lease, error, jobs, jobs.max_attempts + 1
        )
        if state is not None:
            action = "dead" if state is WorkState.DEAD else "attempt_failed"
            detail: audit.Detail = {"job": job.lease.id, "attempt": job.attempts, "error": error}
            audit.append(database, connection, f"worker:{worker}", action, job.exam_id, detail)
    return state


def postpone_job(database: Database, job: Job, worker: str, error: str, jobs: JobSettings) -> bool:
    """Queue a job again after a fault of our own disk or database: no attempt is counted.

    The audit trail records each fault of a job once, not at each try.

    Parameters
    ----------
    error
        What hinders the work, without identifiers.

    Returns
    -------
    bool
        ``False`` if the lease was lost before.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    with database.write() as connection:
        before = connection.execute(
            sa.select(JOBS.c.error).where(JOBS.c.id == job.lease.id)
        ).scalar_one_or_none()
        held = leases.put_off(database, connection, JOBS, job.lease, error, jobs.backoff_s)
        if held and before != error:
            detail: audit.Detail = {"job": job.lease.id, "error": error}
            actor = f"worker:{worker}"
            audit.append(database, connection, actor, "postponed", job.exam_id, detail)
    return held


def revive_jobs(database: Database, actor: str) -> int:
    """Queue every dead job again, unless a later one has taken its place; say how many.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    later = JOBS.alias()
    overtaken = (
        sa.select(later.c.id)
        .where(later.c.exam_id == JOBS.c.exam_id, later.c.version > JOBS.c.version)
        .exists()
    )
    with database.write() as connection:
        rows = connection.execute(
            sa.select(JOBS.c.id, JOBS.c.exam_id)
            .where(JOBS.c.state == WorkState.DEAD.value, ~overtaken)
            .with_for_update()
        ).all()
        leases.revive(database, connection, JOBS, [row.id for row in rows])
        for row in rows:
            audit.append(database, connection, actor, "revived", row.exam_id, {"job": row.id})
    return len(rows)


def _due(
    database: Database, connection: sa.Connection, exams: ExamSettings
) -> sa.Select[tuple[int, int]]:
    """Exams that changed since their last job, are quiet or whole, and are not in work."""
    now = database.now(connection)
    quiet = sa.or_(
        EXAMS.c.last_received_at <= now - timedelta(seconds=exams.quiet_time_s),
        EXAMS.c.last_received_at > now,
    )
    whole = sa.and_(EXAMS.c.four_views.is_(True), EXAMS.c.queued_version == 0)
    in_work = (
        sa.select(JOBS.c.id)
        .where(JOBS.c.exam_id == EXAMS.c.id, JOBS.c.state == WorkState.RUNNING.value)
        .exists()
    )
    return sa.select(EXAMS.c.id, EXAMS.c.version).where(
        WAITS,
        sa.or_(quiet, whole) if exams.four_views else quiet,
        ~in_work,
    )


def _queue(connection: sa.Connection, exam: sa.Row[tuple[int, int]], now: datetime) -> bool:
    """Make or raise the job of an exam; ``False`` where a worker is just taking it."""
    waiting = connection.execute(
        sa.select(JOBS.c.id, JOBS.c.state)
        .where(JOBS.c.exam_id == exam.id, JOBS.c.finished_at.is_(None))
        .with_for_update(skip_locked=True)
    ).one_or_none()
    fresh = {"version": exam.version, "attempts": 0, "not_before": now, "error": None}
    if waiting is not None:
        if waiting.state != WorkState.QUEUED.value:
            return False
        connection.execute(JOBS.update().where(JOBS.c.id == waiting.id).values(**fresh))
    elif not insert_once(
        connection,
        JOBS,
        {**fresh, "exam_id": exam.id, "state": WorkState.QUEUED.value, "created_at": now},
    ):
        return False
    connection.execute(
        EXAMS.update().where(EXAMS.c.id == exam.id).values(queued_version=exam.version)
    )
    return True
