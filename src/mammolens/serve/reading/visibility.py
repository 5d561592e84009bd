"""The rule for who may see what the AI says of an exam. Every route that could show it asks here.

A *reader* of an exam is a person who reads or arbitrates at its site, or who was asked for an
opinion on it. The mode of the site decides what readers see:

- concurrent: the AI at once;
- second reader: the AI after their own first answer was locked; an arbiter sees it after taking the
  case. If images come after the decision, the exam must be read again, and the AI is hidden again;
- triage only: never the AI; the category, which orders the worklist, is shown.

A reading that began in the second mode stays blinded until it is locked, even if the mode of the
site changes. Administrators who do not read always see the AI. Other people at the site, such as
uploaders, see it at once in the first mode and after the decision in the second. Community health
workers who neither read nor administer there never see it, nor the category: what they tell a
patient must come from a person who has read the images.

Each rule is SQL over `EXAMS`, so that lists can be filtered and ordered by the AI's result without
a sign of it for exams whose AI is hidden.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import sqlalchemy as sa

from mammolens.serve.people import Person, is_asked, visible_exams
from mammolens.serve.record import (
    AI_VIEWS,
    EXAMS,
    READINGS,
    ROUNDS,
    SITES,
    Database,
    PersonRole,
    ReadingMode,
    ReadingRole,
    RoundState,
    audit,
    insert_once,
    of_exam,
)

__all__ = [
    "ai_is_visible",
    "category_is_visible",
    "exams_with_visible_ai",
    "exams_with_visible_category",
    "is_newest_round",
    "is_past",
    "may_see_ai",
    "note_ai_shown",
]


def may_see_ai(connection: sa.Connection, person: Person, exam_id: int) -> bool:
    """Say whether a person may see scores, findings and maps of an exam now.

    No also for an exam that they may not know of.
    """
    return bool(exams_with_visible_ai(connection, person, [exam_id]))


def exams_with_visible_ai(
    connection: sa.Connection, person: Person, exam_ids: Iterable[int]
) -> set[int]:
    """Give those of some exams whose AI a person may see now."""
    return _which(connection, exam_ids, ai_is_visible(person))


def exams_with_visible_category(
    connection: sa.Connection, person: Person, exam_ids: Iterable[int]
) -> set[int]:
    """Give those of some exams whose triage category, without score, a person may see now."""
    return _which(connection, exam_ids, category_is_visible(person))


@lru_cache(maxsize=512)
def ai_is_visible(person: Person) -> sa.ColumnElement[bool]:
    """Select the rows of `EXAMS` whose AI a person may see; all are exams that they may know of."""
    own = of_exam(READINGS.c.exam_id == EXAMS.c.id, READINGS.c.person_id == person.id)
    is_blinded = _is_blinded(person)
    has_answered = own.where(
        sa.or_(
            READINGS.c.locked_at.is_not(None),
            READINGS.c.role == ReadingRole.ARBITER.value,
        ),
        ~is_past(),
    )
    is_decided = of_exam(ROUNDS.c.exam_id == EXAMS.c.id, ROUNDS.c.state == RoundState.DECIDED.value)
    for_readers = sa.case(
        (_has_mode(ReadingMode.TRIAGE_ONLY), sa.false()),
        (_has_mode(ReadingMode.CONCURRENT), ~is_blinded),
        else_=sa.and_(has_answered, ~is_blinded),
    )
    for_others = sa.case(
        (_has_mode(ReadingMode.TRIAGE_ONLY), sa.false()),
        (_has_mode(ReadingMode.CONCURRENT), sa.true()),
        else_=is_decided,
    )
    here = sa.case(
        (_reads(person), for_readers),
        (_administers(person), sa.true()),
        (_examines_alone(person), sa.false()),
        else_=for_others,
    )
    return sa.and_(visible_exams(person), here)


@lru_cache(maxsize=512)
def category_is_visible(person: Person) -> sa.ColumnElement[bool]:
    """Select the rows of `EXAMS` whose triage category a person may see."""
    orders_alone = sa.and_(
        visible_exams(person),
        _has_mode(ReadingMode.TRIAGE_ONLY),
        ~_is_blinded(person),
        ~_examines_alone(person),
    )
    return sa.or_(orders_alone, ai_is_visible(person))


def note_ai_shown(database: Database, connection: sa.Connection, person: Person, exam: int) -> None:
    """Take note, within a write transaction, that a person was shown what the AI says of an exam.

    A later first answer of theirs is then not called blinded. Every route that shows scores,
    findings or maps of one exam calls this.
    """
    now = database.now(connection)
    row = {"exam_id": exam, "person_id": person.id, "at": now}
    if insert_once(connection, AI_VIEWS, row):
        audit.append(database, connection, person.actor, "ai_shown", exam)


def _is_blinded(person: Person) -> sa.ColumnElement[bool]:
    """Say whether a person has begun to answer without the AI, and has not locked that."""
    return of_exam(
        READINGS.c.exam_id == EXAMS.c.id,
        READINGS.c.person_id == person.id,
        READINGS.c.locked_at.is_(None),
        READINGS.c.mode == ReadingMode.SECOND_READER.value,
    )


def is_past() -> sa.ColumnElement[bool]:
    """Say whether a reading is of a round after which the exam is to be read again.

    What a reader answered about fewer images does not show them what the AI says of all.
    """
    is_behind = sa.and_(
        ROUNDS.c.state == RoundState.DECIDED.value, ROUNDS.c.version != EXAMS.c.version
    )
    of_it = sa.exists().where(
        ROUNDS.c.id == READINGS.c.round_id, sa.or_(is_behind, ~is_newest_round())
    )
    return of_it.correlate(EXAMS, READINGS)


def is_newest_round() -> sa.ColumnElement[bool]:
    """Say whether a row of `ROUNDS` is the newest of its exam."""
    newer = ROUNDS.alias("newer")
    later = newer.c.exam_id == ROUNDS.c.exam_id, newer.c.number > ROUNDS.c.number
    return ~sa.exists().where(*later)


def _reads(person: Person) -> sa.ColumnElement[bool]:
    sites = person.sites_as(PersonRole.READER) | person.sites_as(PersonRole.ARBITER)
    return sa.or_(EXAMS.c.site_id.in_(sorted(sites)), is_asked(person))


def _administers(person: Person) -> sa.ColumnElement[bool]:
    if person.is_administrator:
        return sa.true()
    return EXAMS.c.site_id.in_(sorted(person.sites_as(PersonRole.ADMINISTRATOR)))


def _examines_alone(person: Person) -> sa.ColumnElement[bool]:
    """Whether a person is a health worker at the exam's site, and neither reads nor administers."""
    sites = person.sites_as(PersonRole.HEALTH_WORKER)
    here = EXAMS.c.site_id.in_(sorted(sites))
    return sa.and_(here, ~_reads(person), ~_administers(person))


def _has_mode(mode: ReadingMode) -> sa.ColumnElement[bool]:
    return of_exam(SITES.c.id == EXAMS.c.site_id, SITES.c.reading_mode == mode.value)


def _which(
    connection: sa.Connection, exam_ids: Iterable[int], where: sa.ColumnElement[bool]
) -> set[int]:
    asked = sa.select(EXAMS.c.id).where(EXAMS.c.id.in_(sorted({*exam_ids})), where)
    return {*connection.execute(asked).scalars()}
