"""The durable state of a node as one handle: its settings, its database, its two stores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from mammolens.serve.database import Database, open_database
from mammolens.serve.settings import NodeSettings
from mammolens.serve.store import Store, sweep

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


@contextlib.contextmanager
def open_state(settings: NodeSettings) -> Iterator[NodeState]:
    """Open the state, bring its tables up to date, and sweep what crashes left behind.

    Raises
    ------
    ConfigError
        The database URL is none, or its tables are of a newer mammolens.
    StorageError
        The database is away, or the data folder cannot be used.
    """
    database = open_database(settings.database_url)
    try:
        reserve = settings.intake.min_free_mb << 20
        received = Store(settings.data / "received", reserve)
        results = Store(settings.data / "results")
        for store in (received, results):
            sweep(database, store)
        yield NodeState(settings, database, received, results)
    finally:
        database.close()
