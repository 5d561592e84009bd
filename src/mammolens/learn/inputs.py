"""The inputs of training steps: pictures, or cached maps of the trunk's fixed part.

Both are `Inputs`: functions that draw a batch and compute the network's last feature maps from it.
The training loop (`mammolens.learn.train`) is the same for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache
from mammolens.errors import ConfigError
from mammolens.learn.activations import ActivationCache, build_activations, trace_chain
from mammolens.learn.batches import Batch, draw_batch, draw_rows, stack
from mammolens.learn.config import RunConfig
from mammolens.learn.material import Material, steps_of_pass
from mammolens.learn.network import MammoNet
from mammolens.learn.processes import Processes

__all__ = ["Inputs", "kept_maps", "refuse_what_maps_cannot_give", "whole_pictures"]

_REPORTED_EVERY = 320

_Say = Callable[[str], None]


@dataclass(frozen=True)
class Inputs:
    """The functions that give the inputs of a run.

    `draw` gives the batch of a step from the pass and the step's number in it. `trunk` gives, for a
    network, the function from a batch's inputs to feature maps (B, K, h, w). `held_out` gives the
    inputs of rows of the validation side, without augmentation.
    """

    draw: Callable[[int, int], Batch]
    trunk: Callable[[MammoNet], Callable[[Tensor], Tensor]]
    held_out: Callable[[Sequence[int]], Tensor]


def whole_pictures(
    material: Material,
    config: RunConfig,
    stretches: Sequence[Sequence[int]],
    processes: Processes,
) -> Inputs:
    """Give inputs of augmented pictures, which pass through the whole trunk.

    Parameters
    ----------
    stretches
        As `mammolens.learn.material.plan_run` gives them. Small pictures are used only at the
        beginning of the first stretch.
    """
    passes = stretches[0][1] // steps_of_pass(config)
    as_planned = config.model_copy(
        update={"train": config.train.model_copy(update={"epochs": passes})}
    )
    side = material.held_out
    return Inputs(
        draw=lambda epoch, place: draw_batch(
            material.training, as_planned, epoch, place, processes
        ),
        trunk=lambda net: net.maps,
        held_out=lambda rows: stack([side.picture(row) for row in rows]),
    )


def kept_maps(net: MammoNet, material: Material, config: RunConfig, say: _Say) -> Inputs:
    """Give inputs of cached maps of the first ``network.frozen_stages`` parts of the trunk.

    Parameters
    ----------
    net
        The network at the beginning or when the run is resumed; its fixed parts never change.

    Raises
    ------
    ConfigError
        If the trunk cannot be cut there, or the maps are larger than allowed.
    StorageError
        If the disk has too little space for the maps.
    """
    variants, fixed = config.train.cached_variants, config.network.frozen_stages
    training = material.training
    maps = _build(net, training.learned, config, variants, "training", say)
    held_out = _build(net, material.held_out, config, 1, "validation", say)

    def draw(epoch: int, place: int) -> Batch:
        rows = draw_rows(training, config, epoch, place)
        rng = np.random.default_rng((config.train.seed, epoch, place))
        chosen = rng.integers(variants, size=len(rows)).tolist()
        allowed = torch.tensor([training.learned.records[row].allowed for row in rows])
        seed = int(rng.integers(2**62))
        return Batch(maps.gather(rows, chosen), allowed, None, seed, rows=tuple(rows))

    return Inputs(
        draw=draw,
        trunk=lambda net: trace_chain(net).rest(fixed),
        held_out=lambda rows: held_out.gather(rows, [0] * len(rows)),
    )


def refuse_what_maps_cannot_give(config: RunConfig, path: Path, processes: Processes) -> None:
    """Refuse settings of a run on cached maps that need whole pictures.

    Raises
    ------
    ConfigError
        If there is such a setting; the message names it.
    """
    train = config.train
    requested = {
        "train.map_weight": train.map_weight > 0,
        "train.small_share": train.small_share > 0,
        "train.teachers": bool(train.teachers),
        "train.precision": train.precision != "single",
        "train.cached_variants": processes.world > 1,
    }
    for keyword, is_set in requested.items():
        if is_set:
            raise ConfigError(
                "the run cannot be trained on cached maps: they work without marked lesions, "
                "teachers and small pictures, in single precision and in one process only",
                source=str(path),
                keyword=keyword,
                remedy="Change this setting, or set train.cached_variants to 0",
            )


def _build(
    net: MammoNet, cache: PreparedCache, config: RunConfig, variants: int, side: str, say: _Say
) -> ActivationCache:
    began = time.monotonic()
    reported = 0

    def report(done: int, total: int) -> None:
        nonlocal reported
        if done - reported >= _REPORTED_EVERY or done == total:
            reported = done
            say(f"{side} maps {done}/{total} {time.monotonic() - began:.0f}s")

    return build_activations(net, cache, config, variants, report)
