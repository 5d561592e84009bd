"""The worker: it makes pictures of what came, jobs of exams that are due, and enters their results.

Any number of workers share a database. Each of its threads performs in a child process (see
`isolation`), which loads the model. A worker that is killed loses its leases, and another does the
jobs again. While our own disk is full or cannot be written no job is taken, and one that meets such
a fault goes back without counting an attempt. On SIGTERM a worker ends the exams in work and
leaves.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from mammolens.errors import StorageError
from mammolens.model import ModelPackage
from mammolens.serve import logs
from mammolens.serve.holdings import OF_ONE_FILE, PATIENCE, NodeState, try_folder
from mammolens.serve.record import JOBS, POSTPONED, Pulse, attempts, beating
from mammolens.serve.work.isolation import Child, Failure, explain
from mammolens.serve.work.performance import perform
from mammolens.serve.work.pictures import (
    Picture,
    PictureTask,
    claim_pictures,
    enter_pictures,
    give_up_pictures,
    make_pictures,
)
from mammolens.serve.work.queue import Job, claim_job, queue_due
from mammolens.serve.work.results import Outcome, ResultFile, commit_result
from mammolens.sinks import find_sink

__all__ = ["work", "work_off"]

ROOM: Final = "worker"
AWAY_S: Final = 5.0
PICTURES_S: Final = 120.0
"""Longest time for some pictures, before the child is ended."""


@dataclass(frozen=True)
class _InProcess:
    """Performs jobs in this process, which a crash ends; it has the methods of `Child`."""

    state: NodeState
    package: ModelPackage

    def start(self) -> None:
        """Be ready."""

    def perform(self, job: Job, longest_s: float) -> tuple[Outcome, list[ResultFile]]:  # noqa: ARG002
        """Perform a job, however long it takes."""
        return perform(self.state, self.package, job)

    def show(self, tasks: Sequence[PictureTask], longest_s: float) -> list[Picture]:  # noqa: ARG002
        """Make pictures, however long it takes."""
        return make_pictures(self.state, self.package, tasks)

    def end(self) -> None:
        """Hold nothing."""


def work(state: NodeState, threads: int, stop: threading.Event, *, apart: bool = False) -> int:
    """Perform jobs until `stop` is set, and give the number of results entered.

    Parameters
    ----------
    threads
        How many exams are in work at a time.
    apart
        Whether each is performed in a child process, as the command does.

    Raises
    ------
    ConfigError
        A sink is unknown or cannot be loaded.
    ModelError
        The model cannot be used.
    """
    return _run(state, threads, stop, lambda: stop.wait(state.settings.jobs.poll_s), apart)


def work_off(state: NodeState, threads: int, stop: threading.Event, *, apart: bool = False) -> int:
    """Perform the jobs that may run now, and give the number of results entered.

    Exams that still wait for their quiet time, and jobs that wait after a failure, are left.

    Raises
    ------
    ConfigError
        A sink is unknown or cannot be loaded.
    ModelError
        The model cannot be used.
    """
    return _run(state, threads, stop, lambda: True, apart)


def _run(
    state: NodeState,
    threads: int,
    stop: threading.Event,
    rest: Callable[[], bool],
    apart: bool,
) -> int:
    """Run the threads; `rest` is called by one that finds no work, and says whether to end."""
    for sink in state.settings.all_sinks:
        find_sink(sink).check()
    package = ModelPackage.load(state.settings.model.name)
    package.card.for_breasts()
    make: Callable[[], Child | _InProcess]
    if apart:
        each = None if threads == 1 else max(1, (os.cpu_count() or 1) // threads)
        make = lambda: Child(state.settings, each)  # noqa: E731
        del package
    else:
        make = lambda: _InProcess(state, package)  # noqa: E731
    logs.event(ROOM, "started", threads=threads)
    try:
        with (
            beating(state.database, JOBS, state.settings.jobs.lease_s) as pulse,
            ThreadPoolExecutor(threads, "worker") as pool,
        ):
            names = [f"{socket.gethostname()}:{os.getpid()}:{n}" for n in range(threads)]
            runs = [pool.submit(_serve, state, make(), n, pulse, stop, rest) for n in names]
            return sum(run.result() for run in runs)
    finally:
        logs.event(ROOM, "ended")


def _serve(
    state: NodeState,
    performer: Child | _InProcess,
    name: str,
    pulse: Pulse,
    stop: threading.Event,
    rest: Callable[[], bool],
) -> int:
    entered = 0
    try:
        while not stop.is_set():
            try:
                shown = _show(state, performer)
                job = _next(state, performer, name)
            except StorageError as error:
                logs.event(ROOM, "database_away", logging.ERROR, error=type(error).__name__)
                stop.wait(AWAY_S)
                continue
            except Exception:
                stop.set()  # the other threads, too: whoever started this process starts it again
                raise
            if job is not None:
                entered += _do(state, performer, pulse, job)
            elif not shown and rest():
                break
    finally:
        performer.end()
    return entered


def _show(state: NodeState, performer: Child | _InProcess) -> bool:
    """Make some of the pictures that wait, and return whether there were any."""
    performer.start()
    if try_folder(state.received.folder) is not None:
        return False
    tasks = claim_pictures(state.database)
    if not tasks:
        return False
    try:
        pictures = performer.show(tasks, PICTURES_S)
    except Exception as error:
        kind = type(error).__name__
        logs.event(ROOM, "pictures_not_made", logging.ERROR, error=kind, count=len(tasks))
        performer.start()
        for task in tasks:
            _show_one(state, performer, task)
        return True
    enter_pictures(state.database, state.received, pictures)
    return True


def _show_one(state: NodeState, performer: Child | _InProcess, task: PictureTask) -> None:
    """Make one picture by itself, since one of several has failed."""
    try:
        enter_pictures(state.database, state.received, performer.show([task], PICTURES_S))
    except Exception as error:
        if _is_of_disk(error):
            return
        give_up_pictures(state.database, [task])
        performer.start()


def _is_of_disk(error: Exception) -> bool:
    """Whether our own disk or database is at fault, so that the picture waits for its time."""
    return explain(error).own_errno is not None


def _next(state: NodeState, performer: Child | _InProcess, name: str) -> Job | None:
    """Take the next job, if its results could be written."""
    performer.start()
    queue_due(state.database, state.settings.exams)
    folder = state.results.folder
    fault = try_folder(folder)
    words = None if fault is None else f"cannot be written ({fault.strerror})"
    if state.notices.set(folder.name, words):
        logs.event(ROOM, "disk_away" if fault else "disk_back", logging.ERROR, reason=words)
    if fault is not None:
        return None
    return claim_job(state.database, name, state.settings.jobs)


def _do(state: NodeState, performer: Child | _InProcess, pulse: Pulse, job: Job) -> bool:
    """Perform one job, and return whether its result was entered."""
    began = time.monotonic()
    longest_s = 2 * state.settings.jobs.time_limit_s
    fields: dict[str, str | float] = {"exam": job.exam_id, "job": job.lease.id}
    try:
        with pulse.holding([job.lease], began, longest_s):
            outcome, files = performer.perform(job, longest_s)
            result = commit_result(
                state.database,
                job,
                outcome,
                files,
                state.settings.routes,
                state.results,
            )
    except Exception as error:
        kind = type(error).__name__
        logs.event(ROOM, "job_failed", logging.ERROR, error=kind, attempt=job.attempts, **fields)
        _fail(state, job, explain(error))
        return False
    fields |= {"seconds": round(time.monotonic() - began, 3), "category": outcome.category.value}
    logs.event(ROOM, "job_done" if result else "lease_lost", result=result, **fields)
    return result is not None


def _fail(state: NodeState, job: Job, failure: Failure) -> None:
    jobs = state.settings.jobs
    try:
        if _is_ours(job, failure):
            words = f"{POSTPONED}{failure.text}"
            attempts.postpone(state.database, job, words, jobs.backoff_s)
        else:
            attempts.retry(state.database, job, failure.text, jobs, jobs.max_attempts + 1)
    except StorageError:
        logs.event(ROOM, "database_away", logging.ERROR, job=job.lease.id)


def _is_ours(job: Job, failure: Failure) -> bool:
    """Whether a job waits for our own disk or database; what may be one bad file waits an hour."""
    if failure.own_errno not in OF_ONE_FILE:
        return failure.own_errno is not None
    return job.made_at is None or job.claimed_at - job.made_at < PATIENCE
