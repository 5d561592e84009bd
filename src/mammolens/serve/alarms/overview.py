"""What people see of the monitors: lists, and the values of a measure with examples of a change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.monitor import MEASURES, NAMES, Partition
from mammolens.serve.alarms.notes import (
    AlarmNote,
    MonitorNote,
    alarm_note,
    looked_after,
    monitor_note,
    select_alarms,
    visible_monitor,
)
from mammolens.serve.people import Person, Refusal, Refused, visible_exams
from mammolens.serve.record import ALARMS, EXAMS, MONITORS, OBSERVATIONS, Database, Page, page_of

__all__ = ["MeasurePoints", "list_alarms", "list_monitors", "measure_points", "read_monitor"]

EXAMPLES: Final = 5
POINTS: Final = 300
_OF_AI: Final = frozenset(one.name for one in MEASURES if one.of_model)


@dataclass(frozen=True)
class Point:
    """One value of a measure; `exam_id` only of an exam that the person may open for it."""

    number: int
    at: datetime
    value: float
    exam_id: int | None


@dataclass(frozen=True)
class MeasurePoints:
    """The newest values of a measure in their order, its alarms, and example exams.

    The newest alarm is the first. Values of the examples are the farthest in its direction.
    """

    is_share: bool
    points: list[Point]
    alarms: list[AlarmNote]
    examples: list[int]


def list_monitors(
    database: Database, person: Person, before: int | None, limit: int
) -> Page[MonitorNote]:
    """List the monitors of the sites that a person looks after, the newest first."""
    asked = sa.select(MONITORS).where(looked_after(person))
    with database.read() as connection:
        return page_of(connection, asked, MONITORS.c.id, before, limit, monitor_note)


def read_monitor(database: Database, person: Person, monitor_id: int) -> MonitorNote:
    """Read one monitor.

    Raises
    ------
    Refused
    """
    with database.read() as connection:
        return monitor_note(visible_monitor(connection, person, monitor_id))


def list_alarms(
    database: Database, person: Person, *, open_only: bool, before: int | None, limit: int
) -> Page[AlarmNote]:
    """List alarms of the sites that a person looks after, the newest first."""
    asked = select_alarms().where(looked_after(person))
    if open_only:
        asked = asked.where(ALARMS.c.ended_at.is_(None))
    with database.read() as connection:
        return page_of(connection, asked, ALARMS.c.id, before, limit, alarm_note)


def measure_points(
    database: Database,
    person: Person,
    monitor_id: int,
    measure: str,
    shown: sa.ColumnElement[bool],
) -> MeasurePoints:
    """Read the newest values of a measure, its alarms, and example exams of the newest alarm.

    Parameters
    ----------
    shown
        Condition over `EXAMS`: whose AI the person may see now. Of other exams, no value of the AI
        is given, because its time would name the exam; values of pictures have no exam.

    Raises
    ------
    Refused
    """
    if measure not in NAMES:
        raise Refused(Refusal.UNKNOWN)
    with database.read() as connection:
        monitor = visible_monitor(connection, person, monitor_id)
        may_open = sa.and_(visible_exams(person), shown).label("may_open")
        asked = (
            sa.select(OBSERVATIONS, may_open)
            .join(EXAMS, EXAMS.c.id == OBSERVATIONS.c.exam_id)
            # `measures` is JSON text, and only names of measures are in quotes.
            .where(*_of(monitor), OBSERVATIONS.c.measures.contains(f'"{measure}"'))
            .order_by(OBSERVATIONS.c.id.desc())
            .limit(POINTS)
        )
        rows = connection.execute(asked).all()
        mine = ALARMS.c.monitor_id == monitor_id, ALARMS.c.measure == measure
        alarms = connection.execute(
            select_alarms().where(*mine).order_by(ALARMS.c.id.desc()).limit(EXAMPLES)
        ).all()
    points = [
        Point(
            row.id,
            row.created_at,
            float(json.loads(row.measures)[measure]),
            row.exam_id if row.may_open else None,
        )
        for row in reversed(rows)
        if row.may_open or measure not in _OF_AI
    ]
    found = [alarm_note(row) for row in alarms]
    is_share = next(one.is_share for one in MEASURES if one.name == measure)
    return MeasurePoints(is_share, points, found, _examples(points, found[0]) if found else [])


def _of(monitor: sa.Row[Any]) -> list[sa.ColumnElement[bool]]:
    """Say which observations a monitor takes in."""
    where = [OBSERVATIONS.c.site_id.is_not_distinct_from(monitor.site_id)]
    if monitor.partition != Partition.SITE.value:
        where.append(OBSERVATIONS.c[monitor.partition] == monitor.name)
    return where


def _examples(points: list[Point], alarm: AlarmNote) -> list[int]:
    """Choose exams since the change whose values are farthest from the mean before it."""
    sign = {"lower": -1.0, "higher": 1.0}.get(alarm.direction)
    since = [p for p in points if p.number >= alarm.since and p.exam_id is not None]

    def distance(point: Point) -> float:
        away = point.value - alarm.mean_before
        if sign is not None:
            return sign * away
        return abs(away) if alarm.direction == "wider" else -abs(away)

    chosen = sorted(since, key=distance, reverse=True)[:EXAMPLES]
    return [point.exam_id for point in chosen if point.exam_id is not None]
