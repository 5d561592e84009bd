"""Learning rates: which parameters learn when, and how fast.

The head learns from the first step. Parts of the trunk join from the top at stated shares of the
run; each has a rate of its own, warms up from the step at which it joins, and falls along half a
cosine. A part that has not joined takes no gradient: no backward pass goes through it or below.
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
    "trunk_parts",
]

_FLOOR = 0.01


def trunk_parts(net: MammoNet) -> list[list[nn.Parameter]]:
    """The learnable parameters of the trunk in parts, from the input upwards.

    A stage that holds nothing but normalisation goes with the stage before it; stages without
    learnable parameters are left out.
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
    """AdamW over groups that name their highest rate (``peak``) and when they join (``from``).

    Parameters
    ----------
    net
        Its first ``network.frozen_stages`` parts are fixed for good.
    further
        Parameters that learn as the head does.

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
        if groups and timing.items() <= groups[-1].items():
            groups[-1]["params"] = [*groups[-1]["params"], *part]  # type: ignore[misc]
        else:
            groups.append({"params": part, **timing})
    head = [*net.head_parameters(), *further]
    groups.append({"params": head, "peak": train.head_rate, "from": 0.0})
    return torch.optim.AdamW(groups, weight_decay=train.weight_decay)


def set_rates(
    optimiser: torch.optim.Optimizer, train: TrainConfig, progress: float, *, again: bool = False
) -> None:
    """Let parts join, and set every group's rate.

    Linear warm-up from the time when a group joins, then half a cosine down to a hundredth.

    Parameters
    ----------
    progress
        Share of the steps of the stretch that are done, 0–1, see `place_in`.
    again
        Whether a finished run goes on: all parts have joined then, and warm up together.
    """
    for group in optimiser.param_groups:
        joins = 0.0 if again else group["from"]
        since = progress - joins
        if since < 0:
            factor = 0.0
        elif since < train.warmup:
            factor = max(since / train.warmup, _FLOOR)
        else:
            share = (since - train.warmup) / (1 - train.warmup - joins)
            factor = max(0.505 + 0.495 * math.cos(math.pi * share), _FLOOR)
        group["lr"] = group["peak"] * factor
        for parameter in group["params"]:
            parameter.requires_grad_(since >= 0)


def plan_stretches(earlier: Sequence[Sequence[int]], step: int, total: int) -> list[list[int]]:
    """Plan over which steps rates rise and fall: [first, end] of each stretch of a run.

    A run has one. Where ``train.epochs`` was raised before its end, the fall is stretched to the
    new end; where it was raised afterwards, rates warm up and fall once more over the steps that
    are added (warm restart: Loshchilov and Hutter 2017, arXiv 1608.03983).

    Parameters
    ----------
    earlier
        What was planned before; empty for a run that begins.
    step, total
        Steps that are done, and steps of the whole run.

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
    """The share of its stretch that is done at a step, and whether it is not the first stretch.

    Examples
    --------
    >>> place_in([[0, 10], [10, 20]], 5), place_in([[0, 10], [10, 20]], 15)
    ((0.5, False), (0.5, True))
    """
    number = max(i for i, (first, _) in enumerate(stretches) if first <= step)
    first, end = stretches[number]
    return (step - first) / (end - first), number > 0


def rates_of(optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Present rates by name: ``rate_head``, and ``rate_trunk_0`` upwards from the input."""
    *trunk, head = (float(group["lr"]) for group in optimiser.param_groups)
    return {"rate_head": head, **{f"rate_trunk_{i}": rate for i, rate in enumerate(trunk)}}


def fix_first_stages(net: MammoNet, count: int) -> None:
    """Put the network in training mode, but for its first stages: these keep their statistics."""
    net.train()
    for stage in list(net.stages())[:count]:
        stage.eval()


def _joins(train: TrainConfig, depth: int) -> float:
    """Share of the run after which the part at `depth` below the top joins."""
    if not train.unfreeze:
        return train.head_first
    return train.unfreeze[min(depth, len(train.unfreeze) - 1)]
