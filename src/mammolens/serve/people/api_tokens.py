"""API tokens: what a person's own programs show in the place of a session.

A token is shown once, when it is made; its hash is kept. It may what its person may, but touches no
password, token or account, and ends at once when it is revoked or the account is closed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve.people.person import Person, find_person
from mammolens.serve.people.refusals import Refusal, Refused, change_one
from mammolens.serve.people.sessions import new_secret, secret_hash
from mammolens.serve.record import API_TOKENS, PEOPLE, Database, audit, from_row
from mammolens.serve.settings import PeopleSettings

__all__ = ["ApiToken", "find_by_token", "list_tokens", "make_token", "revoke_token"]

PREFIX: Final = "mlp_"
"""Marks a token, so that scanners of public code find one that was published."""
MOST_TOKENS: Final = 50
USED_EVERY: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class ApiToken:
    """A token in a person's list; it cannot be shown again."""

    id: int
    name: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


def make_token(
    database: Database, settings: PeopleSettings, person: Person, name: str, days: int
) -> tuple[ApiToken, str]:
    """Make a token of a person; gives it as the only time.

    Raises
    ------
    Refused
        The person has too many, or it would hold for longer than the settings allow.
    """
    if not 1 <= days <= settings.token_days:
        raise Refused(Refusal.TOO_MUCH)
    secret = PREFIX + new_secret()
    with database.write() as connection:
        now = database.now(connection)
        connection.execute(sa.select(PEOPLE.c.id).where(PEOPLE.c.id == person.id).with_for_update())
        held = sa.select(sa.func.count()).where(*_live(person.id, now))
        if connection.execute(held).scalar_one() >= MOST_TOKENS:
            raise Refused(Refusal.TOO_MUCH)
        expires_at = now + timedelta(days=days)
        row = {
            "person_id": person.id,
            "name": name,
            "token_hash": secret_hash(secret),
            "created_at": now,
            "expires_at": expires_at,
        }
        number = connection.execute(
            API_TOKENS.insert().values(row).returning(API_TOKENS.c.id)
        ).scalar_one()
        audit.append(database, connection, person.actor, "token_made", token=number, days=days)
    return ApiToken(number, name, now, expires_at, None), secret


def list_tokens(database: Database, person: Person) -> list[ApiToken]:
    """List the tokens of a person that hold."""
    with database.read() as connection:
        now = database.now(connection)
        asked = sa.select(API_TOKENS).where(*_live(person.id, now)).order_by(API_TOKENS.c.id)
        return [from_row(ApiToken, row) for row in connection.execute(asked)]


def revoke_token(database: Database, person: Person, token_id: int) -> None:
    """End a token of a person's own, at once.

    Raises
    ------
    Refused
        No valid one has this number, or it belongs to another person.
    """
    with database.write() as connection:
        now = database.now(connection)
        this = (API_TOKENS.c.id == token_id, *_live(person.id, now))
        ending = API_TOKENS.update().where(*this).values(revoked_at=now)
        change_one(connection, ending, Refusal.UNKNOWN)
        audit.append(database, connection, person.actor, "token_revoked", token=token_id)


def find_by_token(database: Database, secret: str) -> Person | None:
    """Find the person of a token; ``None`` if it is not valid, or no longer.

    Raises
    ------
    StorageError
        The database is away.
    """
    if not secret.startswith(PREFIX):
        return None
    with database.read() as connection:
        now = database.now(connection)
        asked = sa.select(API_TOKENS).where(
            API_TOKENS.c.token_hash == secret_hash(secret), API_TOKENS.c.revoked_at.is_(None)
        )
        row = connection.execute(asked).one_or_none()
        person = find_person(connection, row.person_id) if row is not None else None
    if row is None or person is None or not person.is_active:
        return None
    this = API_TOKENS.c.id == row.id
    if now >= row.expires_at:
        # Revoked, so that a clock that goes back does not make it good again.
        _change(database, this, revoked_at=now)
        return None
    if row.used_at is None or now - row.used_at >= USED_EVERY:
        _change(database, this, used_at=now)
    # Whoever must replace a password or has lost the second factor cannot use tokens either.
    whole = person.by_provider or (person.has_second_factor and not person.must_change_password)
    return person if whole else None


def _change(database: Database, which: sa.ColumnElement[bool], **values: object) -> None:
    with suppress(StorageError), database.write() as connection:
        connection.execute(API_TOKENS.update().where(which).values(values))


def _live(person_id: int, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        API_TOKENS.c.person_id == person_id,
        API_TOKENS.c.revoked_at.is_(None),
        API_TOKENS.c.expires_at > now,
    )
