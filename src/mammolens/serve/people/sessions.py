"""Sessions: what a browser shows to be a person's, kept on the server and ended there.

A session moves through the stages of a sign-in, and has a new secret after each: whoever learnt the
old one is left behind. It ends when the person signs out, when its time is over, after a while
without a request, when the account is closed, and when the clock goes back: a clock that jumps
never lets one live longer.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve.people.person import Person, find_person, managed_person
from mammolens.serve.people.refusals import Refusal, Refused
from mammolens.serve.record import PEOPLE, SESSIONS, Database, SignInMethod, audit, from_row
from mammolens.serve.settings import PeopleSettings

__all__ = [
    "Origin",
    "Session",
    "SessionNote",
    "Stage",
    "begin_session",
    "end_other_sessions",
    "end_session",
    "end_sessions_of",
    "end_where",
    "find_session",
    "list_sessions",
    "new_secret",
    "renew_session",
    "secret_hash",
    "session_holds",
]

UNFINISHED: Final = timedelta(minutes=15)
"""A sign-in that is not finished by then begins again."""
SEEN_EVERY: Final = timedelta(seconds=60)  # `seen_at` is written no more often.
BACK: Final = timedelta(seconds=5)
"""Two threads may note their times out of order, and clocks are set by moments; more is a jump."""
MOST_OPEN: Final = 20
"""Sessions of a person, and sign-ins that are not finished; one more ends the oldest."""
FORGOTTEN: Final = timedelta(days=30)  # Rows of sessions that expired earlier are deleted.


class Stage(str, Enum):
    """What a session waits for."""

    CODE = "code"
    """The code of the second factor."""
    PASSWORD = "password"
    """A password in the place of the one-time password."""
    SECOND_FACTOR = "second_factor"
    """A second factor is set up, and proven by its first code."""
    OPEN = "open"
    """Nothing: the person is signed in."""


@dataclass(frozen=True)
class Origin:
    """Where a request comes from, as it is noted."""

    address: str = ""
    agent: str = ""


@dataclass(frozen=True)
class Session:
    """A valid session; each change must come with its `csrf_token`."""

    id: int
    person: Person
    stage: Stage
    method: SignInMethod
    csrf_token: str
    expires_at: datetime


@dataclass(frozen=True)
class SessionNote:
    """One line in a person's list of sessions."""

    id: int
    method: SignInMethod
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


def new_secret() -> str:
    """Make 256 random bits as text."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """Give what is kept of a random secret: nobody can guess it, so one SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def begin_session(
    connection: sa.Connection,
    now: datetime,
    person_id: int,
    method: SignInMethod,
    origin: Origin,
) -> str:
    """Enter a session that is not finished yet; gives its secret."""
    of_person = SESSIONS.c.person_id == person_id
    connection.execute(sa.select(PEOPLE.c.id).where(PEOPLE.c.id == person_id).with_for_update())
    connection.execute(SESSIONS.delete().where(of_person, SESSIONS.c.expires_at < now - FORGOTTEN))
    _make_room(connection, now, of_person, code_passed=False)
    secret = new_secret()
    row = {
        "person_id": person_id,
        "token_hash": secret_hash(secret),
        "method": method.value,
        "code_passed": False,
        "failures": 0,
        "created_at": now,
        "seen_at": now,
        "expires_at": now + UNFINISHED,
        "address": origin.address[:64],
        "agent": origin.agent[:200],
    }
    connection.execute(SESSIONS.insert().values(row))
    return secret


def renew_session(
    database: Database,
    connection: sa.Connection,
    settings: PeopleSettings,
    secret: str,
    origin: Origin,
    **values: object,
) -> tuple[str, Session]:
    """Give a session another secret after a step of the sign-in; of two at once, one gets it.

    When nothing more is asked for, the session is open for the hours of the settings, and the
    sign-in is noted in the audit trail: this must be the last act of its transaction.

    Raises
    ------
    Refused
        The session was renewed or ended by another request.
    """
    fresh, now = new_secret(), database.now(connection)
    held = sa.and_(SESSIONS.c.token_hash == secret_hash(secret), SESSIONS.c.ended_at.is_(None))
    row = connection.execute(sa.select(SESSIONS).where(held).with_for_update()).one_or_none()
    person = find_person(connection, row.person_id) if row is not None else None
    if row is None or person is None:
        raise Refused(Refusal.STAGE)
    passed = bool(values.get("code_passed", row.code_passed))
    method = SignInMethod(row.method)
    stage = _stage(person, method, passed)
    # A session that was opened before already has the longer time.
    opens = stage is Stage.OPEN and row.expires_at <= row.created_at + UNFINISHED
    if opens:
        of_person = SESSIONS.c.person_id == person.id
        _make_room(connection, now, of_person, code_passed=True)
        values |= {"code_passed": True}
        values["expires_at"] = now + timedelta(hours=settings.session_hours)
    fresh_values = {**values, "token_hash": secret_hash(fresh), "failures": 0}
    connection.execute(SESSIONS.update().where(SESSIONS.c.id == row.id).values(fresh_values))
    if opens:
        detail: audit.Detail = {"host": origin.address, "method": method.value, "session": row.id}
        audit.append(database, connection, person.actor, "signed_in", None, detail)
    expires: Any = fresh_values.get("expires_at", row.expires_at)
    return fresh, Session(row.id, person, stage, method, _csrf(fresh), expires)


def find_session(database: Database, settings: PeopleSettings, secret: str) -> Session | None:
    """Find the session of a secret that a browser showed; ``None`` if it does not hold (any more).

    Raises
    ------
    StorageError
        The database is away.
    """
    with database.read() as connection:
        now = database.now(connection)
        asked = sa.select(SESSIONS).where(
            SESSIONS.c.token_hash == secret_hash(secret), SESSIONS.c.ended_at.is_(None)
        )
        row = connection.execute(asked).one_or_none()
        person = find_person(connection, row.person_id) if row is not None else None
    if row is None or person is None or not person.is_active:
        return None
    idle = timedelta(minutes=settings.idle_minutes)
    holds = row.seen_at - BACK <= now < min(row.expires_at, row.seen_at + idle)
    if not holds or now - row.seen_at >= SEEN_EVERY:
        with suppress(StorageError), database.write() as connection:
            this = SESSIONS.c.id == row.id
            if holds:
                later = sa.and_(this, SESSIONS.c.seen_at < now)
                connection.execute(SESSIONS.update().where(later).values(seen_at=now))
            else:
                end_where(connection, now, this)
    if not holds:
        return None
    method = SignInMethod(row.method)
    stage = _stage(person, method, row.code_passed)
    return Session(row.id, person, stage, method, _csrf(secret), row.expires_at)


def session_holds(database: Database, settings: PeopleSettings, session_id: int) -> bool:
    """Say whether a session still holds; unlike a request, this prolongs nothing."""
    with database.read() as connection:
        holds = _holds(database.now(connection), settings)
        asked = sa.select(SESSIONS.c.id).where(SESSIONS.c.id == session_id, *holds)
        return connection.execute(asked).one_or_none() is not None


def list_sessions(
    database: Database, settings: PeopleSettings, person_id: int
) -> list[SessionNote]:
    """List the sessions of a person that hold, the newest first."""
    with database.read() as connection:
        holds = _holds(database.now(connection), settings)
        asked = sa.select(SESSIONS).where(SESSIONS.c.person_id == person_id, *holds)
        rows = connection.execute(asked.order_by(SESSIONS.c.id.desc())).all()
    return [from_row(SessionNote, row) for row in rows]


def _holds(now: datetime, settings: PeopleSettings) -> tuple[sa.ColumnElement[bool], ...]:
    idle = timedelta(minutes=settings.idle_minutes)
    of = SESSIONS.c
    return of.ended_at.is_(None), of.expires_at > now, of.seen_at > now - idle


def end_session(
    database: Database, asking: Person, session_id: int, action: str = "session_ended"
) -> None:
    """End a session of a person's own.

    Raises
    ------
    Refused
        No valid one has this number, or it belongs to another person.
    """
    with database.write() as connection:
        this = sa.and_(SESSIONS.c.id == session_id, SESSIONS.c.person_id == asking.id)
        if not end_where(connection, database.now(connection), this):
            raise Refused(Refusal.UNKNOWN)
        audit.append(database, connection, asking.actor, action, session=session_id)


def end_other_sessions(database: Database, person: Person, kept: int) -> int:
    """End the sessions of a person except one; gives how many ended."""
    with database.write() as connection:
        others = sa.and_(SESSIONS.c.person_id == person.id, SESSIONS.c.id != kept)
        ended = end_where(connection, database.now(connection), others)
        detail: audit.Detail = {"person": person.name, "count": ended}
        audit.append(database, connection, person.actor, "sessions_ended", None, detail)
    return ended


def end_sessions_of(database: Database, asking: Person, person_id: int) -> int:
    """End all sessions of a person whose account another may change; gives how many ended.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        person = managed_person(connection, asking, person_id)
        now = database.now(connection)
        ended = end_where(connection, now, SESSIONS.c.person_id == person_id)
        detail: audit.Detail = {"person": person.name, "count": ended}
        audit.append(database, connection, asking.actor, "sessions_ended", None, detail)
    return ended


def end_where(connection: sa.Connection, now: datetime, which: sa.ColumnElement[bool]) -> int:
    """End some sessions; gives how many were not ended before."""
    ending = SESSIONS.update().where(which, SESSIONS.c.ended_at.is_(None)).values(ended_at=now)
    return connection.execute(ending).rowcount


def _make_room(
    connection: sa.Connection, now: datetime, of_person: sa.ColumnElement[bool], code_passed: bool
) -> None:
    """End the oldest sessions where there are as many as may be.

    Those that are open and those that wait for a code are counted apart: somebody who knows nothing
    but the password must not be able to end the sessions of its owner.
    """
    kind = SESSIONS.c.code_passed if code_passed else ~SESSIONS.c.code_passed
    oldest = (
        sa.select(SESSIONS.c.id)
        .where(of_person, kind, SESSIONS.c.ended_at.is_(None))
        .order_by(SESSIONS.c.id.desc())
        .offset(MOST_OPEN - 1)
    )
    ids = list(connection.execute(oldest).scalars())
    if ids:
        end_where(connection, now, SESSIONS.c.id.in_(ids))


def _stage(person: Person, method: SignInMethod, code_passed: bool) -> Stage:
    """Say what a session waits for, from what is known of the account at this moment."""
    if method is SignInMethod.PROVIDER:
        return Stage.OPEN
    if person.has_second_factor and not code_passed:
        return Stage.CODE
    if person.must_change_password:
        return Stage.PASSWORD
    return Stage.OPEN if person.has_second_factor else Stage.SECOND_FACTOR


def _csrf(secret: str) -> str:
    """Derive the token from the session's secret, which no page and no other site can read."""
    digest = hashlib.sha256(b"csrf\0" + secret.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
