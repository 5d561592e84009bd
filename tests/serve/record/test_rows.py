"""Rows become dataclasses, and lists are read page by page."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from mammolens.serve.record import SITES, Moment, Number, ReadingMode, from_row, page_of


@dataclass(frozen=True)
class Seen:
    id: int
    title: str
    reading_mode: ReadingMode


@pytest.fixture
def sites(database) -> list[int]:
    """Seven sites; gives their numbers."""
    with database.write() as connection:
        now = database.now(connection)
        rows = [{"key": f"s{n}", "name": f"Site {n}", "created_at": now} for n in range(7)]
        made = [
            connection.execute(SITES.insert().values(row).returning(SITES.c.id)) for row in rows
        ]
        return [one.scalar_one() for one in made]


def test_a_row_gives_its_columns_and_what_is_added(database, sites):
    with database.read() as connection:
        row = connection.execute(sa.select(SITES).where(SITES.c.id == sites[0])).one()
    seen = from_row(Seen, row, title=row.name.upper())
    assert seen == Seen(sites[0], "SITE 0", ReadingMode.SECOND_READER)
    assert seen.reading_mode is ReadingMode.SECOND_READER
    with pytest.raises(ValidationError):
        from_row(Seen, row)


def test_pages_give_every_row_once_the_newest_first(database, sites):
    seen, before, pages = [], None, 0
    with database.read() as connection:
        while True:
            asked = sa.select(SITES.c.id)
            page = page_of(connection, asked, SITES.c.id, before, 3, lambda row: row.id)
            seen += page.items
            pages, before = pages + 1, page.next
            if before is None:
                break
    assert seen == sorted(sites, reverse=True)
    assert pages == 3


def test_a_page_that_is_just_full_is_the_last(database, sites):
    with database.read() as connection:
        asked = sa.select(SITES.c.id)
        page = page_of(connection, asked, SITES.c.id, None, len(sites), lambda row: row.id)
    assert (len(page.items), page.next) == (len(sites), None)


@pytest.mark.parametrize("wrong", [0, -1, 2**31, "x"])
def test_the_number_of_a_row_fits_its_column(wrong):
    with pytest.raises(ValidationError):
        TypeAdapter(Number).validate_python(wrong)


def test_a_time_without_a_zone_is_utc():
    read = TypeAdapter(Moment).validate_python
    assert read("2026-01-02T03:04:05").isoformat() == "2026-01-02T03:04:05+00:00"
    assert read("2026-01-02T03:04:05+02:00").utcoffset().total_seconds() == 7200
