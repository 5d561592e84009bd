"""The durable state of a node as one handle: its settings, its database, its two stores."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings.seal import open_seal
from mammolens.serve.holdings.store import Store, sweep
from mammolens.serve.record import Database, audit, open_database
from mammolens.serve.settings import NodeSettings

__all__ = ["NodeState", "open_state"]


@dataclass(frozen=True)
class NodeState:
    """What every process of the node opens; safe for threads, not to be carried over a fork.

    `received` holds the objects as they came, `results` the files that sinks wrote.
    """

    settings: NodeSettings
    database: Database
    received: Store
    results: Store

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
    database = open_database(settings.database_url)
    try:
        reserve = settings.intake.min_free_mb << 20
        seal = open_seal(database, settings.intake.deidentify)
        drafts = _private(settings.scratch) / "drafts" if seal else None
        received = Store(settings.data / "received", reserve, drafts=drafts)
        results = Store(settings.data / "results", seal=seal)
        for store in (received, results):
            sweep(database, store)
        yield NodeState(settings, database, received, results)
    finally:
        with contextlib.suppress(StorageError):
            audit.write_counted_refusals(database)
        database.close()


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
