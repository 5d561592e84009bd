"""What people see of the monitors, and what they may change: for administrators of a site."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.monitor import NAMES, Condition, Partition, StreamState, restart
from mammolens.serve.people import Person, Refusal, Refused, visible_exams
from mammolens.serve.record import (
    ALARMS,
    EXAMS,
    MONITORS,
    OBSERVATIONS,
    PEOPLE,
    Database,
    PersonRole,
    audit,
)

__all__ = [
    "AlarmNote",
    "MonitorNote",
    "Point",
    "acknowledge_alarm",
    "list_alarms",
    "list_monitors",
    "measure_points",
    "mute_monitor",
    "read_monitor",
    "restart_monitor",
]

EXAMPLES: Final = 5
POINTS: Final = 300


@dataclass(frozen=True)
class MonitorNote:
    """One group, and the condition and number of exams of each measure that it has."""

    id: int
    site_id: int | None
    partition: Partition
    name: str
    muted_until: datetime | None
    changed_at: datetime
    measures: tuple[tuple[str, Condition, int], ...]


@dataclass(frozen=True)
class AlarmNote:
    """A change that was found, and what people did about it."""

    id: int
    monitor_id: int
    site_id: int | None
    partition: Partition
    name: str
    measure: str
    direction: str
    since: int
    since_at: datetime | None
    n_before: int
    n_after: int
    mean_before: float
    mean_after: float
    raised_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Point:
    """One value of a measure; `exam_id` only of an exam that the person may open for it."""

    number: int
    at: datetime
    value: float
    exam_id: int | None


def list_monitors(
    database: Database, person: Person, before: int | None, limit: int
) -> tuple[list[MonitorNote], int | None]:
    """List the monitors of the sites that a person looks after, the newest first.

    Returns
    -------
    The monitors, and `before` of the next page.
    """
    asked = sa.select(MONITORS).where(_looked_after(person))
    if before is not None:
        asked = asked.where(MONITORS.c.id < before)
    with database.read() as connection:
        rows = connection.execute(asked.order_by(MONITORS.c.id.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    return [_monitor(row) for row in shown], shown[-1].id if len(rows) > limit else None


def read_monitor(database: Database, person: Person, monitor_id: int) -> MonitorNote:
    """Read one monitor.

    Raises
    ------
    Refused
    """
    with database.read() as connection:
        return _monitor(_visible(connection, person, monitor_id))


def list_alarms(
    database: Database, person: Person, *, open_only: bool, before: int | None, limit: int
) -> tuple[list[AlarmNote], int | None]:
    """List alarms of the sites that a person looks after, the newest first."""
    asked = _alarms().where(_looked_after(person))
    if open_only:
        asked = asked.where(ALARMS.c.ended_at.is_(None))
    if before is not None:
        asked = asked.where(ALARMS.c.id < before)
    with database.read() as connection:
        rows = connection.execute(asked.order_by(ALARMS.c.id.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    return [_alarm(row) for row in shown], shown[-1].id if len(rows) > limit else None


def measure_points(
    database: Database,
    person: Person,
    monitor_id: int,
    measure: str,
    shown: sa.ColumnElement[bool],
) -> tuple[list[Point], list[AlarmNote], list[int]]:
    """Read the newest values of a measure, its alarms, and example exams of the newest alarm.

    Parameters
    ----------
    shown
        Condition over `EXAMS`: whose exams may be named with this measure.

    Returns
    -------
    Values in their order, alarms with the newest first, and exams whose values are farthest in the
    direction of the alarm.

    Raises
    ------
    Refused
    """
    if measure not in NAMES:
        raise Refused(Refusal.UNKNOWN)
    with database.read() as connection:
        monitor = _visible(connection, person, monitor_id)
        may_open = sa.and_(visible_exams(person), shown).label("may_open")
        asked = (
            sa.select(OBSERVATIONS, may_open)
            .join(EXAMS, EXAMS.c.id == OBSERVATIONS.c.exam_id)
            .where(*_of(monitor), OBSERVATIONS.c.measures.contains(f'"{measure}"'))
            .order_by(OBSERVATIONS.c.id.desc())
            .limit(POINTS)
        )
        rows = connection.execute(asked).all()
        mine = ALARMS.c.monitor_id == monitor_id, ALARMS.c.measure == measure
        alarms = connection.execute(
            _alarms().where(*mine).order_by(ALARMS.c.id.desc()).limit(EXAMPLES)
        ).all()
    points = [
        Point(
            row.id,
            row.created_at,
            float(json.loads(row.measures)[measure]),
            row.exam_id if row.may_open else None,
        )
        for row in reversed(rows)
    ]
    found = [_alarm(row) for row in alarms]
    return points, found, _examples(points, found[0]) if found else []


def acknowledge_alarm(database: Database, person: Person, alarm_id: int) -> AlarmNote:
    """Say that somebody knows of an alarm; the first counts.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        row = _visible_alarm(connection, person, alarm_id)
        done = connection.execute(
            ALARMS.update()
            .where(ALARMS.c.id == alarm_id, ALARMS.c.acknowledged_at.is_(None))
            .values(acknowledged_by=person.id, acknowledged_at=database.now(connection))
        )
        if done.rowcount != 1:
            raise Refused(Refusal.CHANGED)
        note = _visible_alarm(connection, person, alarm_id)
        detail: audit.Detail = {"alarm": alarm_id, "monitor": row.monitor_id}
        audit.append(database, connection, person.actor, "alarm_acknowledged", None, detail)
    return _alarm(note)


def mute_monitor(
    database: Database, person: Person, monitor_id: int, until: datetime | None
) -> MonitorNote:
    """Send no messages about a monitor until a time; its alarms are shown all the same.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        _visible(connection, person, monitor_id)
        of = MONITORS.c.id == monitor_id
        connection.execute(MONITORS.update().where(of).values(muted_until=until))
        row = _visible(connection, person, monitor_id)
        said = until.isoformat(timespec="seconds") if until else None
        detail: audit.Detail = {"monitor": monitor_id, "until": said}
        audit.append(database, connection, person.actor, "monitor_muted", None, detail)
    return _monitor(row)


def restart_monitor(
    database: Database, person: Person, monitor_id: int, measures: Collection[str]
) -> MonitorNote:
    """Let measures learn their reference again, and end their alarms.

    Raises
    ------
    Refused
    """
    unknown = {*measures} - {*NAMES}
    if unknown or not measures:
        raise Refused(Refusal.INCOMPLETE, fields=["measures"])
    with database.write() as connection:
        locked = sa.select(MONITORS.c.id).where(MONITORS.c.id == monitor_id).with_for_update()
        connection.execute(locked)
        row = _visible(connection, person, monitor_id)
        now = database.now(connection)
        state = restart(StreamState.from_json(json.loads(row.state)), measures)
        kept = json.dumps(state.to_json(), separators=(",", ":"))
        of = MONITORS.c.id == monitor_id
        connection.execute(MONITORS.update().where(of).values(state=kept, changed_at=now))
        connection.execute(
            ALARMS.update()
            .where(
                ALARMS.c.monitor_id == monitor_id,
                ALARMS.c.measure.in_(sorted(measures)),
                ALARMS.c.ended_at.is_(None),
            )
            .values(ended_at=now, ended_by=person.id)
        )
        row = _visible(connection, person, monitor_id)
        detail: audit.Detail = {"monitor": monitor_id, "measures": ", ".join(sorted(measures))}
        audit.append(database, connection, person.actor, "monitor_restarted", None, detail)
    return _monitor(row)


def _looked_after(person: Person) -> sa.ColumnElement[bool]:
    if person.is_administrator:
        return sa.true()
    return MONITORS.c.site_id.in_(sorted(person.sites_as(PersonRole.ADMINISTRATOR)))


def _visible(connection: sa.Connection, person: Person, monitor_id: int) -> sa.Row[Any]:
    """Read the row of a monitor that a person looks after; another gives the answer of none."""
    asked = sa.select(MONITORS).where(MONITORS.c.id == monitor_id, _looked_after(person))
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise Refused(Refusal.UNKNOWN)
    return row


def _visible_alarm(connection: sa.Connection, person: Person, alarm_id: int) -> sa.Row[Any]:
    asked = _alarms().where(ALARMS.c.id == alarm_id, _looked_after(person))
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise Refused(Refusal.UNKNOWN)
    return row


_KNOWS = PEOPLE.alias("knows")
_ENDED = PEOPLE.alias("ended")


def _alarms() -> sa.Select[Any]:
    return (
        sa.select(
            ALARMS,
            MONITORS.c.site_id,
            MONITORS.c.partition,
            MONITORS.c.name,
            OBSERVATIONS.c.created_at.label("since_at"),
            _KNOWS.c.display_name.label("known_by"),
            _ENDED.c.display_name.label("ended_name"),
        )
        .join(MONITORS, MONITORS.c.id == ALARMS.c.monitor_id)
        .outerjoin(OBSERVATIONS, OBSERVATIONS.c.id == ALARMS.c.since)
        .outerjoin(_KNOWS, _KNOWS.c.id == ALARMS.c.acknowledged_by)
        .outerjoin(_ENDED, _ENDED.c.id == ALARMS.c.ended_by)
    )


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


def _monitor(row: sa.Row[Any]) -> MonitorNote:
    state = StreamState.from_json(json.loads(row.state))
    measures = [(name, state.condition(name), state.count(name)) for name in NAMES]
    return MonitorNote(
        row.id,
        row.site_id,
        Partition(row.partition),
        row.name,
        row.muted_until,
        row.changed_at,
        tuple(one for one in measures if one[2]),
    )


def _alarm(row: sa.Row[Any]) -> AlarmNote:
    return AlarmNote(
        row.id,
        row.monitor_id,
        row.site_id,
        Partition(row.partition),
        row.name,
        row.measure,
        row.direction,
        row.since,
        row.since_at,
        row.n_before,
        row.n_after,
        row.mean_before,
        row.mean_after,
        row.raised_at,
        row.known_by,
        row.acknowledged_at,
        row.ended_name,
        row.ended_at,
    )
