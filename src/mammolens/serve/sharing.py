"""Sharing: a referring doctor without an account reads one signed report by a link and a code.

The link has 256 random bits behind ``#``, which browsers send to no server before its page does so
in the body of a request; the code comes by another way. Both are shown once, and only their hashes
are kept. A link opens one report, until it expires, is revoked, or five wrong codes have locked it,
and only as long as whoever made it may still see the report.
"""

from __future__ import annotations

import hmac
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import sqlalchemy as sa
from pydantic import Field

from mammolens.errors import StorageError
from mammolens.readings import SignedReading
from mammolens.serve.holdings import NodeState
from mammolens.serve.people import (
    Person,
    Refusal,
    Refused,
    find_person,
    new_secret,
    secret_hash,
    visible_exam,
)
from mammolens.serve.reading import Pixels, gather_reading, visible_reading
from mammolens.serve.record import (
    PEOPLE,
    SHARES,
    Database,
    ReadingRole,
    ReadingState,
    audit,
    from_row,
)

__all__ = [
    "NewShare",
    "Share",
    "list_shares",
    "make_share",
    "open_share",
    "revoke_share",
]

MOST_FAILURES: Final = 5
"""Wrong codes of a link, over all its time, after which it opens no more."""
CODE_DIGITS: Final = 8
"""Five guesses find one of 100 million codes with a chance of 1 in 20 million."""
MOST_OPEN: Final = 20
"""Links of one exam that open at the same time."""


@dataclass(frozen=True)
class Share:
    """A link to the report of a signed reading; `is_locked` after too many wrong codes."""

    id: int
    reading_id: int
    made_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    opened_at: datetime | None
    openings: int
    failures: Annotated[int, Field(exclude=True)]
    is_locked: bool


@dataclass(frozen=True)
class NewShare:
    """A link that was made just now: `token` goes behind `#` of /share, `code` by another way."""

    share: Share
    token: str
    code: str


def make_share(state: NodeState, person: Person, exam_id: int, reading_id: int) -> NewShare:
    """Make a link to the report of a signed reading, for somebody who may see it.

    Raises
    ------
    Refused
        The person may not know of exam or reading, it is not signed, it is an opinion, or the exam
        has too many links.
    """
    database = state.database
    token, code = new_secret(), f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    with database.write() as connection:
        now = database.now(connection)
        visible_exam(connection, person, exam_id)
        reading = visible_reading(connection, person, reading_id)
        if reading.exam_id != exam_id:
            raise Refused(Refusal.UNKNOWN)
        if reading.state is not ReadingState.SIGNED or reading.role is ReadingRole.OPINION:
            raise Refused(Refusal.STAGE)
        counted = sa.select(sa.func.count()).select_from(SHARES)
        if connection.execute(counted.where(*_open(exam_id, now))).scalar_one() >= MOST_OPEN:
            raise Refused(Refusal.TOO_MUCH)
        row = {
            "exam_id": exam_id,
            "reading_id": reading_id,
            "person_id": person.id,
            "token_hash": secret_hash(token),
            "code_hash": _code_hash(token, code),
            "failures": 0,
            "openings": 0,
            "created_at": now,
            "expires_at": now + timedelta(days=state.settings.people.share_days),
        }
        made = connection.execute(SHARES.insert().values(row).returning(SHARES.c.id)).scalar_one()
        share = _read(connection, SHARES.c.id == made)[0]
        detail: audit.Detail = {"share": made, "reading": reading_id}
        audit.append(database, connection, person.actor, "share_made", exam_id, detail)
    return NewShare(share, token, code)


def list_shares(database: Database, person: Person, exam_id: int) -> list[Share]:
    """List the links of an exam, also those that open no more, the newest first.

    Raises
    ------
    Refused
        The person may not know of the exam.
    """
    with database.read() as connection:
        visible_exam(connection, person, exam_id)
        return _read(connection, SHARES.c.exam_id == exam_id)


def revoke_share(database: Database, person: Person, exam_id: int, share_id: int) -> None:
    """Let a link open nothing any more; whoever may see the exam may do so.

    Raises
    ------
    Refused
        The person may not know of the exam, or no link of it has this number and opens.
    """
    with database.write() as connection:
        visible_exam(connection, person, exam_id)
        now = database.now(connection)
        this = SHARES.c.id == share_id, SHARES.c.exam_id == exam_id, SHARES.c.revoked_at.is_(None)
        if not connection.execute(SHARES.update().where(*this).values(revoked_at=now)).rowcount:
            raise Refused(Refusal.UNKNOWN)
        audit.append(database, connection, person.actor, "share_revoked", exam_id, share=share_id)


def open_share(state: NodeState, token: str, code: str, host: str) -> SignedReading:
    """Give the reading of a link to whoever has link and code; each attempt is audited.

    A link that is unknown, expired or revoked, or whose maker may no longer see the report, gets
    the same answer.

    Parameters
    ----------
    code
        As it was typed: blanks and hyphens do not count.
    host
        Address of whoever asks, for the audit trail.

    Raises
    ------
    Refused
        It opens nothing, the code is wrong, or too many codes were wrong.
    StorageError
        The database or the store cannot be used.
    """
    row, refusal = _try_code(state.database, token, code, host)
    if refusal is not None or row is None:
        raise Refused(refusal or Refusal.UNKNOWN)
    with state.database.read() as connection:
        person = find_person(connection, row.person_id)
    if person is None or not person.is_active:
        raise Refused(Refusal.UNKNOWN)
    actor = f"share:{row.id}"
    return gather_reading(state, person, row.reading_id, "share", Pixels.ALL, by_link=actor)


def _try_code(
    database: Database, token: str, code: str, host: str
) -> tuple[sa.Row[Any] | None, Refusal | None]:
    """Compare the code of a link; wrong ones are counted in the transaction that compares."""
    with database.write() as connection:
        now = database.now(connection)
        this = SHARES.c.token_hash == secret_hash(token)
        row = connection.execute(sa.select(SHARES).where(this).with_for_update()).one_or_none()
        if row is not None and row.revoked_at is None:
            refusal, values = _judge(row, token, code, now)
            connection.execute(SHARES.update().where(this).values(values))
            action = "share_opened" if refusal is None else "share_refused"
            reason = refusal.value if refusal is not None else None
            detail: audit.Detail = {"share": row.id, "host": host, "reason": reason}
            audit.append(database, connection, f"share:{row.id}", action, row.exam_id, detail)
            return row, refusal
    why = "unknown" if row is None else "revoked"
    with suppress(StorageError):
        audit.note_refusal(database, "share", "share_refused", {"host": host, "reason": why})
    return None, Refusal.UNKNOWN


def _judge(
    row: sa.Row[Any], token: str, code: str, now: datetime
) -> tuple[Refusal | None, dict[str, Any]]:
    """Say what becomes of an attempt, and what is to be kept of it."""
    if now >= row.expires_at:
        # Revoked, so that a clock that goes back does not make it good again.
        return Refusal.UNKNOWN, {"revoked_at": now}
    if row.failures >= MOST_FAILURES:
        return Refusal.SHARE_LOCKED, {"failures": row.failures}
    if hmac.compare_digest(_code_hash(token, code), row.code_hash):
        return None, {"openings": row.openings + 1, "opened_at": now}
    failures = row.failures + 1
    locked = failures >= MOST_FAILURES
    return Refusal.SHARE_LOCKED if locked else Refusal.CODE, {"failures": failures}


def _code_hash(token: str, code: str) -> str:
    """Bind the code to its link, so that the hash alone cannot be searched for 8 digits."""
    typed = "".join(sign for sign in code if sign not in " -\u00a0\u2009")
    return secret_hash(f"{token} {typed}")


def _open(exam_id: int, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return SHARES.c.exam_id == exam_id, SHARES.c.revoked_at.is_(None), SHARES.c.expires_at > now


def _read(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Share]:
    asked = (
        sa.select(SHARES, PEOPLE.c.display_name.label("made_by"))
        .join(PEOPLE, PEOPLE.c.id == SHARES.c.person_id)
        .where(*where)
        .order_by(SHARES.c.id.desc())
    )
    return [
        from_row(Share, row, is_locked=row.failures >= MOST_FAILURES)
        for row in connection.execute(asked)
    ]
