"""A house of people: a database with accounts, and the passwords and codes that they remember."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyotp

from mammolens.serve.people import (
    Origin,
    Person,
    Session,
    SignIns,
    Stage,
    find_person,
    first_administrator,
    invite,
    make_site,
    offer_second_factor,
)
from mammolens.serve.people.attempts import Attempts
from mammolens.serve.people.person import read_people
from mammolens.serve.record import PEOPLE, Database, PersonRole
from mammolens.serve.settings import PeopleSettings

HERE = Origin("10.1.2.3", "a browser")
PASSWORD = "a calm grey morning"


@dataclass
class House:
    """A database with people, and what they remember."""

    database: Database
    clock: Any
    settings: PeopleSettings = field(default_factory=PeopleSettings)
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sign_ins = SignIns(self.database, self.settings, Attempts(clock=self.seconds))
        invited = first_administrator(self.database, self.settings)
        assert invited is not None
        assert invited.password is not None
        self.one_time = {"admin": invited.password}

    def seconds(self) -> float:
        return self.clock.now.timestamp()

    def code(self, name: str) -> str:
        return pyotp.TOTP(self.secrets[name]).at(self.clock.now)

    def invited(self, name: str, roles: dict[int, set[PersonRole]] | None = None) -> Person:
        given = {site: frozenset(held) for site, held in (roles or {}).items()}
        done = invite(self.database, self.settings, self.person("admin"), name, name, given)
        assert done.password is not None
        self.one_time[name] = done.password
        return done.person

    def person(self, name: str) -> Person:
        with self.database.read() as connection:
            (found,) = read_people(connection, PEOPLE.c.name == name)
        return found

    def again(self, person: Person) -> Person:
        with self.database.read() as connection:
            found = find_person(connection, person.id)
        assert found is not None
        return found

    def enrol(self, name: str) -> tuple[str, Session]:
        """Go through the first sign-in of somebody who was invited."""
        secret, session = self.sign_ins.give_password(name, self.one_time[name], HERE)
        assert session.stage is Stage.PASSWORD
        secret, session = self.sign_ins.change_password(session, secret, None, PASSWORD, HERE)
        assert session.stage is Stage.SECOND_FACTOR
        self.secrets[name] = offer_second_factor(self.database, session).secret
        secret, session = self.sign_ins.give_code(session, secret, self.code(name), HERE)
        assert session.stage is Stage.OPEN
        return secret, session

    def sign_in(self, name: str, password: str = PASSWORD) -> tuple[str, Session]:
        """Sign in with the next code."""
        self.clock.turn(30)
        secret, session = self.sign_ins.give_password(name, password, HERE)
        return self.sign_ins.give_code(session, secret, self.code(name), HERE)

    def site(self, key: str) -> int:
        return make_site(self.database, self.person("admin"), key, key.title()).id
