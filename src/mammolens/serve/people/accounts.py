"""Accounts: people get roles at sites, and leave.

Nobody is deleted: the audit trail and readings name people for good. An account that is closed has
no session and no token left the moment it is closed. Every change is one transaction with its row
in the audit trail, and what two people change at once is settled by the database.
"""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.people.devices import take_keys
from mammolens.serve.people.person import (
    Person,
    check_sites,
    end_everything,
    known_person,
    managed_person,
    read_people,
    say_roles,
    visible_person,
    write_roles,
)
from mammolens.serve.people.refusals import Refusal, Refused
from mammolens.serve.record import DEVICES, PEOPLE, Database, PersonRole, audit

__all__ = [
    "close_account",
    "list_people",
    "open_account",
    "read_email",
    "read_person",
    "set_administrator",
    "set_display_name",
    "set_email",
    "set_roles",
]


def list_people(database: Database, asking: Person) -> list[Person]:
    """List the people that a person may know of."""
    with database.read() as connection:
        return [other for other in read_people(connection) if asking.may_see(other)]


def read_person(database: Database, asking: Person, person_id: int) -> Person:
    """Read a person that another may know of.

    Raises
    ------
    Refused
    """
    with database.read() as connection:
        return visible_person(connection, asking, person_id)


def set_display_name(database: Database, asking: Person, person_id: int, text: str) -> Person:
    """Change how a person is called in lists and reports.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        person = managed_person(connection, asking, person_id)
        connection.execute(
            PEOPLE.update().where(PEOPLE.c.id == person_id).values(display_name=text)
        )
        detail = {"person": person.name, "display_name": text}
        audit.append(database, connection, asking.actor, "person_renamed", None, detail)
        return known_person(connection, person_id)


def read_email(database: Database, person: Person) -> str | None:
    """Read the address to which a person gets messages; nobody else sees it."""
    with database.read() as connection:
        asked = sa.select(PEOPLE.c.email).where(PEOPLE.c.id == person.id)
        email: str | None = connection.execute(asked).scalar_one()
    return email


def set_email(database: Database, person: Person, email: str | None) -> None:
    """Let a person get messages at an address, or at none."""
    with database.write() as connection:
        connection.execute(PEOPLE.update().where(PEOPLE.c.id == person.id).values(email=email))
        detail: audit.Detail = {"has_address": email is not None}
        audit.append(database, connection, person.actor, "email_changed", None, detail)


def set_roles(
    database: Database,
    asking: Person,
    person_id: int,
    site_id: int,
    roles: frozenset[PersonRole],
) -> Person:
    """Give a person these roles at a site, and no others there.

    Raises
    ------
    Refused
        The person asking does not look after the site, or may not know of the person.
    """
    with database.write() as connection:
        person = visible_person(connection, asking, person_id)
        may_give = asking.may_administer(site_id)
        check_sites(connection, [site_id] if may_give else [0])  # No site has number 0: refused.
        write_roles(connection, person_id, site_id, roles)
        detail = {"person": person.name, "roles": say_roles({site_id: roles})}
        audit.append(database, connection, asking.actor, "roles_changed", None, detail)
        return known_person(connection, person_id)


def set_administrator(database: Database, asking: Person, person_id: int, value: bool) -> Person:
    """Let a person administer the whole installation, or no longer.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        if not asking.is_administrator:
            visible_person(connection, asking, person_id)
            raise Refused(Refusal.NOT_ALLOWED)
        person = visible_person(connection, asking, person_id)
        _change_administrators(connection, asking, person, is_administrator=value)
        detail: audit.Detail = {"person": person.name, "is_administrator": value}
        audit.append(database, connection, asking.actor, "administrator_changed", None, detail)
        return known_person(connection, person_id)


def close_account(database: Database, asking: Person, person_id: int) -> Person:
    """Close an account, end its sessions and API tokens, and wipe its devices at once.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        now = database.now(connection)
        person = managed_person(connection, asking, person_id)
        _change_administrators(connection, asking, person, disabled_at=now)
        end_everything(connection, person_id, now)
        take_keys(connection, now, DEVICES.c.person_id == person_id)
        audit.append(database, connection, asking.actor, "account_closed", person=person.name)
        return known_person(connection, person_id)


def open_account(database: Database, asking: Person, person_id: int) -> Person:
    """Open an account again that was closed.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        person = managed_person(connection, asking, person_id)
        connection.execute(PEOPLE.update().where(PEOPLE.c.id == person_id).values(disabled_at=None))
        audit.append(database, connection, asking.actor, "account_opened", person=person.name)
        return known_person(connection, person_id)


def _change_administrators(
    connection: sa.Connection, asking: Person, person: Person, **values: object
) -> None:
    """Change an account unless nobody would be left who administers the installation.

    The rows of all administrators are locked first: of two who take the right from each other, the
    second finds that it has none any more.
    """
    administers = sa.and_(PEOPLE.c.is_administrator, PEOPLE.c.disabled_at.is_(None))
    locked = sa.select(PEOPLE.c.id).where(administers).order_by(PEOPLE.c.id).with_for_update()
    ids = {*connection.execute(locked).scalars()}
    if asking.is_administrator and asking.id not in ids:
        raise Refused(Refusal.NOT_ALLOWED)
    connection.execute(PEOPLE.update().where(PEOPLE.c.id == person.id).values(values))
    left = sa.select(PEOPLE.c.id).where(administers).limit(1)
    if ids and connection.execute(left).first() is None:
        raise Refused(Refusal.LAST_ADMINISTRATOR)
