"""The queue of jobs: a job analyses one version of an exam, and one worker at a time claims it.

An exam is due if nothing was received for the quiet time, or as soon as its four standard views
were received. Objects that are received later raise the version of the exam. A job that still waits
then includes them; after a job that runs, another one follows, and its result supersedes the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.record import (
    EXAMS,
    JOBS,
    WAITS,
    Database,
    HeldWork,
    WorkState,
    attempts,
    audit,
    insert_once,
    leases,
)
from mammolens.serve.settings import ExamSettings, JobSettings

__all__ = [
    "LAST_CHANCES",
    "Job",
    "claim_job",
    "queue_due",
    "revive_jobs",
]

LAST_CHANCES: Final = 3
"""How often the failed result of an exam is tried. It opens no object, so only an outer cause (a
power cut, an operator) can end its worker. After that the job is dead, and readiness reports it."""


@dataclass(frozen=True)
class Job(HeldWork):
    """One analysis, held by one worker: the instances of an exam up to `version`.

    `last` is true after the allowed attempts: no object is opened, and the exam gets its failed
    result. `made_at` is when the job was queued.
    """

    TABLE = JOBS
    FAILED = "attempt_failed"
    GIVEN_UP = "dead"

    worker: str
    version: int
    last: bool
    claimed_at: datetime
    made_at: datetime | None = None

    @property
    def actor(self) -> str:
        """The worker that holds the job."""
        return f"worker:{self.worker}"

    @property
    def detail(self) -> dict[str, str | int | None]:
        """The job and the attempt."""
        return {"job": self.lease.id, "attempt": self.attempts}


def queue_due(database: Database, exams: ExamSettings) -> int:
    """Queue a job for every exam that is due, or update its waiting job.

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
        ahead = EXAMS.c.last_received_at > now  # The clock was set back.
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
    """Claim the oldest job that may run; ``None`` if there is none.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    ceiling = jobs.max_attempts + LAST_CHANCES

    def find(connection: sa.Connection, ready: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
        oldest = sa.select(JOBS).where(ready).order_by(JOBS.c.id).limit(1)
        return connection.execute(oldest.with_for_update(skip_locked=True)).all()

    def note_lost(connection: sa.Connection, lost: sa.Row[Any]) -> None:
        actor = f"worker:{lost.worker}"
        action = "dead" if lost.attempts >= ceiling else "lease_lost"
        audit.append(database, connection, actor, action, lost.exam_id, {"job": lost.id})

    for row, lease, now in leases.claim(database, JOBS, worker, jobs, find, note_lost, ceiling):
        return Job(
            lease=lease,
            exam_id=row.exam_id,
            attempts=row.attempts + 1,
            worker=worker,
            version=row.version,
            last=row.attempts + 1 > jobs.max_attempts,
            claimed_at=now,
            made_at=row.created_at,
        )
    return None


def revive_jobs(database: Database, actor: str) -> int:
    """Queue every dead job again, unless the exam has a later job; give the number.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    later = JOBS.alias()
    same, newer = later.c.exam_id == JOBS.c.exam_id, later.c.version > JOBS.c.version
    overtaken = sa.select(later.c.id).where(same, newer).exists()
    return attempts.revive(database, JOBS, actor, ~overtaken, lambda row: {"job": row.id})


def _due(
    database: Database, connection: sa.Connection, exams: ExamSettings
) -> sa.Select[tuple[int, int]]:
    """Exams that changed since their last job, are quiet or complete, and are not analysed now."""
    now = database.now(connection)
    quiet = sa.or_(
        EXAMS.c.last_received_at <= now - timedelta(seconds=exams.quiet_time_s),
        EXAMS.c.last_received_at > now,
    )
    whole = sa.and_(EXAMS.c.four_views.is_(True), EXAMS.c.queued_version == 0)  # First job only.
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
    """Queue or update the job of an exam; ``False`` if a worker is claiming it now."""
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
