"""Analyses that a person must look at: exams given up, and exams that end their worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.conditions import SUPERSEDED
from mammolens.serve.record.leases import EXPIRED
from mammolens.serve.record.tables import JOBS, RESULTS, WorkState

__all__ = ["DIED", "GIVEN_UP_NAME", "POSTPONED", "AnalysisFailures", "read_failures"]

DIED: Final = "the process that analysed"
"""How the error of a job begins whose process died or stood still."""
GIVEN_UP_NAME: Final = "job_given_up"
"""The caution of a failed result that was made after the last attempt."""
POSTPONED: Final = "waits: "
"""How the error of a job begins that waits for our own disk or database."""
_DEATHS: Final = 2
"""So many attempts of one job that ended with the death of its worker are not an accident."""
_NEWEST: Final = 1000
"""Among so many results given-up exams are looked for: the last days of a screening unit."""


@dataclass(frozen=True)
class AnalysisFailures:
    """Counts of exams.

    Attributes
    ----------
    dying
        In work, and they ended their worker more than once.
    given_up
        They have a failed result because of that.
    dead
        They have no result.
    postponed
        They wait for a disk or the database.
    """

    dying: int
    given_up: int
    dead: int
    postponed: int

    def words(self) -> Iterator[str]:
        """Give a sentence for each count that is not 0, without identifiers."""
        if self.dying:
            yield f"{self.dying} exams killed their worker more than once, and are tried again"
        if self.given_up:
            yield f"{self.given_up} exams were given up: their newest result is failed"
        if self.dead:
            yield f"{self.dead} exams have no result: see mammolens node exams --state given_up"
        if self.postponed:
            yield f"{self.postponed} exams wait for a disk or the database"


def read_failures(connection: sa.Connection) -> AnalysisFailures:
    """Count over open jobs, dead jobs and the newest results."""
    waiting = sa.select(JOBS.c.error, JOBS.c.attempts).where(
        JOBS.c.state.in_([WorkState.QUEUED.value, WorkState.RUNNING.value]),
        JOBS.c.error.is_not(None),
    )
    rows = connection.execute(waiting).all()
    deadly = [row for row in rows if row.error == EXPIRED or row.error.startswith(DIED)]
    newest = (
        sa.select(RESULTS.c.cautions, SUPERSEDED.label("old"))
        .order_by(RESULTS.c.id.desc())
        .limit(_NEWEST)
    )
    given_up = [
        row
        for row in connection.execute(newest)
        if not row.old and GIVEN_UP_NAME in row.cautions.split("\n")
    ]
    dead = sa.select(sa.func.count()).where(JOBS.c.state == WorkState.DEAD.value)
    return AnalysisFailures(
        dying=sum(row.attempts >= _DEATHS for row in deadly),
        given_up=len(given_up),
        dead=int(connection.execute(dead).scalar_one()),
        postponed=sum(row.error.startswith(POSTPONED) for row in rows),
    )
