"""What happens to exams, for people who have a page open: read from the audit trail, row by row.

The number of a row is the number of its event, so that a page that was cut off goes on where it
was, whichever process it asks. An event names an exam and its version, nothing of its contents. It
goes to the people who may know of the exam at that moment; people who no longer may know of it get
the event that it is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.people import Person, visible_exams
from mammolens.serve.record import AUDIT, EXAMS, audit

__all__ = ["Event", "EventReader", "Happening"]

MOST_ROWS: Final = 2000
"""Rows of the trail that are read at a time."""
MOST_BEHIND: Final = 20000
"""Whoever has missed more reads everything again."""


class Happening(str, Enum):
    """Kinds of events."""

    RECEIVED = "exam.received"
    ANALYSED = "exam.analysed"
    CHANGED = "exam.changed"
    REVISED = "exam.revised"
    REMOVED = "exam.removed"
    """Deleted, or given to a site of which the person does not know."""
    READING = "reading.changed"
    UPLOAD = "upload.progress"
    RELOAD = "reload"
    """Too much was missed: the client must read everything again."""


ACTIONS: Final = {
    "input": Happening.RECEIVED,
    "refused": Happening.RECEIVED,
    "rival": Happening.RECEIVED,
    "second_identity": Happening.CHANGED,
    "queued": Happening.CHANGED,
    "finished": Happening.ANALYSED,
    "dead": Happening.CHANGED,
    "exam_assigned": Happening.CHANGED,
    "expired": Happening.REMOVED,
}
OF_READINGS: Final = ("reading_", "notice_", "recall_", "opinion_", "arbitration_", "addendum_")
QUIET: Final = frozenset({"reading_saved", "reading_looked"})
"""Actions that are visible only to the reader, so that no event is needed."""


@dataclass(frozen=True)
class Event:
    """Something happened; `number` is that of its row of the trail, ``None`` for what has none."""

    kind: Happening
    number: int | None
    data: dict[str, Any]


class EventReader:
    """Reads the events of one person from a place in the trail on.

    Parameters
    ----------
    after
        Number of the last event that the person has; ``None``: what happens from now on.
    """

    def __init__(self, connection: sa.Connection, after: int | None) -> None:
        length = audit.read_head(connection).length
        self.missed = after is not None and not length - MOST_BEHIND <= after <= length
        self.after = length if after is None or self.missed else after

    def read(self, connection: sa.Connection, person: Person) -> list[Event]:
        """Give what has happened since the last call and concerns the person.

        Several changes of one kind to one exam are one event.
        """
        if self.missed:
            self.missed = False
            return [Event(Happening.RELOAD, self.after, {})]
        asked: sa.Select[Any] = (
            sa.select(AUDIT.c.number, AUDIT.c.action, AUDIT.c.exam_id, AUDIT.c.detail)
            .where(AUDIT.c.number > self.after)
            .order_by(AUDIT.c.number)
            .limit(MOST_ROWS)
        )
        rows = connection.execute(asked).all()
        if not rows:
            return []
        self.after = rows[-1].number
        changes = [(kind, row) for row in rows if (kind := _kind(row)) is not None]
        known = _visible(connection, person, (row.exam_id for _, row in changes))
        events: dict[tuple[Happening, int], Event] = {}
        for kind, row in changes:
            event = _event(kind, row, known, person)
            if event is not None:
                events.pop((event.kind, row.exam_id), None)
                events[event.kind, row.exam_id] = event
        return list(events.values())


def _kind(row: sa.Row[Any]) -> Happening | None:
    if row.exam_id is None or row.action in QUIET:
        return None
    if row.action.startswith(OF_READINGS):
        return Happening.READING
    kind = ACTIONS.get(row.action)
    if kind is Happening.ANALYSED and json.loads(row.detail).get("revision", 1) > 1:
        return Happening.REVISED
    return kind


def _visible(
    connection: sa.Connection, person: Person, exam_ids: Iterable[int]
) -> dict[int, sa.Row[Any]]:
    ids: Sequence[int] = sorted({*exam_ids})
    if not ids:
        return {}
    columns = EXAMS.c.id, EXAMS.c.version, EXAMS.c.revision
    asked: sa.Select[Any] = sa.select(*columns).where(EXAMS.c.id.in_(ids), visible_exams(person))
    return {row.id: row for row in connection.execute(asked)}


def _event(
    kind: Happening, row: sa.Row[Any], known: dict[int, sa.Row[Any]], person: Person
) -> Event | None:
    exam = known.get(row.exam_id)
    if exam is not None:
        data = {"exam_id": row.exam_id, "version": exam.version, "revision": exam.revision}
        return Event(kind, row.number, data)
    detail = json.loads(row.detail)
    old_site = {"expired": "site", "exam_assigned": "before"}.get(row.action)  # key in `detail`
    if old_site is None:
        return None
    if person.is_administrator or detail.get(old_site) in person.sites:
        return Event(Happening.REMOVED, row.number, {"exam_id": row.exam_id})
    return None
