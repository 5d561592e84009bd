"""The worklist as a query: who sees which exams, filtered, found, ordered, and page by page.

The order: high, failed, withheld or doubted, intermediate, low; in each the longest waiting first.
At sites where readers answer before they see the AI the order is that of reception, unless the site
wants triage. A filter by what the AI says finds no exam whose AI is hidden, and counts none.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from mammolens.serve.people import Person, visible_exams
from mammolens.serve.reading import category_is_visible, reader_id
from mammolens.serve.record import (
    EXAMS,
    IS_PRIOR,
    OPINIONS,
    READINGS,
    SITES,
    UNKNOWN_RANK,
    ExamOrder,
    Moment,
    Number,
    ReadingMode,
    fold,
)
from mammolens.serve.worklist.rows import (
    CategoryName,
    ExamRow,
    ExamStatus,
    has_status,
    read_rows,
)

__all__ = ["ListOrder", "Page", "Place", "Question", "list_exams"]

MOST_WORDS: Final = 8
LAST_NAME: Final = "\uffff"
"""Behind every name: where an exam without one stands."""


class ListOrder(str, Enum):
    """In which order exams are listed."""

    WORKLIST = "worklist"
    """As they are to be read."""
    RECEIVED = "received"
    """The newest first."""
    PATIENT = "patient"
    """By name."""


class Question(BaseModel):
    """Which exams are asked for; what is empty asks for all.

    `words` are looked for in name, patient ID, accession number, study date and site; all must fit.
    `since` and `until` are times of reception, the second exclusive. `doubt` asks for exams with a
    doubt, or without. A program asks by the aliases.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    order: ListOrder = Field(ListOrder.WORKLIST, alias="sort")
    status: list[ExamStatus] = []
    sites: list[Number] = Field([], alias="site", max_length=100)
    categories: list[CategoryName] = Field([], alias="category", max_length=10)
    doubt: bool | None = None
    reader: Number | None = None
    words: str = Field("", alias="q", max_length=200)
    since: Moment | None = Field(None, alias="from")
    until: Moment | None = Field(None, alias="to")
    limit: int = Field(50, ge=1, le=200)


@dataclass(frozen=True)
class Place:
    """The place behind the last exam of a page, and how many exams fitted on the first one.

    It holds the rank of an exam, and must not be readable where that is hidden.
    """

    rank: int
    received_at: datetime
    name: str
    id: int
    total: int


@dataclass(frozen=True)
class Page:
    """Some exams, how many fit in all, and where the next page begins; ``None``: there is none."""

    rows: list[ExamRow]
    total: int
    next: Place | None


def list_exams(
    connection: sa.Connection,
    person: Person,
    question: Question,
    complete_views: Collection[str],
    after: Place | None = None,
) -> Page:
    """List exams that a person may know of."""
    rank = _rank(connection, person)
    name = sa.func.coalesce(EXAMS.c.patient_name, LAST_NAME)
    fits = [visible_exams(person), ~IS_PRIOR, *_filters(connection, person, question)]
    received = EXAMS.c.first_received_at
    place = sa.literal(UNKNOWN_RANK) if rank is None else rank
    asked = sa.select(EXAMS.c.id, place.label("place"), received, name.label("name")).where(*fits)
    total = after.total if after else _count(connection, fits)
    if after is not None:
        asked = asked.where(_behind(question.order, rank, name, after))
    orders: dict[ListOrder, tuple[Any, ...]] = {
        ListOrder.WORKLIST: (*([] if rank is None else [rank]), received, EXAMS.c.id),
        ListOrder.RECEIVED: (received.desc(), EXAMS.c.id.desc()),
        ListOrder.PATIENT: (name, EXAMS.c.id),
    }
    ordered = asked.order_by(*orders[question.order]).limit(question.limit + 1)
    found = connection.execute(ordered).all()
    shown = found[: question.limit]
    rows = read_rows(connection, person, [row.id for row in shown], complete_views)
    last = shown[-1] if len(found) > len(shown) else None
    if last is None:
        return Page(rows, total, None)
    behind = Place(last.place, last.first_received_at, last.name, last.id, total)
    return Page(rows, total, behind)


def _rank(connection: sa.Connection, person: Person) -> sa.ColumnElement[int] | None:
    """Give the rank by which this person may see exams ordered; ``None``: all have the same."""
    columns = (SITES.c.id, SITES.c.reading_mode, SITES.c.exam_order)
    sites = connection.execute(sa.select(*columns)).all()
    by_triage = {site.id for site in sites if site.exam_order == ExamOrder.TRIAGE.value}
    by_reception = {
        site.id
        for site in sites
        if site.reading_mode == ReadingMode.SECOND_READER.value and site.id not in by_triage
    }
    mine = READINGS.c.person_id == person.id, READINGS.c.locked_at.is_(None)
    unseen = READINGS.c.mode == ReadingMode.SECOND_READER.value
    # What was begun unseen stays unseen, also when the site has changed its mode meanwhile.
    begun = list(connection.execute(sa.select(READINGS.c.exam_id).where(*mine, unseen)).scalars())
    if not by_reception and not begun:
        return EXAMS.c.rank
    if not person.is_administrator and person.sites <= by_reception:
        asked = sa.select(OPINIONS.c.id).where(
            OPINIONS.c.person_id == person.id, OPINIONS.c.ended_at.is_(None)
        )
        if connection.execute(asked.limit(1)).first() is None:
            return None
    is_hidden = sa.or_(
        EXAMS.c.site_id.in_(sorted(by_reception)),
        sa.and_(EXAMS.c.id.in_(sorted(begun)), EXAMS.c.site_id.not_in(sorted(by_triage))),
    )
    return sa.case((is_hidden, UNKNOWN_RANK), else_=EXAMS.c.rank)


def _filters(
    connection: sa.Connection, person: Person, question: Question
) -> list[sa.ColumnElement[bool]]:
    fits: list[sa.ColumnElement[bool]] = []
    if question.sites:
        fits.append(EXAMS.c.site_id.in_(sorted(question.sites)))
    if question.categories:
        fits += [EXAMS.c.category.in_(sorted(question.categories)), category_is_visible(person)]
    if question.doubt is not None:
        has_doubt = sa.and_(EXAMS.c.doubts.is_not(None), EXAMS.c.doubts != "[]")
        without = sa.and_(EXAMS.c.category.is_not(None), ~has_doubt)
        fits += [has_doubt if question.doubt else without, category_is_visible(person)]
    if question.status and {*question.status} != {*ExamStatus}:
        fits.append(has_status(question.status))
    if question.reader is not None:
        fits.append(reader_id() == question.reader)
    if question.since is not None:
        fits.append(EXAMS.c.first_received_at >= question.since)
    if question.until is not None:
        fits.append(EXAMS.c.first_received_at < question.until)
    return fits + _words(connection, question.words)


def _words(connection: sa.Connection, text: str) -> list[sa.ColumnElement[bool]]:
    words = fold(text).split()[:MOST_WORDS]
    if not words:
        return []
    names = {
        row.id: fold(row.name) for row in connection.execute(sa.select(SITES.c.id, SITES.c.name))
    }
    fits: list[sa.ColumnElement[bool]] = []
    for word in words:
        called = [number for number, name in names.items() if word in name]
        found = EXAMS.c.search_text.contains(word, autoescape=True)
        fits.append(sa.or_(found, EXAMS.c.site_id.in_(called)) if called else found)
    return fits


def _behind(
    order: ListOrder, rank: sa.ColumnElement[int] | None, name: sa.ColumnElement[str], after: Place
) -> sa.ColumnElement[bool]:
    received, number = EXAMS.c.first_received_at, EXAMS.c.id
    later = sa.or_(
        received > after.received_at, sa.and_(received == after.received_at, number > after.id)
    )
    if order is ListOrder.WORKLIST and rank is None:
        return later
    if order is ListOrder.WORKLIST:
        assert rank is not None
        return sa.or_(rank > after.rank, sa.and_(rank == after.rank, later))
    if order is ListOrder.PATIENT:
        return sa.or_(name > after.name, sa.and_(name == after.name, number > after.id))
    return sa.or_(
        received < after.received_at, sa.and_(received == after.received_at, number < after.id)
    )


def _count(connection: sa.Connection, fits: list[sa.ColumnElement[bool]]) -> int:
    counted = sa.select(sa.func.count(EXAMS.c.id)).where(*fits)
    return int(connection.execute(counted).scalar_one())
