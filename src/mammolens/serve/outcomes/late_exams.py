"""Exams that come after the report about them: their outcomes are linked as soon as they are here.

An outcome without an exam is compared with the exams of its site. If one of them may be meant, all
reports of the patient are read again, as if they had just come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from mammolens.serve.alerts import repeating
from mammolens.serve.holdings import NodeState
from mammolens.serve.outcomes.exam_links import known_names
from mammolens.serve.outcomes.receiving import link_again
from mammolens.serve.record import EXAMS, OUTCOMES, REPORTS, OutcomeState, batches

__all__ = ["LateExams", "link_late_exams", "linking_late_exams"]

ROOM: Final = "late_exams"
_EVERY_S: Final = 2.0
"""Between two looks for new exams; a look is one short query."""
_SURELY_S: Final = 60.0
"""After this time outcomes are compared again even if no exam seems new: another process may have
committed an exam late, or a person may have moved one to this site."""


@dataclass
class LateExams:
    """What earlier looks found: names of reports, exams that were tried, the newest exam."""

    names: dict[int, tuple[str | None, str | None]] = field(default_factory=dict)
    tried: dict[int, frozenset[int]] = field(default_factory=dict)
    newest: int = -1
    looked_at: float = 0.0


@contextmanager
def linking_late_exams(state: NodeState, stop: threading.Event) -> Iterator[None]:
    """Link outcomes to exams that come later, while the block runs."""
    seen = LateExams()
    with repeating(ROOM, lambda: link_late_exams(state, seen), stop, _EVERY_S):
        yield


def link_late_exams(state: NodeState, seen: LateExams) -> None:
    """Read the reports again whose outcomes have no exam, if an exam that may be meant is new.

    Raises
    ------
    StorageError
        The database is away, or a key is missing.
    """
    with state.database.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(EXAMS.c.id))).scalar() or 0
    now = time.monotonic()
    if newest == seen.newest and now - seen.looked_at < _SURELY_S:
        return
    found = list(_candidates(state, seen))
    new = [one for one in found if seen.tried.get(one[0]) != one[3]]
    for site_id in {one[1] for one in new}:
        link_again(state, {one[2] for one in new if one[1] == site_id}, site_id)
    seen.tried = {report: exams for report, _, _, exams in found}
    seen.newest, seen.looked_at = newest, now


def _candidates(
    state: NodeState, seen: LateExams
) -> Iterator[tuple[int, int | None, str, frozenset[int]]]:
    """Give the reports without an exam for which there are exams now: (report, site, group, exams).

    A person's decision that there is no exam stands.
    """
    lonely = sa.select(REPORTS.c.id, REPORTS.c.site_id, REPORTS.c.patient).where(
        REPORTS.c.id.in_(
            sa.select(OUTCOMES.c.report_id).where(
                OUTCOMES.c.exam_id.is_(None),
                OUTCOMES.c.candidates == "[]",
                OUTCOMES.c.state == OutcomeState.SETTLED.value,
            )
        )
    )
    with state.database.read() as connection:
        rows = {row.id: row for row in connection.execute(lonely)}
        seen.names = {one: names for one, names in seen.names.items() if one in rows}
        for some in batches([one for one in rows if one not in seen.names]):
            seen.names |= known_names(state, connection, some)
        places: dict[tuple[int | None, str, str], set[int]] = {}
        for at, (kind, column) in enumerate(
            (("patient", EXAMS.c.patient_id), ("number", EXAMS.c.accession_number))
        ):
            wanted = sorted({name for names in seen.names.values() if (name := names[at])})
            for some in batches(wanted):
                asked = sa.select(EXAMS.c.id, EXAMS.c.site_id, column.label("name"))
                for exam in connection.execute(asked.where(column.in_(some))):
                    places.setdefault((exam.site_id, kind, exam.name), set()).add(exam.id)
    for one, row in rows.items():
        patient, number = seen.names[one]
        found = frozenset[int]().union(
            places.get((row.site_id, "patient", patient or ""), ()),
            places.get((row.site_id, "number", number or ""), ()),
        )
        if found:
            yield one, row.site_id, row.patient, found
