"""The moving average of a network's weights, and the statistics of its batch norms."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mammolens.data.cache import PreparedCache
from mammolens.learn.batches import stack
from mammolens.learn.network import MammoNet, batch_norms

__all__ = ["estimate_statistics", "move_average"]

_IMAGES = 512  # at most


@torch.no_grad()
def move_average(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move an average towards a network by ``1 - decay``; counters are copied."""
    mine, theirs = list(average.state_dict().values()), list(net.state_dict().values())
    floats = [place for place, value in enumerate(mine) if value.is_floating_point()]
    get_ema_multi_avg_fn(decay)([mine[i] for i in floats], [theirs[i] for i in floats], 0)
    for place in set(range(len(mine))).difference(floats):
        mine[place].copy_(theirs[place])


def estimate_statistics(
    net: MammoNet, cache: PreparedCache, *, seed: int, batch: int, device: torch.device
) -> None:
    """Replace the statistics of a network's batch norms by those of prepared pictures.

    At most 512 pictures are drawn. The network is left in training mode, or unchanged if it has no
    batch norms.

    Source: adapting the domain by statistics alone, arXiv 2508.15452.
    """
    norms = list(batch_norms(net))
    if not norms:
        return
    rng = np.random.default_rng(seed)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches, not a moving average
    net.train()
    rows = rng.choice(len(cache.records), min(_IMAGES, len(cache.records)), False)
    with torch.no_grad():
        for start in range(0, len(rows), batch):
            chosen = rows[start : start + batch]
            net(stack([cache.picture(row) for row in chosen]).to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
