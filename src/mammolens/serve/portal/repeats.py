"""The header Idempotency-Key: a request that comes twice after a broken line counts once.

The sender names a request by a key of its own. The answer is kept in the transaction that does what
was asked for, so either both are there or neither. A refusal is not kept: what was refused may be
asked for again.

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

import sqlalchemy as sa
from fastapi import Depends, Header, Request

from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow
from mammolens.serve.record import REPEATS, Database, insert_once

__all__ = ["Repeat", "RepeatNow", "once"]

KEPT: Final = timedelta(days=30)
"""Longer than a phone without a line may wait: its session and its PIN end much earlier."""


@dataclass(frozen=True)
class Repeat:
    """A request of a person that may come again.

    Parameters
    ----------
    key
        The sender's name of the request; a request without one (``None``) counts each time.
    fingerprint
        SHA-256 of everything that the request asks for.
    """

    database: Database
    person: Person
    key: str | None
    fingerprint: str

    def read(self) -> str | None:
        """Give the answer that was given before; ``None`` if there is none.

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


COUNTED: Final = ("if-match", "upload-length", "upload-metadata")
"""Headers that belong to the fingerprint, because they change what a request asks for."""


async def _repeat(
    request: Request,
    caller: CallerNow,
    portal: PortalNow,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r'^(?:[A-Za-z0-9_-]{16,64}|"[A-Za-z0-9_-]{16,64}")$',
            description="the sender's own name of this request: sent again, it counts once",
        ),
    ] = None,
) -> Repeat:
    """Read the key of a request, and make its fingerprint."""
    body = await request.body() if idempotency_key is not None else b""
    parts = [request.method.encode(), request.url.path.encode(), body]
    parts += [request.headers.get(name, "").encode() for name in COUNTED]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    key = idempotency_key.strip('"') if idempotency_key is not None else None
    return Repeat(portal.state.database, caller.person, key, digest.hexdigest())


RepeatNow = Annotated[Repeat, Depends(_repeat)]


def once(repeat: Repeat, act: Callable[[], str]) -> str:
    """Do what is asked for and give the answer, or give the answer of the first time.

    Raises
    ------
    Refused
    """
    kept = repeat.read()
    if kept is not None:
        return kept
    try:
        return act()
    except Refused:
        # Of two equal requests at the same moment, the later one gives the answer of the other.
        kept = repeat.read()
        if kept is None:
            raise
        return kept
