"""Migrate the tables; a database of another program is refused."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import ConfigError, StorageError

__all__ = ["check_sqlite_file", "check_version", "migrate", "refuse_foreign"]

MIGRATIONS: Final = Path(__file__).with_name("migrations")
_OURS: Final = frozenset({"audit_head", "exams", "instances", "jobs"})
"""Tables that every version of the node has."""
_VERSIONS: Final = "alembic_version"
_NAMED: Final = 3
_HEADER: Final = b"SQLite format 3\x00"


def migrate(connection: sa.Connection) -> None:
    """Update the tables to this version.

    Raises
    ------
    ConfigError
        The tables are of another program, or of a newer mammolens; nothing was written.
    """
    from alembic.runtime.environment import EnvironmentContext

    config, scripts = _scripts()
    refuse_foreign(*_read_schema(connection))

    def upgrade(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs("head", revision)

    with EnvironmentContext(config, scripts, fn=upgrade) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def check_version(connection: sa.Connection) -> None:
    """Check that the tables are those of this version; nothing is written.

    Raises
    ------
    ConfigError
        The tables are missing, of another program, or of another version of mammolens.
    """
    tables, version = _read_schema(connection)
    refuse_foreign(tables, version)
    if version != _scripts()[1].get_current_head():
        raise ConfigError(
            "the tables do not exist yet, or are of an older mammolens",
            keyword="database",
            remedy="Start the node or a worker once: that updates them",
        )


def check_sqlite_file(file: Path) -> None:
    """Check a file before it is opened for writing, which would change it.

    Raises
    ------
    ConfigError
        It is not an SQLite database, or it belongs to another program or a newer mammolens.
    StorageError
        It is damaged.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(len(_HEADER))
    except OSError:
        return  # it does not exist, or opening it will raise an error
    if head and head != _HEADER:
        raise ConfigError(
            "the file is not an SQLite database",
            source=str(file),
            keyword="database",
            remedy="Name another file; this one was not changed",
        )
    address = f"{file.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            named = "SELECT name FROM sqlite_master WHERE type = 'table'"
            tables = {row[0] for row in connection.execute(named)}
            version = None
            if _VERSIONS in tables:
                row = connection.execute(f"SELECT version_num FROM {_VERSIONS}").fetchone()
                version = row and row[0]
    except sqlite3.OperationalError:
        return  # it is locked or not readable: opening it will raise an error
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"the database is damaged ({error})",
            source=str(file),
            remedy="Restore it from a backup; this file was not changed",
        ) from error
    refuse_foreign(tables, version)


def refuse_foreign(tables: Iterable[str], version: str | None) -> None:
    """Refuse a database with the tables of another program, by their names.

    Parameters
    ----------
    version
        The version in the table of versions, if there is one.

    Raises
    ------
    ConfigError
    """
    found = {name for name in tables if not name.startswith("sqlite_")}
    ours = found >= _OURS
    known = {script.revision for script in _scripts()[1].walk_revisions()}
    if ours and version in known:
        return
    if ours and version is not None:
        raise ConfigError(
            "the tables were made by a newer mammolens",
            keyword="database",
            remedy="Install that version again, or name another database",
        )
    others = sorted(found - {_VERSIONS})
    if not others and version is None:
        return
    held = ", ".join(others[:_NAMED]) or f"{_VERSIONS} {version}"
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    raise ConfigError(
        f"the database belongs to another program: it holds {held}{more}",
        keyword="database",
        remedy="Name an empty database; nothing was written into this one",
    )


def _read_schema(connection: sa.Connection) -> tuple[list[str], str | None]:
    tables = sa.inspect(connection).get_table_names()
    if _VERSIONS not in tables:
        return tables, None
    try:
        held = connection.execute(sa.text(f"SELECT version_num FROM {_VERSIONS}")).scalars().all()
    except sa.exc.ProgrammingError as error:
        raise StorageError("the database cannot be read", remedy="Check its rights") from error
    return tables, str(held[0]) if held else None


def _scripts() -> tuple[Any, Any]:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config, ScriptDirectory.from_config(config)
