"""Signing in: name and password, then a code; the first time also a new password and a new factor.

Every fault of name or password gives the same answer after the same time: a stranger does not learn
who has an account. Every sign-in and every failure is in the audit trail; a flood of failures is
counted there, not listed.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.people.attempts import Attempts, of_code, of_sign_in
from mammolens.serve.people.passwords import check_password, hash_password, is_password
from mammolens.serve.people.refusals import Refusal, Refused, change_one
from mammolens.serve.people.second_factor import take_code
from mammolens.serve.people.sessions import (
    Origin,
    Session,
    Stage,
    begin_session,
    end_session,
    end_where,
    renew_session,
)
from mammolens.serve.record import PEOPLE, SESSIONS, Database, SignInMethod, audit
from mammolens.serve.settings import PeopleSettings

__all__ = ["SignIns"]

ROOM: Final = "people"
ACTOR: Final = "web"
MOST_WRONG_CODES: Final = 5
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SignIns:
    """What sign-ins of this process share; safe for threads."""

    database: Database
    settings: PeopleSettings
    attempts: Attempts = field(default_factory=Attempts)

    def spend_attempt(self, name: str, origin: Origin) -> None:
        """Count an attempt before anything is looked up; costs no thread and no database.

        Raises
        ------
        Refused
        """
        self.attempts.spend(of_sign_in(_folded(name), origin.address))

    def give_password(self, name: str, password: str, origin: Origin) -> tuple[str, Session]:
        """Begin a session with name and password; gives its secret and what it waits for.

        Raises
        ------
        Refused
            Something is wrong, and what stays unsaid.
        """
        asked = sa.select(PEOPLE).where(PEOPLE.c.name == _folded(name))
        with self.database.read() as connection:
            row, now = connection.execute(asked).one_or_none(), self.database.now(connection)
        known = None if row is None or row.disabled_at is not None else row.password_hash
        good = is_password(known, password)
        if row is None or not good or not self._in_time(row, now):
            self.note_failure(origin, "password")
            raise Refused(Refusal.SIGN_IN)
        self.attempts.give_back(of_sign_in(_folded(name), origin.address))
        with self.database.write() as connection:
            now = self.database.now(connection)
            # Locked: an account that is closed or renewed meanwhile gets no session.
            unchanged = (PEOPLE.c.password_hash == known, PEOPLE.c.disabled_at.is_(None))
            still = sa.select(PEOPLE.c.id).where(PEOPLE.c.id == row.id, *unchanged)
            if connection.execute(still.with_for_update()).first() is None:
                raise Refused(Refusal.SIGN_IN)
            secret = begin_session(connection, now, row.id, SignInMethod.PASSWORD, origin)
            return renew_session(self.database, connection, self.settings, secret, origin)

    def give_code(
        self, session: Session, secret: str, code: str, origin: Origin
    ) -> tuple[str, Session]:
        """Pass the second factor, or set it up with its first code.

        Raises
        ------
        Refused
            The code is wrong or was used; too many wrong ones end the session.
        """
        if session.stage not in (Stage.CODE, Stage.SECOND_FACTOR):
            raise Refused(Refusal.STAGE)
        person = session.person
        self.attempts.spend(of_code(person.id))
        with self.database.write() as connection:
            now = self.database.now(connection)
            taken = take_code(connection, person, code.strip().replace(" ", ""), now)
            if taken:
                done = renew_session(
                    self.database, connection, self.settings, secret, origin, code_passed=True
                )
                if session.stage is Stage.SECOND_FACTOR:
                    detail = {"host": origin.address}
                    actor = person.actor
                    audit.append(
                        self.database, connection, actor, "second_factor_set", None, detail
                    )
            else:
                self._count_wrong_code(connection, session, now)
        if not taken:
            self.note_failure(origin, "code", person.name)
            raise Refused(Refusal.CODE)
        self.attempts.give_back(of_code(person.id))
        return done

    def change_password(
        self, session: Session, secret: str, present: str | None, new: str, origin: Origin
    ) -> tuple[str, Session]:
        """Put a new password in the place of the present one, and end the other sessions.

        Parameters
        ----------
        present
            The present password; not asked for while a one-time password has to be replaced.

        Raises
        ------
        Refused
            A password is wrong or too plain, or another request has just changed it.
        """
        person = session.person
        if person.by_provider or session.stage not in (Stage.PASSWORD, Stage.OPEN):
            raise Refused(Refusal.STAGE)
        this = PEOPLE.c.id == person.id
        with self.database.read() as connection:
            row = connection.execute(sa.select(PEOPLE).where(this)).one()
        if session.stage is Stage.OPEN:
            self.spend_attempt(person.name, origin)
            if not is_password(row.password_hash, present or ""):
                self.note_failure(origin, "password", person.name)
                raise Refused(Refusal.SIGN_IN)
            self.attempts.give_back(of_sign_in(person.name, origin.address))
        check_password(new, person.name)
        if is_password(row.password_hash, new):
            raise Refused(Refusal.WEAK_PASSWORD)
        values = {"password_hash": hash_password(new), "password_until": None}
        same = sa.and_(this, PEOPLE.c.password_hash == row.password_hash)
        with self.database.write() as connection:
            change_one(connection, PEOPLE.update().where(same).values(values))
            others = sa.and_(SESSIONS.c.person_id == person.id, SESSIONS.c.id != session.id)
            end_where(connection, self.database.now(connection), others)
            done = renew_session(self.database, connection, self.settings, secret, origin)
            detail = {"host": origin.address}
            audit.append(self.database, connection, person.actor, "password_changed", None, detail)
        return done

    def come_by_provider(self, subject: str, claimed: str, origin: Origin) -> tuple[str, Session]:
        """Open a session for somebody whom the OpenID Connect provider vouches for.

        Parameters
        ----------
        subject
            SHA-256 of who the provider says it is, which never changes.
        claimed
            Name of the account; counts when a person comes for the first time.

        Raises
        ------
        Refused
            Nobody was invited to come in this way under this name.
        """
        mine = sa.and_(PEOPLE.c.disabled_at.is_(None), PEOPLE.c.password_hash.is_(None))
        with self.database.write() as connection:
            now = self.database.now(connection)
            first = sa.and_(mine, PEOPLE.c.name == _folded(claimed), PEOPLE.c.subject.is_(None))
            bound = sa.select(PEOPLE.c.id).where(PEOPLE.c.subject == subject)
            if connection.execute(bound).first() is None:
                # Of two accounts that are bound to one person at the same moment, the first is.
                with suppress(sa.exc.IntegrityError), connection.begin_nested():
                    connection.execute(PEOPLE.update().where(first).values(subject=subject))
            asked = sa.select(PEOPLE.c.id).where(mine, PEOPLE.c.subject == subject)
            number = connection.execute(asked.with_for_update()).scalar_one_or_none()
            if number is not None:
                secret = begin_session(connection, now, number, SignInMethod.PROVIDER, origin)
                return renew_session(self.database, connection, self.settings, secret, origin)
        self.note_failure(origin, "provider")
        raise Refused(Refusal.SIGN_IN)

    def sign_out(self, session: Session) -> None:
        """End a session at its person's wish."""
        with suppress(Refused):  # another request has just ended it
            end_session(self.database, session.person, session.id, "signed_out")

    def note_failure(self, origin: Origin, reason: str, name: str | None = None) -> None:
        """Note a failure in log and audit trail."""
        logs.event(ROOM, "sign_in_refused", logging.WARNING, reason=reason)
        detail = {"host": origin.address, "reason": reason} | ({"person": name} if name else {})
        try:
            audit.note_refusal(self.database, ACTOR, "sign_in_refused", detail)
        except StorageError:
            logs.event(ROOM, "not_audited", logging.ERROR)

    def _in_time(self, row: sa.Row[Any], now: datetime) -> bool:
        """Whether a one-time password still counts; one that does not is closed for good."""
        if row.password_until is None or now < row.password_until:
            return True
        late = sa.and_(PEOPLE.c.id == row.id, PEOPLE.c.password_until == row.password_until)
        with self.database.write() as connection:
            connection.execute(PEOPLE.update().where(late).values(password_until=NEVER))
        return False

    def _count_wrong_code(self, connection: sa.Connection, session: Session, now: datetime) -> None:
        this = sa.and_(SESSIONS.c.id == session.id, SESSIONS.c.ended_at.is_(None))
        connection.execute(SESSIONS.update().where(this).values(failures=SESSIONS.c.failures + 1))
        too_many = sa.and_(this, SESSIONS.c.failures >= MOST_WRONG_CODES)
        connection.execute(SESSIONS.update().where(too_many).values(ended_at=now))


def _folded(name: str) -> str:
    """Give the name of an account as it is looked up, whatever was typed."""
    return name.strip().lower()[:64]
