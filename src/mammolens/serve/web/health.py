"""The state of a node for machines: whether it would take an exam now, and metrics for Prometheus.

Metrics are counts, ages and durations, without identifiers.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState, try_folder
from mammolens.serve.monitoring import count_monitors
from mammolens.serve.record import (
    DELIVERIES,
    EXAMS,
    JOBS,
    RESULTS,
    STEPS,
    Database,
    WorkState,
    count_present,
    read_failures,
    read_overview,
)

__all__ = ["Health", "NodeMetrics", "check_health", "measure"]

OK: Final = "ok"


@dataclass(frozen=True)
class Health:
    """State of the parts of a node, each ``ok`` or a word for its fault.

    `notices` are problems for a person, although exams are stored and analysed.
    """

    database: str
    disk: str
    worker: str
    notices: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether exams are stored and analysed."""
        return self.database == self.disk == self.worker == OK

    def to_json(self) -> dict[str, str]:
        """Give the state as plain text; `notices` only if there are any."""
        answer = {
            "status": "ready" if self.is_ready else "not_ready",
            "database": self.database,
            "disk": self.disk,
            "worker": self.worker,
        }
        return answer | ({"notices": "; ".join(self.notices)} if self.notices else {})


def check_health(state: NodeState) -> Health:
    """Check that the database and all folders can be written, and that a worker is alive."""
    database, worker = OK, OK
    notices: tuple[str, ...] = ()
    try:
        with state.database.read() as connection:
            if not count_present(state.database, connection, "worker"):
                worker = "silent"
            failures = read_failures(connection)
        if failures.dying and worker == OK:
            worker = "dying"
        notices = tuple(failures.words())
    except StorageError:
        database, worker = "away", "unknown"
    if database == OK and not state.database.can_write():
        database = "read_only"
    return Health(database, _check_disk(state), worker, (*notices, *state.notices.all()))


def _check_disk(state: NodeState) -> str:
    """Check whether objects can be stored, and results be written."""
    try:
        draft = state.received.draft()
        draft.discard()
        free = shutil.disk_usage(state.settings.data).free
    except (StorageError, OSError):
        return "full_or_away"
    if free < state.settings.intake.min_free_mb << 20:
        return "full_or_away"
    return "results_cannot_be_written" if try_folder(state.results.folder) else OK


PROCESS_KINDS: Final = ("deliver", "node", "worker")
RECENT_S: Final = 3600.0  # Analyses of this time give the quantiles of durations.
QUANTILES: Final = (0.5, 0.95, 1.0)
MOST_RECENT: Final = 10_000
STEPS_S: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # Of the histogram.


@dataclass(frozen=True)
class NodeMetrics:
    """All metrics of the node, and the histogram that this process fills itself."""

    registry: CollectorRegistry
    requests: Histogram


def measure(state: NodeState) -> NodeMetrics:
    """Make the metrics of a node; counts are read from the database at each request."""
    registry = CollectorRegistry()
    requests = Histogram(
        "mammolens_http_request_seconds",
        "Requests by method, route and status.",
        ("method", "route", "status"),
        buckets=STEPS_S,
        registry=registry,
    )
    registry.register(_State(state))
    return NodeMetrics(registry, requests)


@dataclass(frozen=True, eq=False)
class _State:
    """Metrics from the database; if it is away, only this fact is shown."""

    state: NodeState

    def describe(self) -> list[Metric]:
        """Give nothing, so that the database is not read at registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read all metrics from the database and the disk."""
        try:
            found = [*_counts(self.state), *_work(self.state)]
        except StorageError:
            found = []
        up = "Whether the database can be used."
        yield GaugeMetricFamily("mammolens_database_up", up, value=float(bool(found)))
        yield from found
        try:
            free = shutil.disk_usage(self.state.settings.data).free
        except OSError:
            return
        yield GaugeMetricFamily("mammolens_disk_free_bytes", "Room of the data folder.", value=free)


def _counts(state: NodeState) -> Iterator[Metric]:
    seen = read_overview(state.database)
    for name, label, counts, text in (
        ("received", "role", seen.received, "Received objects by what they are."),
        ("jobs", "state", seen.jobs, "Analyses by state."),
        ("results", "category", seen.results, "Newest results of exams by category."),
        ("deliveries", "state", seen.deliveries, "Deliveries by state."),
    ):
        yield _gauge(name, text, label, counts)
    ages = {
        "exam": seen.oldest_exam_s,
        "job": seen.oldest_job_s,
        "delivery": seen.oldest_delivery_s,
    }
    text = "Age of what has waited longest; 0: nothing."
    yield _gauge("oldest_seconds", text, "what", {what: age or 0.0 for what, age in ages.items()})
    for name, number, text in (
        ("exams", seen.exams, "Exams."),
        ("exams_waiting", seen.waiting, "Exams that changed since their last analysis."),
        ("results_superseded", seen.superseded, "Results that a later one took the place of."),
    ):
        yield GaugeMetricFamily(f"mammolens_{name}", text, value=number)


def _work(state: NodeState) -> Iterator[Metric]:
    database = state.database
    with database.read() as connection:
        routes = connection.execute(
            sa.select(DELIVERIES.c.route, sa.func.count(), sa.func.min(DELIVERIES.c.created_at))
            .where(DELIVERIES.c.state.in_([WorkState.QUEUED.value, WorkState.RUNNING.value]))
            .group_by(DELIVERIES.c.route)
        ).all()
        now = database.now(connection)
        alive = {kind: count_present(database, connection, kind) for kind in PROCESS_KINDS}
        phases = sa.select(STEPS.c.phase, sa.func.count()).group_by(STEPS.c.phase)
        steps = dict(map(tuple, connection.execute(phases)))
        runs, waits = _recent_seconds(database, connection)
        drift = count_monitors(connection)
    yield _gauge("route_waiting", "Open deliveries.", "route", {row[0]: row[1] for row in routes})
    ages = {route: (now - since).total_seconds() for route, _, since in routes}
    yield _gauge("route_oldest_seconds", "Their age.", "route", ages)
    yield _gauge("processes", "Living processes.", "kind", alive)
    yield _gauge("steps", "Procedure steps by phase.", "phase", steps)
    yield _gauge("drift_alarms", "Open alarms of the drift monitor.", "measure", drift.alarms)
    messages = {kind.value: drift.alerts.get(kind.value, 0) for kind in WorkState}
    yield _gauge("alerts", "Messages to people.", "state", messages)
    text = "Observations that the monitors have not seen."
    yield GaugeMetricFamily("mammolens_observations_waiting", text, value=drift.waiting)
    yield _quantiles("job_seconds", "From queued to done, of the last hour.", runs)
    yield _quantiles("exam_seconds", "From the last image to the result, of the last hour.", waits)


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"mammolens_{name}", text, labels=[label])
    for kind, value in values.items():
        family.add_metric([kind], value)
    return family


def _recent_seconds(
    database: Database, connection: sa.Connection
) -> tuple[list[float], list[float]]:
    since = database.now(connection) - timedelta(seconds=RECENT_S)
    done = connection.execute(
        sa.select(JOBS.c.created_at, JOBS.c.finished_at, EXAMS.c.last_received_at)
        .join(RESULTS, RESULTS.c.job_id == JOBS.c.id)
        .join(EXAMS, EXAMS.c.id == JOBS.c.exam_id)
        .where(JOBS.c.finished_at >= since)
        .order_by(JOBS.c.id.desc())
        .limit(MOST_RECENT)
    ).all()
    runs = [(row.finished_at - row.created_at).total_seconds() for row in done]
    waits = [(row.finished_at - row.last_received_at).total_seconds() for row in done]
    return runs, [wait for wait in waits if wait >= 0]


def _quantiles(name: str, text: str, seconds: Sequence[float]) -> Metric:
    """Give quantiles by the nearest rank; none if there are no values."""
    ordered, asked = sorted(seconds), QUANTILES if seconds else ()
    ranks = {str(one): ordered[math.ceil(one * len(ordered)) - 1] for one in asked}
    return _gauge(name, text, "quantile", ranks)
