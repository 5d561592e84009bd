"""Uploads that come: begun, written piece by piece, looked at, given up.

The database says how many bytes are on the disk for good. A piece that begins anywhere else is
refused, so that repeated and overlapping pieces change nothing; after a crash the sender hears
where to go on. One connection writes to an upload at a time; a second one takes its place, since
the first may be a line that is dead.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

import sqlalchemy as sa

from mammolens.serve.holdings import NodeState
from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.record import UPLOAD_MEMBERS, UPLOADS, UploadState, audit
from mammolens.serve.uploads.consents import Consent, enter_consent
from mammolens.serve.uploads.files import (
    away,
    check_room,
    open_locked,
    remove_file,
    upload_path,
)
from mammolens.serve.uploads.photographs import PhotographFacts
from mammolens.serve.uploads.sites import may_upload, upload_site, upload_sites

__all__ = [
    "Progress",
    "Upload",
    "Writer",
    "begin_upload",
    "cancel_upload",
    "find_upload",
    "list_progress",
    "list_uploads",
    "open_writer",
]

NOTED_BYTES: Final = 16 << 20
"""After so many bytes the disk is flushed and the database told: what a crash costs at most."""
MOST_LISTED: Final = 200


@dataclass(frozen=True)
class Upload:
    """One upload of a person."""

    id: str
    name: str
    site_id: int
    length: int
    received: int
    state: UploadState
    problem: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Progress:
    """How far an upload is."""

    id: str
    received: int
    length: int
    state: UploadState


def begin_upload(
    state: NodeState,
    person: Person,
    site: str | None,
    name: str,
    length: int,
    keep: Callable[[sa.Connection, str], object] | None = None,
    consent: Consent | None = None,
    photograph: PhotographFacts | None = None,
) -> Upload:
    """Begin an upload.

    Parameters
    ----------
    site
        Key or number of the site; ``None``: the only one where the person uploads.
    keep
        Called with the number of the upload in the transaction that enters it.
    consent
        What the patient agreed to; health workers must send it.
    photograph
        What the person says of it, if it is a photograph of a film.

    Raises
    ------
    Refused
        The person uploads at no such site, it is too large, too many are open, or has no consent.
    StorageError
        The disk is full.
    """
    uploads = state.settings.uploads
    if length > uploads.max_mb << 20:
        raise Refused(Refusal.TOO_LARGE)
    upload_id = secrets.token_urlsafe(32)
    path = upload_path(state, upload_id)
    with state.database.read() as connection:
        site_id = upload_site(connection, person, site)
    if not may_upload(person, site_id, has_consent=consent is not None):
        raise Refused(Refusal.CONSENT)
    check_room(state, length)
    open_locked(path, make=True).close()
    try:
        with state.database.write() as connection:
            mine = UPLOADS.c.person_id == person.id, UPLOADS.c.state != UploadState.DONE.value
            counted = sa.select(sa.func.count()).select_from(UPLOADS).where(*mine)
            if connection.execute(counted).scalar_one() >= uploads.max_open:
                raise Refused(Refusal.TOO_MUCH)
            now = state.database.now(connection)
            row = {
                "id": upload_id,
                "person_id": person.id,
                "site_id": site_id,
                "name": name[:255],
                "length": length,
                "received": 0,
                "state": (UploadState.COMING if length else UploadState.WHOLE).value,
                "photograph": photograph.pack() if photograph is not None else None,
                "created_at": now,
                "changed_at": now,
                "consent_id": consent.id if consent is not None else None,
            }
            connection.execute(UPLOADS.insert().values(**row))
            if consent is not None:
                enter_consent(state, connection, person, site_id, consent)
            detail: audit.Detail = {"site": site_id, "bytes": length, "upload": upload_id[:8]}
            audit.append(state.database, connection, person.actor, "upload_begun", None, detail)
            if keep is not None:
                keep(connection, upload_id)
    except BaseException:
        remove_file(path)
        raise
    return find_upload(state, person, upload_id)


def find_upload(state: NodeState, person: Person, upload_id: str) -> Upload:
    """Find an upload of a person's own.

    Raises
    ------
    Refused
        There is none.
    """
    with state.database.read() as connection:
        return _upload(_own(connection, person, upload_id))


def list_uploads(state: NodeState, person: Person) -> list[Upload]:
    """List a person's uploads, the newest first."""
    asked = (
        sa.select(UPLOADS)
        .where(UPLOADS.c.person_id == person.id)
        .order_by(UPLOADS.c.created_at.desc(), UPLOADS.c.id)
        .limit(MOST_LISTED)
    )
    with state.database.read() as connection:
        return [_upload(row) for row in connection.execute(asked)]


def list_progress(connection: sa.Connection, person: Person) -> list[Progress]:
    """Say how far the newest uploads of a person are."""
    if not upload_sites(person):
        return []
    asked = (
        sa.select(UPLOADS)
        .where(UPLOADS.c.person_id == person.id)
        .order_by(UPLOADS.c.changed_at.desc())
        .limit(MOST_LISTED)
    )
    rows = connection.execute(asked).all()
    return [Progress(r.id, r.received, r.length, UploadState(r.state)) for r in rows]


def cancel_upload(state: NodeState, person: Person, upload_id: str) -> None:
    """Give an upload up, or forget one that is done.

    Raises
    ------
    Refused
        There is none, or it is being received.
    """
    with state.database.read() as connection:
        row = _own(connection, person, upload_id)
    path = upload_path(state, upload_id)
    _end_writer(upload_id)
    held = open_locked(path) if path.exists() else None
    try:
        with state.database.write() as connection:
            row = _own(connection, person, upload_id)
            if row.state == UploadState.WHOLE.value:
                raise Refused(Refusal.IN_USE, retry_after_s=2)
            members = UPLOAD_MEMBERS.c.upload_id == upload_id
            connection.execute(UPLOAD_MEMBERS.delete().where(members))
            connection.execute(UPLOADS.delete().where(UPLOADS.c.id == upload_id))
            detail: audit.Detail = {"site": row.site_id, "upload": upload_id[:8]}
            audit.append(state.database, connection, person.actor, "upload_ended", None, detail)
        remove_file(path)
    finally:
        if held is not None:
            held.close()


@dataclass
class Writer:
    """One connection that writes to an upload; safe for a second one that ends it."""

    state: NodeState
    upload_id: str
    length: int
    received: int
    file: BinaryIO = field(repr=False)
    _noted: int = 0
    _is_closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def write(self, piece: bytes) -> None:
        """Add a piece.

        Raises
        ------
        Refused
            It is longer than the upload, or another connection has taken over.
        StorageError
            The disk is full.
        """
        with self._lock:
            if self._is_closed:
                raise Refused(Refusal.IN_USE)
            if self.received + len(piece) > self.length:
                raise Refused(Refusal.TOO_LARGE)
            try:
                rest = memoryview(piece)
                while rest:
                    rest = rest[self.file.write(rest) or 0 :]
            except OSError as error:
                raise away(upload_path(self.state, self.upload_id), error) from error
            self.received += len(piece)
            if self.received - self._noted >= NOTED_BYTES:
                self._note()

    def close(self) -> bool:
        """Keep what came, and let another write; says whether the upload is whole."""
        with self._lock:
            if self._is_closed:
                return False
            self._is_closed = True
            try:
                self._note()
            finally:
                self.file.close()
                with _writers_lock:
                    if _writers.get(self.upload_id) is self:
                        del _writers[self.upload_id]
            return self.received == self.length

    def _note(self) -> None:
        """Bring everything to the disk, then tell the database."""
        os.fsync(self.file.fileno())
        whole = self.received == self.length
        with self.state.database.write() as connection:
            values = {
                "received": self.received,
                "state": (UploadState.WHOLE if whole else UploadState.COMING).value,
                "changed_at": self.state.database.now(connection),
            }
            coming = UPLOADS.c.state == UploadState.COMING.value
            this = UPLOADS.c.id == self.upload_id
            connection.execute(UPLOADS.update().where(this, coming).values(**values))
        self._noted = self.received


_writers: Final[dict[str, Writer]] = {}
_writers_lock: Final = threading.Lock()


def open_writer(state: NodeState, person: Person, upload_id: str, offset: int) -> Writer:
    """Go on with an upload at the place that it has reached.

    Raises
    ------
    Refused
        There is none, it has reached another place, another process writes to it, or the person
        does not upload at its site any more.
    """
    with state.database.read() as connection:
        row = _own(connection, person, upload_id)
        if not may_upload(person, row.site_id, has_consent=row.consent_id is not None):
            raise Refused(Refusal.NOT_ALLOWED)
    _end_writer(upload_id)
    if row.state != UploadState.COMING.value:
        raise Refused(Refusal.OFFSET)
    file = open_locked(upload_path(state, upload_id))
    try:
        with state.database.read() as connection:
            row = _own(connection, person, upload_id)
        if row.state != UploadState.COMING.value or row.received != offset:
            raise Refused(Refusal.OFFSET)
        file.truncate(offset)  # what came after the last note is sent again
        file.seek(offset)
    except BaseException:
        file.close()
        raise
    writer = Writer(state, upload_id, row.length, offset, file, offset)
    with _writers_lock:
        _writers[upload_id] = writer
    return writer


def _end_writer(upload_id: str) -> None:
    with _writers_lock:
        before = _writers.get(upload_id)
    if before is not None:
        before.close()


def _own(connection: sa.Connection, person: Person, upload_id: str) -> sa.Row[Any]:
    mine = sa.and_(UPLOADS.c.id == upload_id, UPLOADS.c.person_id == person.id)
    row = connection.execute(sa.select(UPLOADS).where(mine)).one_or_none()
    if row is None:
        raise Refused(Refusal.UNKNOWN)
    return row


def _upload(row: sa.Row[Any]) -> Upload:
    return Upload(
        row.id,
        row.name,
        row.site_id,
        row.length,
        row.received,
        UploadState(row.state),
        row.problem,
        row.created_at,
        row.changed_at,
    )
