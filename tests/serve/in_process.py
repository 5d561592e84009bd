"""Workers that perform their jobs in this process, where a test can replace what they call."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from mammolens.clinical import Fusion, read_fusion
from mammolens.model import ModelPackage
from mammolens.serve.holdings import NodeState
from mammolens.serve.work import work
from mammolens.serve.work.performance import perform
from mammolens.serve.work.pictures import Picture, PictureTask, make_pictures
from mammolens.serve.work.queue import Job
from mammolens.serve.work.results import Outcome, ResultFile


@dataclass(frozen=True)
class InProcess:
    """Performs jobs like `Child`, but in this process."""

    state: NodeState
    package: ModelPackage
    fusion: Fusion | None = None

    def start(self) -> None:
        """There is nothing to start."""

    def perform(self, job: Job, longest_s: float) -> tuple[Outcome, list[ResultFile]]:  # noqa: ARG002
        return perform(self.state, self.package, job, self.fusion)

    def show(self, tasks: Sequence[PictureTask], longest_s: float) -> list[Picture]:  # noqa: ARG002
        return make_pictures(self.state, self.package, tasks)

    def end(self) -> None:
        """There is nothing to end."""


def work_here(
    state: NodeState, threads: int = 1, stop: threading.Event | None = None, *, once: bool = False
) -> int:
    """Work in this process until `stop` is set."""
    package, path = ModelPackage.load(state.settings.model.name), state.settings.model.fusion
    fusion = None if path is None else read_fusion(path, package.model_id)
    return work(
        state,
        threads,
        stop or threading.Event(),
        once=once,
        make_child=lambda *_: InProcess(state, package, fusion),
    )


def work_once(state: NodeState, threads: int = 1) -> int:
    """Perform in this process the jobs that may run now; give the number of results."""
    return work_here(state, threads, once=True)
