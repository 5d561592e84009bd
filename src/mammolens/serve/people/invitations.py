"""How accounts begin, and begin again: with a one-time password, or by the provider.

A one-time password is shown once, to whoever made it, and must be replaced at the first sign-in and
before its time is over. Until then it may be used again: somebody whose browser broke down between
two steps is not locked out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.people.passwords import hash_password, one_time_password
from mammolens.serve.people.person import (
    Person,
    check_sites,
    end_everything,
    known_person,
    managed_person,
    read_people,
    say_roles,
    write_roles,
)
from mammolens.serve.people.refusals import Refusal, Refused
from mammolens.serve.record import PEOPLE, Database, PersonRole, audit, insert_once
from mammolens.serve.settings import PeopleSettings

__all__ = [
    "Invited",
    "account_name",
    "first_administrator",
    "invite",
    "renew_administrator",
    "renew_password",
]

FIRST_NAME: Final = "admin"
COMMAND_LINE: Final = "cli"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,62}[a-z0-9]")


@dataclass(frozen=True)
class Invited:
    """A person whose account begins, and the one-time password, which is shown this once."""

    person: Person
    password: str | None


def account_name(text: str) -> str:
    """Give the name of an account as it is kept.

    Raises
    ------
    Refused
        No account can have it.

    Examples
    --------
    >>> account_name(" A.Smith ")
    'a.smith'
    """
    name = text.strip().lower()
    if not NAME.fullmatch(name):
        raise Refused(Refusal.NAME)
    return name


def invite(
    database: Database,
    settings: PeopleSettings,
    asking: Person,
    name: str,
    display_name: str,
    roles: Mapping[int, frozenset[PersonRole]],
    *,
    by_provider: bool = False,
) -> Invited:
    """Begin an account, with a one-time password or for the OpenID Connect provider.

    Raises
    ------
    Refused
        The name is taken or impossible, or the person may not give these roles.
    """
    name = account_name(name)
    if not asking.is_administrator and (
        not any(roles.values()) or not all(asking.may_administer(site) for site in roles)
    ):
        raise Refused(Refusal.NOT_ALLOWED)
    password = None if by_provider else one_time_password()
    hashed = None if password is None else hash_password(password)
    with database.write() as connection:
        check_sites(connection, roles)
        row = _row(database, connection, settings, name, display_name, hashed)
        if not insert_once(connection, PEOPLE, row):
            raise Refused(Refusal.TAKEN)
        number = connection.execute(
            sa.select(PEOPLE.c.id).where(PEOPLE.c.name == name)
        ).scalar_one()
        for site, given in roles.items():
            write_roles(connection, number, site, given)
        person = known_person(connection, number)
        detail: audit.Detail = {
            "person": name,
            "roles": say_roles(roles),
            "by_provider": by_provider,
        }
        audit.append(database, connection, asking.actor, "person_invited", None, detail)
    return Invited(person, password)


def renew_password(
    database: Database, settings: PeopleSettings, asking: Person, person_id: int
) -> Invited:
    """Give an account a one-time password, and take off its second factor, sessions and tokens.

    Raises
    ------
    Refused
        The person comes by the provider, which has the password.
    """
    password = one_time_password()
    hashed = hash_password(password)
    with database.write() as connection:
        person = managed_person(connection, asking, person_id)
        if person.by_provider:
            raise Refused(Refusal.NOT_ALLOWED)
        _renew(database, connection, settings, person_id, hashed)
        audit.append(database, connection, asking.actor, "password_renewed", person=person.name)
        return Invited(known_person(connection, person_id), password)


def first_administrator(database: Database, settings: PeopleSettings) -> Invited | None:
    """Make the first account where there is none; of two processes that try, one does.

    Returns
    -------
    The account with its one-time password, or ``None`` if people are there already.
    """
    with database.read() as connection:
        if connection.execute(sa.select(PEOPLE.c.id).limit(1)).first() is not None:
            return None
    password = one_time_password()
    hashed = hash_password(password)
    with database.write() as connection:
        row = _row(database, connection, settings, FIRST_NAME, "Administrator", hashed)
        anybody = connection.execute(sa.select(PEOPLE.c.id).limit(1)).first()
        row["is_administrator"] = True
        if anybody is not None or not insert_once(connection, PEOPLE, row):
            return None
        (person,) = read_people(connection, PEOPLE.c.name == FIRST_NAME)
        detail: audit.Detail = {"person": person.name, "is_administrator": True}
        audit.append(database, connection, COMMAND_LINE, "person_invited", None, detail)
    return Invited(person, password)


def renew_administrator(database: Database, settings: PeopleSettings, name: str) -> Invited:
    """Give the user of the node a way in: an administrator of this name with a one-time password.

    Raises
    ------
    Refused
        No account can have the name.
    """
    name, password = account_name(name), one_time_password()
    hashed = hash_password(password)
    with database.write() as connection:
        row = _row(database, connection, settings, name, name, hashed)
        insert_once(connection, PEOPLE, row)
        (person,) = read_people(connection, PEOPLE.c.name == name)
        _renew(database, connection, settings, person.id, hashed)
        again = {"is_administrator": True, "disabled_at": None, "subject": None}
        connection.execute(PEOPLE.update().where(PEOPLE.c.id == person.id).values(again))
        detail: audit.Detail = {"person": name, "is_administrator": True}
        audit.append(database, connection, COMMAND_LINE, "password_renewed", None, detail)
        return Invited(known_person(connection, person.id), password)


def _row(
    database: Database,
    connection: sa.Connection,
    settings: PeopleSettings,
    name: str,
    display_name: str,
    hashed: str | None,
) -> dict[str, Any]:
    now = database.now(connection)
    until = None if hashed is None else now + timedelta(days=settings.one_time_days)
    return {
        "name": name,
        "display_name": display_name,
        "is_administrator": False,
        "password_hash": hashed,
        "password_until": until,
        "totp_step": 0,
        "created_at": now,
    }


def _renew(
    database: Database,
    connection: sa.Connection,
    settings: PeopleSettings,
    person_id: int,
    hashed: str,
) -> None:
    """Let an account begin again; the step of the last code stays, so that none counts twice."""
    now = database.now(connection)
    begun = {
        "password_hash": hashed,
        "password_until": now + timedelta(days=settings.one_time_days),
        "subject": None,
        "totp_secret": None,
        "totp_offered": None,
    }
    connection.execute(PEOPLE.update().where(PEOPLE.c.id == person_id).values(begun))
    end_everything(connection, person_id, now)
