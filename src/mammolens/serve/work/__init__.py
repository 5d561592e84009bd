"""Analysis of received exams: jobs are queued and claimed, and each gets one result."""

from __future__ import annotations

from mammolens.serve.work.queue import revive_jobs
from mammolens.serve.work.worker import work

__all__ = [
    "revive_jobs",
    "work",
]
