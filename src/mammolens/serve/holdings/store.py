"""Files on disk under the SHA-256 of their content: written whole or not at all, never changed.

A file is written under a temporary name, flushed to the disk, renamed, and its folder is flushed:
after `Store.put` has returned, the file survives a loss of power. Rows of the database refer to the
files. If the transaction of a row fails, its file stays as an orphan, and `sweep` removes it.
`sweep` never removes a file that a running transaction is about to refer to.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve.holdings.encryption import MAGIC, Seal, unseal
from mammolens.serve.record import FILES, INSTANCES, PICTURES, Database, Role, batches

__all__ = ["ORPHAN_AGE_S", "Draft", "Store", "Stored", "flush", "sweep"]

ORPHAN_AGE_S: Final = 3600.0
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Stored:
    """A file in a store: the SHA-256 and the number of its bytes."""

    digest: str
    size: int


class Draft:
    """A file that is written and hashed while its content arrives; `Store.put` stores it.

    Attributes
    ----------
    size
        Bytes written so far.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._digest = hashlib.sha256()
        self._out = path.open("xb", buffering=0)

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes written so far."""
        return self._digest.hexdigest()

    def write(self, piece: bytes | memoryview) -> None:
        """Add a piece.

        Raises
        ------
        StorageError
            The disk is full or cannot be written.
        """
        rest = memoryview(piece)
        self._digest.update(rest)
        self.size += len(rest)
        try:
            while rest:
                rest = rest[self._out.write(rest) :]
        except OSError as error:
            raise _refusal(self.path.parent, error, "written") from error

    def open(self) -> BinaryIO:
        """Open the written bytes for reading."""
        return self.path.open("rb")

    def take(self) -> bytes:
        """Give the content, and discard the file."""
        content = self.path.read_bytes()
        self.discard()
        return content

    def finish(self) -> Stored:
        """Flush everything to the disk."""
        os.fsync(self._out.fileno())
        self._out.close()
        return Stored(self.digest, self.size)

    def discard(self) -> None:
        """Delete the draft; after `Store.put`, this does nothing."""
        self._out.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Store:
    """A folder of content-addressed files; `min_free` bytes of its disk are left free.

    With a `seal`, files are encrypted when they are stored and decrypted when they are read; their
    digest is that of the encrypted bytes. `drafts` is another folder for drafts that must not reach
    the disk: the content of such a draft is read and changed, and the result is stored.
    """

    folder: Path
    min_free: int = 0
    seal: Seal | None = None
    drafts: Path | None = None

    def path(self, digest: str) -> Path:
        """Give the path of a file, which may not exist."""
        return self.folder / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        """Read a file.

        Raises
        ------
        StorageError
            The file does not exist or cannot be read.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise _refusal(self.folder, error, "read") from error
        return unseal(self.seal, content)

    def open(self, digest: str) -> BinaryIO:
        """Open a file for reading from any position; one that is sealed is opened in memory.

        Raises
        ------
        StorageError
            It is gone or cannot be read, or is sealed with another key.
        """
        try:
            stream = self.path(digest).open("rb")
            is_sealed = stream.read(len(MAGIC)) == MAGIC
            stream.seek(0)
        except OSError as error:
            raise _refusal(self.folder, error, "read") from error
        if not is_sealed:
            return stream
        with stream:
            return BytesIO(unseal(self.seal, stream.read()))

    def draft(self) -> Draft:
        """Open a draft, whose content is written later.

        Raises
        ------
        StorageError
            The disk is full or cannot be written.
        """
        try:
            self._check_room(0)
            folder = self.drafts or self.folder / "partial"
            _make_folder(folder)
            return Draft(folder / uuid.uuid4().hex)
        except OSError as error:
            raise _refusal(self.folder, error, "written") from error

    def put(self, content: bytes | Draft) -> Stored:
        """Store a file; the same content is stored only once.

        Raises
        ------
        StorageError
            The disk is full or cannot be written; nothing was stored.
        """
        draft = None
        try:
            draft = content if isinstance(content, Draft) else self._drafted(content)
            stored = draft.finish()
            final = self.path(stored.digest)
            _make_folder(final.parent)
            draft.path.replace(final)
            flush(final.parent)
        except OSError as error:
            raise _refusal(self.folder, error, "written") from error
        finally:
            if draft is not None:
                draft.discard()
        return stored

    def require(self, digest: str) -> None:
        """Make sure that a file still exists, after its row was written and before the commit.

        Raises
        ------
        StorageError
            A sweep removed it in between: the sender must send again.
        """
        if not self.path(digest).is_file():
            raise StorageError(
                "a received file was swept away before it was entered",
                source=str(self.folder),
                remedy="Send it again",
            )

    def older_than(self, age_s: float) -> Iterator[Path]:
        """List the files that were last written more than `age_s` seconds ago."""
        limit = time.time() - age_s
        drafts = self.drafts.glob("*") if self.drafts is not None else ()
        for path in (*self.folder.glob("*/*"), *drafts):
            try:
                if path.stat().st_mtime < limit:
                    yield path
            except FileNotFoundError:
                continue

    def _drafted(self, content: bytes) -> Draft:
        kept = content if self.seal is None else self.seal.close(content)
        self._check_room(len(kept))
        draft = Draft(self.folder / "partial" / uuid.uuid4().hex)
        try:
            draft.write(kept)
        except BaseException:
            draft.discard()
            raise
        return draft

    def _check_room(self, size: int) -> None:
        _make_folder(self.folder / "partial")
        if shutil.disk_usage(self.folder).free - size < self.min_free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sweep(database: Database, store: Store, age_s: float = ORPHAN_AGE_S) -> int:
    """Remove files that are older than `age_s` and that no row refers to; give their number.

    Inserts of rows wait while files are removed, and `Store.require` checks after an insert, so
    that no transaction loses its file.

    Raises
    ------
    StorageError
        The folder or the database cannot be used.
    """
    removed = 0
    try:
        old = list(store.older_than(age_s))
        for batch in batches(old):
            removed += _sweep_batch(database, batch)
    except OSError as error:
        raise _refusal(store.folder, error, "swept") from error
    return removed


def _sweep_batch(database: Database, paths: Sequence[Path]) -> int:
    names = [path.name for path in paths]
    with database.read() as connection:
        orphans = {*names} - _referenced(connection, names)
    if not orphans:
        return 0
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.text("LOCK TABLE instances, files, pictures IN SHARE MODE"))
        orphans -= _referenced(connection, sorted(orphans))
        for path in paths:
            if path.name in orphans:
                path.unlink(missing_ok=True)
    return len(orphans)


def _referenced(connection: sa.Connection, names: list[str]) -> set[str]:
    received = sa.select(INSTANCES.c.digest).where(
        INSTANCES.c.digest.in_(names), INSTANCES.c.role != Role.IGNORED.value
    )
    made = sa.select(FILES.c.digest).where(FILES.c.digest.in_(names))
    shown = sa.select(PICTURES.c.digest).where(PICTURES.c.digest.in_(names))
    asked = (received, made, shown)
    return {str(name) for one in asked for name in connection.execute(one).scalars()}


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, and flush each new name to the disk."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk.

    Raises
    ------
    OSError
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refusal(folder: Path, error: OSError, act: str) -> StorageError:
    if error.errno in FULL:
        return StorageError(
            "the disk is full", source=str(folder), remedy="Make room, then send again"
        )
    return StorageError(
        f"the folder cannot be {act} ({error.strerror})",
        source=str(folder),
        remedy="Check that it is there and writable",
    )
