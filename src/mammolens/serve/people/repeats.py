"""Answers that are given again: a request that comes twice after a broken line counts once.

The sender names a request by a key of its own. The answer is kept in the transaction that does what
was asked for, so either both are there or neither. A refusal is not kept: what was refused may be
asked for again.

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from mammolens.serve.people.person import Person
from mammolens.serve.people.refusals import Refusal, Refused
from mammolens.serve.record import REPEATS, Database, insert_once

__all__ = ["Repeat"]

KEPT: Final = timedelta(days=30)
"""Longer than a phone without a line may wait: its session and its PIN end much earlier."""


@dataclass(frozen=True)
class Repeat:
    """A request of a person that may come again.

    Parameters
    ----------
    key
        The sender's name of the request; ``None``: it has none, and counts each time.
    fingerprint
        SHA-256 of everything that the request asks for.
    """

    database: Database
    person: Person
    key: str | None
    fingerprint: str

    def read(self) -> str | None:
        """Give the answer that was given before; ``None``: there is none.

        Raises
        ------
        Refused
            The key was used for another request.
        """
        if self.key is None:
            return None
        asked = sa.select(REPEATS.c.fingerprint, REPEATS.c.body).where(
            REPEATS.c.person_id == self.person.id, REPEATS.c.key == self.key
        )
        with self.database.read() as connection:
            row = connection.execute(asked).one_or_none()
        if row is None:
            return None
        if row.fingerprint != self.fingerprint:
            raise Refused(Refusal.KEY_REUSED)
        return str(row.body)

    def keep(self, connection: sa.Connection, body: str, exam_id: int | None = None) -> None:
        """Keep an answer, in the transaction that does what was asked for.

        Raises
        ------
        Refused
            Another request with this key was faster.
        """
        if self.key is None:
            return
        now = self.database.now(connection)
        connection.execute(REPEATS.delete().where(REPEATS.c.created_at < now - KEPT))
        row = {
            "person_id": self.person.id,
            "key": self.key,
            "fingerprint": self.fingerprint,
            "exam_id": exam_id,
            "body": body,
            "created_at": now,
        }
        if not insert_once(connection, REPEATS, row):
            raise Refused(Refusal.REPEATED)
