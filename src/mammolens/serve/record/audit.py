"""The audit trail: senders, received objects, results and deliveries; it is never changed.

Each row has the hash of the row before it, so a change, a removal or an insertion breaks the chain
at this row. The head counts the rows, so removed last rows are noticed. Triggers refuse changes. A
person who can rewrite the whole database could forge the whole chain: therefore keep the head
(``mammolens node status``) in another place from time to time, and `verify` the trail with it.

Call `append` as the last action of a transaction: it locks the head, and a later lock could cause a
deadlock. Refusals are entered with `note_refusal`, which limits their rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.record.database import Database
from mammolens.serve.record.refusals import RefusalKind
from mammolens.serve.record.tables import AUDIT, AUDIT_HEAD

__all__ = [
    "AuditHead",
    "AuditReport",
    "Detail",
    "append",
    "note_refusal",
    "read_head",
    "verify",
    "write_counted_refusals",
]

FIRST_HASH: Final = "0" * 64
BATCH: Final = 1000
Detail = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True)
class AuditHead:
    """The number of rows of the trail, and the hash of the last one."""

    length: int
    hash: str

    def __str__(self) -> str:
        return f"{self.length}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> AuditHead:
        """Parse the text of a head.

        Raises
        ------
        ConfigError

        Examples
        --------
        >>> AuditHead.parse("12:" + "0" * 64).length
        12
        """
        length, _, digest = text.partition(":")
        if not length.isdecimal() or len(digest) != len(FIRST_HASH):
            raise ConfigError(
                "this is not the head of an audit trail",
                keyword="head",
                remedy="Give LENGTH:HASH, as mammolens node status shows it",
            )
        return cls(int(length), digest)


@dataclass(frozen=True)
class AuditReport:
    """Result of `verify`: `broken_at` is the number of the first wrong row, if there is one."""

    head: AuditHead
    broken_at: int | None = None
    reason: str | None = None

    @property
    def sound(self) -> bool:
        """Whether no fault was found."""
        return self.broken_at is None


def append(
    database: Database,
    connection: sa.Connection,
    actor: str,
    action: str,
    exam_id: int | None = None,
    detail: Detail | None = None,
    **more: str | int | float | bool | None,
) -> None:
    """Add a row in a write transaction, as the last action of the transaction.

    Parameters
    ----------
    actor
        The cause: ``dimse:AETITLE``, ``web:USER``, ``folder``, ``worker:NAME``, ``route:NAME``.
    action
        One word: ``received``, ``finished``, ``delivered``.
    detail
        Details. They may have UIDs, but no names, birth dates or patient IDs.
    more
        Further details by their names.
    """
    head = connection.execute(sa.select(AUDIT_HEAD).with_for_update()).one()
    row = {
        "number": head.length + 1,
        "at": database.now(connection).astimezone(UTC),
        # As PostgreSQL stores it; else the hash of the row would be another.
        "actor": actor[:128].replace("\0", "\ufffd"),
        "action": action,
        "exam_id": exam_id,
        "detail": json.dumps({**(detail or {}), **more}, sort_keys=True, ensure_ascii=False),
        "previous": head.hash,
    }
    digest = _hash(row)
    connection.execute(AUDIT.insert().values(**row, hash=digest))
    connection.execute(AUDIT_HEAD.update().values(length=row["number"], hash=digest))


def note_refusal(database: Database, actor: str, action: str, detail: Detail) -> None:
    """Enter a refusal in a new transaction, or only count it if there are too many of its kind.

    Parameters
    ----------
    detail
        `reason` or `error` is the cause, and `host` the peer if it is known.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    reason, peer = detail.get("reason") or detail.get("error"), detail.get("host") or actor
    kind = RefusalKind(action, str(reason), str(peer))

    def at_end() -> None:
        with suppress(StorageError):
            write_counted_refusals(database)

    if database.refusals.has_own_row(kind, at_end):
        with database.write() as connection:
            append(database, connection, actor, action, None, detail)


def write_counted_refusals(database: Database) -> None:
    """Enter a row for each kind of refusals that were only counted, with their number.

    Raises
    ------
    StorageError
        The database cannot be used; the counts are kept.
    """
    counted = database.refusals.take_counted()
    if not counted:
        return
    try:
        with database.write() as connection:
            for kind, count in sorted(counted.items()):
                detail: Detail = {"reason": kind.reason, "peer": kind.peer, "count": count}
                append(database, connection, "node", kind.action, None, detail)
    except StorageError:
        database.refusals.put_back(counted)
        raise


def read_head(connection: sa.Connection) -> AuditHead:
    """Read the head of the trail."""
    row = connection.execute(sa.select(AUDIT_HEAD)).one()
    return AuditHead(row.length, row.hash)


def verify(connection: sa.Connection, kept: AuditHead | None = None) -> AuditReport:
    """Read the whole trail, and find the first row that was changed, removed or inserted.

    Parameters
    ----------
    kept
        An earlier head that was kept elsewhere; the trail must contain it.
    """
    head = read_head(connection)
    previous, number = FIRST_HASH, 0
    while rows := connection.execute(
        sa.select(AUDIT).where(AUDIT.c.number > number).order_by(AUDIT.c.number).limit(BATCH)
    ).all():
        for row in rows:
            number += 1
            if row.number != number:
                return AuditReport(head, number, "the row is missing")
            if row.previous != previous:
                return AuditReport(head, number, "the row does not follow from the one before")
            if row.hash != _hash(row._asdict()):
                return AuditReport(head, number, "the row was changed")
            if kept is not None and kept.length == number and kept.hash != row.hash:
                return AuditReport(head, number, "the row is not the one that was noted")
            previous = row.hash
    if (number, previous) != (head.length, head.hash):
        return AuditReport(head, number + 1, "the end of the trail is missing")
    if kept is not None and kept.length > number:
        return AuditReport(head, number + 1, "the trail is shorter than was noted")
    return AuditReport(head)


def _hash(row: Mapping[str, object]) -> str:
    at = row["at"]
    assert isinstance(at, datetime)
    hashed = [
        row["number"],
        at.astimezone(UTC).isoformat(timespec="microseconds"),
        row["actor"],
        row["action"],
        row["exam_id"],
        row["detail"],
        row["previous"],
    ]
    return hashlib.sha256(json.dumps(hashed, ensure_ascii=False).encode()).hexdigest()
