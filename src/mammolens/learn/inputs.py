"""The inputs of training steps: pictures, or cached maps of the trunk's fixed part.

`prepare_run` reads and divides a run's rows, and `plan_run` builds its network. Both kinds of
`Inputs` draw a batch and compute the network's last feature maps from it. The training loop
(`mammolens.learn.train`) is the same for both.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache, build_side
from mammolens.data.manifest import Manifest, Split
from mammolens.errors import ConfigError
from mammolens.learn.activations import ActivationCache, build_activations, trace_chain
from mammolens.learn.batches import Batch, TrainingSet, draw_batch, draw_rows, gather, stack
from mammolens.learn.checkpoint import refuse_other_run
from mammolens.learn.config import RunConfig, choose_records, load_localisation, read_tables
from mammolens.learn.distillation import ask_teachers
from mammolens.learn.learning_rates import plan_stretches
from mammolens.learn.lineage import Lineage, read_lineage, trace_lineage
from mammolens.learn.network import MammoNet
from mammolens.learn.pass_figures import check_sides
from mammolens.learn.processes import Processes

__all__ = [
    "Inputs",
    "Material",
    "kept_maps",
    "plan_run",
    "prepare_run",
    "refuse_what_maps_cannot_give",
    "steps_of_pass",
    "whole_pictures",
]

_REPORTED_EVERY = 320  # images
_Say = Callable[[str], None]


@dataclass(frozen=True)
class Material:
    """The tables of a run with their sides, the pictures of both sides, and the run's lineage."""

    manifest: Manifest
    training: TrainingSet
    held_out: PreparedCache
    lineage: Lineage

    @property
    def summary(self) -> dict[str, Any]:
        """The entries of ``run.json`` about the material."""
        refused = self.training.learned.refused | self.held_out.refused
        return {"refused": refused, "lineage": self.lineage.to_json()}


def prepare_run(config: RunConfig, out: Path, processes: Processes, say: _Say) -> Material:
    """Read the tables and pictures of a run, and report every caution about them.

    Raises
    ------
    ConfigError, InvalidManifest, PatientLeak, BadModelPackage, StorageError
        See `refuse_other_run`, `trace_lineage`, `check_sides` and `ask_teachers`.
    """
    with processes.first_before_others():
        tables = read_tables(config)
        manifest = choose_records(config, tables)
        refuse_other_run(config, manifest, out)
        lineage = _earlier_lineage(out) or trace_lineage(config, manifest)
        learned, held_out = (
            build_side(manifest, side, config.preprocess, config.data.cache)
            for side in (Split.TRAIN, Split.VALIDATION)
        )
        say(f"{len(learned.records)} images to learn from, {len(held_out.records)} held out")
        for caution in (*check_sides(learned, held_out, config.preprocess), *lineage.cautions):
            say(f"caution: {caution}")
        marked = load_localisation(config, tables) if config.train.map_weight > 0 else None
        marked_pictures = (
            build_side(marked, Split.TRAIN, config.preprocess, config.data.cache)
            if marked is not None
            else None
        )
        begins = processes.is_first and not (out / "state.pt").exists()
        taught = ask_teachers(
            config, manifest, learned.records, out, say, refresh=begins, device=processes.device
        )
    return Material(manifest, gather(learned, marked_pictures, config, taught), held_out, lineage)


def steps_of_pass(config: RunConfig) -> int:
    """Give the number of steps in a pass."""
    return math.ceil(config.train.epoch_images / config.train.batch)


def plan_run(config: RunConfig, out: Path, step: int, say: _Say) -> list[list[int]]:
    """Plan the stretches of a run that is at a step (see `plan_stretches`), and report a change.

    Raises
    ------
    ConfigError
        If the earlier plan cannot be read from ``run.json``.
    """
    per_pass = steps_of_pass(config)
    total = per_pass * config.train.epochs
    if not step:
        return plan_stretches([], 0, total)
    path = out / "run.json"
    try:
        summary = json.loads(path.read_text())
        before = summary.get("stretches") or [[0, per_pass * summary["config"]["train"]["epochs"]]]
        planned = plan_stretches(before, step, total)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the earlier plan of the run cannot be read: {error}",
            source=str(path),
            remedy="Restore the file, or give another folder with --out",
        ) from error
    say(f"resumed at step {step} of {total}")
    if planned != before:
        first = planned[-1][0]
        say(
            f"train.epochs was raised to {config.train.epochs}: "
            + (
                f"rates warm up again and fall along half a cosine over steps {first} to {total}"
                if len(planned) > len(before)
                else f"the rates' half cosine is stretched to step {total}"
            )
        )
    return planned


def _earlier_lineage(out: Path) -> Lineage | None:
    """Give the lineage that a resumed run has recorded: the runs it began from may be deleted."""
    path = out / "run.json"
    if not (out / "state.pt").exists() or not path.exists():
        return None
    summary = json.loads(path.read_text())  # `refuse_other_run` could read it
    return read_lineage(out, summary) if "lineage" in summary else None


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
        As `mammolens.learn.inputs.plan_run` gives them. Small pictures are used only at the
        beginning of the first stretch.
    """
    passes = stretches[0][1] // steps_of_pass(config)  # the share of small pictures refers to them
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
