"""What the doors ``mammolens worker`` and ``mammolens node`` do."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mammolens.errors import InputError
from mammolens.images import find_files
from mammolens.serve import logs
from mammolens.serve.intake import receive
from mammolens.serve.settings import NodeSettings
from mammolens.serve.state import open_state
from mammolens.serve.worker import work, work_off

__all__ = ["add_files", "run_worker", "stopping"]


def run_worker(settings: NodeSettings, threads: int, once: bool) -> int:
    """Work until the process is told to end, or `once`; give the number of results entered.

    Raises
    ------
    ConfigError, ModelError
        A setting, a sink or the model cannot be used.
    StorageError
        The database is away at the start; later on it is waited for.
    """
    logs.configure(settings.log.level)
    with stopping() as stop, open_state(settings) as state:
        return (work_off if once else work)(state, threads, stop)


def add_files(settings: NodeSettings, paths: Sequence[Path]) -> Iterator[tuple[str, str, bool]]:
    """Receive files; give of each its name, what became of it, and whether it was taken.

    Raises
    ------
    StorageError
        The disk is full or the database is away: what was not named was not received.
    """
    files, unreadable = find_files(paths)
    for item in unreadable:
        yield item.path, f"{item.error}: {item.message}", False
    with open_state(settings) as state:
        for file in files:
            try:
                content = file.read_bytes()
                receipt = receive(
                    state.database, state.received, content, "folder:cli", settings.intake
                )
            except InputError as error:
                yield file.name, f"{type(error).__name__}: {error}", False
                continue
            again = ", received before" if receipt.repeated else ""
            yield file.name, f"{receipt.role.value}{again}", True


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; the second signal ends the process at once."""
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
