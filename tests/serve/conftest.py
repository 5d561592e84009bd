"""A node's state on either database, a clock that can be turned, and small exams to send."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from pynetdicom import AE
from pynetdicom.association import Association

from mammolens.serve.dimse import listening
from mammolens.serve.dimse.scp import Listener
from mammolens.serve.holdings import NodeState, Store, open_state
from mammolens.serve.intake import receive
from mammolens.serve.intake.reception import Receipt
from mammolens.serve.people import Refused
from mammolens.serve.record import AUDIT, Database, open_database
from mammolens.serve.settings import NodeSettings

VERIFICATION = "1.2.840.10008.1.1"
VIEWS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))


class TurnedClock:
    """A clock that stands until it is turned, forward or back."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self, _connection: sa.Connection) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def _loopback(name: str) -> ModuleType:
    """Load a module of the programs on loopback, which are no package."""
    sys.path.insert(0, str(LOOPBACK))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(LOOPBACK))


@pytest.fixture(scope="module", autouse=True)
def short_collections() -> Iterator[None]:
    """Leave what earlier tests left behind out of garbage collections while these tests run.

    A collection over some gigabytes takes seconds, which is longer than the limits of these tests.
    """
    gc.freeze()
    yield
    gc.unfreeze()


def wait_for(condition: Callable[[], Any], seconds: float = 15.0, every_s: float = 0.02) -> Any:
    """Give the first true answer of `condition`; fail where none comes in time."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(every_s)
    return found


LOOPBACK = Path(__file__).parents[2] / "deploy" / "loopback"
free_port = _loopback("peers").free_port


@contextlib.contextmanager
def own_cluster() -> Iterator[Any]:
    """A PostgreSQL server of our own, on loopback, in a folder of its own."""
    pytest.importorskip("psycopg")
    # Not among pytest's own folders: each run closes those to all other users, the server's too.
    folder = Path(tempfile.mkdtemp(prefix="mammolens-postgres-"))
    try:
        try:
            made = _loopback("postgres").Postgres(folder)
        except _loopback("peers").MissingPeer as missing:
            pytest.skip(str(missing))
        made.start()
        yield made
        made.end()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """One server for all tests that do not kill it."""
    with own_cluster() as made:
        yield made


@pytest.fixture
def cluster_to_kill() -> Iterator[Any]:
    """A server for one test: if it does not come back, no other test is lost."""
    with own_cluster() as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.pacs)])
def url(request, tmp_path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'node.sqlite'}"
        return
    made = request.getfixturevalue("cluster").new_database()
    yield made
    drop_database(made)


def drop_database(url: str) -> None:
    """Delete a test's database: a thousand of them would fill a small disk."""
    place, _, name = url.rpartition("/")
    engine = sa.create_engine(f"{place}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def kept_logging() -> Iterator[None]:
    """Put the root logger and the hooks back after a test that configures them."""
    root, ours = logging.getLogger(), logging.getLogger("mammolens")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """A SQLite file with today's tables: to migrate one takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "node.sqlite"
    open_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def database(url, clock, empty_database) -> Iterator[Database]:
    if url.startswith("sqlite"):
        shutil.copy(empty_database, sa.make_url(url).database)
    opened = open_database(url, clock)
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path, package) -> NodeSettings:
    return NodeSettings(data=tmp_path / "node", model=str(package), intake={"min_free_mb": 0})


@pytest.fixture
def state(settings, database) -> NodeState:
    stores = (Store(settings.data / name) for name in ("received", "results"))
    return NodeState(settings, database, *stores)


@pytest.fixture(scope="session")
def mammogram(make_dicom):
    """Give a function that makes one view as a file; equal numbers give equal pixels."""

    def make(number: int = 0, syntax: str = make_dicom.EXPLICIT, **changes: Any) -> bytes:
        side, view = VIEWS[number % 4]
        values = {
            "SOPInstanceUID": f"1.2.3.4.{number}",
            "ImageLaterality": side,
            "ViewPosition": view,
        } | changes
        picture = values.pop("picture", number)
        made = make_dicom.dataset(pixels=make_dicom.picture(seed=picture), **values)
        return make_dicom.file_bytes(made, syntax)

    return make


@pytest.fixture(scope="session")
def send_views(mammogram):
    """Give a function that lets a node receive views, as from a modality; gives the receipts."""

    def send(
        state: NodeState, numbers: Iterable[int], sender: str = "dimse:X", **tags: Any
    ) -> list[Receipt]:
        made = (mammogram(number, **tags) for number in numbers)
        return [receive(state, one, sender) for one in made]

    return send


@pytest.fixture
def rows(database):
    """Give a function that lists the rows of a table, in the order of its key."""

    def read(table: sa.Table) -> list[sa.Row[Any]]:
        with database.read() as connection:
            return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)))

    return read


@pytest.fixture
def listen(tmp_path):
    """Give a function that starts a listener of a node with these settings, on a free port."""
    with contextlib.ExitStack() as stack:

        def start(
            folder: str = "node", max_mb: int = 1, hiding: bool = False, **dimse: Any
        ) -> Listener:
            hidden = {"key": "k" * 32, "scratch": str(tmp_path)} if hiding else None
            settings = NodeSettings(
                data=tmp_path / folder,
                intake={"min_free_mb": 0, "max_mb": max_mb, "deidentify": hidden},
                dimse={"port": 0, "stop_s": 2.0, **dimse},
            )
            state = stack.enter_context(open_state(settings))
            return stack.enter_context(listening(state))

        yield start


@pytest.fixture
def call():
    """Give a function that asks a listener for an association, as a sender would."""
    with contextlib.ExitStack() as stack:

        def ask(
            listener: Listener,
            contexts: Sequence[tuple[str, str]] = ((VERIFICATION, "1.2.840.10008.1.2"),),
            calling: str = "MODALITY",
            called: str = "MAMMOLENS",
            **options: Any,
        ) -> Association:
            ae = AE(calling)
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
            for abstract, syntax in contexts:
                ae.add_requested_context(abstract, syntax)
            association = ae.associate("127.0.0.1", listener.port, ae_title=called, **options)
            stack.callback(lambda: association.is_established and association.abort())
            return association

        yield ask


@pytest.fixture
def told():
    """Give a function that lists what the audit trail of a listener tells: action and detail."""

    def read(listener: Listener, *actions: str) -> list[tuple[str, dict[str, Any]]]:
        with listener.state.database.read() as connection:
            found = connection.execute(sa.select(AUDIT).order_by(AUDIT.c.number)).all()
        return [(row.actor, json.loads(row.detail)) for row in found if row.action in actions]

    return read


@pytest.fixture
def at_once() -> Callable[..., list[str]]:
    """Give a function that calls others at the same moment, and lists "done" or why not."""

    def run(*calls: Callable[[], Any]) -> list[str]:
        barrier = Barrier(len(calls))

        def one(call: Callable[[], Any]) -> str:
            barrier.wait(30)
            try:
                call()
            except Refused as refused:
                return refused.why.value
            return "done"

        with ThreadPoolExecutor(len(calls)) as pool:
            return sorted(pool.map(one, calls))

    return run
