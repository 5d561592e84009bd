"""A person as every room sees them: who it is, what they may do where, whom they may know of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.serve.people.refusals import Refusal, Refused
from mammolens.serve.record import API_TOKENS, PEOPLE, ROLES, SESSIONS, SITES, PersonRole, from_row

__all__ = [
    "Named",
    "Person",
    "check_sites",
    "end_everything",
    "find_person",
    "known_person",
    "managed_person",
    "read_people",
    "say_roles",
    "visible_person",
    "write_roles",
]


@dataclass(frozen=True)
class Named:
    """A person or a site by number and name."""

    id: int
    name: str


@dataclass(frozen=True)
class Person:
    """One account; `roles` are by the number of their site."""

    id: int
    name: str
    display_name: str
    is_administrator: bool
    is_active: bool
    by_provider: bool
    must_change_password: bool
    has_second_factor: bool
    created_at: datetime
    roles: Mapping[int, frozenset[PersonRole]] = field(hash=False)

    @property
    def actor(self) -> str:
        """Who it is in the audit trail."""
        return f"person:{self.name}"

    @property
    def sites(self) -> frozenset[int]:
        """Where the person has any role."""
        return frozenset(self.roles)

    def sites_as(self, role: PersonRole) -> frozenset[int]:
        """Where the person has this role."""
        return frozenset(site for site, roles in self.roles.items() if role in roles)

    def may(self, role: PersonRole, site_id: int | None) -> bool:
        """Whether the person has a role at a site; without a site nobody has one."""
        return site_id is not None and role in self.roles.get(site_id, frozenset())

    def may_administer(self, site_id: int | None) -> bool:
        """Whether the person looks after a site, or after the whole installation."""
        return self.is_administrator or self.may(PersonRole.ADMINISTRATOR, site_id)

    def may_see(self, other: Person) -> bool:
        """Whether the person may know of another: itself, or somebody of a site of theirs."""
        ours = self.sites_as(PersonRole.ADMINISTRATOR)
        return self.is_administrator or self.id == other.id or bool(ours & other.sites)

    def may_manage(self, other: Person) -> bool:
        """Whether the person may close another's account, or reset how its owner signs in.

        Administrators of sites may do so with people who work nowhere else.
        """
        if self.is_administrator:
            return True
        ours = self.sites_as(PersonRole.ADMINISTRATOR)
        return not other.is_administrator and bool(other.sites) and other.sites <= ours


def find_person(connection: sa.Connection, person_id: int) -> Person | None:
    """Read one person; ``None`` if nobody has this number."""
    found = read_people(connection, PEOPLE.c.id == person_id)
    return found[0] if found else None


def read_people(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Person]:
    """Read people, in the order of their names."""
    rows = connection.execute(sa.select(PEOPLE).where(*where).order_by(PEOPLE.c.name)).all()
    roles: dict[int, dict[int, set[PersonRole]]] = {row.id: {} for row in rows}
    of_these = sa.select(PEOPLE.c.id).where(*where)
    for row in connection.execute(sa.select(ROLES).where(ROLES.c.person_id.in_(of_these))):
        # A person who came between the two queries is not among the rows, and is left out.
        sites = roles.setdefault(row.person_id, {})
        sites.setdefault(row.site_id, set()).add(PersonRole(row.role))
    return [_person(row, roles[row.id]) for row in rows]


def _person(row: sa.Row[Any], roles: Mapping[int, set[PersonRole]]) -> Person:
    return from_row(
        Person,
        row,
        is_active=row.disabled_at is None,
        by_provider=row.password_hash is None,
        must_change_password=row.password_until is not None,
        has_second_factor=row.totp_secret is not None,
        roles=roles,
    )


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
