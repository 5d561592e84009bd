"""What a person saves for themselves: filters of the worklist, and settings of the page."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Final

import sqlalchemy as sa

from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.record import PREFERENCES, Database, insert_once

__all__ = ["Preference", "read_preference", "save_preference"]

MOST_BYTES: Final = 32 << 10  # Of one saved value, as JSON.


class Preference(str, Enum):
    """What a person can save."""

    FILTERS = "filters"
    SETTINGS = "settings"


def read_preference(database: Database, person: Person, name: Preference) -> Any:
    """Read what was saved; ``None`` if nothing was."""
    mine = PREFERENCES.c.person_id == person.id, PREFERENCES.c.name == name.value
    with database.read() as connection:
        body = connection.execute(sa.select(PREFERENCES.c.body).where(*mine)).scalar_one_or_none()
    return None if body is None else json.loads(body)


def save_preference(database: Database, person: Person, name: Preference, content: Any) -> None:
    """Save a preference, which replaces what was saved before.

    Raises
    ------
    Refused
        It is too large.
    """
    body = json.dumps(content, separators=(",", ":"))
    if len(body.encode()) > MOST_BYTES:
        raise Refused(Refusal.TOO_MUCH)
    with database.write() as connection:
        key = {"person_id": person.id, "name": name.value}
        values = {"body": body, "changed_at": database.now(connection)}
        if not insert_once(connection, PREFERENCES, key | values):
            this = [PREFERENCES.c[column] == value for column, value in key.items()]
            connection.execute(PREFERENCES.update().where(*this).values(**values))
