"""Heartbeats: a process renews its leases, and enters that it is alive."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.record.database import Database, insert_once
from mammolens.serve.record.leases import Lease, renew
from mammolens.serve.record.tables import PROCESSES
from mammolens.serve.threads import running

__all__ = ["Pulse", "beating", "count_present", "present"]

BEATS_PER_LEASE: Final = 4
BEAT_S: Final = 10.0
SILENT_AFTER_S: Final = 45.0
"""A process without a heartbeat for so long does not count as alive."""
FORGOTTEN_AFTER_S: Final = 86_400.0
"""The row of a process without a heartbeat for so long is deleted."""


@dataclass
class Pulse:
    """The leases that this process holds.

    Each has two monotonic times: until when it is certainly held, and until when it may be renewed.
    If work is held for longer, it counts as hung, and its lease is not renewed.
    """

    lease_s: float
    _held: dict[Lease, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def holding(self, leases: Sequence[Lease], since: float, longest_s: float) -> Iterator[None]:
        """Renew leases that were claimed after `since` (monotonic), for at most `longest_s`."""
        with self._lock:
            self._held |= dict.fromkeys(leases, (since + self.lease_s, since + longest_s))
        try:
            yield
        finally:
            with self._lock:
                for lease in leases:
                    self._held.pop(lease, None)

    def holds(self, lease: Lease) -> bool:
        """Whether no other process can have claimed this work yet."""
        with self._lock:
            return time.monotonic() < self._held.get(lease, (0.0, 0.0))[0]

    def beat(self, database: Database, table: sa.Table) -> None:
        """Renew the leases that may be renewed.

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
    """Give a pulse that renews its leases in a thread until the block ends."""
    pulse = Pulse(lease_s)
    with _repeated("pulse", lambda: pulse.beat(database, table), lease_s / BEATS_PER_LEASE):
        yield pulse


@contextlib.contextmanager
def present(database: Database, kind: str, beat_s: float = BEAT_S) -> Iterator[None]:
    """Enter regularly that a process is alive, until the block ends.

    Parameters
    ----------
    kind
        ``worker``, ``node``, ``deliver``.
    """
    name = f"{kind}:{socket.gethostname()}:{os.getpid()}"[:128]
    try:
        with _repeated("presence", lambda: _note(database, kind, name), beat_s):
            yield
    finally:
        with _logged("presence"), database.write() as connection:
            connection.execute(PROCESSES.delete().where(PROCESSES.c.name == name))


def count_present(database: Database, connection: sa.Connection, kind: str) -> int:
    """Count the processes of a kind that are alive."""
    since = database.now(connection) - timedelta(seconds=SILENT_AFTER_S)
    found = sa.select(sa.func.count()).where(PROCESSES.c.kind == kind, PROCESSES.c.seen_at >= since)
    return int(connection.execute(found).scalar_one())


def _note(database: Database, kind: str, name: str) -> None:
    with database.write() as connection:
        now = database.now(connection)
        row = {"name": name, "kind": kind, "seen_at": now}
        if insert_once(connection, PROCESSES, row):
            forgotten = now - timedelta(seconds=FORGOTTEN_AFTER_S)
            connection.execute(PROCESSES.delete().where(PROCESSES.c.seen_at < forgotten))
        else:
            known = PROCESSES.c.name == name
            connection.execute(PROCESSES.update().where(known).values(seen_at=now))


@contextlib.contextmanager
def _repeated(room: str, act: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call a function now and then regularly, in a thread, until the block ends."""
    ended = threading.Event()

    def run() -> None:
        while True:
            with _logged(room):
                act()
            if ended.wait(every_s):
                return

    with running(room, ended, run):
        yield


@contextlib.contextmanager
def _logged(room: str) -> Iterator[None]:
    """Log it if the database is away, and continue."""
    try:
        yield
    except StorageError:
        logs.event(room, "database_away", logging.ERROR)
