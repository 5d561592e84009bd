"""Monitors and alarms as people see them, whose they are, and what people decide about them.

People acknowledge an alarm, mute a monitor, or restart some of its measures.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.monitor import NAMES, Condition, Partition, restart
from mammolens.serve.monitoring import state_of
from mammolens.serve.people import Person, Refusal, Refused, change_one, one_row
from mammolens.serve.record import (
    ALARMS,
    MONITORS,
    OBSERVATIONS,
    PEOPLE,
    Database,
    PersonRole,
    audit,
    from_row,
)

__all__ = [
    "AlarmNote",
    "MeasureNote",
    "MonitorNote",
    "acknowledge_alarm",
    "alarm_note",
    "looked_after",
    "monitor_note",
    "mute_monitor",
    "restart_monitor",
    "select_alarms",
    "visible_alarm",
    "visible_monitor",
]


@dataclass(frozen=True)
class MeasureNote:
    """The condition of one measure, and how many exams it has."""

    name: str
    condition: Condition
    exams: int


@dataclass(frozen=True)
class MonitorNote:
    """One group of exams: a site (`name` is empty), a machine or a software version."""

    id: int
    site_id: int | None
    partition: Partition
    name: str
    muted_until: datetime | None
    changed_at: datetime
    measures: tuple[MeasureNote, ...]


@dataclass(frozen=True)
class AlarmNote:
    """A change that was found, and what people did about it.

    `direction` is lower, higher, wider or narrower. `since` is the number of the value with which
    it began, as estimated; the means are those before it, and from it on.
    """

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


def looked_after(person: Person) -> sa.ColumnElement[bool]:
    """Say which rows of `MONITORS` a person may see and change."""
    if person.is_administrator:
        return sa.true()
    return MONITORS.c.site_id.in_(sorted(person.sites_as(PersonRole.ADMINISTRATOR)))


def visible_monitor(connection: sa.Connection, person: Person, monitor_id: int) -> sa.Row[Any]:
    """Read the row of a monitor that a person looks after.

    Raises
    ------
    Refused
        There is no such monitor, or it is of another site: both give the same answer.
    """
    asked = sa.select(MONITORS).where(MONITORS.c.id == monitor_id, looked_after(person))
    return one_row(connection, asked)


def visible_alarm(connection: sa.Connection, person: Person, alarm_id: int) -> sa.Row[Any]:
    """Read the row of an alarm of such a monitor.

    Raises
    ------
    Refused
    """
    return one_row(connection, select_alarms().where(ALARMS.c.id == alarm_id, looked_after(person)))


_KNOWS = PEOPLE.alias("knows")
_ENDED = PEOPLE.alias("ended")


def select_alarms() -> sa.Select[Any]:
    """Select alarms with the fields of `AlarmNote`."""
    people = {"acknowledged_by": _KNOWS, "ended_by": _ENDED}
    own = [column for column in ALARMS.c if column.name not in people]
    names = [one.c.display_name.label(name) for name, one in people.items()]
    of = [MONITORS.c.site_id, MONITORS.c.partition, MONITORS.c.name]
    return (
        sa.select(*own, *of, *names, OBSERVATIONS.c.created_at.label("since_at"))
        .join(MONITORS, MONITORS.c.id == ALARMS.c.monitor_id)
        .outerjoin(OBSERVATIONS, OBSERVATIONS.c.id == ALARMS.c.since)
        .outerjoin(_KNOWS, _KNOWS.c.id == ALARMS.c.acknowledged_by)
        .outerjoin(_ENDED, _ENDED.c.id == ALARMS.c.ended_by)
    )


def monitor_note(row: sa.Row[Any]) -> MonitorNote:
    """Read the conditions from the state of a monitor."""
    state = state_of(row)
    measures = [MeasureNote(name, state.condition(name), state.count(name)) for name in NAMES]
    return from_row(MonitorNote, row, measures=tuple(one for one in measures if one.exams))


def alarm_note(row: sa.Row[Any]) -> AlarmNote:
    """Make the note of a row of `select_alarms`."""
    return from_row(AlarmNote, row)


def acknowledge_alarm(database: Database, person: Person, alarm_id: int) -> AlarmNote:
    """Say that somebody knows of an alarm; the first counts.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        row = visible_alarm(connection, person, alarm_id)
        still = ALARMS.c.id == alarm_id, ALARMS.c.acknowledged_at.is_(None)
        known = {"acknowledged_by": person.id, "acknowledged_at": database.now(connection)}
        change_one(connection, ALARMS.update().where(*still).values(known))
        note = visible_alarm(connection, person, alarm_id)
        detail: audit.Detail = {"alarm": alarm_id, "monitor": row.monitor_id}
        audit.append(database, connection, person.actor, "alarm_acknowledged", None, detail)
    return alarm_note(note)


def mute_monitor(
    database: Database, person: Person, monitor_id: int, until: datetime | None
) -> MonitorNote:
    """Send no messages about a monitor until a time; its alarms are shown all the same.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        visible_monitor(connection, person, monitor_id)
        of = MONITORS.c.id == monitor_id
        connection.execute(MONITORS.update().where(of).values(muted_until=until))
        row = visible_monitor(connection, person, monitor_id)
        end = until.isoformat(timespec="seconds") if until else None
        detail: audit.Detail = {"monitor": monitor_id, "until": end}
        audit.append(database, connection, person.actor, "monitor_muted", None, detail)
    return monitor_note(row)


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
        row = visible_monitor(connection, person, monitor_id)
        now = database.now(connection)
        state = restart(state_of(row), measures)
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
        row = visible_monitor(connection, person, monitor_id)
        detail: audit.Detail = {"monitor": monitor_id, "measures": ", ".join(sorted(measures))}
        audit.append(database, connection, person.actor, "monitor_restarted", None, detail)
    return monitor_note(row)
