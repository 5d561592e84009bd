"""Work: an exam becomes due, a job is claimed, analysed, and its one result entered."""

from __future__ import annotations

from mammolens.serve.work.queue import revive_jobs
from mammolens.serve.work.worker import work, work_off

__all__ = [
    "revive_jobs",
    "work",
    "work_off",
]
