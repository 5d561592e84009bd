"""The functions behind ``mammolens worker``, ``deliver``, ``serve`` and ``node``.

Each imports only the packages that it needs: a worker does not load DICOM networking or HTTP.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from mammolens.errors import ConfigError, InputError
from mammolens.images import find_files
from mammolens.serve import logs
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.record import present
from mammolens.serve.settings import NodeSettings, load_settings
from mammolens.serve.threads import running

if TYPE_CHECKING:
    from mammolens.serve.dimse import FoundStudy, Method, PullReport, StudyQuery
    from mammolens.serve.portal import Portal

__all__ = [
    "add_files",
    "ended_together",
    "make_administrator",
    "make_demonstration",
    "pull",
    "run_deliveries",
    "run_node",
    "run_serve",
    "run_worker",
    "stopping",
]


def run_worker(settings: NodeSettings, threads: int, once: bool) -> int:
    """Analyse exams until the process is asked to end, or `once`; give the number of results.

    Raises
    ------
    ConfigError, ModelError
        A setting, a sink or the model cannot be used.
    StorageError
        The database is away at the start; later, the process waits for it.
    """
    from mammolens.serve.work import work

    logs.configure(settings.log.level)
    with stopping() as stop, open_state(settings) as state, present(state.database, "worker"):
        return work(state, threads, stop, once=once)


def run_node(settings: NodeSettings) -> None:
    """Run the node until the process is asked to end; running exchanges may finish first.

    Raises
    ------
    ConfigError
        A setting, an address or a certificate cannot be used.
    StorageError
        The database is away at the start; later, senders are asked to send again.
    """
    with _running(settings, lambda _state: None, workers=0) as node:
        node.stop.wait()


def run_serve(settings: NodeSettings, workers: int, tell: Callable[[str], None]) -> None:
    """Run everything in one service: the node, its workers, and the portal for people.

    Parameters
    ----------
    workers
        Exams that are analysed at the same time; 0 if workers run elsewhere.
    tell
        Shows the address and the one-time password of the first administrator to the user who
        started the service. They are not logged.

    Raises
    ------
    ConfigError, ModelError
        A setting, an address, a certificate, a sink or the model cannot be used.
    StorageError
        The database is away at the start; later, the process waits for it.
    """
    from mammolens.serve.people import first_administrator
    from mammolens.serve.portal import open_portal

    web = settings.web
    if not web.enabled:
        raise ConfigError(
            "people need HTTP, which is off", keyword="web.enabled", remedy="Set it to true"
        )
    with _running(settings, open_portal, workers) as node:
        scheme = "https" if web.certificate is not None else "http"
        host = f"[{web.host}]" if ":" in web.host else web.host
        tell(f"mammolens serves people at {scheme}://{host}:{node.port}/")
        invited = first_administrator(node.state.database, settings.people)
        if invited is not None:
            tell(f"first administrator: {invited.person.name}")
            tell(f"one-time password: {invited.password}")
        node.stop.wait()


class _Running(NamedTuple):
    """A running node: `stop` ends it, and `port` is its HTTP port."""

    stop: threading.Event
    state: NodeState
    port: int


@contextmanager
def _running(
    settings: NodeSettings, make_portal: Callable[[NodeState], Portal | None], workers: int
) -> Iterator[_Running]:
    from mammolens.serve.alerts import alerting
    from mammolens.serve.delivery import delivering
    from mammolens.serve.dimse import listening
    from mammolens.serve.intake import watching
    from mammolens.serve.monitoring import monitoring
    from mammolens.serve.outcomes import linking_late_exams, receiving_reports
    from mammolens.serve.ups import performing
    from mammolens.serve.web import serving

    logs.configure(settings.log.level)
    with (
        stopping() as stop,
        open_state(settings) as state,
        watching(state),  # first, so that a folder in use is reported before a port opens
        present(state.database, "node"),
        ended_together(
            serving(state, make_portal(state)),
            delivering(state, stop),
            listening(state),
            receiving_reports(state),
            linking_late_exams(state, stop),
            performing(state, stop),
            monitoring(state, stop),
            alerting(state, stop),
            _working(state, workers, stop),
        ) as (port, *_),
    ):
        assert isinstance(port, int)
        yield _Running(stop, state, port)


@contextmanager
def _working(state: NodeState, workers: int, stop: threading.Event) -> Iterator[None]:
    """Run workers during the block; if they fail, everything is stopped with their error."""
    from mammolens.serve.work import work

    if workers == 0:
        yield
        return
    failed: list[BaseException] = []

    def run() -> None:
        try:
            with present(state.database, "worker"):
                work(state, workers, stop)
        except BaseException as error:
            failed.append(error)
            stop.set()

    with running("workers", stop, run):
        yield
    if failed:
        raise failed[0]


def make_administrator(settings: NodeSettings, name: str) -> str:
    """Give an administrator of the installation a one-time password; the account is made if needed.

    Raises
    ------
    ConfigError
        No account can have this name.
    StorageError
        The database is away.
    """
    from mammolens.serve.people import Refused, renew_administrator

    with open_state(settings) as state:
        try:
            return renew_administrator(state.database, settings.people, name).password or ""
        except Refused as refused:
            raise ConfigError(
                "no account can have this name",
                keyword="NAME",
                remedy="Use 3 to 64 of a-z, 0-9, dot, dash, underscore and @",
            ) from refused


def make_demonstration(folder: Path, tell: Callable[[str], None]) -> Path:
    """Fill a folder with a demonstration, as far as it is not there; gives its settings file.

    Parameters
    ----------
    tell
        Shows what was made, and the one-time passwords, to whoever started it.

    Raises
    ------
    ConfigError
        The sample exams are not installed.
    StorageError
        The folder cannot be written to, or its database is away.
    """
    from mammolens.serve.demonstration import invite_people, receive_studies, write_settings

    file = write_settings(folder)
    with open_state(load_settings(file)) as state:
        everybody = invite_people(state)
        for study, is_new in receive_studies(state):
            tell(f"{study.description}: {'received' if is_new else 'there already'}")
        for invited in everybody:
            tell(f"one-time password of {invited.person.name}: {invited.password}")
    return file


def run_deliveries(settings: NodeSettings, once: bool) -> int:
    """Deliver results until the process is asked to end, or `once`; give the number of files.

    Raises
    ------
    ConfigError
        A setting or a destination cannot be understood.
    StorageError
        The database is away at the start; later, the process waits for it.
    """
    from mammolens.serve.delivery import deliver

    logs.configure(settings.log.level)
    with stopping() as stop, open_state(settings) as state, present(state.database, "deliver"):
        return deliver(state, stop, once=once)


def add_files(settings: NodeSettings, paths: Sequence[Path]) -> Iterator[tuple[str, str, bool]]:
    """Receive files; for each, give its name, the outcome, and whether it was accepted.

    Raises
    ------
    StorageError
        The disk is full or the database is away; the remaining files were not received.
    """
    from mammolens.serve.intake import receive

    files, unreadable = find_files(paths)
    for item in unreadable:
        yield item.path, f"{item.error}: {item.message}", False
    with open_state(settings) as state:
        for file in files:
            try:
                content = file.read_bytes()
                receipt = receive(state, content, "folder:cli")
            except InputError as error:
                yield file.name, f"{type(error).__name__}: {error}", False
                continue
            again = ", received before" if receipt.repeated else ""
            yield file.name, f"{receipt.role.value}{again}", True


def pull(
    settings: NodeSettings, peer_name: str, query: StudyQuery, method: Method, earlier: bool
) -> Iterator[PullReport]:
    """Fetch the studies of a PACS that match a query, and their priors if `earlier`.

    Raises
    ------
    ConfigError
        There is no such peer.
    DeliveryError
        It is away or refuses.
    StorageError
        The disk is full or the database is away.
    """
    from mammolens.serve.dimse import find_earlier, find_peer, find_studies, pull_studies
    from mammolens.serve.web import find_web_peer, find_web_studies, is_web_peer, pull_web_studies

    with open_state(settings) as state:
        find: Callable[[StudyQuery], list[FoundStudy]]
        fetch: Callable[..., Iterator[PullReport]]
        if is_web_peer(peer_name, settings):
            server = find_web_peer(peer_name, settings)
            find = partial(find_web_studies, server)
            fetch = partial(pull_web_studies, state, server)
        else:
            peer = find_peer(peer_name, settings.dimse)
            find = partial(find_studies, state, peer)
            fetch = partial(pull_studies, state, peer, method=method)
        studies = find(query)
        before = [prior for study in studies if earlier for prior in find_earlier(study, find)]
        named = {study.study_instance_uid for study in studies}
        priors = {p.study_instance_uid: p for p in before if p.study_instance_uid not in named}
        yield from fetch(studies, priors=list(priors.values()))


@contextmanager
def ended_together(*parts: AbstractContextManager[object]) -> Iterator[list[object]]:
    """Enter contexts one after the other, and exit all at the same time, each in a thread.

    Gives the values of the contexts. The exit takes as long as the slowest of them.
    """
    with ExitStack() as begun:
        given = [begun.enter_context(part) for part in parts]
        begun.pop_all()  # All have begun: from here on, this function ends them.
    try:
        yield given
    finally:
        with ThreadPoolExecutor(len(parts)) as pool:
            ends = [pool.submit(part.__exit__, None, None, None) for part in parts]
        for end in ends:
            end.result()


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
