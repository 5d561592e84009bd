"""Which processes of the node are alive: each says so from time to time."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.record.database import Database, insert_once
from mammolens.serve.record.tables import PROCESSES

__all__ = ["count_present", "present"]

BEAT_S: Final = 10.0
SILENT_AFTER_S: Final = 45.0
FORGOTTEN_AFTER_S: Final = 86_400.0


@contextlib.contextmanager
def present(database: Database, kind: str, beat_s: float = BEAT_S) -> Iterator[None]:
    """Say that a process of a kind lives, until the block ends; a database that is away is passed.

    Parameters
    ----------
    kind
        ``worker``, ``node``, ``deliver``.
    """
    name, ended = f"{kind}:{socket.gethostname()}:{os.getpid()}"[:128], threading.Event()

    def run() -> None:
        while True:
            with _passed():
                _note(database, kind, name)
            if ended.wait(beat_s):
                return

    thread = threading.Thread(target=run, name="presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with _passed(), database.write() as connection:
            connection.execute(PROCESSES.delete().where(PROCESSES.c.name == name))


def count_present(database: Database, connection: sa.Connection, kind: str) -> int:
    """Count the processes of a kind that were heard of lately."""
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
def _passed() -> Iterator[None]:
    try:
        yield
    except StorageError:
        logs.event("presence", "database_away", logging.ERROR)
