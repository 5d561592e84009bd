"""Deliveries that a person must look at: refused, tried too often, or without a route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record import DELIVERIES, FILES, OVERTAKEN, Database, WorkState, from_row

__all__ = ["DeadLetter", "dead_letter_lines", "read_dead"]

NO_ROUTE: Final = "its route is no longer in the settings"


@dataclass(frozen=True)
class DeadLetter:
    """A delivery that is not tried again; it has no identifiers of the patient.

    `overtaken`: a later result of the exam was sent by the same route, so this one is not revived.
    """

    id: int
    exam_id: int
    revision: int
    route: str
    sink: str
    attempts: int
    error: str
    since: str
    overtaken: bool


def read_dead(database: Database, routes: Sequence[str]) -> list[DeadLetter]:
    """List dead deliveries, and those queued for a route that is not in `routes`, oldest first.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    dead = DELIVERIES.c.state == WorkState.DEAD.value
    orphan = sa.and_(
        DELIVERIES.c.state == WorkState.QUEUED.value, DELIVERIES.c.route.not_in(list(routes))
    )
    with database.read() as connection:
        rows = connection.execute(
            sa.select(DELIVERIES, FILES.c.sink, OVERTAKEN.label("overtaken"))
            .join(FILES, FILES.c.id == DELIVERIES.c.file_id)
            .where(sa.or_(dead, orphan))
            .order_by(DELIVERIES.c.id)
        ).all()
    return [
        from_row(
            DeadLetter,
            row,
            error=row.error if row.finished_at else NO_ROUTE,
            since=(row.finished_at or row.created_at).isoformat(timespec="seconds"),
            overtaken=bool(row.overtaken),
        )
        for row in rows
    ]


def dead_letter_lines(letters: Sequence[DeadLetter]) -> list[str]:
    """Describe dead letters as lines of text."""
    if not letters:
        return ["no dead letters"]
    return [
        f"{letter.id}  {letter.since}  {letter.route}: {letter.sink} of exam {letter.exam_id},"
        f" result {letter.revision}, {letter.attempts} attempts: {letter.error}"
        f"{' (overtaken by a later result)' if letter.overtaken else ''}"
        for letter in letters
    ]
