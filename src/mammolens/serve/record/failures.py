"""Analyses that a person must look at: exams that were given up, or that kill their worker."""

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
"""Beginning of the error of a job whose process died or hung."""
GIVEN_UP_NAME: Final = "job_given_up"
"""Name of the caution in the failed result of an exam that was given up."""
POSTPONED: Final = "waits: "
"""Beginning of the error of a job that waits for the node's own disk or database."""
_DEATHS: Final = 2
"""If so many attempts of one job killed their worker, it is not an accident."""
_NEWEST: Final = 1000
"""Given-up exams are counted among so many results: the last days of a screening unit."""


@dataclass(frozen=True)
class AnalysisFailures:
    """Counts of exams.

    Attributes
    ----------
    dying
        Not finished; they killed their worker more than once.
    given_up
        They were given up; their newest result is failed.
    dead
        They have no result and are not tried again.
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
