"""Monitors and alarms as people see them, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.monitor import NAMES, Condition, Partition
from mammolens.serve.monitoring import state_of
from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.record import ALARMS, MONITORS, OBSERVATIONS, PEOPLE, PersonRole

__all__ = [
    "AlarmNote",
    "MeasureNote",
    "MonitorNote",
    "alarm_note",
    "looked_after",
    "monitor_note",
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
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise Refused(Refusal.UNKNOWN)
    return row


def visible_alarm(connection: sa.Connection, person: Person, alarm_id: int) -> sa.Row[Any]:
    """Read the row of an alarm of such a monitor.

    Raises
    ------
    Refused
    """
    asked = select_alarms().where(ALARMS.c.id == alarm_id, looked_after(person))
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise Refused(Refusal.UNKNOWN)
    return row


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
    return MonitorNote(
        row.id,
        row.site_id,
        Partition(row.partition),
        row.name,
        row.muted_until,
        row.changed_at,
        tuple(one for one in measures if one.exams),
    )


def alarm_note(row: sa.Row[Any]) -> AlarmNote:
    """Make the note of a row of `select_alarms`."""
    found = row._asdict()
    return AlarmNote(**found | {"partition": Partition(found["partition"])})
