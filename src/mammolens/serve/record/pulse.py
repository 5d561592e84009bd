"""A heartbeat: one thread that renews every lease which this process holds, until it lets go."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.record.database import Database
from mammolens.serve.record.leases import Lease, renew

__all__ = ["Pulse", "beating"]

BEATS_PER_LEASE: Final = 4


@dataclass
class Pulse:
    """The leases that this process holds.

    Each has two monotonic times: until when it is surely ours, and until when it may be renewed.
    Work that is held for longer stands still, and is let go.
    """

    lease_s: float
    _held: dict[Lease, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def holding(self, leases: Sequence[Lease], since: float, longest_s: float) -> Iterator[None]:
        """Keep leases alive that were taken after `since` (monotonic), for `longest_s` at most."""
        with self._lock:
            self._held |= dict.fromkeys(leases, (since + self.lease_s, since + longest_s))
        try:
            yield
        finally:
            with self._lock:
                for lease in leases:
                    self._held.pop(lease, None)

    def holds(self, lease: Lease) -> bool:
        """Whether nobody else can have been given this work yet."""
        with self._lock:
            return time.monotonic() < self._held.get(lease, (0.0, 0.0))[0]

    def beat(self, database: Database, table: sa.Table) -> None:
        """Renew what may be renewed.

        Raises
        ------
        StorageError
            The database is away.
        """
        began = time.monotonic()
        with self._lock:
            due = [lease for lease, (_, last) in self._held.items() if began < last]
        kept = renew(database, table, due, self.lease_s) if due else frozenset()
        with self._lock:
            for lease in due:
                if lease in self._held:
                    until = began + self.lease_s if lease.id in kept else 0.0
                    self._held[lease] = (until, self._held[lease][1])


@contextlib.contextmanager
def beating(database: Database, table: sa.Table, lease_s: float) -> Iterator[Pulse]:
    """Give a pulse that beats in a thread of its own until the block ends."""
    pulse, ended = Pulse(lease_s), threading.Event()

    def run() -> None:
        while not ended.wait(lease_s / BEATS_PER_LEASE):
            try:
                pulse.beat(database, table)
            except StorageError:
                logs.event("pulse", "database_away", logging.ERROR)

    thread = threading.Thread(target=run, name="heartbeat")
    thread.start()
    try:
        yield pulse
    finally:
        ended.set()
        thread.join()
