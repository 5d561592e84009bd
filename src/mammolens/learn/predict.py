"""Load the network of a run, and compute its logits for the pictures of a cache."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache
from mammolens.errors import ConfigError
from mammolens.learn.batches import stack
from mammolens.learn.config import RunConfig
from mammolens.learn.network import MammoNet

__all__ = ["keep_freed_memory", "load_network", "logits_of_rows", "predict_logits"]

_BATCH = 16
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # parameters of mallopt, see malloc.h
_LARGEST_INT, _HEAP_STEP_BYTES = 2**31 - 1, 2**28


def load_network(config: RunConfig, weights: Path) -> MammoNet:
    """Build the network of a run with its learned weights (``.safetensors``).

    Raises
    ------
    ConfigError
        If the file cannot be read, or has the weights of another network.
    """
    from safetensors.torch import load_file

    net = MammoNet(
        config.network.backbone,
        hidden=config.network.hidden,
        dropout=config.network.dropout,
        pooling=config.network.pooling,
    )
    try:
        net.load_state_dict(load_file(weights))
    except Exception as error:  # safetensors and torch raise errors without a common base class
        words = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"it does not have the weights of the run's network: {words}",
            source=str(weights),
            keyword="network",
            remedy="Give the run.json and best.safetensors of one run",
        ) from error
    return net.eval()


def predict_logits(
    net: MammoNet,
    cache: PreparedCache,
    device: torch.device | None = None,
    *,
    mirrored: bool = True,
) -> npt.NDArray[np.float32]:
    """Give logits (n, 3) of cached pictures; with `mirrored`, the mean with the mirror image."""
    keep_freed_memory()

    def forward(pictures: Tensor) -> Tensor:
        logits: Tensor = net(pictures)
        return (logits + net(pictures.flip(2))) / 2 if mirrored else logits

    def read(rows: Sequence[int]) -> Tensor:
        return stack([cache.picture(row) for row in rows])

    return logits_of_rows(net, forward, read, range(len(cache.records)), device)


def logits_of_rows(
    net: MammoNet,
    forward: Callable[[Tensor], Tensor],
    read: Callable[[Sequence[int]], Tensor],
    rows: Sequence[int],
    device: torch.device | None = None,
) -> npt.NDArray[np.float32]:
    """Give logits (n, 3) of rows, in batches; the network is put in evaluation mode.

    Parameters
    ----------
    forward
        Inputs → logits (B, 3), by `net`.
    read
        Rows → inputs, on any device.
    device
        The device of the network; by default the CPU.
    """
    net.eval()
    out = [np.empty((0, 3), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            inputs = read(rows[start : start + _BATCH]).to(device or torch.device("cpu"))
            out.append(forward(inputs).float().cpu().numpy())
    return np.concatenate(out)


def keep_freed_memory() -> bool:
    """Tell glibc to take large blocks from its heap, and to keep the heap when they are freed.

    By default each large tensor is mapped again, and the kernel clears its pages one fault at a
    time. On two cores a step of EfficientNet-Lite0 on 640 × 352 pixels then takes 1.7 times as
    long (``benchmarks/bench_allocator.py``). The process keeps the largest size that it once had,
    about 1.5 times the size it needs.

    Returns
    -------
    ``True`` if it was done, ``False`` with another C library.

    Source
    ------
    mallopt(3), ``M_MMAP_MAX``, ``M_TRIM_THRESHOLD``, ``M_TOP_PAD``.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _LARGEST_INT, _TOP_PAD: _HEAP_STEP_BYTES}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
