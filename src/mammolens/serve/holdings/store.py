"""Files on disk under the SHA-256 of their content: written whole or not at all, never changed.

A file is written under a temporary name, flushed to the disk, renamed, and its folder flushed: once
`Store.put` has returned, no loss of power takes it away. Rows of the database say what a file is;
one that no row speaks of is an orphan of a transaction that did not come about, and `sweep` removes
it, never one that a running transaction is about to speak of.
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
from pathlib import Path
from typing import BinaryIO, Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve.holdings.encryption import Seal, unseal
from mammolens.serve.record import FILES, INSTANCES, PICTURES, Database, Role, batches

__all__ = ["ORPHAN_AGE_S", "Draft", "Store", "Stored", "flush", "sweep"]

ORPHAN_AGE_S: Final = 3600.0
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Stored:
    """A file that is kept: SHA-256 of its bytes, and how many they are."""

    digest: str
    size: int


class Draft:
    """A file that is written, and hashed, while its content comes in; `Store.put` keeps it.

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
        """SHA-256 of what was written so far."""
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
        """Open what was written, for reading."""
        return self.path.open("rb")

    def take(self) -> bytes:
        """Give the content, and discard the file."""
        content = self.path.read_bytes()
        self.discard()
        return content

    def finish(self) -> Stored:
        """Bring everything to the disk."""
        os.fsync(self._out.fileno())
        self._out.close()
        return Stored(self.digest, self.size)

    def discard(self) -> None:
        """Give the file up; one that was kept is not touched."""
        self._out.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Store:
    """A folder of content-addressed files; `min_free` bytes of its disk are left free.

    With a `seal` files are sealed when they are put, and opened when they are read; their digest
    is that of the sealed bytes. Drafts lie in `drafts`, if they must not reach the disk: such
    a draft is read, and what is made of it is put.
    """

    folder: Path
    min_free: int = 0
    seal: Seal | None = None
    drafts: Path | None = None

    def path(self, digest: str) -> Path:
        """Where a file lies, or would lie."""
        return self.folder / digest[:2] / digest

    def read(self, digest: str) -> bytes:
        """Read a file.

        Raises
        ------
        StorageError
            It is gone or cannot be read.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError as error:
            raise _refusal(self.folder, error, "read") from error
        return unseal(self.seal, content)

    def draft(self) -> Draft:
        """Begin a file whose content is yet to come.

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
        """Keep a file; the same content again is the same file.

        Raises
        ------
        StorageError
            The disk is full or cannot be written: nothing is kept then.
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
        """Make sure that a file is still there, once its row is written but not yet committed.

        Raises
        ------
        StorageError
            A sweep took it in between: the sender must send again.
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
    """Remove files that no row speaks of and that are older than `age_s`; say how many.

    Inserts of rows wait while files are removed, and `Store.require` looks after an insert, so
    that no file is taken from under a transaction.

    Raises
    ------
    StorageError
        The folder or the database cannot be used.
    """
    removed = 0
    try:
        old = list(store.older_than(age_s))
        for some in batches(old):
            removed += _sweep_some(database, some)
    except OSError as error:
        raise _refusal(store.folder, error, "swept") from error
    return removed


def _sweep_some(database: Database, paths: Sequence[Path]) -> int:
    names = [path.name for path in paths]
    with database.read() as connection:
        orphans = {*names} - _spoken_of(connection, names)
    if not orphans:
        return 0
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.text("LOCK TABLE instances, files, pictures IN SHARE MODE"))
        orphans -= _spoken_of(connection, sorted(orphans))
        for path in paths:
            if path.name in orphans:
                path.unlink(missing_ok=True)
    return len(orphans)


def _spoken_of(connection: sa.Connection, names: list[str]) -> set[str]:
    received = sa.select(INSTANCES.c.digest).where(
        INSTANCES.c.digest.in_(names), INSTANCES.c.role != Role.IGNORED.value
    )
    made = sa.select(FILES.c.digest).where(FILES.c.digest.in_(names))
    shown = sa.select(PICTURES.c.digest).where(PICTURES.c.digest.in_(names))
    asked = (received, made, shown)
    return {str(name) for one in asked for name in connection.execute(one).scalars()}


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each entered on the disk in the one that holds it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk.

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
