"""The monitors as they stand: the state of one, counts, and a table for the command line."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mammolens.errors import ConfigError
from mammolens.monitor import NAMES, ExamValues, Partition, StreamState, seed_of
from mammolens.serve import logs
from mammolens.serve.record import ALARMS, ALERTS, MONITORS, OBSERVATIONS, SITES, Database

__all__ = ["MonitorCounts", "count_monitors", "past_observations", "read_monitors", "state_of"]


def state_of(row: sa.Row[Any]) -> StreamState:
    """Read a state; one that cannot be read begins again, which is better than no monitor."""
    try:
        return StreamState.from_json(json.loads(row.state))
    except (ConfigError, ValueError):
        logs.event("monitor", "state_lost", logging.ERROR)
        return StreamState.begin(seed_of(Partition(row.partition), row.site_id or 0, row.name))


@dataclass(frozen=True)
class MonitorCounts:
    """Open alarms by measure, messages by state, and observations that wait for the monitors."""

    alarms: dict[str, int]
    alerts: dict[str, int]
    waiting: int


def count_monitors(connection: sa.Connection) -> MonitorCounts:
    """Count what is open."""
    is_open = sa.select(ALARMS.c.measure, sa.func.count()).where(ALARMS.c.ended_at.is_(None))
    alarms = connection.execute(is_open.group_by(ALARMS.c.measure)).all()
    alerts = connection.execute(
        sa.select(ALERTS.c.state, sa.func.count()).group_by(ALERTS.c.state)
    ).all()
    waiting = sa.select(sa.func.count()).where(OBSERVATIONS.c.taken.is_(sa.false()))
    return MonitorCounts(
        {name: dict(map(tuple, alarms)).get(name, 0) for name in NAMES},
        dict(map(tuple, alerts)),
        int(connection.execute(waiting).scalar_one()),
    )


def read_monitors(database: Database) -> list[dict[str, Any]]:
    """Read every monitor: its group, its exams, and its measures by their condition."""
    asked = sa.select(MONITORS, SITES.c.key.label("site")).outerjoin(
        SITES, SITES.c.id == MONITORS.c.site_id
    )
    with database.read() as connection:
        rows = connection.execute(asked.order_by(MONITORS.c.id)).all()
    found = []
    for row in rows:
        state = state_of(row)
        known = [name for name in NAMES if state.count(name)]
        conditions = Counter(state.condition(name).value for name in known)
        found.append(
            {
                "monitor": row.id,
                "site": row.site,
                "partition": row.partition,
                "name": row.name,
                "exams": max((state.count(name) for name in known), default=0),
                "conditions": dict(conditions),
                "alarms": sorted(state.alarmed),
            }
        )
    return found


def past_observations(database: Database) -> Iterator[ExamValues]:
    """Read every observation of the node, the oldest first."""
    last = 0
    while True:
        asked = (
            sa.select(OBSERVATIONS, SITES.c.key.label("site"))
            .outerjoin(SITES, SITES.c.id == OBSERVATIONS.c.site_id)
            .where(OBSERVATIONS.c.id > last)
            .order_by(OBSERVATIONS.c.id)
            .limit(1000)
        )
        with database.read() as connection:
            rows = connection.execute(asked).all()
        if not rows:
            return
        for row in rows:
            values = json.loads(row.measures)
            label = f"exam {row.exam_id}"
            yield ExamValues(values, row.machine, row.software, row.model, row.site or "", label)
        last = rows[-1].id
