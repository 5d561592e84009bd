"""What changes of accounts share: whom a person may know of and change, how roles are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from mammolens.serve.people.person import Person, find_person
from mammolens.serve.people.refusals import Refusal, Refused
from mammolens.serve.record import API_TOKENS, PEOPLE, ROLES, SESSIONS, SITES, PersonRole

__all__ = [
    "check_sites",
    "end_everything",
    "known_person",
    "managed_person",
    "say_roles",
    "visible_person",
    "write_roles",
]


def known_person(connection: sa.Connection, person_id: int) -> Person:
    """Read one person.

    Raises
    ------
    Refused
        Nothing has this number.
    """
    person = find_person(connection, person_id)
    if person is None:
        raise Refused(Refusal.UNKNOWN)
    return person


def visible_person(connection: sa.Connection, asking: Person, person_id: int) -> Person:
    """Read a person that another may know of.

    Raises
    ------
    Refused
        Nothing has this number, or it is none of their business: both give the same answer.
    """
    person = known_person(connection, person_id)
    if not asking.may_see(person):
        raise Refused(Refusal.UNKNOWN)
    return person


def managed_person(connection: sa.Connection, asking: Person, person_id: int) -> Person:
    """Read a person whose account another may change.

    Raises
    ------
    Refused
    """
    person = visible_person(connection, asking, person_id)
    if not asking.may_manage(person):
        raise Refused(Refusal.NOT_ALLOWED)
    return person


def write_roles(
    connection: sa.Connection, person_id: int, site_id: int, roles: Iterable[PersonRole]
) -> None:
    """Put these roles of a person at a site in the place of those before."""
    there = sa.and_(ROLES.c.person_id == person_id, ROLES.c.site_id == site_id)
    connection.execute(sa.select(PEOPLE.c.id).where(PEOPLE.c.id == person_id).with_for_update())
    connection.execute(ROLES.delete().where(there))
    for role in sorted(roles):
        row = {"person_id": person_id, "site_id": site_id, "role": role.value}
        connection.execute(ROLES.insert().values(row))


def check_sites(connection: sa.Connection, sites: Iterable[int]) -> None:
    """Make sure that sites exist.

    Raises
    ------
    Refused
    """
    wanted = {*sites}
    found = {*connection.execute(sa.select(SITES.c.id).where(SITES.c.id.in_(wanted))).scalars()}
    if wanted - found:
        raise Refused(Refusal.UNKNOWN)


def say_roles(roles: Mapping[int, frozenset[PersonRole]]) -> str:
    """Put roles by site into the words of the audit trail.

    Examples
    --------
    >>> say_roles({2: frozenset({PersonRole.READER, PersonRole.ARBITER})})
    '2: arbiter, reader'
    """
    return "; ".join(f"{site}: {', '.join(sorted(names))}" for site, names in sorted(roles.items()))


def end_everything(connection: sa.Connection, person_id: int, now: datetime) -> None:
    """End the sessions and API tokens of a person."""
    for table, column in ((SESSIONS, SESSIONS.c.ended_at), (API_TOKENS, API_TOKENS.c.revoked_at)):
        connection.execute(
            table.update()
            .where(table.c.person_id == person_id, column.is_(None))
            .values({column.name: now})
        )
