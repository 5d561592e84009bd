"""A child process that performs jobs: an object that kills it costs one attempt of one exam.

Image decoders are C code. A manipulated object can crash them, use all memory, or make them run for
ever. Therefore the worker opens no object itself: each of its threads has a child process. The
thread holds the lease; the child performs the job and answers through a pipe. A child that dies or
hangs is replaced, and its job has failed.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final

from mammolens.clinical import Fusion, read_fusion
from mammolens.errors import MammolensError, ModelError
from mammolens.model import ModelPackage
from mammolens.serve import logs
from mammolens.serve.holdings import NodeState, join_state, own_fault
from mammolens.serve.record import DIED
from mammolens.serve.settings import NodeSettings
from mammolens.serve.work.performance import perform, score_silently
from mammolens.serve.work.pictures import Picture, PictureTask, make_pictures
from mammolens.serve.work.queue import Job
from mammolens.serve.work.results import Outcome, ResultFile
from mammolens.serve.work.shadow import ShadowScore

__all__ = ["Child", "Failure", "JobFailed", "explain"]

ROOM: Final = "worker"
START_S: Final = 300.0
"""Longest time to load the model: enough for a large model on a slow and busy disk."""
END_S: Final = 5.0
OOM_SCORE: Final = "500"
"""If memory runs out, Linux kills the child before the node or its database (0 is the default)."""


@dataclass(frozen=True)
class Failure:
    """Why a job failed: a text without identifiers, and the error number of a fault of our own disk
    (0: its database; ``None``: no such fault)."""

    text: str
    own_errno: int | None = None


class JobFailed(Exception):
    """A job failed in a child."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def explain(error: Exception) -> Failure:
    """Describe an error without identifiers."""
    if isinstance(error, JobFailed):
        return error.failure
    message = f": {error.message}" if isinstance(error, MammolensError) else ""
    fault = own_fault(error)
    return Failure(
        f"{type(error).__name__}{message}", None if fault is None else (fault.errno or 0)
    )


@dataclass(frozen=True)
class _Silent:
    """An exam that the second model shall score."""

    job: Job


@dataclass
class Child:
    """The child process of one thread of the worker; it is started when it is needed."""

    settings: NodeSettings
    threads: int | None = None
    _process: SpawnProcess | None = None
    _pipe: Connection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Make sure that the child runs and has loaded the model.

        Raises
        ------
        ModelError
            It could not start; no exam is the cause.
        """
        if self._process is not None and self._process.is_alive():
            return
        self.end()
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_serve,
            args=(there, self.settings, self.threads),
            name="performer",
            daemon=True,
        )
        process.start()
        there.close()
        self._process, self._pipe = process, here
        try:
            if not here.poll(START_S):
                raise EOFError
            said = here.recv()
        except (EOFError, OSError) as error:
            self.end()
            raise ModelError(
                f"the process that analyses could not start ({_manner(process)})",
                remedy="Look at its log, and whether there is enough memory",
            ) from error
        if said is not None:
            self.end()
            raise ModelError(f"the process that analyses could not start ({said})")

    def perform(self, job: Job, longest_s: float) -> tuple[Outcome, list[ResultFile]]:
        """Let the child perform a job.

        Raises
        ------
        JobFailed
            The child reported a failure, died, or took longer than `longest_s` and was killed.
        """
        outcome, files = self._ask(job, longest_s)
        return outcome, files

    def score_silently(self, job: Job, longest_s: float) -> ShadowScore | None:
        """Let the child score an exam with the second model; ``None`` if it has none.

        Raises
        ------
        JobFailed
            As `perform`.
        """
        found: ShadowScore | None = self._ask(_Silent(job), longest_s)
        return found

    def show(self, tasks: Sequence[PictureTask], longest_s: float) -> list[Picture]:
        """Let the child make pictures.

        Raises
        ------
        JobFailed
            As `perform`.
        """
        pictures: list[Picture] = self._ask(list(tasks), longest_s)
        return pictures

    def _ask(self, task: Job | _Silent | list[PictureTask], longest_s: float) -> Any:
        assert self._process is not None
        assert self._pipe is not None
        process, pipe = self._process, self._pipe
        try:
            pipe.send(task)
            if not pipe.poll(longest_s):
                self.end()
                raise JobFailed(Failure(f"{DIED} stood still and was ended"))
            said = pipe.recv()
        except (EOFError, OSError) as error:
            process.join(END_S)
            manner = _manner(process)
            self.end()
            raise JobFailed(Failure(f"{DIED} died ({manner})")) from error
        if isinstance(said, Failure):
            raise JobFailed(said)
        return said

    def end(self) -> None:
        """Kill the child."""
        with self._lock:
            process, self._process = self._process, None
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.join(0 if process.is_alive() else END_S)
            if process.is_alive():
                process.kill()
                process.join(END_S)


def _manner(process: SpawnProcess) -> str:
    code = process.exitcode
    if code is None:
        return "it did not answer"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _serve(pipe: Connection, settings: NodeSettings, threads: int | None) -> None:
    """Perform the jobs that arrive through the pipe, until it is closed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the worker decides when its child ends
    threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, "ascii")
    logs.configure(settings.log.level)
    try:
        package = ModelPackage.load(settings.model.name, threads=threads)
        path = settings.model.fusion
        fusion = None if path is None else read_fusion(path, package.model_id)
        shadow = _load_shadow(settings, threads)
        opened = join_state(settings)
    except Exception as error:
        pipe.send(explain(error).text)
        return
    with opened as state:
        pipe.send(None)
        with contextlib.suppress(EOFError, OSError):
            while True:
                pipe.send(_answer(state, package, fusion, shadow, pipe.recv()))


def _load_shadow(settings: NodeSettings, threads: int | None) -> ModelPackage | None:
    """Load the second model; if that fails, exams are analysed all the same."""
    if settings.model.shadow is None:
        return None
    try:
        shadow = ModelPackage.load(settings.model.shadow, threads=threads)
        shadow.card.for_breasts()
    except MammolensError as error:
        logs.event(ROOM, "shadow_not_loaded", logging.ERROR, error=type(error).__name__)
        return None
    return shadow


def _answer(
    state: NodeState,
    package: ModelPackage,
    fusion: Fusion | None,
    shadow: ModelPackage | None,
    task: Job | _Silent | list[PictureTask],
) -> tuple[Outcome, list[ResultFile]] | list[Picture] | ShadowScore | Failure | None:
    try:
        if isinstance(task, _Silent):
            return score_silently(state, shadow, task.job) if shadow is not None else None
        if isinstance(task, Job):
            return perform(state, package, task, fusion)
        return make_pictures(state, package, task)
    except Exception as error:
        kind = type(error).__name__
        number = task.lease.id if isinstance(task, Job) else None
        logs.event(ROOM, "not_performed", logging.ERROR, error=kind, job=number)
        return explain(error)


def _follow_parent() -> None:
    """End when the worker has ended, because its lease is lost then."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
