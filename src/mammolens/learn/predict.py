"""Load the network of a run, and compute its logits for the pictures of a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache
from mammolens.errors import ConfigError
from mammolens.learn._allocator import keep_freed_memory
from mammolens.learn.batches import stack
from mammolens.learn.config import RunConfig
from mammolens.learn.network import MammoNet

__all__ = [
    "load_network",
    "logits_of_rows",
    "predict_logits",
]

_BATCH = 16


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
        raise ConfigError(
            f"it does not have the weights of the run's network: {_first_lines(error)}",
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


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
