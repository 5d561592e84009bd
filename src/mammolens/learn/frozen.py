"""Training the last parts of a trunk and the head on kept maps: the paper's networks on a CPU.

The loop is that of `train`, with the same draws, balance, loss, rates, moving average, validation
and resumption; a step reads the maps of the trunk's fixed part (`activations`) where the other
reads pictures. What it writes is the whole network.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from mammolens.data.cache import PreparedCache
from mammolens.errors import ConfigError
from mammolens.learn._allocator import keep_freed_memory
from mammolens.learn.activations import ActivationCache, build_activations, trace_chain
from mammolens.learn.averages import move_average
from mammolens.learn.batches import draw_weights
from mammolens.learn.begin import plan_run, read_material, steps_of_pass
from mammolens.learn.checkpoint import read_state, write_best, write_run, write_state
from mammolens.learn.config import RunConfig, read_run
from mammolens.learn.journal import open_journal
from mammolens.learn.loss import partial_label_loss
from mammolens.learn.network import MammoNet
from mammolens.learn.processes import join_processes, stop_requests
from mammolens.learn.rates import (
    build_optimiser,
    fix_first_stages,
    place_in,
    rates_of,
    set_rates,
)
from mammolens.learn.tally import Tally, judge_pass
from mammolens.learn.train import first_statistics, start_network, train

__all__ = ["train_on_maps", "train_run"]

_LONGEST_GRADIENT = 5.0
_SAID_EVERY = 320

_Say = Callable[[str], None]


def train_run(
    config_path: Path, out: Path, overrides: Sequence[str] = (), on_progress: _Say = print
) -> Path:
    """Train as the run says: on kept maps if ``train.cached_variants`` is not 0, or on pictures.

    See `mammolens.learn.train.train` for parameters, errors, and what is written.
    """
    keep_freed_memory()
    on_maps = read_run(config_path, overrides).train.cached_variants > 0
    return (train_on_maps if on_maps else train)(config_path, out, overrides, on_progress)


def train_on_maps(
    config_path: Path, out: Path, overrides: Sequence[str] = (), on_progress: _Say = print
) -> Path:
    """Train what follows the first ``network.frozen_stages`` parts of the trunk, on kept maps.

    Parameters
    ----------
    config_path
        The run's TOML file; ``train.cached_variants`` is 1 or more.
    out
        Run folder, as `mammolens.learn.train.train` writes it.

    Returns
    -------
    Path of the best weights, of the whole network.

    Raises
    ------
    ConfigError
        If the run asks for what kept maps cannot give, they cannot be kept, or the folder holds
        another run.
    InvalidManifest, PatientLeak
        If the tables cannot be learned from.
    StorageError
        If there is no room for maps or checkpoints.
    SystemExit
        After SIGTERM or SIGINT, once a checkpoint is written.
    """
    config = read_run(config_path, overrides)
    fabric = join_processes(config.train)
    _refuse_what_maps_cannot_give(config, config_path, fabric.world_size)
    torch.set_num_threads(config.train.threads)
    device = fabric.device
    found = read_material(config, out, on_progress)
    learned, held_out = found.learned, found.held_out

    torch.manual_seed(config.train.seed)
    net = start_network(config).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = build_optimiser(net, (), config)
    average = copy.deepcopy(net)
    steps_per_epoch = steps_of_pass(config)
    total_steps = steps_per_epoch * config.train.epochs

    state, tally = out / "state.pt", Tally()
    parts = {"net": net, "average": average, "optimiser": optimiser, "tally": tally}
    if not state.exists():
        write_run(config, found.manifest, out, **found.said)
        first_statistics(net, learned, config, device)
        average.load_state_dict(net.state_dict())
        write_state(state, 0, {"score": -1.0, "epoch": -1}, **parts)
    step, best = read_state(state, **parts)
    stretches = plan_run(config, out, step, on_progress)
    write_run(config, found.manifest, out, **found.said, stretches=stretches)

    variants = config.train.cached_variants
    maps = _keep_maps(net, learned, config, variants, "training", on_progress)
    judged = _keep_maps(net, held_out, config, 1, "validation", on_progress)
    weights = draw_weights(maps.records, config.train.balance, config.train.patient_balance)
    allowed = torch.tensor([record.allowed for record in maps.records])
    rest, average_rest = (trace_chain(x).rest(config.network.frozen_stages) for x in (net, average))

    with (
        stop_requests() as stop_requested,
        open_journal(
            out,
            on_progress,
            tensorboard=config.train.tensorboard,
            step=step,
            epoch=step // steps_per_epoch,
        ) as journal,
    ):
        while step < total_steps:
            epoch, place = divmod(step, steps_per_epoch)
            if epoch - int(best["epoch"]) > config.train.patience:
                break
            rows, chosen, seed = _draw(weights, config, epoch, place)
            torch.manual_seed(seed)
            progress, again = place_in(stretches, step)
            set_rates(optimiser, config.train, progress, again=again)
            fix_first_stages(net, config.network.frozen_stages)
            logits = net.head(net.pool(rest(maps.gather(rows, chosen).to(device))))
            loss = partial_label_loss(logits, allowed[rows].to(device), config.train.smoothing)
            tally.add(rows, logits, len(allowed))
            if not bool(torch.isfinite(loss)):
                raise ConfigError(
                    f"the loss of step {step + 1} is not finite",
                    keyword="train.trunk_rate",
                    remedy="Lower the rates and begin again in another folder",
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), _LONGEST_GRADIENT)
            optimiser.step()
            step += 1
            move_average(average, net, min(config.train.average, step / (step + 10)))

            journal.note_step(
                step, total_steps, step / steps_per_epoch, loss.item(), rates_of(optimiser)
            )
            if step % steps_per_epoch == 0:
                logits_judged = _predict(average, average_rest, judged, device)
                smoothing = config.train.smoothing
                score, figures = judge_pass(judged.records, logits_judged, smoothing)
                shown = tally.close(maps.records, smoothing)
                journal.note_pass(step, {"epoch": epoch, **shown, "score": score, **figures})
                if score > best["score"]:
                    best = {"score": score, "epoch": epoch, **figures}
                    write_best(average, best, out)
            stopped = stop_requested()
            due = step % config.train.checkpoint_steps == 0 or step % steps_per_epoch == 0
            if due or stopped:
                write_state(state, step, best, **parts)
            if stopped:
                on_progress(f"stopped at step {step} of {total_steps}: the same command goes on")
                raise SystemExit(128 + stopped)
        journal.end(best, config.train.epochs, early=step < total_steps)
    return out / "best.safetensors"


def _refuse_what_maps_cannot_give(config: RunConfig, path: Path, processes: int) -> None:
    train = config.train
    wishes = {
        "train.map_weight": train.map_weight > 0,
        "train.small_share": train.small_share > 0,
        "train.teachers": bool(train.teachers),
        "train.precision": train.precision != "single",
        "train.cached_variants": train.cached_variants < 1 or processes > 1,
    }
    for keyword, wished in wishes.items():
        if wished:
            raise ConfigError(
                "the run cannot be trained on kept maps: these know no marked lesions, no "
                "teachers, no smaller pictures, single precision alone, and one process",
                source=str(path),
                keyword=keyword,
                remedy="Change this setting, or set train.cached_variants to 0",
            )


def _keep_maps(
    net: MammoNet, cache: PreparedCache, config: RunConfig, variants: int, side: str, say: _Say
) -> ActivationCache:
    began = time.monotonic()
    said = 0

    def tell(done: int, total: int) -> None:
        nonlocal said
        if done - said >= _SAID_EVERY or done == total:
            said = done
            say(f"{side} maps {done}/{total} {time.monotonic() - began:.0f}s")

    return build_activations(net, cache, config, variants, tell)


def _draw(
    weights: npt.NDArray[np.float64], config: RunConfig, epoch: int, place: int
) -> tuple[list[int], list[int], int]:
    """Rows of one step, the variant of each, and the seed of what the network draws."""
    train = config.train
    drawn = np.random.default_rng((train.seed, epoch)).choice(
        len(weights), train.epoch_images, p=weights
    )
    rows = drawn[place * train.batch :][: train.batch].tolist()
    rng = np.random.default_rng((train.seed, epoch, place))
    return (
        rows,
        rng.integers(train.cached_variants, size=len(rows)).tolist(),
        int(rng.integers(2**62)),
    )


def _predict(
    net: MammoNet, rest: nn.Module, maps: ActivationCache, device: torch.device, batch: int = 32
) -> npt.NDArray[np.float32]:
    """Logits (n, 3) of the pictures as they are."""
    net.eval()
    out = []
    with torch.inference_mode():
        for start in range(0, len(maps.records), batch):
            rows = range(start, min(start + batch, len(maps.records)))
            features = rest(maps.gather(rows, [0] * len(rows)).to(device))
            out.append(net.head(net.pool(features)).float().cpu().numpy())
    return np.concatenate(out)
