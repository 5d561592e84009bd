"""The processes of a run that torchrun or SLURM started.

Every process draws the same batch and learns from its own share of it. Gradients and batch-norm
statistics are averaged, so that all processes have the same weights after every step. A run in one
process uses the same functions and exchanges nothing.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn

from mammolens.errors import ConfigError
from mammolens.learn.network import batch_norms
from mammolens.learn.sections import TrainConfig

__all__ = [
    "ONE_PROCESS",
    "Processes",
    "average_gradients",
    "average_statistics",
    "join_processes",
    "stop_requests",
    "stopped_anywhere",
    "sum_rows",
]

_PATIENCE = timedelta(hours=12)
"""Longest wait of a process for another one. The first process may have to prepare all pictures."""


@dataclass(frozen=True)
class Processes:
    """The place of a process, `rank`, among all `world` processes of a run, and its device."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run folder."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until every process has come to this point."""
        if self.world > 1:
            dist.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Let the first process finish a block before the others enter it."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()


ONE_PROCESS = Processes()


def join_processes(train: TrainConfig) -> Processes:
    """Join the other processes of the run, if torchrun or SLURM started any.

    Raises
    ------
    ConfigError
        If a batch cannot be divided equally.
    """
    rank, world, local_rank, meeting_place = _place_among_processes()
    for key, count in (("batch", train.batch), ("epoch_images", train.epoch_images)):
        if count % world:
            raise ConfigError(
                f"{count} images cannot be divided equally among {world} processes",
                keyword=f"train.{key}",
                remedy=f"Give a multiple of {world}",
            )
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    if world > 1 and not dist.is_initialized():
        backend = "nccl" if on_gpu else "gloo"
        dist.init_process_group(
            backend, meeting_place, timeout=_PATIENCE, rank=rank, world_size=world
        )
        atexit.register(dist.destroy_process_group)  # the folds of one command share the group
    return Processes(rank, world, device)


def average_gradients(processes: Processes, optimiser: torch.optim.Optimizer) -> None:
    """Give every process the mean of all gradients."""
    parameters = (p for group in optimiser.param_groups for p in group["params"])
    _average(processes, [p.grad for p in parameters if p.grad is not None])


def average_statistics(processes: Processes, net: nn.Module) -> None:
    """Give every process the mean of all batch-norm statistics."""
    found = [s for norm in batch_norms(net) for s in (norm.running_mean, norm.running_var)]
    _average(processes, [statistic for statistic in found if statistic is not None])


def sum_rows(
    processes: Processes, values: npt.NDArray[np.float32], rows: Sequence[int], count: int
) -> npt.NDArray[np.float32]:
    """Combine the values (len(rows), k) that each process computed into (count, k)."""
    whole = torch.zeros((count, values.shape[1]))
    whole[list(rows)] = torch.from_numpy(values)
    whole = whole.to(processes.device)
    if processes.world > 1:
        dist.all_reduce(whole)
    return whole.cpu().numpy()


def stopped_anywhere(processes: Processes, number: int) -> int:
    """Give the signal that any process has received, or 0."""
    sent = torch.tensor(float(number), device=processes.device)
    if processes.world > 1:
        dist.all_reduce(sent, dist.ReduceOp.MAX)
    return int(sent.item())


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Record SIGTERM and the first SIGINT during a block, instead of ending the process.

    Gives a function that returns the recorded signal, or 0. Outside the main thread no handler can
    be set, and signals act as usual.
    """
    sent: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        sent.append(number)
        signal.signal(number, before[number])

    in_main = threading.current_thread() is threading.main_thread()
    watched: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT) if in_main else ()
    before = {number: signal.signal(number, note) for number in watched}
    try:
        yield lambda: sent[0] if sent else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _place_among_processes() -> tuple[int, int, int, str | None]:
    """Give the rank, the number of processes, the rank on this machine, and their meeting address.

    torchrun sets variables that torch reads itself. SLURM names the nodes; the processes then meet
    on the first node, at a port that is derived from the job's number.
    """
    say = os.environ.get
    if dist.is_torchelastic_launched():
        return int(say("RANK", "0")), int(say("WORLD_SIZE", "1")), int(say("LOCAL_RANK", "0")), None
    if "SLURM_NTASKS" not in os.environ or say("SLURM_JOB_NAME") in ("bash", "interactive"):
        return 0, 1, 0, None
    first_node = re.sub(r"\[(\d+)[^\]]*\]", r"\1", say("SLURM_NODELIST", "127.0.0.1"))
    host = say("MASTER_ADDR", re.split("[ ,]", first_node)[0])
    port = say("MASTER_PORT", str(15000 + int(say("SLURM_JOB_ID", "0")[-4:])))
    rank, world = int(say("SLURM_PROCID", "0")), int(say("SLURM_NTASKS", "1"))
    return rank, world, int(say("SLURM_LOCALID", "0")), f"tcp://{host}:{port}"


def _average(processes: Processes, tensors: Sequence[Tensor]) -> None:
    if processes.world == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    parts = (flat / processes.world).split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
