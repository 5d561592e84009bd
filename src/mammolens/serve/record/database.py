"""One database, SQLite or PostgreSQL: opened, migrated, and used in short transactions.

SQLite runs in WAL mode with ``synchronous=FULL``: a commit is on the disk when it returns. A write
transaction begins with ``BEGIN IMMEDIATE``, so that writers wait in line and none fails half-way.
On PostgreSQL, rows are locked (``FOR UPDATE``), and rows that another process holds are skipped.

**Time.** Leases and waits use one clock: that of the server on PostgreSQL (``clock_timestamp()``),
and that of the host on SQLite, which all processes share. This clock may jump. `leases` shortens
times that are too far ahead, so a jump delays work by at most one wait. Heartbeats and time limits
within a process use a monotonic clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.record.postgres import postgres_engine, without_limits
from mammolens.serve.record.refusals import Refusals
from mammolens.serve.record.schema import check_sqlite_file, check_version, migrate

__all__ = ["Clock", "Database", "insert_once", "look_into", "open_database", "server_time"]

SQLITE_WAIT_S: Final = 30.0
MIGRATION_LOCK: Final = 0x6D616D6D
STALE: Final = frozenset({8, 10, 11, 14, 26})
"""READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB of SQLite; after them, connections are reopened."""
AWAY_CLASSES: Final = frozenset({"08", "25", "40", "53", "55", "57", "58", "XX"})
"""Classes of SQLSTATE: connection, read-only transaction, rollback, no resources, lock, operator,
system and internal errors (PostgreSQL, appendix A)."""
INSUFFICIENT_PRIVILEGE: Final = "42501"
READ_ONLY: Final = "25006"

Clock = Callable[[sa.Connection], datetime]
"""Gives the time in UTC for leases and waits."""


@dataclass(frozen=True)
class Database:
    """An open, migrated database; safe for threads, but not across a fork."""

    engine: sa.Engine
    clock: Clock = field(repr=False)
    refusals: Refusals = field(default_factory=Refusals, repr=False, compare=False)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on this host."""
        return self.engine.dialect.name == "sqlite"

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that only reads.

        Raises
        ------
        StorageError
            The database is away.
        """
        with _named(self.engine), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a transaction for writing; it is on the disk when the block ends.

        If the commit raises `StorageError`, the outcome is unknown: the caller may write the same
        again.

        Raises
        ------
        StorageError
            The database is away, busy for too long, or its disk is full.
        """
        with _named(self.engine), self.engine.connect() as connection:
            writing = connection.execution_options(mammolens_begin="IMMEDIATE")
            with writing.begin():
                yield writing

    def can_write(self) -> bool:
        """Check that the database can be written, by an update that changes nothing."""
        touch = "UPDATE processes SET seen_at = seen_at WHERE id = (SELECT max(id) FROM processes)"
        try:
            with self.write() as connection:
                connection.execute(sa.text(touch))
        except StorageError:
            return False
        return True

    def now(self, connection: sa.Connection) -> datetime:
        """Give the time for leases and waits."""
        return self.clock(connection)

    def close(self) -> None:
        """Close all connections."""
        self.refusals.stop()
        self.engine.dispose()


def open_database(url: str, clock: Clock | None = None) -> Database:
    """Open a database and update its tables; several processes may do so at the same time.

    Parameters
    ----------
    url
        SQLAlchemy URL of SQLite or PostgreSQL.
    clock
        Replaces the clock of the server.

    Raises
    ------
    ConfigError
        The URL is not valid, its driver is not installed, or the tables are of a newer mammolens or
        of another program. Nothing was written.
    StorageError
        The database is away or cannot be written.
    """
    engine = _engine(url)
    database = Database(engine, clock or server_time)
    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                without_limits(connection)
            migrate(connection)
        if not database.is_sqlite:
            engine.dispose()  # its connection has no time limits
    except BaseException:
        engine.dispose()
        raise
    return database


def look_into(url: str) -> Database:
    """Open a database for reading only: nothing is made, updated or written.

    Raises
    ------
    ConfigError
        The URL is not valid, or the tables are missing or of another version.
    StorageError
        The database is away.
    """
    with contextlib.suppress(sa.exc.ArgumentError):  # `_engine` names the fault
        _refuse_absent(sa.make_url(url))
    engine = _engine(url)
    only_read = "PRAGMA query_only = ON"
    if engine.dialect.name != "sqlite":
        only_read = "SET default_transaction_read_only = on"

    @sa.event.listens_for(engine, "connect")
    def _make_read_only(connection: Any, _record: Any) -> None:
        connection.execute(only_read)
        if engine.dialect.name != "sqlite":
            connection.commit()

    database = Database(engine, server_time)
    try:
        with database.read() as connection:
            check_version(connection)
    except BaseException:
        engine.dispose()
        raise
    return database


def _refuse_absent(url: sa.URL) -> None:
    file = url.database
    if url.get_backend_name() == "sqlite" and file and not Path(file).is_file():
        raise ConfigError(
            "there is no database yet",
            source=file,
            keyword="database",
            remedy="Start the node once, or correct the path",
        )


def server_time(connection: sa.Connection) -> datetime:
    """Give the time of the database; SQLite uses the clock of this host."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)


def insert_once(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless it violates a unique constraint; return whether it was inserted."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    key = next(iter(table.primary_key.columns))
    adding = make(table).values(dict(values)).on_conflict_do_nothing().returning(key)
    return connection.execute(adding).first() is not None


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        backend = parsed.get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise ConfigError(
                f"{backend} is not supported",
                keyword="database",
                remedy="Use sqlite:///FILE or postgresql://USER@HOST/NAME",
            )
        if backend == "sqlite":
            return _sqlite(parsed)
        return postgres_engine(parsed)
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            "the database URL cannot be understood",
            keyword="database",
            remedy="Use sqlite:///FILE or postgresql://USER@HOST/NAME",
        ) from error
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the database needs {error.name}",
            keyword="database",
            remedy="Run: pip install 'mammolens[postgres]'",
        ) from error


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigError(
            "a database in memory would be lost", keyword="database", remedy="Name a file"
        )
    check_sqlite_file(Path(url.database))
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"the folder cannot be made ({error.strerror})", source=url.database
        ) from error
    engine = sa.create_engine(
        url,
        connect_args={"timeout": SQLITE_WAIT_S, "check_same_thread": False},
        hide_parameters=True,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # The driver would begin deferred transactions, which fail if two readers begin to write.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        kind: Literal["IMMEDIATE", "DEFERRED"] = connection.get_execution_options().get(
            "mammolens_begin", "DEFERRED"
        )
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


@contextlib.contextmanager
def _named(engine: sa.Engine) -> Iterator[None]:
    """Turn failures of the database (not of a statement) into `StorageError`, without values."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if not _is_away(error):
            raise
        if _stays(error):
            engine.dispose()
        reason = "the connection was lost"
        if not error.connection_invalidated:
            reason = str(error.orig or error).strip().partition("\n")[0]
        raise StorageError(
            f"the database cannot be used ({reason})",
            source=engine.url.render_as_string(hide_password=True),
            remedy="Check that it runs and may be written, and that its disk is not full",
        ) from error
    except sa.exc.TimeoutError as error:
        raise StorageError(
            "the database cannot be used (all connections of this process are in use)",
            source=engine.url.render_as_string(hide_password=True),
            remedy="Check that it runs and answers",
        ) from error


def _is_away(error: sa.exc.DBAPIError) -> bool:
    """Whether the database is the cause, and not the statement."""
    if error.connection_invalidated:
        return True
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        return True
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state[:2] in AWAY_CLASSES or state == INSUFFICIENT_PRIVILEGE:
        return True
    return _stays(error)


def _stays(error: sa.exc.DBAPIError) -> bool:
    """Whether the connection keeps this fault, such as one opened while the disk was read-only."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in STALE or getattr(error.orig, "sqlstate", None) == READ_ONLY
