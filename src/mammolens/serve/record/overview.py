"""Counts of received objects, jobs, results and deliveries, without identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.core import TriageCategory
from mammolens.serve.record.audit import read_head
from mammolens.serve.record.conditions import SUPERSEDED, WAITS
from mammolens.serve.record.database import Database
from mammolens.serve.record.tables import (
    DELIVERIES,
    EXAMS,
    INSTANCES,
    JOBS,
    RESULTS,
    Role,
    WorkState,
)

__all__ = ["Overview", "overview_lines", "read_overview"]


@dataclass(frozen=True)
class Overview:
    """Counts by kind, and the longest waits in seconds (``None`` if nothing waits).

    `waiting` counts exams that changed since their last job, and `results` the newest result of
    each exam. Keep a copy of `audit_head` in another place.
    """

    received: Mapping[str, int]
    exams: int
    waiting: int
    jobs: Mapping[str, int]
    results: Mapping[str, int]
    superseded: int
    deliveries: Mapping[str, int]
    oldest_exam_s: float | None
    oldest_job_s: float | None
    oldest_delivery_s: float | None
    audit_head: str


def read_overview(database: Database) -> Overview:
    """Read all counts in one transaction.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    with database.read() as connection:
        now = database.now(connection)

        def count(column: sa.Column[Any], kinds: list[str], *where: Any) -> dict[str, int]:
            found = connection.execute(
                sa.select(column, sa.func.count()).where(*where).group_by(column)
            )
            return dict.fromkeys(kinds, 0) | {row[0]: row[1] for row in found}

        def number(*where: Any) -> int:
            return int(connection.execute(sa.select(sa.func.count()).where(*where)).scalar_one())

        def age(column: sa.Column[datetime], *where: Any) -> float | None:
            oldest = connection.execute(sa.select(sa.func.min(column)).where(*where)).scalar()
            return None if oldest is None else round((now - oldest).total_seconds(), 1)

        states = [state.value for state in WorkState]
        return Overview(
            received=count(INSTANCES.c.role, [role.value for role in Role]),
            exams=number(EXAMS.c.id.is_not(None)),
            waiting=number(WAITS),
            jobs=count(JOBS.c.state, states),
            results=count(RESULTS.c.category, [c.value for c in TriageCategory], ~SUPERSEDED),
            superseded=number(RESULTS.c.id.is_not(None), SUPERSEDED),
            deliveries=count(DELIVERIES.c.state, states),
            oldest_exam_s=age(EXAMS.c.last_received_at, WAITS),
            oldest_job_s=age(JOBS.c.created_at, JOBS.c.finished_at.is_(None)),
            oldest_delivery_s=age(DELIVERIES.c.created_at, DELIVERIES.c.finished_at.is_(None)),
            audit_head=str(read_head(connection)),
        )


def overview_lines(overview: Overview) -> list[str]:
    """Describe the counts as lines of text."""

    def counts(numbers: Mapping[str, int]) -> str:
        return ", ".join(f"{number} {kind}" for kind, number in numbers.items() if number) or "none"

    def since(age_s: float | None) -> str:
        return "" if age_s is None else f"; the oldest waits for {age_s:.0f} s"

    return [
        f"received    {counts(overview.received)}",
        f"exams       {overview.exams}, {overview.waiting} waiting{since(overview.oldest_exam_s)}",
        f"jobs        {counts(overview.jobs)}{since(overview.oldest_job_s)}",
        f"results     {counts(overview.results)}; {overview.superseded} superseded",
        f"deliveries  {counts(overview.deliveries)}{since(overview.oldest_delivery_s)}",
        f"audit       {overview.audit_head}",
    ]
