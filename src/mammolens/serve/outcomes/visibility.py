"""Who may see what became of a patient: the outcome is the answer that a reader has to find.

People who read, arbitrate or administer at the site of an exam see its outcomes. A reader sees them
when the AI may be shown, or when the reader's own first answer is locked, or the exam is decided;
never while an answer that was begun without the AI is not locked. If images come after the
decision, the exam must be read again, and what was answered before counts no more.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from mammolens.serve.people import Person, visible_exams
from mammolens.serve.reading import ai_is_visible, is_past
from mammolens.serve.record import (
    EXAMS,
    OUTCOMES,
    READINGS,
    ROUNDS,
    PersonRole,
    ReadingMode,
    RoundState,
    of_exam,
)

__all__ = ["exams_with_visible_outcomes", "outcome_sites", "own_outcomes"]

_ROLES = (PersonRole.READER, PersonRole.ARBITER, PersonRole.ADMINISTRATOR)


def outcome_sites(person: Person) -> frozenset[int]:
    """Give the sites where a person works with outcomes."""
    return frozenset[int]().union(*(person.sites_as(role) for role in _ROLES))


def own_outcomes(person: Person) -> sa.ColumnElement[bool]:
    """Select the rows of `OUTCOMES` of the sites of a person."""
    if person.is_administrator:
        return sa.true()
    return OUTCOMES.c.site_id.in_(sorted(outcome_sites(person)))


def exams_with_visible_outcomes(
    connection: sa.Connection, person: Person, exam_ids: Iterable[int]
) -> set[int]:
    """Give those of some exams whose outcomes a person may see now."""
    mine = sa.and_(READINGS.c.exam_id == EXAMS.c.id, READINGS.c.person_id == person.id)
    is_blinded = of_exam(
        mine, READINGS.c.locked_at.is_(None), READINGS.c.mode != ReadingMode.CONCURRENT.value
    )
    has_answered = of_exam(mine, READINGS.c.locked_at.is_not(None), ~is_past())
    is_open = of_exam(ROUNDS.c.exam_id == EXAMS.c.id, ROUNDS.c.state != RoundState.DECIDED.value)
    is_decided = of_exam(
        ROUNDS.c.exam_id == EXAMS.c.id,
        ROUNDS.c.state == RoundState.DECIDED.value,
        ROUNDS.c.version == EXAMS.c.version,
    )
    here: sa.ColumnElement[bool] = sa.true()
    if not person.is_administrator:
        here = EXAMS.c.site_id.in_(sorted(outcome_sites(person)))
    asked = sa.select(EXAMS.c.id).where(
        EXAMS.c.id.in_(sorted({*exam_ids})),
        visible_exams(person),
        here,
        ~is_blinded,
        sa.or_(ai_is_visible(person), has_answered, sa.and_(is_decided, ~is_open)),
    )
    return {*connection.execute(asked).scalars()}
