"""The state of a node: its settings, its database and its two stores."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings.encryption import Seal, open_seal
from mammolens.serve.holdings.store import Store, sweep
from mammolens.serve.record import Database, audit, look_into, open_database
from mammolens.serve.settings import NodeSettings

__all__ = ["NodeState", "Notices", "join_state", "look_state", "open_state", "open_to_others"]

NOBODY_ELSE: Final = 0o077  # Bits of a file mode that must not be set.
GROUP_MAY_READ: Final = 0o027  # The same, if the group may read.
_LEASE_TOKEN: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Notices:
    """Problems that are not in the database; readiness shows them. Safe for threads."""

    _problems: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, about: str, words: str | None) -> bool:
        """Set or clear (``None``) the problem with something; return whether it changed."""
        with self._lock:
            before = self._problems.pop(about, None)
            if words is not None:
                self._problems[about] = words
            return before != words

    def all(self) -> tuple[str, ...]:
        """List all problems, each with its subject."""
        with self._lock:
            return tuple(f"{about}: {words}" for about, words in sorted(self._problems.items()))


@dataclass(frozen=True)
class NodeState:
    """The settings, database and stores of the node; safe for threads, but not across a fork.

    `received` has the received objects, and `results` the files of the sinks. `notices` are the
    problems of this process.
    """

    settings: NodeSettings
    database: Database
    received: Store
    results: Store
    notices: Notices = field(default_factory=Notices, repr=False, compare=False)

    def kept_as(self, uid: str) -> str:
        """Give the UID in the database for a UID that others use."""
        seal = self.results.seal
        return uid if seal is None else seal.pseudonyms.uid(uid)


@contextlib.contextmanager
def open_state(settings: NodeSettings) -> Iterator[NodeState]:
    """Open the state, update its tables, and remove files that crashes left behind.

    Raises
    ------
    ConfigError
        The database URL is not valid, or the tables are of a newer mammolens.
    StorageError
        The database is away or has another key, or the data folder cannot be used.
    """
    with join_state(settings) as state:
        for path in open_to_others(settings):
            with contextlib.suppress(OSError):  # `node check` reports the others
                path.chmod(path.lstat().st_mode & ~_closed_bits(settings) & 0o7777)
        for store in (state.received, state.results):
            sweep(state.database, store)
        _remove_old_work(settings.scratch / "work")
        yield state


@contextlib.contextmanager
def join_state(settings: NodeSettings) -> Iterator[NodeState]:
    """Open the state like `open_state`, but remove no files: another process has just done so.

    Raises
    ------
    ConfigError, StorageError
        As `open_state`.
    """
    if settings.share_with_group:
        os.umask(GROUP_MAY_READ)
    database = open_database(settings.database_url)
    try:
        seal = open_seal(database, settings.intake.deidentify)
        drafts = _private(settings.scratch) / "drafts" if seal else None
        yield _state_of(settings, database, seal, drafts)
    finally:
        with contextlib.suppress(StorageError):
            audit.write_counted_refusals(database)
        database.close()


@contextlib.contextmanager
def look_state(settings: NodeSettings) -> Iterator[NodeState]:
    """Open the state for reading only: nothing is made, migrated, removed or written.

    Raises
    ------
    ConfigError
        There is no database yet, or it is of another version or program.
    StorageError
        The database is away or has another key.
    """
    database = look_into(settings.database_url)
    try:
        yield _state_of(
            settings,
            database,
            open_seal(database, settings.intake.deidentify, read_only=True),
            None,
        )
    finally:
        database.close()


def _state_of(
    settings: NodeSettings, database: Database, seal: Seal | None, drafts: Path | None
) -> NodeState:
    reserve = settings.intake.min_free_mb << 20
    received = Store(settings.data / "received", reserve, drafts=drafts)
    results = Store(settings.data / "results", seal=seal)
    return NodeState(settings, database, received, results)


def open_to_others(settings: NodeSettings) -> list[Path]:
    """List the files and folders of the node that more users can read than the settings allow.

    Only the outermost ones are checked, because they protect their content.
    """
    ours = [settings.data / name for name in ("received", "results")]
    url = sa.make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        ours += [Path(f"{url.database}{end}") for end in ("", "-wal", "-shm")]
    found = []
    for path in ours:
        with contextlib.suppress(OSError):
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & _closed_bits(settings):
                found.append(path)
    return found


def _remove_old_work(folder: Path) -> None:
    """Remove the files in work that an earlier mammolens wrote here, in a folder for each lease.

    Anything else in the folder stays, and a link is not followed.
    """
    with contextlib.suppress(OSError):
        if folder.is_symlink():
            return
        for path in folder.iterdir():
            if _LEASE_TOKEN.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
        folder.rmdir()


def _closed_bits(settings: NodeSettings) -> int:
    return GROUP_MAY_READ if settings.share_with_group else NOBODY_ELSE


def _private(folder: Path) -> Path:
    """Make a folder that only this user can read, or check that it is one."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StorageError(
            f"the folder cannot be made ({error.strerror})",
            source=str(folder),
            keyword="intake.deidentify.scratch",
        ) from error
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise ConfigError(
            "others can look into the folder",
            source=str(folder),
            keyword="intake.deidentify.scratch",
            remedy="Remove it, or name a folder of your own",
        )
    return folder
