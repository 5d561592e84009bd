"""Deliveries of a new result: by which routes, and what was sent before."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record import DELIVERIES, FILES, Database, WorkState, insert_once
from mammolens.serve.work.queue import Job

__all__ = ["earlier_deliveries", "enter_delivery"]


def earlier_deliveries(
    connection: sa.Connection, exam_id: int
) -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """Give the routes of earlier results of an exam, and the objects that each route has or gets.

    If a route sent a result, it also sends its correction. An object that did not change keeps its
    UID and is sent only once.
    """
    rows = connection.execute(
        sa.select(DELIVERIES.c.route, DELIVERIES.c.state, FILES.c.sop_instance_uid)
        .join(FILES, FILES.c.id == DELIVERIES.c.file_id)
        .where(DELIVERIES.c.exam_id == exam_id)
    ).all()
    objects = [row for row in rows if row.sop_instance_uid and row.state != WorkState.DEAD.value]
    return (
        frozenset(row.route for row in rows),
        frozenset((row.sop_instance_uid, row.route) for row in objects),
    )


def enter_delivery(
    database: Database,
    connection: sa.Connection,
    job: Job,
    file_id: int,
    revision: int,
    route: str,
) -> None:
    """Queue one file of a result for one route."""
    now = database.now(connection)
    insert_once(
        connection,
        DELIVERIES,
        {
            "file_id": file_id,
            "exam_id": job.exam_id,
            "revision": revision,
            "route": route,
            "state": WorkState.QUEUED.value,
            "attempts": 0,
            "not_before": now,
            "created_at": now,
        },
    )
