"""The learning rates: when each part of the network begins to learn, and how fast it learns.

The head learns from the first step. Parts of the trunk join from the top at given shares of the
run. Each part has its own rate, which warms up from the step at which the part joins, and then
falls along half a cosine. A part that has not joined has no gradient, and the backward pass stops
above it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from mammolens.learn.config import RunConfig
from mammolens.learn.network import MammoNet
from mammolens.learn.sections import TrainConfig

__all__ = [
    "build_optimiser",
    "fix_first_stages",
    "place_in",
    "plan_stretches",
    "rates_of",
    "set_rates",
]

_LOWEST = 0.01
"""Smallest rate as a share of the highest. Chosen by hand."""


def trunk_parts(net: MammoNet) -> list[list[nn.Parameter]]:
    """Give the learnable parameters of the trunk in parts, from the input upwards.

    A stage with only normalisation belongs to the stage before it. Stages without learnable
    parameters are left out.
    """
    parts: list[list[nn.Parameter]] = []
    stage_parameters = [list(stage.parameters()) for stage in net.stages()]
    known = {id(p) for parameters in stage_parameters for p in parameters}
    below = [p for p in net.trunk.parameters() if id(p) not in known]
    for parameters in (below, *stage_parameters):
        learnable = [p for p in parameters if p.requires_grad]
        if parts and all(p.ndim == 1 for p in learnable):
            parts[-1] += learnable
        elif learnable:
            parts.append(learnable)
    return parts


def build_optimiser(
    net: MammoNet, further: Iterable[nn.Parameter], config: RunConfig
) -> torch.optim.AdamW:
    """Make AdamW over groups with a highest rate (``peak``) and a time of joining (``from``).

    Parameters
    ----------
    net
        Its first ``network.frozen_stages`` parts are fixed for the whole run.
    further
        Parameters that learn like the head.

    Returns
    -------
    One group for each stretch of the trunk that joins at one time with one rate, from the input
    upwards, and the head's last.
    """
    train = config.train
    for stage in list(net.stages())[: config.network.frozen_stages]:
        stage.requires_grad_(False)
    groups: list[dict[str, object]] = []
    parts = trunk_parts(net) or [[]]
    for depth, part in zip(reversed(range(len(parts))), parts, strict=True):
        timing = {"peak": train.trunk_rate * train.stage_decay**depth, "from": _joins(train, depth)}
        if groups and timing.items() <= groups[-1].items():  # the same rate and time
            groups[-1]["params"] = [*groups[-1]["params"], *part]  # type: ignore[misc]
        else:
            groups.append({"params": part, **timing})
    head = [*net.head_parameters(), *further]
    groups.append({"params": head, "peak": train.head_rate, "from": 0.0})
    return torch.optim.AdamW(groups, weight_decay=train.weight_decay)


def set_rates(
    optimiser: torch.optim.Optimizer, train: TrainConfig, progress: float, *, again: bool = False
) -> None:
    """Set the rate of every group, and let groups join whose time has come.

    The rate warms up linearly from the time when a group joins, and then falls along half a cosine
    to a hundredth.

    Parameters
    ----------
    progress
        Share of the stretch's steps that are done, 0–1; see `place_in`.
    again
        Whether a finished run is continued. All parts have then joined and warm up together.
    """
    for group in optimiser.param_groups:
        joins = 0.0 if again else group["from"]
        since = progress - joins
        if since < 0:
            factor = 0.0
        elif since < train.warmup:
            factor = max(since / train.warmup, _LOWEST)
        else:
            share = (since - train.warmup) / (1 - train.warmup - joins)
            factor = max(0.505 + 0.495 * math.cos(math.pi * share), _LOWEST)  # 1 to 0.01
        group["lr"] = group["peak"] * factor
        for parameter in group["params"]:
            parameter.requires_grad_(since >= 0)


def plan_stretches(earlier: Sequence[Sequence[int]], step: int, total: int) -> list[list[int]]:
    """Plan the stretches of a run, [first step, end], over which rates rise and fall once.

    A run has one stretch. If ``train.epochs`` is raised before its end, the stretch is extended. If
    it is raised after the end, the added steps are a new stretch (warm restart: Loshchilov and
    Hutter 2017, arXiv 1608.03983).

    Parameters
    ----------
    earlier
        The earlier plan; empty for a new run.
    step, total
        Number of steps done, and of all steps.

    Examples
    --------
    >>> plan_stretches([], 0, 10), plan_stretches([[0, 10]], 4, 20)
    ([[0, 10]], [[0, 20]])
    >>> plan_stretches([[0, 10]], 10, 20)
    [[0, 10], [10, 20]]
    """
    planned = [list(stretch) for stretch in earlier] or [[0, total]]
    first, end = planned[-1]
    if total <= end:
        return planned
    return [*planned, [end, total]] if step >= end else [*planned[:-1], [first, total]]


def place_in(stretches: Sequence[Sequence[int]], step: int) -> tuple[float, bool]:
    """Give the share of a step's stretch that is done, and whether it is a later stretch.

    Examples
    --------
    >>> place_in([[0, 10], [10, 20]], 5), place_in([[0, 10], [10, 20]], 15)
    ((0.5, False), (0.5, True))
    """
    number = max(i for i, (first, _) in enumerate(stretches) if first <= step)
    first, end = stretches[number]
    return (step - first) / (end - first), number > 0


def rates_of(optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Give the current rates: ``rate_head``, and ``rate_trunk_0`` and so on from the input."""
    *trunk, head = (float(group["lr"]) for group in optimiser.param_groups)
    return {"rate_head": head, **{f"rate_trunk_{i}": rate for i, rate in enumerate(trunk)}}


def fix_first_stages(net: MammoNet, count: int) -> None:
    """Put the network in training mode, except its first stages, which keep their statistics."""
    net.train()
    for stage in list(net.stages())[:count]:
        stage.eval()


def _joins(train: TrainConfig, depth: int) -> float:
    """Give the share of the run after which the part at `depth` below the top joins."""
    if not train.unfreeze:
        return train.head_first
    return train.unfreeze[min(depth, len(train.unfreeze) - 1)]
