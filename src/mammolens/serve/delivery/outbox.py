"""The queue of deliveries: each sends one file by one route, and one sender holds it.

A file is sent at least once: if a sender is killed, the same bytes are sent again, with the same
SOP Instance UID or message control ID. By one route, the results of an exam are sent in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from mammolens.serve.record import (
    DELIVERIES,
    FILES,
    OVERTAKEN,
    Database,
    HeldWork,
    attempts,
    audit,
    from_row,
    leases,
)
from mammolens.serve.settings import JobSettings

__all__ = [
    "Delivery",
    "claim_deliveries",
    "finish_delivery",
    "revive_deliveries",
]


@dataclass(frozen=True)
class Delivery(HeldWork):
    """One file that must be sent by one route, held by one sender."""

    TABLE = DELIVERIES
    FAILED = "put_off"
    GIVEN_UP = "undeliverable"

    route: str
    revision: int
    sink: str
    name: str
    digest: str
    sop_class_uid: str | None
    sop_instance_uid: str | None
    made_at: datetime | None = None
    claimed_at: datetime | None = None

    @property
    def actor(self) -> str:
        """The route."""
        return f"route:{self.route}"

    @property
    def detail(self) -> dict[str, str | int | None]:
        """The delivery, the attempt and the file."""
        return {
            "attempt": self.attempts,
            "delivery": self.lease.id,
            "digest": self.digest,
            "revision": self.revision,
            "sink": self.sink,
            "sop_instance_uid": self.sop_instance_uid,
        }


def claim_deliveries(
    database: Database, worker: str, routes: Sequence[str], jobs: JobSettings, most: int = 32
) -> list[Delivery]:
    """Claim waiting deliveries of one route and one result, for one association.

    Parameters
    ----------
    routes
        Names of the routes of this sender.
    most
        Largest number.

    Raises
    ------
    StorageError
        The database cannot be used.
    """

    def note_lost(connection: sa.Connection, lost: sa.Row[Any]) -> None:
        actor, detail = f"sender:{lost.worker}", {"delivery": lost.id, "route": lost.route}
        audit.append(database, connection, actor, "lease_lost", lost.exam_id, detail)

    find = partial(_find_ready, routes, most)
    return [
        from_row(
            Delivery,
            row,
            lease=lease,
            attempts=row.attempts + 1,
            made_at=row.created_at,
            claimed_at=now,
        )
        for row, lease, now in leases.claim(database, DELIVERIES, worker, jobs, find, note_lost)
    ]


def finish_delivery(database: Database, delivery: Delivery, receipt: str) -> bool:
    """Enter that the destination has a file; ``False`` if the lease was lost meanwhile.

    Parameters
    ----------
    receipt
        The answer of the destination, without identifiers: ``C-STORE 0x0000``, ``HTTP 201``.

    Raises
    ------
    StorageError
        The database cannot be used: the file will be sent again.
    """
    with database.write() as connection:
        held = leases.settle(database, connection, DELIVERIES, delivery.lease)
        detail = {**delivery.detail, "receipt": receipt, "late": not held}
        audit.append(database, connection, delivery.actor, "delivered", delivery.exam_id, detail)
    return held


def revive_deliveries(database: Database, actor: str, ids: Sequence[int] | None = None) -> int:
    """Queue dead deliveries again, and give their number.

    If a later result of the exam was sent by the same route, a delivery stays dead: the destination
    would take the old result for the newest one.

    Parameters
    ----------
    ids
        Numbers of the deliveries; ``None`` for all.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    asked = sa.true() if ids is None else DELIVERIES.c.id.in_(list(ids))
    return attempts.revive(
        database,
        DELIVERIES,
        actor,
        sa.and_(asked, ~OVERTAKEN),
        lambda row: {"delivery": row.id, "route": row.route},
    )


def _find_ready(
    routes: Sequence[str], most: int, connection: sa.Connection, ready: sa.ColumnElement[bool]
) -> Sequence[sa.Row[Any]]:
    """Lock the ready deliveries of one route and one result; earlier revisions go first."""
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
            ready,
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
