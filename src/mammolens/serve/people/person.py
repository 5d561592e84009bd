"""A person as every room sees them: who it is, and what they may do where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.serve.record import PEOPLE, ROLES, PersonRole

__all__ = ["Person", "find_person", "read_people"]


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
        """Whether the person may close another's account, or let it begin again.

        Who administers sites may do so with people who work nowhere else.
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
        sites = roles.setdefault(row.person_id, {})
        sites.setdefault(row.site_id, set()).add(PersonRole(row.role))
    return [_person(row, roles[row.id].items()) for row in rows]


def _person(row: sa.Row[Any], roles: Iterable[tuple[int, set[PersonRole]]]) -> Person:
    return Person(
        row.id,
        row.name,
        row.display_name,
        row.is_administrator,
        row.disabled_at is None,
        row.password_hash is None,
        row.password_until is not None,
        row.totp_secret is not None,
        row.created_at,
        {site: frozenset(names) for site, names in roles},
    )
