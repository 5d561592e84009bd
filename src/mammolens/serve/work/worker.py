"""The worker: it makes previews, queues jobs for exams that are due, and enters their results.

Any number of workers can share a database. Each thread of a worker performs its jobs in a child
process (see `isolation`), which loads the model. If a worker is killed, it loses its leases, and
another worker repeats its jobs. While our own disk is full or cannot be written, no job is claimed;
a job that meets such a fault is queued again, and the attempt is not counted. When `stop` is set,
the threads finish the exams that they analyse, and end.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mammolens.clinical import read_fusion
from mammolens.errors import StorageError
from mammolens.model import ModelPackage
from mammolens.serve import logs
from mammolens.serve.holdings import OF_ONE_FILE, PATIENCE, NodeState, try_folder
from mammolens.serve.record import JOBS, POSTPONED, Pulse, attempts, beating
from mammolens.serve.settings import NodeSettings
from mammolens.serve.work.isolation import Child, Failure, explain
from mammolens.serve.work.pictures import (
    PictureTask,
    claim_pictures,
    enter_pictures,
    give_up_pictures,
)
from mammolens.serve.work.queue import Job, claim_job, queue_due
from mammolens.serve.work.results import commit_result
from mammolens.serve.work.shadow import enter_shadow
from mammolens.sinks import find_sink

__all__ = ["work"]

ROOM: Final = "worker"
AWAY_S: Final = 5.0  # Pause before the database is asked again.
PICTURES_S: Final = 120.0
"""Longest time for the previews of one claim; then the child process is ended."""


def work(
    state: NodeState,
    threads: int,
    stop: threading.Event,
    *,
    once: bool = False,
    make_child: Callable[[NodeSettings, int | None], Child] = Child,
) -> int:
    """Perform jobs until `stop` is set, and return the number of results entered.

    Parameters
    ----------
    threads
        How many exams are analysed at the same time, each in a child process of its own.
    once
        End when no job may run now. Exams that wait for their quiet time, and jobs that wait after
        a failure, are left.
    make_child
        Makes the child of a thread, from the settings and the number of threads that it may use.

    Raises
    ------
    ConfigError
        A sink is unknown or cannot be loaded, or the fusion is of another model.
    ModelError
        The model cannot be used.
    """
    for sink in state.settings.all_sinks:
        find_sink(sink).check()
    package = ModelPackage.load(state.settings.model.name)
    package.card.for_breasts()
    if state.settings.model.fusion is not None:
        read_fusion(state.settings.model.fusion, package.model_id)
    threads_of_child = None if threads == 1 else max(1, (os.cpu_count() or 1) // threads)
    logs.event(ROOM, "started", threads=threads)
    try:
        with (
            beating(state.database, JOBS, state.settings.jobs.lease_s) as pulse,
            ThreadPoolExecutor(threads, "worker") as pool,
        ):
            runs = [
                pool.submit(
                    _work_in_thread,
                    state,
                    make_child(state.settings, threads_of_child),
                    f"{socket.gethostname()}:{os.getpid()}:{number}",
                    pulse,
                    stop,
                    once,
                )
                for number in range(threads)
            ]
            return sum(run.result() for run in runs)
    finally:
        logs.event(ROOM, "ended")


def _work_in_thread(
    state: NodeState, child: Child, name: str, pulse: Pulse, stop: threading.Event, once: bool
) -> int:
    entered = 0
    try:
        while not stop.is_set():
            try:
                made = _make_previews(state, child)
                job = _claim_next(state, child, name)
            except StorageError as error:
                logs.event(ROOM, "database_away", logging.ERROR, error=type(error).__name__)
                stop.wait(AWAY_S)
                continue
            except Exception:
                stop.set()  # end the other threads too; a service manager starts the process again
                raise
            if job is not None:
                entered += _perform(state, child, pulse, job)
            elif made:
                continue
            elif once:
                break
            else:
                stop.wait(state.settings.jobs.poll_s)
    finally:
        child.end()
    return entered


def _make_previews(state: NodeState, child: Child) -> bool:
    """Make some of the previews that wait, and return whether there were any."""
    child.start()
    if try_folder(state.received.folder) is not None:
        return False
    tasks = claim_pictures(state.database)
    if not tasks:
        return False
    try:
        pictures = child.show(tasks, PICTURES_S)
    except Exception as error:
        kind = type(error).__name__
        logs.event(ROOM, "pictures_not_made", logging.ERROR, error=kind, count=len(tasks))
        child.start()
        for task in tasks:
            _make_one_preview(state, child, task)
        return True
    enter_pictures(state.database, state.received, pictures)
    return True


def _make_one_preview(state: NodeState, child: Child, task: PictureTask) -> None:
    """Make one preview by itself, because one of several has failed."""
    try:
        enter_pictures(state.database, state.received, child.show([task], PICTURES_S))
    except Exception as error:
        if explain(error).own_errno is not None:  # our own disk or database: it is made later
            return
        give_up_pictures(state.database, [task])
        child.start()


def _claim_next(state: NodeState, child: Child, name: str) -> Job | None:
    """Claim the next job, if its results could be written."""
    child.start()
    queue_due(state.database, state.settings.exams)
    folder = state.results.folder
    fault = try_folder(folder)
    words = None if fault is None else f"cannot be written ({fault.strerror})"
    if state.notices.set(folder.name, words):
        logs.event(ROOM, "disk_away" if fault else "disk_back", logging.ERROR, reason=words)
    if fault is not None:
        return None
    return claim_job(state.database, name, state.settings.jobs)


def _perform(state: NodeState, child: Child, pulse: Pulse, job: Job) -> bool:
    """Perform one job, and return whether its result was entered."""
    began = time.monotonic()
    longest_s = 2 * state.settings.jobs.time_limit_s
    fields: dict[str, str | float] = {"exam": job.exam_id, "job": job.lease.id}
    try:
        with pulse.holding([job.lease], began, longest_s):
            outcome, files = child.perform(job, longest_s)
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
    if result and state.settings.model.shadow is not None:
        _score_silently(state, child, job, longest_s)
    return result is not None


def _score_silently(state: NodeState, child: Child, job: Job, longest_s: float) -> None:
    """Let the second model score an exam after its result; a failure changes nothing of that."""
    try:
        score = child.score_silently(job, longest_s)
        if score is not None:
            enter_shadow(state.database, job, score)
    except Exception as error:
        kind = type(error).__name__
        logs.event(ROOM, "shadow_failed", logging.ERROR, error=kind, exam=job.exam_id)


def _fail(state: NodeState, job: Job, failure: Failure) -> None:
    jobs = state.settings.jobs
    try:
        if _is_ours(job, failure):
            words = f"{POSTPONED}{failure.text}"
            attempts.postpone(state.database, job, words, jobs.backoff_s)
        else:
            # The attempt after `max_attempts` gives the exam its failed result.
            attempts.retry(state.database, job, failure.text, jobs, jobs.max_attempts + 1)
    except StorageError:
        logs.event(ROOM, "database_away", logging.ERROR, job=job.lease.id)


def _is_ours(job: Job, failure: Failure) -> bool:
    """Whether our own disk or database is at fault; a bad file counts as such for an hour only."""
    if failure.own_errno not in OF_ONE_FILE:
        return failure.own_errno is not None
    return job.made_at is None or job.claimed_at - job.made_at < PATIENCE
