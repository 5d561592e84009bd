"""Sites: who sees which, and which exams a person may know of.

An exam has the site of who sent it first, or none; then only administrators of the whole
installation see it, until they give it a site. An exam of another site is refused exactly as one
that does not exist.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.people.person import Person
from mammolens.serve.people.refusals import Refusal, Refused, change_one, one_row
from mammolens.serve.record import (
    EXAMS,
    OPINIONS,
    SITES,
    Database,
    ExamOrder,
    ReadingMode,
    audit,
    from_row,
    insert_once,
    of_exam,
)

__all__ = [
    "Site",
    "assign_exam",
    "is_asked",
    "list_sites",
    "make_site",
    "read_site",
    "rename_site",
    "set_reading",
    "visible_exam",
    "visible_exams",
]

_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Site:
    """A hospital, practice or screening unit; the settings call it by its `key`."""

    id: int
    key: str
    name: str
    created_at: datetime
    reading_mode: ReadingMode
    exam_order: ExamOrder
    double_reading: bool
    language: str
    notice_mail: bool


def list_sites(database: Database, asking: Person) -> list[Site]:
    """List the sites where a person has a role; administrators of the installation see all."""
    with database.read() as connection:
        rows = connection.execute(_visible(asking).order_by(SITES.c.name)).all()
    return [from_row(Site, row) for row in rows]


def read_site(database: Database, asking: Person, site_id: int) -> Site:
    """Read a site that a person may know of.

    Raises
    ------
    Refused
    """
    with database.read() as connection:
        return _read(connection, asking, site_id)


def make_site(database: Database, asking: Person, key: str, name: str) -> Site:
    """Make a site.

    Raises
    ------
    Refused
        Key or name is taken or impossible, or the person does not administer the installation.
    """
    if not asking.is_administrator:
        raise Refused(Refusal.NOT_ALLOWED)
    if not _KEY.fullmatch(key):
        raise Refused(Refusal.NAME)
    with database.write() as connection:
        row = {"key": key, "name": name, "created_at": database.now(connection)}
        if not insert_once(connection, SITES, row):
            raise Refused(Refusal.TAKEN)
        made = connection.execute(sa.select(SITES).where(SITES.c.key == key)).one()
        audit.append(database, connection, asking.actor, "site_made", site=key, name=name)
    return from_row(Site, made)


def rename_site(database: Database, asking: Person, site_id: int, name: str) -> Site:
    """Change how people read a site's name.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        site = _managed(connection, asking, site_id)
        has_name = sa.select(SITES.c.id).where(SITES.c.name == name, SITES.c.id != site_id)
        if connection.execute(has_name).first() is not None:
            raise Refused(Refusal.TAKEN)
        try:
            with connection.begin_nested():
                connection.execute(SITES.update().where(SITES.c.id == site_id).values(name=name))
        except sa.exc.IntegrityError as error:  # another has just taken it
            raise Refused(Refusal.TAKEN) from error
        audit.append(database, connection, asking.actor, "site_renamed", site=site.key, name=name)
        return _read(connection, asking, site_id)


def set_reading(
    database: Database,
    asking: Person,
    site_id: int,
    *,
    reading_mode: ReadingMode | None = None,
    exam_order: ExamOrder | None = None,
    double_reading: bool | None = None,
    language: str | None = None,
    notice_mail: bool | None = None,
) -> Site:
    """Change how exams of a site are read; ``None`` leaves as it is.

    Whoever has begun to read keeps the mode in which they began.

    Raises
    ------
    Refused
    """
    given = {
        "reading_mode": reading_mode and reading_mode.value,
        "exam_order": exam_order and exam_order.value,
        "double_reading": double_reading,
        "language": language,
        "notice_mail": notice_mail,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    with database.write() as connection:
        site = _managed(connection, asking, site_id)
        if changes:
            connection.execute(SITES.update().where(SITES.c.id == site_id).values(changes))
            detail = {"site": site.key, **changes}
            audit.append(database, connection, asking.actor, "site_changed", None, detail)
        return _read(connection, asking, site_id)


def assign_exam(
    database: Database, asking: Person, exam_id: int, before: int | None, site_id: int | None
) -> None:
    """Give an exam a site, or another; who has seen it at the site before no longer does.

    Parameters
    ----------
    before
        The site that the person saw when they decided; if it changed meanwhile, nothing is done.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        visible_exam(connection, asking, exam_id)
        if not asking.is_administrator:
            raise Refused(Refusal.NOT_ALLOWED)
        if site_id is not None:
            _read(connection, asking, site_id)
        same = EXAMS.c.id == exam_id, EXAMS.c.site_id.is_not_distinct_from(before)
        change_one(connection, EXAMS.update().where(*same).values(site_id=site_id))
        detail = {"before": before, "site": site_id}
        audit.append(database, connection, asking.actor, "exam_assigned", exam_id, detail)


@lru_cache(maxsize=512)
def visible_exams(person: Person) -> sa.ColumnElement[bool]:
    """Say which rows of `EXAMS` a person may know of.

    Those of the sites where the person has a role, and single exams of other sites about which the
    person was asked for an opinion, until that ends.
    """
    if person.is_administrator:
        return sa.true()
    return sa.or_(EXAMS.c.site_id.in_(sorted(person.sites)), is_asked(person))


def is_asked(person: Person) -> sa.ColumnElement[bool]:
    """Say about which rows of `EXAMS` a person is asked for an opinion."""
    return of_exam(
        OPINIONS.c.exam_id == EXAMS.c.id,
        OPINIONS.c.person_id == person.id,
        OPINIONS.c.ended_at.is_(None),
    )


def visible_exam(connection: sa.Connection, person: Person, exam_id: int) -> sa.Row[Any]:
    """Read the row of an exam that a person may know of; every route that names one asks here.

    Raises
    ------
    Refused
        There is no such exam, or it is of another site: both give the same answer.
    """
    asked = sa.select(EXAMS).where(EXAMS.c.id == exam_id, visible_exams(person))
    return one_row(connection, asked)


def _visible(asking: Person) -> sa.Select[Any]:
    asked = sa.select(SITES)
    return asked if asking.is_administrator else asked.where(SITES.c.id.in_(sorted(asking.sites)))


def _read(connection: sa.Connection, asking: Person, site_id: int) -> Site:
    return from_row(Site, one_row(connection, _visible(asking).where(SITES.c.id == site_id)))


def _managed(connection: sa.Connection, asking: Person, site_id: int) -> Site:
    site = _read(connection, asking, site_id)
    if not asking.may_administer(site_id):
        raise Refused(Refusal.NOT_ALLOWED)
    return site
