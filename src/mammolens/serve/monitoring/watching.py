"""Enter observations of results and decisions, and feed each of them once to the drift monitors.

Only the first result of an exam counts, and the first decision: an exam that is analysed again
because a view came late is still one exam. Both are entered in the transaction that saves them.

Observations are fed in one transaction with the states that they change. If the process is killed,
the observations of its transaction still wait, and the states are those before it. One process at a
time feeds them. Nothing depends on the clock: a monitor counts exams, not hours.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.monitor import (
    Alarm,
    ExamValues,
    Observation,
    Partition,
    StreamState,
    disagreement,
    groups_of,
    observe,
    seed_of,
    threshold,
)
from mammolens.serve import logs
from mammolens.serve.alerts import announce_drift, repeating
from mammolens.serve.holdings import NodeState
from mammolens.serve.monitoring.status import state_of
from mammolens.serve.record import (
    ALARMS,
    EXAMS,
    MONITORS,
    OBSERVATIONS,
    RESULTS,
    Database,
    audit,
    batches,
    insert_once,
)
from mammolens.serve.settings import NodeSettings

__all__ = ["enter_decision", "enter_result", "monitoring", "take_in"]

_DIGITS: Final = 6
"""Decimal places of a saved measure; a step of a scale (`BINS`) is far larger."""


def enter_result(
    database: Database, connection: sa.Connection, exam_id: int, result_id: int, exam: ExamValues
) -> None:
    """Enter the measures of an exam, within the transaction of its first result."""
    _enter(database, connection, exam_id, f"result:{result_id}", exam)


def enter_decision(
    database: Database, connection: sa.Connection, exam_id: int, round_id: int, recall: bool | None
) -> None:
    """Enter whether readers and AI differ, within the transaction of a decision.

    Nothing is entered if the exam has a decision already, or if its result was not entered.
    """
    watched = sa.select(OBSERVATIONS).where(OBSERVATIONS.c.exam_id == exam_id)
    rows = connection.execute(watched.order_by(OBSERVATIONS.c.id)).all()
    if not rows or any(row.source.startswith("round:") for row in rows):
        return
    newest = sa.select(RESULTS.c.category).where(RESULTS.c.exam_id == exam_id)
    category = connection.execute(newest.order_by(RESULTS.c.revision.desc()).limit(1)).scalar()
    values = disagreement(category, recall)
    if values:
        first = rows[0]
        exam = ExamValues(values, first.machine, first.software, first.model)
        _enter(database, connection, exam_id, f"round:{round_id}", exam)


def _enter(
    database: Database, connection: sa.Connection, exam_id: int, source: str, exam: ExamValues
) -> None:
    site = connection.execute(sa.select(EXAMS.c.site_id).where(EXAMS.c.id == exam_id)).scalar_one()
    measures = {name: round(value, _DIGITS) for name, value in exam.values.items()}
    row = {
        "source": source,
        "exam_id": exam_id,
        "site_id": site,
        "machine": exam.machine,
        "software": exam.software,
        "model": exam.model[:200],
        "measures": json.dumps(measures, separators=(",", ":"), allow_nan=False),
        "created_at": database.now(connection),
        "taken": False,
    }
    insert_once(connection, OBSERVATIONS, row)


ROOM: Final = "monitor"
LOCK: Final = 0x6D6F6E69
"""Advisory lock of PostgreSQL; SQLite has one writer anyway."""
MOST: Final = 250
"""Observations of one transaction, which takes a fraction of a second."""

_Group = tuple[Partition, str]


@contextlib.contextmanager
def monitoring(state: NodeState, stop: threading.Event) -> Iterator[None]:
    """Feed the monitors while the block runs, if the settings say so."""
    if not state.settings.monitor.enabled:
        yield
        return
    database, settings = state.database, state.settings
    with repeating(ROOM, lambda: take_in(database, settings), stop, settings.jobs.poll_s):
        yield


def take_in(database: Database, settings: NodeSettings, most: int = MOST) -> int:
    """Feed waiting observations, the oldest first; give how many were fed.

    Raises
    ------
    StorageError
        The database cannot be used; nothing was changed.
    """
    waiting = sa.select(OBSERVATIONS).where(OBSERVATIONS.c.taken.is_(sa.false()))
    waiting = waiting.order_by(OBSERVATIONS.c.id).limit(most)
    with database.read() as connection:
        if connection.execute(waiting.limit(1)).first() is None:
            return 0
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        rows = connection.execute(waiting).all()
        monitors = _Monitors(connection, rows, database.now(connection))
        limit = threshold(settings.monitor.run_length)
        raised: list[tuple[str, Alarm]] = []
        for row in rows:
            for key in _keys(row):
                raised += monitors.feed(key, row, limit)
        ids = monitors.save()
        for some in batches([row.id for row in rows]):
            connection.execute(
                OBSERVATIONS.update().where(OBSERVATIONS.c.id.in_(some)).values(taken=True)
            )
        _announce(database, connection, settings, monitors, ids, raised)
    for _, alarm in raised:
        logs.event(ROOM, "drift_alarm", logging.WARNING, reason=alarm.measure, count=alarm.n_after)
    return len(rows)


def _keys(row: sa.Row[Any]) -> Iterator[tuple[str, _Group]]:
    """Give the key of each monitor of an observation, and its group. A site is named in the key."""
    exam = ExamValues({}, row.machine, row.software)
    for partition, name in groups_of("", exam):
        yield f"{row.site_id or 0}:{partition.value}:{name}", (partition, name)


class _Monitors:
    """The monitors that some observations need, until they are saved."""

    def __init__(
        self, connection: sa.Connection, rows: Sequence[sa.Row[Any]], now: datetime
    ) -> None:
        self.connection, self.now = connection, now
        self.states: dict[str, StreamState] = {}
        self.ids: dict[str, int] = {}
        self.new_rows: dict[str, dict[str, Any]] = {}
        self.muted: set[str] = set()  # Their alarms are entered, but not announced.
        self.sites: dict[str, int | None] = {}
        needed = {key: (row.site_id, group) for row in rows for key, group in _keys(row)}
        for some in batches(sorted(needed)):
            asked = sa.select(MONITORS).where(MONITORS.c.key.in_(some))
            for found in connection.execute(asked.order_by(MONITORS.c.key).with_for_update()):
                self.ids[found.key] = found.id
                self.states[found.key] = state_of(found)
                if found.muted_until is not None and found.muted_until > now:
                    self.muted.add(found.key)
        for key, (site_id, (partition, name)) in needed.items():
            self.sites[key] = site_id
            if key not in self.states:
                self.states[key] = StreamState.begin(seed_of(partition, site_id or 0, name))
                self.new_rows[key] = {
                    "site_id": site_id,
                    "partition": partition.value,
                    "name": name,
                    "key": key,
                }

    def feed(
        self, key: tuple[str, _Group], row: sa.Row[Any], limit: float
    ) -> list[tuple[str, Alarm]]:
        """Feed one observation to one monitor; give the alarms that it raises."""
        name, _ = key
        seen = Observation(row.id, json.loads(row.measures), row.model)
        self.states[name], alarms = observe(self.states[name], seen, limit)
        return [(name, alarm) for alarm in alarms]

    def save(self) -> dict[str, int]:
        """Write every state; give the database ids of the monitors by their keys."""
        changed = [
            {"of": self.ids[key], "to": _json(state), "at": self.now}
            for key, state in self.states.items()
            if key in self.ids
        ]
        if changed:
            change = MONITORS.update().where(MONITORS.c.id == sa.bindparam("of"))
            change = change.values(state=sa.bindparam("to"), changed_at=sa.bindparam("at"))
            self.connection.execute(change, changed)
        for key, row in self.new_rows.items():
            values = row | {"state": _json(self.states[key]), "changed_at": self.now}
            inserted = self.connection.execute(
                MONITORS.insert().values(values).returning(MONITORS.c.id)
            )
            self.ids[key] = int(inserted.scalar_one())
        return self.ids


def _json(state: StreamState) -> str:
    return json.dumps(state.to_json(), separators=(",", ":"))


def _announce(
    database: Database,
    connection: sa.Connection,
    settings: NodeSettings,
    monitors: _Monitors,
    ids: dict[str, int],
    raised: Sequence[tuple[str, Alarm]],
) -> None:
    """Enter alarms, and the messages about those whose monitor is not muted."""
    audible: Counter[int | None] = Counter()
    for key, alarm in raised:
        row = {"monitor_id": ids[key], **vars(alarm), "raised_at": monitors.now}
        connection.execute(ALARMS.insert().values(row))
        if key not in monitors.muted:
            audible[monitors.sites[key]] += 1
    for site_id, count in audible.items():
        announce_drift(database, connection, settings, site_id, count)
    for key, alarm in raised:
        detail: audit.Detail = {
            "monitor": ids[key],
            "measure": alarm.measure,
            "direction": alarm.direction,
        }
        audit.append(database, connection, "monitor", "drift_alarm", None, detail)
