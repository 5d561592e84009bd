"""Metrics for Prometheus: counts, ages and durations, without identifiers."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState
from mammolens.serve.monitoring import MonitorCounts, count_monitors
from mammolens.serve.record import (
    DELIVERIES,
    EXAMS,
    JOBS,
    RESULTS,
    STEPS,
    Database,
    WorkState,
    count_present,
    read_overview,
)

__all__ = ["NodeMetrics", "measure"]

PROCESS_KINDS: Final = ("deliver", "node", "worker")
RECENT_S: Final = 3600.0
QUANTILES: Final = (0.5, 0.95, 1.0)
MOST_RECENT: Final = 10_000
STEPS_S: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


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
        family = GaugeMetricFamily(f"mammolens_{name}", text, labels=[label])
        for kind, number in counts.items():
            family.add_metric([kind], number)
        yield family
    ages = GaugeMetricFamily(
        "mammolens_oldest_seconds", "Age of what has waited longest; 0: nothing.", labels=["what"]
    )
    for what, age in (
        ("exam", seen.oldest_exam_s),
        ("job", seen.oldest_job_s),
        ("delivery", seen.oldest_delivery_s),
    ):
        ages.add_metric([what], age or 0.0)
    yield ages
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
        steps = connection.execute(
            sa.select(STEPS.c.phase, sa.func.count()).group_by(STEPS.c.phase)
        ).all()
        runs, waits = _recent_seconds(database, connection)
        drift = count_monitors(connection)
    waiting = GaugeMetricFamily("mammolens_route_waiting", "Open deliveries.", labels=["route"])
    oldest = GaugeMetricFamily("mammolens_route_oldest_seconds", "Their age.", labels=["route"])
    for route, number, since in routes:
        waiting.add_metric([route], number)
        oldest.add_metric([route], (now - since).total_seconds())
    processes = GaugeMetricFamily("mammolens_processes", "Living processes.", labels=["kind"])
    for kind, number in alive.items():
        processes.add_metric([kind], number)
    phases = GaugeMetricFamily("mammolens_steps", "Procedure steps by phase.", labels=["phase"])
    for phase, number in steps:
        phases.add_metric([phase], number)
    yield from (waiting, oldest, processes, phases, *_drift(drift))
    yield _quantiles("mammolens_job_seconds", "From queued to done, of the last hour.", runs)
    yield _quantiles(
        "mammolens_exam_seconds", "From the last image to the result, of the last hour.", waits
    )


def _drift(seen: MonitorCounts) -> Iterator[Metric]:
    open_alarms = GaugeMetricFamily(
        "mammolens_drift_alarms", "Open alarms of the drift monitor.", labels=["measure"]
    )
    for measure, number in seen.alarms.items():
        open_alarms.add_metric([measure], number)
    messages = GaugeMetricFamily("mammolens_alerts", "Messages to people.", labels=["state"])
    for kind in WorkState:
        messages.add_metric([kind.value], seen.alerts.get(kind.value, 0))
    text = "Observations that the monitors have not seen."
    yield from (open_alarms, messages)
    yield GaugeMetricFamily("mammolens_observations_waiting", text, value=seen.waiting)


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
    family = GaugeMetricFamily(name, text, labels=["quantile"])
    ordered = sorted(seconds)
    for quantile in QUANTILES if ordered else ():
        family.add_metric([str(quantile)], ordered[math.ceil(quantile * len(ordered)) - 1])
    return family
