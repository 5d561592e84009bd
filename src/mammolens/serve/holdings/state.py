"""The durable state of a node as one handle: its settings, its database, its two stores."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings.seal import Seal, open_seal
from mammolens.serve.holdings.store import Store, sweep
from mammolens.serve.record import Database, open_database
from mammolens.serve.settings import NodeSettings

__all__ = ["NodeState", "Notices", "join_state", "open_state"]


@dataclass
class Notices:
    """What a person must see to and no table tells; readiness repeats it. Safe for threads."""

    _told: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, about: str, words: str | None) -> bool:
        """Say what is wrong with something, or ``None``: nothing is; say whether that is new."""
        with self._lock:
            before = self._told.pop(about, None)
            if words is not None:
                self._told[about] = words
            return before != words

    def all(self) -> tuple[str, ...]:
        """List everything, each with what it is about."""
        with self._lock:
            return tuple(f"{about}: {words}" for about, words in sorted(self._told.items()))


@dataclass(frozen=True)
class NodeState:
    """What every process of the node opens; safe for threads, not to be carried over a fork.

    `received` holds the objects as they came, `results` the files that sinks wrote, `notices` what
    this process cannot do by itself.
    """

    settings: NodeSettings
    database: Database
    received: Store
    results: Store
    notices: Notices = field(default_factory=Notices, repr=False, compare=False)

    def kept_as(self, uid: str) -> str:
        """Give the UID that stands in the tables for one that others know."""
        seal = self.results.seal
        return uid if seal is None else seal.pseudonyms.uid(uid)


@contextlib.contextmanager
def open_state(settings: NodeSettings) -> Iterator[NodeState]:
    """Open the state, bring its tables up to date, and sweep what crashes left behind.

    Raises
    ------
    ConfigError
        The database URL is none, or its tables are of a newer mammolens.
    StorageError
        The database is away or sealed with another key, or the data folder cannot be used.
    """
    with join_state(settings) as state:
        for store in (state.received, state.results):
            sweep(state.database, store)
        yield state


@contextlib.contextmanager
def join_state(settings: NodeSettings) -> Iterator[NodeState]:
    """Open the state as `open_state` does, and sweep nothing: another process has just done so.

    Raises
    ------
    ConfigError, StorageError
        As `open_state`.
    """
    database = open_database(settings.database_url)
    try:
        seal = open_seal(database, settings.intake.deidentify)
        drafts = _private(settings.scratch) / "drafts" if seal else None
        yield _state_of(settings, database, seal, drafts)
    finally:
        database.close()


def _state_of(
    settings: NodeSettings, database: Database, seal: Seal | None, drafts: Path | None
) -> NodeState:
    reserve = settings.intake.min_free_mb << 20
    received = Store(settings.data / "received", reserve, drafts=drafts)
    results = Store(settings.data / "results", seal=seal)
    return NodeState(settings, database, received, results)


def _private(folder: Path) -> Path:
    """Make a folder that nobody else can look into, or make sure that it is one."""
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
