"""Connections to PostgreSQL, with a time limit for every wait.

The server ends a statement that takes too long, and a long wait for a lock. If the server is
stopped, or the network loses all packets, there is no answer at all: then this side limits the
wait, and closes the connection.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Final

import sqlalchemy as sa

__all__ = ["postgres_engine", "without_limits"]

CONNECT_S: Final = 10
"""Most seconds for a connection; a server in the same hospital answers in milliseconds."""
STATEMENT_S: Final = 60.0
"""Most seconds for a statement; our slowest one reads a million rows in a few seconds."""
LOCK_S: Final = 30.0
"""Most seconds for the lock of a row; transactions take milliseconds."""
ANSWER_S: Final = 90.0
"""Seconds of silence until a connection is closed; longer than a statement may take."""
KEEPALIVE: Final = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""A lost server is noticed after one minute."""


def postgres_engine(url: sa.URL) -> sa.Engine:
    """Make an engine with time limits; parameters of the URL take precedence.

    Raises
    ------
    ModuleNotFoundError
        psycopg is not installed.
    """
    import psycopg
    from psycopg.types.string import StrDumperUnknown

    class WithoutNul(StrDumperUnknown):
        """Texts with U+FFFD for NUL, which PostgreSQL cannot store and SQLite can."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    class Bounded(psycopg.Connection[Any]):
        """A connection that is closed if the server is silent for too long."""

        patience_s: float | None = None

        def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
            limit_s = ANSWER_S if self.patience_s is None else self.patience_s
            try:
                return super().wait(_limited(gen, limit_s), *arguments, **named)
            except _Silent as error:
                self.pgconn.finish()
                raise psycopg.OperationalError("the server does not answer") from error

    defaults = {"connect_timeout": str(CONNECT_S), **KEEPALIVE}
    url = url.update_query_dict({k: v for k, v in defaults.items() if k not in url.query})
    engine = sa.create_engine(url, pool_pre_ping=True, hide_parameters=True)

    @sa.event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, named: Any) -> Any:
        return Bounded.connect(*arguments, **named)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.adapters.register_dumper(str, WithoutNul)
        for name, seconds in (("statement_timeout", STATEMENT_S), ("lock_timeout", LOCK_S)):
            connection.execute(f"SET {name} = {int(seconds * 1000)}")
        connection.commit()

    return engine


def without_limits(connection: sa.Connection) -> None:
    """Remove the time limits of a transaction: a migration may rewrite a large table."""
    driver: Any = connection.connection.driver_connection
    driver.patience_s = float("inf")
    connection.execute(sa.text("SET LOCAL statement_timeout = 0"))


class _Silent(Exception):
    """The server was silent for too long."""


def _limited(gen: Generator[Any, Any, Any], limit_s: float) -> Generator[Any, Any, Any]:
    """Limit the steps of psycopg's protocol; its loop runs at least ten steps a second."""
    until = time.monotonic() + limit_s
    try:
        asked = next(gen)
        while True:
            ready = yield asked
            if not ready and time.monotonic() > until:
                gen.close()
                raise _Silent
            asked = gen.send(ready)
    except StopIteration as ended:
        return ended.value
