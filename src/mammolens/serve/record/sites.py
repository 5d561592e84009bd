"""Sites: the places that send exams and where people work. The site of an exam never changes."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record.database import Database, insert_once
from mammolens.serve.record.people_tables import SITES

__all__ = ["ensure_site"]


def ensure_site(database: Database, connection: sa.Connection, key: str) -> int:
    """Give the number of the site with this key of the settings; it is made if it does not exist.

    A new site has its key as its name, and nobody has a role there yet: only administrators of the
    whole installation see its exams.
    """
    asked = sa.select(SITES.c.id).where(SITES.c.key == key)
    found = connection.execute(asked).scalar_one_or_none()
    if found is not None:
        return int(found)
    taken = sa.select(SITES.c.id).where(SITES.c.name == key)
    name = f"{key} (settings)" if connection.execute(taken).first() is not None else key
    row = {"key": key, "name": name, "created_at": database.now(connection)}
    insert_once(connection, SITES, row)
    return int(connection.execute(asked).scalar_one())
