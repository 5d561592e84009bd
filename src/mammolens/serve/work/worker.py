"""The worker: it makes jobs of exams that are due, claims them, performs them and enters results.

Any number of workers share a database. Each loads the model once; its threads share it. A worker
that is killed loses its lease, and another does the job again. On SIGTERM it ends the exams in work
and leaves.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import sqlalchemy as sa

from mammolens.errors import MammolensError, StorageError
from mammolens.model import ModelPackage
from mammolens.serve import logs
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import JOBS, Pulse, beating
from mammolens.serve.work.performance import perform
from mammolens.serve.work.queue import Job, claim_job, fail_job, queue_due
from mammolens.serve.work.results import commit_result
from mammolens.sinks import find_sink

__all__ = ["work", "work_off"]

ROOM: Final = "worker"
AWAY_S: Final = 5.0


def work(state: NodeState, threads: int, stop: threading.Event) -> int:
    """Perform jobs until `stop` is set, and give the number of results entered.

    Parameters
    ----------
    threads
        How many exams are in work at a time.

    Raises
    ------
    ConfigError
        A sink is unknown or cannot be loaded.
    ModelError
        The model cannot be used.
    """
    return _run(state, threads, stop, lambda: stop.wait(state.settings.jobs.poll_s))


def work_off(state: NodeState, threads: int, stop: threading.Event) -> int:
    """Perform the jobs that may run now, and give the number of results entered.

    Exams that still wait for their quiet time, and jobs that wait after a failure, are left.

    Raises
    ------
    ConfigError
        A sink is unknown or cannot be loaded.
    ModelError
        The model cannot be used.
    """
    return _run(state, threads, stop, lambda: True)


def _run(state: NodeState, threads: int, stop: threading.Event, rest: Callable[[], bool]) -> int:
    """Run the threads; `rest` is called by one that finds no work, and says whether to end."""
    for sink in state.settings.all_sinks:
        find_sink(sink)
    package = ModelPackage.load(state.settings.model.name)
    package.card.for_breasts()
    _clear_scratch(state)
    logs.event(ROOM, "started", threads=threads)
    try:
        with (
            beating(state.database, JOBS, state.settings.jobs.lease_s) as pulse,
            ThreadPoolExecutor(threads, "worker") as pool,
        ):
            names = [f"{socket.gethostname()}:{os.getpid()}:{n}" for n in range(threads)]
            runs = [pool.submit(_serve, state, package, n, pulse, stop, rest) for n in names]
            return sum(run.result() for run in runs)
    finally:
        logs.event(ROOM, "ended")


def _serve(
    state: NodeState,
    package: ModelPackage,
    name: str,
    pulse: Pulse,
    stop: threading.Event,
    rest: Callable[[], bool],
) -> int:
    settings, entered = state.settings, 0
    while not stop.is_set():
        try:
            queue_due(state.database, settings.exams)
            job = claim_job(state.database, name, settings.jobs)
        except StorageError as error:
            logs.event(ROOM, "database_away", logging.ERROR, error=type(error).__name__)
            stop.wait(AWAY_S)
            continue
        if job is not None:
            entered += _do(state, package, name, pulse, job)
        elif rest():
            break
    return entered


def _do(state: NodeState, package: ModelPackage, name: str, pulse: Pulse, job: Job) -> bool:
    """Perform one job; say whether its result was entered."""
    began = time.monotonic()
    longest_s = 2 * state.settings.jobs.time_limit_s
    told: dict[str, str | float] = {"exam": job.exam_id, "job": job.lease.id}
    try:
        with pulse.holding([job.lease], began, longest_s):
            outcome, files = perform(state, package, job)
            result = commit_result(
                state.database,
                job,
                name,
                outcome,
                files,
                state.settings.routes,
                state.results,
            )
    except Exception as error:
        kind = type(error).__name__
        logs.event(ROOM, "job_failed", logging.ERROR, error=kind, attempt=job.attempts, **told)
        _fail(state, name, job, error)
        return False
    told |= {"seconds": round(time.monotonic() - began, 3), "category": outcome.category.value}
    logs.event(ROOM, "job_done" if result else "lease_lost", result=result, **told)
    return result is not None


def _fail(state: NodeState, name: str, job: Job, error: Exception) -> None:
    message = f": {error.message}" if isinstance(error, MammolensError) else ""
    text = f"{type(error).__name__}{message}"
    try:
        fail_job(state.database, job, name, text, state.settings.jobs)
    except StorageError:
        logs.event(ROOM, "database_away", logging.ERROR, job=job.lease.id)


def _clear_scratch(state: NodeState) -> None:
    """Remove the folders of jobs that nobody holds any more."""
    with state.database.read() as connection:
        held = connection.execute(sa.select(JOBS.c.token).where(JOBS.c.token.is_not(None)))
        tokens = {*held.scalars()}
    folder = state.settings.scratch / "work"
    for left in folder.iterdir() if folder.is_dir() else ():
        if left.name not in tokens:
            shutil.rmtree(left, ignore_errors=True)
