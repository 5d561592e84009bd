"""Deliveries: which files wait for which route, who is sending them, and what came of it.

At least once: a sender that was killed may have sent, and sends the same bytes again, with the same
SOP instance UID or message control id. Within an exam and a route, revisions go out in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from mammolens.serve.record import (
    DELIVERIES,
    FILES,
    OVERTAKEN,
    Database,
    Lease,
    WorkState,
    audit,
    leases,
)
from mammolens.serve.settings import JobSettings

__all__ = [
    "Delivery",
    "claim_deliveries",
    "finish_delivery",
    "give_up_delivery",
    "postpone_delivery",
    "put_off_delivery",
    "revive_deliveries",
]


@dataclass(frozen=True)
class Delivery:
    """One file on its way to one route, held by one sender."""

    lease: Lease
    route: str
    exam_id: int
    revision: int
    attempts: int
    sink: str
    name: str
    digest: str
    sop_class_uid: str | None
    sop_instance_uid: str | None
    made_at: datetime | None = None
    claimed_at: datetime | None = None


def claim_deliveries(
    database: Database, worker: str, routes: Sequence[str], jobs: JobSettings, most: int = 32
) -> list[Delivery]:
    """Hold waiting deliveries of one route and one result, to be sent in one association.

    Parameters
    ----------
    routes
        Names of the routes that this sender serves; deliveries of others are left alone.
    most
        How many are held at a time.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        if not leases.needs_look(database, connection, DELIVERIES, jobs):
            return []
    with database.write() as connection:
        leases.mend_waits(database, connection, DELIVERIES, jobs)
        lapsed = leases.return_expired(database, connection, DELIVERIES)
        rows = _ready_rows(database, connection, routes, most)
        token = ""
        if rows:
            ids = [row.id for row in rows]
            token = leases.take(database, connection, DELIVERIES, ids, worker, jobs.lease_s)
        now = database.now(connection)
        for lost in lapsed:
            detail = {"delivery": lost.id, "route": lost.route}
            audit.append(
                database, connection, f"sender:{lost.worker}", "lease_lost", lost.exam_id, detail
            )
    return [
        Delivery(
            lease=Lease(row.id, token),
            route=row.route,
            exam_id=row.exam_id,
            revision=row.revision,
            attempts=row.attempts + 1,
            sink=row.sink,
            name=row.name,
            digest=row.digest,
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            made_at=row.created_at,
            claimed_at=now,
        )
        for row in rows
    ]


def finish_delivery(database: Database, delivery: Delivery, receipt: str) -> bool:
    """Note that the destination has a file; ``False`` if the lease was lost meanwhile.

    Parameters
    ----------
    receipt
        What the destination answered, without identifiers: ``C-STORE 0x0000``, ``HTTP 201``.

    Raises
    ------
    StorageError
        The database cannot be used: the file will be sent again.
    """
    with database.write() as connection:
        held = leases.settle(database, connection, DELIVERIES, delivery.lease, WorkState.DONE)
        detail = {**_detail(delivery), "receipt": receipt, "late": not held}
        actor = f"route:{delivery.route}"
        audit.append(database, connection, actor, "delivered", delivery.exam_id, detail)
    return held


def put_off_delivery(
    database: Database, delivery: Delivery, error: str, jobs: JobSettings
) -> WorkState | None:
    """Queue a delivery again after a failure, later each time.

    Parameters
    ----------
    error
        What went wrong, without identifiers.

    Returns
    -------
    WorkState or None
        ``QUEUED`` or ``DEAD``; ``None`` if the lease was lost.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    with database.write() as connection:
        state = leases.give_back(
            database,
            connection,
            DELIVERIES,
            delivery.lease,
            error,
            jobs,
            jobs.max_deliveries,
        )
        if state is not None:
            detail = {**_detail(delivery), "error": error}
            action = "undeliverable" if state is WorkState.DEAD else "put_off"
            actor = f"route:{delivery.route}"
            audit.append(database, connection, actor, action, delivery.exam_id, detail)
    return state


def postpone_delivery(
    database: Database, delivery: Delivery, error: str, jobs: JobSettings
) -> bool:
    """Queue a delivery again after a fault of our own store: no attempt is counted.

    The audit trail records each fault of a delivery once, not at each try.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    with database.write() as connection:
        before = connection.execute(
            sa.select(DELIVERIES.c.error).where(DELIVERIES.c.id == delivery.lease.id)
        ).scalar_one_or_none()
        held = leases.put_off(
            database, connection, DELIVERIES, delivery.lease, error, jobs.backoff_s
        )
        if held and before != error:
            detail = {**_detail(delivery), "error": error}
            actor = f"route:{delivery.route}"
            audit.append(database, connection, actor, "postponed", delivery.exam_id, detail)
    return held


def give_up_delivery(database: Database, delivery: Delivery, error: str) -> bool:
    """Note that the destination refuses a file for good; ``False`` if the lease was lost.

    Parameters
    ----------
    error
        What it answered, without identifiers.

    Raises
    ------
    StorageError
        The database cannot be used; the lease will run out by itself.
    """
    with database.write() as connection:
        held = leases.settle(
            database, connection, DELIVERIES, delivery.lease, WorkState.DEAD, error
        )
        if held:
            detail = {**_detail(delivery), "error": error}
            actor = f"route:{delivery.route}"
            audit.append(database, connection, actor, "undeliverable", delivery.exam_id, detail)
    return held


def revive_deliveries(database: Database, actor: str, ids: Sequence[int] | None = None) -> int:
    """Queue dead deliveries again; say how many.

    One that a later result of its exam has overtaken on its route stays dead: the destination
    would take the old result for the newest.

    Parameters
    ----------
    ids
        Which; ``None``: all.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    asked = sa.true() if ids is None else DELIVERIES.c.id.in_(list(ids))
    with database.write() as connection:
        rows = connection.execute(
            sa.select(DELIVERIES.c.id, DELIVERIES.c.exam_id, DELIVERIES.c.route)
            .where(DELIVERIES.c.state == WorkState.DEAD.value, asked, ~OVERTAKEN)
            .with_for_update()
        ).all()
        leases.revive(database, connection, DELIVERIES, [row.id for row in rows])
        for row in rows:
            detail = {"delivery": row.id, "route": row.route}
            audit.append(database, connection, actor, "revived", row.exam_id, detail)
    return len(rows)


def _ready_rows(
    database: Database, connection: sa.Connection, routes: Sequence[str], most: int
) -> Sequence[sa.Row[tuple[object, ...]]]:
    earlier = DELIVERIES.alias()
    in_turn = ~(
        sa.select(earlier.c.id)
        .where(
            earlier.c.exam_id == DELIVERIES.c.exam_id,
            earlier.c.route == DELIVERIES.c.route,
            earlier.c.revision < DELIVERIES.c.revision,
            earlier.c.finished_at.is_(None),
        )
        .exists()
    )
    waiting = (
        sa.select(
            DELIVERIES,
            FILES.c.result_id,
            FILES.c.sink,
            FILES.c.name,
            FILES.c.digest,
            FILES.c.sop_class_uid,
            FILES.c.sop_instance_uid,
        )
        .join(FILES, FILES.c.id == DELIVERIES.c.file_id)
        .where(
            leases.ready(database, connection, DELIVERIES),
            DELIVERIES.c.route.in_(list(routes)),
            in_turn,
        )
        .order_by(DELIVERIES.c.not_before, DELIVERIES.c.id)
        .with_for_update(skip_locked=True, of=DELIVERIES)
    )
    first = connection.execute(waiting.limit(1)).one_or_none()
    if first is None:
        return []
    return connection.execute(
        waiting.where(
            FILES.c.result_id == first.result_id, DELIVERIES.c.route == first.route
        ).limit(most)
    ).all()


def _detail(delivery: Delivery) -> dict[str, str | int | None]:
    return {
        "attempt": delivery.attempts,
        "delivery": delivery.lease.id,
        "digest": delivery.digest,
        "revision": delivery.revision,
        "sink": delivery.sink,
        "sop_instance_uid": delivery.sop_instance_uid,
    }
