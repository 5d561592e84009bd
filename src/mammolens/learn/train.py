"""Training: one visible loop, resumable at any step.

manifest → split by patient → cache of prepared pictures → draws (balanced, augmented) → loss →
AdamW → moving average of the weights → validation after each pass → the best pass is kept.
Every draw depends on the seed, the pass and the place in it alone, so that a run that was cut off
goes on exactly as it would have gone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammolens.data.cache import PreparedCache
from mammolens.errors import ConfigError
from mammolens.learn.averages import estimate_statistics, move_average
from mammolens.learn.batches import Batch
from mammolens.learn.checkpoint import read_state, write_best, write_run, write_state
from mammolens.learn.config import RunConfig, read_run
from mammolens.learn.inputs import (
    Inputs,
    Material,
    kept_maps,
    plan_run,
    prepare_run,
    refuse_what_maps_cannot_give,
    steps_of_pass,
    whole_pictures,
)
from mammolens.learn.learning_rates import (
    build_optimiser,
    fix_first_stages,
    place_in,
    rates_of,
    set_rates,
)
from mammolens.learn.loss import map_loss, partial_label_loss, soft_label_loss
from mammolens.learn.network import MammoNet, build_network, load_trunk
from mammolens.learn.pass_figures import Tally, judge_pass
from mammolens.learn.predict import keep_freed_memory, logits_of_rows
from mammolens.learn.processes import (
    Processes,
    average_gradients,
    average_statistics,
    join_processes,
    stop_requests,
    stopped_anywhere,
    sum_rows,
)
from mammolens.learn.rebuilt_network import settle_statistics, unfold_trunk
from mammolens.learn.run_log import open_journal
from mammolens.prefetching import prefetch

__all__ = ["batch_loss", "first_statistics", "fit", "start_network", "train"]

_LONGEST_GRADIENT = 5.0

_Say = Callable[[str], None]


def train(
    config_path: Path, out: Path, overrides: Sequence[str] = (), on_progress: _Say = print
) -> Path:
    """Train the network of a run, or continue an interrupted run.

    A step reads augmented pictures, or cached maps of the trunk's fixed part if
    ``train.cached_variants`` is not 0 (see `mammolens.learn.inputs`).

    Parameters
    ----------
    out
        Run folder: ``run.json`` (resolved configuration and digests), ``state.pt`` (checkpoint),
        ``log.csv``, ``steps.csv``, ``curves.png``, ``best.safetensors`` and ``best.json`` (the
        pass that validated best).

    Returns
    -------
    The path of the best weights of the whole network.

    Raises
    ------
    ConfigError
        If a setting is impossible, the folder holds another run, or the loss is not finite.
    InvalidManifest, PatientLeak
        If a network cannot be trained on the tables.
    StorageError
        If the disk is full; the earlier checkpoint is kept.
    SystemExit
        After SIGTERM or SIGINT, once a checkpoint is written.
    """
    keep_freed_memory()
    config = read_run(config_path, overrides)
    torch.set_num_threads(config.train.threads)
    processes = join_processes(config.train)
    if config.train.cached_variants:
        refuse_what_maps_cannot_give(config, config_path, processes)
    say = on_progress if processes.is_first else lambda _: None
    return fit(config, prepare_run(config, out, processes, say), out, processes, say)


def fit(config: RunConfig, material: Material, out: Path, processes: Processes, say: _Say) -> Path:
    """Fit the network to the material of a run, step by step. See `train`."""
    device, first, learned = processes.device, processes.is_first, material.training.learned
    on_maps, mixed = config.train.cached_variants > 0, _mixed_precision(config, device, say)
    torch.backends.cudnn.benchmark = True  # pictures are of one size, or two
    hands = 1 if device.type == "cpu" else config.train.threads

    torch.manual_seed(config.train.seed)
    net = start_network(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    places = nn.Identity() if on_maps else nn.Conv2d(net.hidden.in_features, 1, 1).to(device)
    optimiser = build_optimiser(net, places.parameters(), config)
    scaler = torch.amp.GradScaler(device.type, enabled=mixed)
    average = copy.deepcopy(net)
    steps_per_epoch = steps_of_pass(config)
    total_steps = steps_per_epoch * config.train.epochs

    state, tally = out / "state.pt", Tally()
    parts = {"net": net, "average": average, "places": places, "optimiser": optimiser}
    parts |= {"scaler": scaler, "tally": tally} if mixed else {"tally": tally}
    if first and not state.exists():
        write_run(config, material.manifest, out, **material.summary)
        first_statistics(net, learned, config, device)
        average.load_state_dict(net.state_dict())
        write_state(state, 0, {"score": -1.0, "epoch": -1}, **parts)
    processes.wait()
    step, best = read_state(state, **parts)
    stretches = plan_run(config, out, step, say)
    processes.wait()
    if first:
        write_run(config, material.manifest, out, **material.summary, stretches=stretches)
    inputs = (
        kept_maps(net, material, config, say)
        if on_maps
        else whole_pictures(material, config, stretches, processes)
    )
    trunk, average_trunk = inputs.trunk(net), inputs.trunk(average)

    def make(at: int) -> Batch:
        return inputs.draw(*divmod(at, steps_per_epoch))

    with (
        closing(prefetch(make, range(step, total_steps), ahead=hands, workers=hands)) as batches,
        stop_requests() as stop_requested,
        open_journal(
            out if first else None,
            say,
            tensorboard=config.train.tensorboard,
            step=step,
            epoch=step // steps_per_epoch,
        ) as journal,
    ):
        while step < total_steps:
            epoch = step // steps_per_epoch
            if epoch - int(best["epoch"]) > config.train.patience:
                break
            batch = next(batches)
            torch.manual_seed(batch.seed)
            progress, again = place_in(stretches, step)
            set_rates(optimiser, config.train, progress, again=again)
            fix_first_stages(net, config.network.frozen_stages)
            with torch.autocast(device.type, torch.float16, enabled=mixed):
                maps = trunk(batch.inputs.to(device))
            logits = net.head(net.pool(maps.float()))
            loss = batch_loss(logits, places, maps.float(), batch, config)
            tally.add(batch.rows, logits, len(learned.records))
            _refuse_infinite(loss, step)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            average_gradients(processes, optimiser)
            average_statistics(processes, net)
            scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(net.parameters(), _LONGEST_GRADIENT)
            scaler.step(optimiser)
            scaler.update()
            step += 1
            move_average(average, net, min(config.train.average, step / (step + 10)))

            journal.note_step(
                step, total_steps, step / steps_per_epoch, loss.item(), rates_of(optimiser)
            )
            if step % steps_per_epoch == 0:
                logits = _held_out_logits(average, average_trunk, inputs, material, processes)
                score, figures = judge_pass(
                    material.held_out.records, logits, config.train.smoothing
                )
                shown = tally.close(learned.records, config.train.smoothing)
                journal.note_pass(step, {"epoch": epoch, **shown, "score": score, **figures})
                if score > best["score"]:
                    best = {"score": score, "epoch": epoch, **figures}
                    if first:
                        write_best(average, best, out)
            stopped = stopped_anywhere(processes, stop_requested())
            due = step % config.train.checkpoint_steps == 0 or step % steps_per_epoch == 0
            if first and (due or stopped):
                write_state(state, step, best, **parts)
            if stopped:
                say(f"stopped at step {step} of {total_steps}: the same command goes on from here")
                raise SystemExit(128 + stopped)
        journal.end(best, config.train.epochs, early=step < total_steps)
    return out / "best.safetensors"


def start_network(config: RunConfig) -> MammoNet:
    """Build the network of a run: pretrained, or with the trunk of an earlier run or a package.

    Raises
    ------
    ConfigError
        If the weights cannot be had, or are of another shape.
    BadModelPackage
        If there is no such package.
    """
    network = config.network
    net = build_network(
        network.backbone,
        hidden=network.hidden,
        dropout=network.dropout,
        pooling=network.pooling,
        weights=network.weights,
    )
    if network.starts_from_package:
        unfold_trunk(net, str(network.start))
    elif network.start is not None:
        load_trunk(net, network.start, head=network.start_head)
    return net


def first_statistics(
    net: MammoNet, learned: PreparedCache, config: RunConfig, device: torch.device
) -> None:
    """Set the batch-norm statistics of a network before its first step.

    They are estimated from prepared pictures for ImageNet weights, computed without changing the
    output for a package's trunk, and kept for the trunk of an earlier run.
    """
    seed, batch, start = config.train.seed, config.train.batch, config.network.start
    if start is None:
        estimate_statistics(net, learned, seed=seed, batch=batch, device=device)
    elif config.network.starts_from_package:
        settle_statistics(net, learned, seed=seed, batch=batch, device=device)


def batch_loss(
    logits: Tensor, places: nn.Module, maps: Tensor, batch: Batch, config: RunConfig
) -> Tensor:
    """Give the loss of a batch: of its labels, its teachers' answers and its marked lesions.

    Parameters
    ----------
    logits
        Float (B, 3), the output of the head for `maps`.
    maps
        Float (B, K, h, w), the output of the trunk for the batch's pictures.
    """
    train, device = config.train, maps.device
    loss = partial_label_loss(logits, batch.allowed.to(device), train.smoothing)
    if batch.taught is not None:
        loss = loss + train.teacher_weight * soft_label_loss(logits, batch.taught.to(device))
    if batch.targets is None:
        return loss
    targets = batch.targets.to(device)
    cells = places(maps)[:, 0]
    if cells.shape != targets.shape:
        cells = F.adaptive_avg_pool2d(cells, (targets.shape[1], targets.shape[2]))
    marked = map_loss(cells, targets)
    return loss + train.map_weight * batch.map_share * marked


def _mixed_precision(config: RunConfig, device: torch.device, say: Callable[[str], None]) -> bool:
    if config.train.precision == "single":
        return False
    if device.type == "cuda":
        return True
    say("no graphics card: single precision instead of mixed")
    return False


def _held_out_logits(
    net: MammoNet,
    trunk: Callable[[Tensor], Tensor],
    inputs: Inputs,
    material: Material,
    processes: Processes,
) -> npt.NDArray[np.float32]:
    """Give logits (n, 3) of the held-out pictures; each process computes its share of them."""
    count = len(material.held_out.records)
    rows = range(count)[processes.rank :: processes.world]
    own = logits_of_rows(
        net, lambda x: net.head(net.pool(trunk(x))), inputs.held_out, rows, processes.device
    )
    return sum_rows(processes, own, rows, count)


def _refuse_infinite(loss: Tensor, step: int) -> None:
    if not bool(torch.isfinite(loss)):
        raise ConfigError(
            f"the loss of step {step + 1} is not finite",
            keyword="train.trunk_rate",
            remedy="Lower the learning rates and start again in another folder; with mixed "
            "precision, try single precision",
        )
