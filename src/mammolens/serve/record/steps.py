"""Rows of procedure steps: their leases, their progress and their reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from pydicom.uid import generate_uid

from mammolens.serve.record import audit, leases
from mammolens.serve.record.database import Database, insert_once
from mammolens.serve.record.leases import Lease
from mammolens.serve.record.rows import from_row
from mammolens.serve.record.tables import STEPS, WorkState
from mammolens.serve.settings import JobSettings

__all__ = ["CLAIMING", "Step", "StepLost", "ask_cancel", "end", "enter", "hold", "put_back", "save"]

CLAIMING: Final = "claiming"


class StepLost(Exception):
    """Another process holds the step now."""


@dataclass(frozen=True)
class Step:
    """A step that this process holds; `work` has its inputs and its results so far."""

    lease: Lease
    sop_instance_uid: str
    transaction_uid: str
    phase: str
    work: Mapping[str, Any]
    cancel_asked: bool
    attempts: int
    created_at: datetime


def enter(database: Database, server: str, uids: Sequence[str], most: int) -> int:
    """Enter steps to be claimed, while fewer than `most` are open; give their number.

    The transaction UID is stored before it is sent to the server: without it, a claimed step could
    never be ended.
    """
    entered = 0
    with database.write() as connection:
        now = database.now(connection)
        is_open = sa.and_(STEPS.c.server == server, STEPS.c.finished_at.is_(None))
        counted = sa.select(sa.func.count()).where(is_open)
        room = most - int(connection.execute(counted).scalar_one())
        for uid in uids:
            if entered >= room:
                break
            row = {
                "server": server,
                "sop_instance_uid": uid,
                "transaction_uid": str(generate_uid()),
                "phase": CLAIMING,
                "work": "{}",
                "cancel_asked": False,
                "state": WorkState.QUEUED.value,
                "attempts": 0,
                "not_before": now,
                "created_at": now,
            }
            entered += insert_once(connection, STEPS, row)
    return entered


def hold(database: Database, server: str, worker: str, jobs: JobSettings) -> list[Step]:
    """Claim every step that may be worked on now."""

    def find(connection: sa.Connection, ready: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
        of_server = sa.select(STEPS).where(ready, STEPS.c.server == server).order_by(STEPS.c.id)
        return connection.execute(of_server.with_for_update(skip_locked=True)).all()

    return [
        from_row(
            Step, row, lease=lease, work=json.loads(row.work or "{}"), attempts=row.attempts + 1
        )
        for row, lease, _ in leases.claim(database, STEPS, worker, jobs, find)
    ]


def save(
    database: Database, step: Step, phase: str, work: Mapping[str, Any], action: str | None = None
) -> Step:
    """Store the progress of a step.

    Raises
    ------
    StepLost
        Another holds it.
    """
    with database.write() as connection:
        held = leases.change(connection, STEPS, step.lease, phase=phase, work=json.dumps(work))
        _require(held)
        if action is not None:
            _audit(database, connection, step, action, {})
    return replace(step, phase=phase, work=work)


def put_back(database: Database, step: Step, wait_s: float, error: str | None = None) -> None:
    """Queue a step again; a wait without an error is not a failed attempt.

    Raises
    ------
    StepLost
        Another holds it.
    """
    with database.write() as connection:
        attempts = step.attempts if error else 0
        _require(
            leases.release(
                database, connection, STEPS, step.lease, wait_s, error=error, attempts=attempts
            )
        )


def end(database: Database, step: Step, phase: str, detail: audit.Detail) -> None:
    """End a step.

    Raises
    ------
    StepLost
        Another holds it.
    """
    with database.write() as connection:
        _require(leases.change(connection, STEPS, step.lease, phase=phase))
        leases.settle(database, connection, STEPS, step.lease)
        _audit(database, connection, step, f"step_{phase}", detail)


def ask_cancel(database: Database, uid: str, actor: str) -> bool:
    """Enter a request to cancel a step of ours; ``False`` if there is no such step."""
    asked = sa.and_(STEPS.c.sop_instance_uid == uid, STEPS.c.finished_at.is_(None))
    with database.write() as connection:
        now = database.now(connection)
        found = connection.execute(sa.select(STEPS.c.id).where(asked)).first() is not None
        # A repeated request changes nothing, and adds no row to the audit trail.
        first = sa.and_(asked, STEPS.c.cancel_asked.is_(False))
        new = connection.execute(STEPS.update().where(first).values(cancel_asked=True)).rowcount
        waits = sa.and_(asked, STEPS.c.state == WorkState.QUEUED.value)
        connection.execute(STEPS.update().where(waits).values(not_before=now))
        if new:
            detail = {"sop_instance_uid": uid}
            audit.append(database, connection, actor, "step_cancel_asked", None, detail)
    return found


def _require(held: bool) -> None:
    if not held:
        raise StepLost


def _audit(
    database: Database,
    connection: sa.Connection,
    step: Step,
    action: str,
    detail: audit.Detail,
) -> None:
    whole = {"sop_instance_uid": step.sop_instance_uid, **detail}
    audit.append(database, connection, "ups", action, None, whole)
