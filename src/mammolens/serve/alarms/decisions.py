"""What people decide about monitors: an alarm is known, a monitor is muted, or it restarts."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from mammolens.monitor import NAMES, restart
from mammolens.serve.alarms.notes import (
    AlarmNote,
    MonitorNote,
    alarm_note,
    monitor_note,
    visible_alarm,
    visible_monitor,
)
from mammolens.serve.monitoring import state_of
from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.record import ALARMS, MONITORS, Database, audit

__all__ = ["acknowledge_alarm", "mute_monitor", "restart_monitor"]


def acknowledge_alarm(database: Database, person: Person, alarm_id: int) -> AlarmNote:
    """Say that somebody knows of an alarm; the first counts.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        row = visible_alarm(connection, person, alarm_id)
        done = connection.execute(
            ALARMS.update()
            .where(ALARMS.c.id == alarm_id, ALARMS.c.acknowledged_at.is_(None))
            .values(acknowledged_by=person.id, acknowledged_at=database.now(connection))
        )
        if done.rowcount != 1:
            raise Refused(Refusal.CHANGED)
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
        said = until.isoformat(timespec="seconds") if until else None
        detail: audit.Detail = {"monitor": monitor_id, "until": said}
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
