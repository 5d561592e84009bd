"""Whether an exam that is sent now would be kept, and would be analysed."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import count_present

__all__ = ["Health", "check_health"]

OK = "ok"


@dataclass(frozen=True)
class Health:
    """What a node needs, each ``ok`` or a word for what is wrong."""

    database: str
    disk: str
    worker: str

    @property
    def is_ready(self) -> bool:
        """Whether nothing is wrong."""
        return self.database == self.disk == self.worker == OK

    def to_json(self) -> dict[str, str]:
        """Give everything as plain values."""
        return {"status": "ready" if self.is_ready else "not_ready", **asdict(self)}


def check_health(state: NodeState) -> Health:
    """Ask the database, write to the disk, and look for a worker that lives."""
    database, worker = OK, OK
    try:
        with state.database.read() as connection:
            if not count_present(state.database, connection, "worker"):
                worker = "silent"
    except StorageError:
        database, worker = "away", "unknown"
    return Health(database, _check_disk(state), worker)


def _check_disk(state: NodeState) -> str:
    try:
        draft = state.received.draft()
        draft.discard()
        free = shutil.disk_usage(state.settings.data).free
    except (StorageError, OSError):
        return "full_or_away"
    return OK if free >= state.settings.intake.min_free_mb << 20 else "full_or_away"
