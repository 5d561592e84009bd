"""Backup and restore of the database, and of every file that it refers to.

The database is copied first: SQLite by its backup interface, PostgreSQL by ``pg_dump`` of a
snapshot, in which the digests are read too. Files never change, so they can be copied while the
node works. A backup is complete if it has its manifest. Keys are not part of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from mammolens import __version__
from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings.state import NodeState
from mammolens.serve.holdings.store import Store, flush
from mammolens.serve.record import FILES, INSTANCES, PICTURES, AuditHead, Role, audit, open_database
from mammolens.serve.settings import NodeSettings, child_environment

__all__ = ["BackupReport", "back_up", "restore", "verify_backup"]

SCHEMA: Final = "mammolens.backup/1"
MANIFEST: Final = "manifest.json"
SQLITE: Final = "node.sqlite"
POSTGRES: Final = "node.pgdump"
STORES: Final = ("received", "results")


@dataclass(frozen=True)
class BackupReport:
    """Content of a backup; keep a copy of the head of its audit trail elsewhere."""

    created: str
    database: str
    database_sha256: str
    received: int
    results: int
    bytes: int
    audit_head: str
    version: str


def back_up(state: NodeState, folder: Path) -> BackupReport:
    """Copy the database and its files into a new folder, and verify the copy.

    Parameters
    ----------
    folder
        A new folder; until it is complete, its name ends in ``.partial``.

    Raises
    ------
    ConfigError
        The folder exists already, or ``pg_dump`` is not installed.
    StorageError
        A file cannot be read or written, or was deleted meanwhile.
    """
    if folder.exists():
        raise ConfigError("the folder exists already", source=str(folder), remedy="Name a new one")
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with _named(partial):
            partial.mkdir(parents=True)
            snapshot = _sqlite if state.database.is_sqlite else _postgres
            file, digests, head = snapshot(state, partial)
            size = sum(
                _copy(store, partial / name, digests[name])
                for name, store in zip(STORES, (state.received, state.results), strict=True)
            )
            report = BackupReport(
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                database=file.name,
                database_sha256=_sha256(file),
                received=len(digests["received"]),
                results=len(digests["results"]),
                bytes=size + file.stat().st_size,
                audit_head=str(head),
                version=__version__,
            )
            text = json.dumps({"schema": SCHEMA, **asdict(report)}, indent=1)
            (partial / MANIFEST).write_text(text + "\n", "utf-8")
            verify_backup(partial)
            _flush(partial)
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return report


def verify_backup(folder: Path) -> BackupReport:
    """Check that a backup is complete: all digests, and with SQLite the audit trail.

    Raises
    ------
    StorageError
        The backup is incomplete or changed.
    """
    report = _read_manifest(folder)
    if _sha256(folder / report.database) != report.database_sha256:
        raise _broken(folder, "the database was changed")
    for name, count in zip(STORES, (report.received, report.results), strict=True):
        files = list((folder / name).glob("??/*"))
        wrong = next((file for file in files if _sha256(file) != file.name), None)
        if wrong is not None:
            raise _broken(folder, f"the file {name}/{wrong.name[:12]}… was changed")
        if len(files) != count:
            raise _broken(folder, f"{name} holds {len(files)} files, not {count}")
    if report.database == SQLITE:
        file = (folder / SQLITE).absolute()
        with _opened(f"sqlite:///file:{file}?mode=ro&uri=true") as connection:
            _check_rows(connection, folder, report)
    return report


def restore(settings: NodeSettings, folder: Path) -> BackupReport:
    """Copy a backup to the data folder and database of the settings, and verify the copy.

    Held leases run out. Files that were delivered after the backup are delivered again, with the
    same bytes.

    Raises
    ------
    ConfigError
        The data folder or the database is not empty, or is of another kind.
    StorageError
        The backup is not complete, or the copy cannot be written.
    """
    report = verify_backup(folder)
    url = sa.make_url(settings.database_url)
    kind = SQLITE if url.get_backend_name() == "sqlite" else POSTGRES
    if kind != report.database:
        raise ConfigError(
            f"the backup has {report.database}, but the settings name another kind of database",
            keyword="database",
            remedy="Name a database of the same kind",
        )
    data = settings.data
    if data.exists() and any(data.iterdir()):
        raise ConfigError("the data folder is not empty", source=str(data), remedy="Name a new one")
    with _named(data):
        for name in STORES:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, data / name)
        if kind == SQLITE:
            _restore_sqlite(folder / SQLITE, Path(str(url.database)))
        else:
            _restore_postgres(folder / POSTGRES, url)
        _flush(data)
    with (
        contextlib.closing(open_database(settings.database_url)) as database,
        database.read() as connection,
    ):
        _check_rows(connection, data, report)
    return report


def _sqlite(state: NodeState, folder: Path) -> tuple[Path, dict[str, list[str]], AuditHead]:
    file = folder / SQLITE
    source = sqlite3.connect(str(state.database.engine.url.database))
    target = sqlite3.connect(file)
    with contextlib.closing(source), contextlib.closing(target):
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # A copy is one file, without a WAL.
    with _opened(f"sqlite:///{file}") as connection:
        return file, _digests(connection), audit.read_head(connection)


def _postgres(state: NodeState, folder: Path) -> tuple[Path, dict[str, list[str]], AuditHead]:
    file = folder / POSTGRES
    engine = state.database.engine
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        snapshot = connection.execute(sa.select(sa.func.pg_export_snapshot())).scalar_one()
        command = ["--format=custom", f"--snapshot={snapshot}", f"--file={file}"]
        _call("pg_dump", command, engine.url)
        return file, _digests(connection), audit.read_head(connection)


def _digests(connection: sa.Connection) -> dict[str, list[str]]:
    received = sa.select(INSTANCES.c.digest).where(INSTANCES.c.role != Role.IGNORED.value)
    shown = sa.select(PICTURES.c.digest).where(PICTURES.c.digest.is_not(None))
    return {
        "received": sorted({*connection.execute(sa.union(received, shown)).scalars()}),
        "results": sorted({*connection.execute(sa.select(FILES.c.digest)).scalars()}),
    }


def _copy(store: Store, folder: Path, digests: Sequence[str]) -> int:
    """Copy files of a store; give their size in bytes."""
    size = 0
    for digest in digests:
        target = folder / digest[:2] / digest
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(store.path(digest), target)
        except FileNotFoundError as error:
            raise StorageError(
                "a file was deleted while the backup was made, or is lost",
                source=str(store.folder),
                remedy="Make the backup again; if that fails too, files are missing",
            ) from error
        size += target.stat().st_size
    return size


def _restore_sqlite(file: Path, target: Path) -> None:
    if target.exists():
        raise ConfigError(
            "the database exists already", source=str(target), remedy="Name a new one"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)


def _restore_postgres(file: Path, url: sa.URL) -> None:
    with _opened(url.set(drivername="postgresql+psycopg")) as connection:
        if sa.inspect(connection).get_table_names():
            raise ConfigError(
                "the database is not empty", keyword="database", remedy="Name a new one"
            )
    command = ["--no-owner", "--exit-on-error", "--single-transaction", str(file)]
    _call("pg_restore", command, url)


def _call(program: str, arguments: Sequence[str], url: sa.URL) -> None:
    """Call a tool of PostgreSQL; its password is in the environment, not on the command line."""
    found = shutil.which(program)
    if found is None:
        raise ConfigError(
            f"{program} is not installed",
            keyword="database",
            remedy="Install the client of PostgreSQL (Debian: postgresql-client)",
        )
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    secret = {"PGPASSWORD": str(url.password)} if url.password else {}
    done = subprocess.run(
        [found, "--dbname", plain, *arguments],
        env=child_environment(**secret),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().partition("\n")[0]
        raise StorageError(f"{program} failed ({reason})", source=plain)


def _check_rows(connection: sa.Connection, folder: Path, report: BackupReport) -> None:
    trail = audit.verify(connection, AuditHead.parse(report.audit_head))
    if not trail.sound:
        raise _broken(folder, f"the audit trail is broken at row {trail.broken_at}")
    for name, digests in _digests(connection).items():
        for digest in digests:
            if not (folder / name / digest[:2] / digest).is_file():
                raise _broken(folder, f"a file of {name} is missing")


def _read_manifest(folder: Path) -> BackupReport:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        if manifest.pop("schema") != SCHEMA:
            raise ValueError("another schema")
        report = BackupReport(**manifest)
        if report.database not in (SQLITE, POSTGRES):
            raise ValueError("another database")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _broken(folder, f"its manifest cannot be read ({type(error).__name__})") from error
    return report


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _broken(file.parent, f"{file.name} cannot be read") from error


def _flush(folder: Path) -> None:
    """Flush all files in a folder to the disk."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        flush(path)


@contextlib.contextmanager
def _opened(url: str | sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    except sa.exc.OperationalError as error:
        raise StorageError("the database cannot be opened", remedy="Check that it runs") from error
    finally:
        engine.dispose()


@contextlib.contextmanager
def _named(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"the copy cannot be written ({error})", source=str(folder), remedy="Make room"
        ) from error


def _broken(folder: Path, why: str) -> StorageError:
    return StorageError(
        f"the copy is not complete: {why}", source=str(folder), remedy="Take another backup"
    )
