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
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from mammolens.data.cache import PreparedCache, build_side
from mammolens.data.manifest import Split
from mammolens.errors import ConfigError
from mammolens.learn.averages import estimate_statistics, move_average
from mammolens.learn.batches import Batch, draw_batch, gather
from mammolens.learn.begin import plan_run, read_material, steps_of_pass
from mammolens.learn.checkpoint import read_state, write_best, write_run, write_state
from mammolens.learn.config import RunConfig, load_localisation, read_run
from mammolens.learn.feed import prefetch
from mammolens.learn.journal import open_journal
from mammolens.learn.loss import partial_label_loss, soft_label_loss
from mammolens.learn.marks import map_loss
from mammolens.learn.network import MammoNet, build_network, load_trunk
from mammolens.learn.predict import load_network, predict_logits
from mammolens.learn.processes import (
    average_gradients,
    join_processes,
    mean_statistics,
    share_of,
    stop_requests,
    stopped_anywhere,
    sum_rows,
)
from mammolens.learn.rates import (
    build_optimiser,
    fix_first_stages,
    place_in,
    rates_of,
    set_rates,
)
from mammolens.learn.tally import Tally, judge_pass
from mammolens.learn.teachers import ask_teachers
from mammolens.learn.unfold import settle_statistics, unfold_trunk

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = [
    "batch_loss",
    "first_statistics",
    "load_network",
    "predict_logits",
    "start_network",
    "train",
]

_LONGEST_GRADIENT = 5.0


def train(
    config_path: Path,
    out: Path,
    overrides: Sequence[str] = (),
    on_progress: Callable[[str], None] = print,
) -> Path:
    """Train the network of a run, or go on where the run was cut off.

    Parameters
    ----------
    config_path
        The run's TOML file.
    out
        Run folder: ``run.json`` (resolved configuration and digests), ``state.pt`` (to resume),
        ``log.csv``, ``steps.csv``, ``curves.png``, ``best.safetensors`` and ``best.json`` (the
        pass that validated best).

    Returns
    -------
    Path of the best weights.

    Raises
    ------
    ConfigError
        If a setting is impossible, the folder holds another run, or the loss is not finite.
    InvalidManifest, PatientLeak
        If the tables cannot be learned from.
    StorageError
        If the folder is full; the checkpoint before is kept.
    SystemExit
        After SIGTERM or SIGINT, once a checkpoint is written.
    """
    config = read_run(config_path, overrides)
    torch.set_num_threads(config.train.threads)
    fabric = join_processes(config.train)
    device, first = fabric.device, fabric.is_global_zero
    say = on_progress if first else lambda _: None
    with fabric.rank_zero_first(local=True):
        found = read_material(config, out, say)
        marked = _marked(config)
    manifest, learned, held_out = found.manifest, found.learned, found.held_out
    state = out / "state.pt"
    with fabric.rank_zero_first():
        anew = first and not state.exists()
        told = ask_teachers(config, manifest, learned.records, out, say, anew=anew, device=device)
    material = gather(learned, marked, config, told)
    mixed = _mixed_precision(config, device, say)
    torch.backends.cudnn.benchmark = True  # pictures are of one size, or two
    hands = 1 if device.type == "cpu" else config.train.threads

    torch.manual_seed(config.train.seed)
    net = start_network(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    places = torch.nn.Conv2d(net.hidden.in_features, 1, 1).to(device)
    optimiser = build_optimiser(net, places.parameters(), config)
    scaler = torch.amp.GradScaler(device.type, enabled=mixed)
    average = copy.deepcopy(net)
    steps_per_epoch = steps_of_pass(config)
    total_steps = steps_per_epoch * config.train.epochs

    tally = Tally()
    parts = {"net": net, "average": average, "places": places, "optimiser": optimiser}
    parts |= {"scaler": scaler, "tally": tally} if mixed else {"tally": tally}
    if first and not state.exists():
        write_run(config, manifest, out, **found.said)
        first_statistics(net, learned, config, device)
        average.load_state_dict(net.state_dict())
        write_state(state, 0, {"score": -1.0, "epoch": -1}, **parts)
    fabric.barrier()
    step, best = read_state(state, **parts)
    stretches = plan_run(config, out, step, say)
    fabric.barrier()
    if first:
        write_run(config, manifest, out, **found.said, stretches=stretches)
    drawn_as = _as_first_planned(config, stretches)

    def make(at: int) -> Batch:
        return draw_batch(material, drawn_as, *divmod(at, steps_per_epoch), share_of(fabric))

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
                maps = net.maps(batch.pictures.to(device))
            logits = net.head(net.pool(maps.float()))
            loss = batch_loss(logits, places, maps.float(), batch, config)
            tally.add(batch.rows, logits, len(learned.records))
            _refuse_infinite(loss, step)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            average_gradients(fabric, optimiser)
            mean_statistics(fabric, net)
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
                score, figures = _validate(average, held_out, fabric, config.train.smoothing)
                shown = tally.close(learned.records, config.train.smoothing)
                journal.note_pass(step, {"epoch": epoch, **shown, "score": score, **figures})
                if score > best["score"]:
                    best = {"score": score, "epoch": epoch, **figures}
                    if first:
                        write_best(average, best, out)
            stopped = stopped_anywhere(fabric, stop_requested())
            due = step % config.train.checkpoint_steps == 0 or step % steps_per_epoch == 0
            if first and (due or stopped):
                write_state(state, step, best, **parts)
            if stopped:
                say(f"stopped at step {step} of {total_steps}: the same command goes on from here")
                raise SystemExit(128 + stopped)
        journal.end(best, config.train.epochs, early=step < total_steps)
    return out / "best.safetensors"


def start_network(config: RunConfig) -> MammoNet:
    """Build the network of a run as it begins: pretrained, or with the trunk of an earlier run
    or of a package.

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
    """Batch-norm statistics of a network that begins: estimated anew for ImageNet weights, put
    back for a package's trunk, kept for an earlier run's."""
    seed, batch, start = config.train.seed, config.train.batch, config.network.start
    if start is None:
        estimate_statistics(net, learned, seed=seed, batch=batch, device=device)
    elif config.network.starts_from_package:
        settle_statistics(net, learned, seed=seed, batch=batch, device=device)


def batch_loss(
    logits: Tensor, places: torch.nn.Module, maps: Tensor, batch: Batch, config: RunConfig
) -> Tensor:
    """Loss of the labels of a batch, of what teachers say of it, and of the places where lesions
    are marked.

    Parameters
    ----------
    logits
        Float (B, 3), what the head made of `maps`.
    maps
        Float (B, K, h, w), what the trunk made of the batch's pictures.
    """
    train, device = config.train, maps.device
    loss = partial_label_loss(logits, batch.allowed.to(device), train.smoothing)
    if batch.told is not None:
        loss = loss + train.teacher_weight * soft_label_loss(logits, batch.told.to(device))
    if batch.targets is None:
        return loss
    targets = batch.targets.to(device)
    cells = places(maps)[:, 0]
    if cells.shape != targets.shape:
        cells = F.adaptive_avg_pool2d(cells, (targets.shape[1], targets.shape[2]))
    marked = map_loss(cells, targets)
    return loss + train.map_weight * batch.map_share * marked


def _as_first_planned(config: RunConfig, stretches: Sequence[Sequence[int]]) -> RunConfig:
    """The run as its draws see it: small pictures come first once, however often it goes on."""
    passes = stretches[0][1] // steps_of_pass(config)
    return config.model_copy(update={"train": config.train.model_copy(update={"epochs": passes})})


def _mixed_precision(config: RunConfig, device: torch.device, say: Callable[[str], None]) -> bool:
    if config.train.precision == "single":
        return False
    if device.type == "cuda":
        return True
    say("no graphics card: single precision instead of mixed")
    return False


def _marked(config: RunConfig) -> PreparedCache | None:
    """Training patients of the localisation tables, where places are to be learned."""
    marked = load_localisation(config) if config.train.map_weight > 0 else None
    if marked is None:
        return None
    return build_side(marked, Split.TRAIN, config.preprocess, config.data.cache)


def _validate(
    net: MammoNet, cache: PreparedCache, fabric: Fabric, smoothing: float
) -> tuple[float, dict[str, float]]:
    """Score and figures of the held-out pictures; each process looks at its share of them."""
    rows = range(len(cache.records))[fabric.global_rank :: fabric.world_size]
    own = predict_logits(net, cache, fabric.device, mirrored=False, rows=rows)
    return judge_pass(cache.records, sum_rows(fabric, own, rows, len(cache.records)), smoothing)


def _refuse_infinite(loss: Tensor, step: int) -> None:
    if not bool(torch.isfinite(loss)):
        raise ConfigError(
            f"the loss of step {step + 1} is not finite",
            keyword="train.trunk_rate",
            remedy="Lower the rates and begin again in another folder; with mixed precision try "
            "single",
        )
