"""One run in several processes: torchrun or SLURM start them, Lightning Fabric joins them.

Every process draws the same batch and learns from its own share of it; gradients and batch-norm
statistics are averaged, so that all hold the same weights after every step. A single process goes
the same way, with nobody to wait for.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mammolens.errors import ConfigError
from mammolens.learn._torchvision import ensure_torchvision
from mammolens.learn.averages import batch_norms
from mammolens.learn.batches import Share
from mammolens.learn.sections import TrainConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = [
    "average_gradients",
    "join_processes",
    "mean_statistics",
    "share_of",
    "stop_requests",
    "stopped_anywhere",
    "sum_rows",
]

_PATIENCE = timedelta(hours=12)


def join_processes(train: TrainConfig) -> Fabric:
    """Join the other processes of the run, if torchrun or SLURM started some.

    Raises
    ------
    ConfigError
        If a batch cannot be shared out equally.
    """
    ensure_torchvision()
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    world, nodes = 1, 1
    if TorchElasticEnvironment.detect():
        world = int(os.environ["WORLD_SIZE"])
        nodes = world // int(os.environ["LOCAL_WORLD_SIZE"])
    elif SLURMEnvironment.detect():
        world = int(os.environ["SLURM_NTASKS"])
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
    for key, count in (("batch", train.batch), ("epoch_images", train.epoch_images)):
        if count % world:
            raise ConfigError(
                f"{count} images cannot be shared out equally to {world} processes",
                keyword=f"train.{key}",
                remedy=f"Give a multiple of {world}",
            )
    fabric = Fabric(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=world // nodes,
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=_PATIENCE) if world > 1 else "auto",
    )
    fabric.launch()
    return fabric


def share_of(fabric: Fabric) -> Share:
    """Which rows of a batch are this process's."""
    return Share(fabric.global_rank, fabric.world_size)


def average_gradients(fabric: Fabric, optimiser: torch.optim.Optimizer) -> None:
    """Give every process the mean of all gradients."""
    if fabric.world_size == 1:
        return
    parameters = (p for group in optimiser.param_groups for p in group["params"])
    _average(fabric, [p.grad for p in parameters if p.grad is not None])


def mean_statistics(fabric: Fabric, net: nn.Module) -> None:
    """Give every process the mean of all batch-norm statistics."""
    if fabric.world_size == 1:
        return
    found = [s for norm in batch_norms(net) for s in (norm.running_mean, norm.running_var)]
    _average(fabric, [statistic for statistic in found if statistic is not None])


def sum_rows(
    fabric: Fabric, values: npt.NDArray[np.float32], rows: Sequence[int], count: int
) -> npt.NDArray[np.float32]:
    """Put together (count, k) what each process computed (len(rows), k) for its own rows."""
    whole = torch.zeros((count, values.shape[1]))
    whole[list(rows)] = torch.from_numpy(values)
    summed = fabric.all_reduce(whole.to(fabric.device), reduce_op="sum")
    assert isinstance(summed, Tensor)
    return summed.cpu().numpy()


def stopped_anywhere(fabric: Fabric, number: int) -> int:
    """The signal that any process was sent, or 0."""
    if fabric.world_size == 1:
        return number
    found = fabric.all_reduce(torch.tensor(float(number), device=fabric.device), reduce_op="max")
    assert isinstance(found, Tensor)
    return int(found.item())


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Note SIGTERM and the first SIGINT instead of dying of them, as long as the block runs.

    Gives a function that says which signal was sent, or 0. Where no handler can be set (outside
    the main thread) signals act as ever.
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


def _average(fabric: Fabric, tensors: Sequence[Tensor]) -> None:
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    mean = fabric.all_reduce(flat, reduce_op="mean")
    assert isinstance(mean, Tensor)
    parts = mean.split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
