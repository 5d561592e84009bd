"""Whether an exam that is sent now would be kept, and would be analysed."""

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
    """What a node needs, each ``ok`` or a word for what is wrong.

    `notices` are what a person must see to although exams are kept and analysed.
    """

    database: str
    disk: str
    worker: str
    notices: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether exams are kept and analysed."""
        return self.database == self.disk == self.worker == OK

    def to_json(self) -> dict[str, str]:
        """Give everything as plain text; notices only where there are any."""
        answer = {
            "status": "ready" if self.is_ready else "not_ready",
            "database": self.database,
            "disk": self.disk,
            "worker": self.worker,
        }
        return answer | ({"notices": "; ".join(self.notices)} if self.notices else {})


def check_health(state: NodeState) -> Health:
    """Ask and try the database, write to every folder, and look for a worker that lives."""
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
    """Say whether objects can be kept, and whether results can be written."""
    try:
        draft = state.received.draft()
        draft.discard()
        free = shutil.disk_usage(state.settings.data).free
    except (StorageError, OSError):
        return "full_or_away"
    if free < state.settings.intake.min_free_mb << 20:
        return "full_or_away"
    return "results_cannot_be_written" if try_folder(state.results.folder) else OK
