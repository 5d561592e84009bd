"""Check whether an exam that is sent now would be stored and analysed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState, try_folder
from mammolens.serve.record import count_present, read_failures

__all__ = ["Health", "check_health"]

OK: Final = "ok"


@dataclass(frozen=True)
class Health:
    """State of the parts of a node, each ``ok`` or a word for its fault.

    `notices` are problems for a person, although exams are stored and analysed.
    """

    database: str
    disk: str
    worker: str
    notices: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether exams are stored and analysed."""
        return self.database == self.disk == self.worker == OK

    def to_json(self) -> dict[str, str]:
        """Give the state as plain text; `notices` only if there are any."""
        answer = {
            "status": "ready" if self.is_ready else "not_ready",
            "database": self.database,
            "disk": self.disk,
            "worker": self.worker,
        }
        return answer | ({"notices": "; ".join(self.notices)} if self.notices else {})


def check_health(state: NodeState) -> Health:
    """Check that the database and all folders can be written, and that a worker is alive."""
    database, worker = OK, OK
    notices: tuple[str, ...] = ()
    try:
        with state.database.read() as connection:
            if not count_present(state.database, connection, "worker"):
                worker = "silent"
            failures = read_failures(connection)
        if failures.dying and worker == OK:
            worker = "dying"
        notices = tuple(failures.words())
    except StorageError:
        database, worker = "away", "unknown"
    if database == OK and not state.database.can_write():
        database = "read_only"
    return Health(database, _check_disk(state), worker, (*notices, *state.notices.all()))


def _check_disk(state: NodeState) -> str:
    """Check whether objects can be stored, and results be written."""
    try:
        draft = state.received.draft()
        draft.discard()
        free = shutil.disk_usage(state.settings.data).free
    except (StorageError, OSError):
        return "full_or_away"
    if free < state.settings.intake.min_free_mb << 20:
        return "full_or_away"
    return "results_cannot_be_written" if try_folder(state.results.folder) else OK
