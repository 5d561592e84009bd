"""Training: one visible loop, resumable at any step.

manifest → split by patient → cache of prepared pictures → draws (balanced, augmented) → loss →
AdamW → moving average of the weights → validation after each pass → the best pass is kept.
Every draw depends on the seed, the pass and the place in it alone, so that a run that was cut off
goes on exactly as it would have gone.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache, build_cache
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_digest
from mammolens.errors import InvalidManifest
from mammolens.learn.augment import apply_augmentation, draw_augmentation
from mammolens.learn.config import RunConfig, load_manifest, read_run
from mammolens.learn.loss import partial_label_loss
from mammolens.learn.network import MammoNet, build_network
from mammolens.metrics import auc

__all__ = ["draw_weights", "load_network", "predict_logits", "train"]

_ADAPTATION_IMAGES = 512


def draw_weights(records: Sequence[Record], balance: float) -> npt.NDArray[np.float64]:
    """Probability of drawing each record.

    A cell is a data set and what its label allows. Each cell is drawn in proportion to
    ``n ** (1 - balance)``; records that say nothing are never drawn.

    Returns
    -------
    Float64 (n,), sums to one.
    """
    cells = [(record.dataset, record.allowed) for record in records]
    counts = Counter(cells)
    weights = np.array(
        [0.0 if all(cell[1]) else counts[cell] ** -balance for cell in cells], np.float64
    )
    if weights.sum() == 0:
        raise InvalidManifest("no record has a label to learn from", keyword="malignant")
    return weights / weights.sum()


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
        ``log.csv``, ``best.safetensors`` and ``best.json`` (the pass that validated best).

    Returns
    -------
    Path of the best weights.
    """
    config = read_run(config_path, overrides)
    torch.set_num_threads(config.train.threads)
    torch.manual_seed(config.train.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    out.mkdir(parents=True, exist_ok=True)
    manifest = load_manifest(config)
    _write_run(config, manifest, out)
    learned, held_out = (
        build_cache(manifest.select(split=side), config.preprocess, config.data.cache, jobs=2)
        for side in (Split.TRAIN, Split.VALIDATION)
    )
    on_progress(f"{len(learned.records)} images to learn from, {len(held_out.records)} held out")

    net = build_network(
        config.network.backbone,
        hidden=config.network.hidden,
        dropout=config.network.dropout,
        pooling=config.network.pooling,
        weights=config.network.weights,
    ).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(net, config)
    weights = draw_weights(learned.records, config.train.balance)
    allowed = torch.tensor([record.allowed for record in learned.records])
    steps_per_epoch = math.ceil(config.train.epoch_images / config.train.batch)
    total_steps = steps_per_epoch * config.train.epochs

    state = out / "state.pt"
    if state.exists():
        step, best, average = _resume(state, net, optimiser)
        on_progress(f"resumed at step {step} of {total_steps}")
    else:
        step, best = 0, {"score": -1.0, "epoch": -1}
        _adapt_batch_norm(net, learned, config, device)
        average = copy.deepcopy(net)

    began = time.monotonic()
    while step < total_steps:
        epoch, place = divmod(step, steps_per_epoch)
        if epoch - int(best["epoch"]) > config.train.patience:
            break
        rows = _draw(weights, config, epoch)[place * config.train.batch :][: config.train.batch]
        pictures = _augmented(learned, rows, config, epoch, place).to(device)
        _set_rates(optimiser, config, step / total_steps)
        _train_mode(net, config.network.frozen_stages)
        loss = partial_label_loss(net(pictures), allowed[rows].to(device), config.train.smoothing)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        step += 1
        _move_average(average, net, min(config.train.average, step / (step + 10)))

        if step % 20 == 0:
            on_progress(
                f"step {step}/{total_steps} loss {loss.item():.3f} {time.monotonic() - began:.0f}s"
            )
        if step % steps_per_epoch == 0:
            score, figures = _validate(average, held_out, device)
            _log(out / "log.csv", {"epoch": epoch, "loss": loss.item(), "score": score, **figures})
            on_progress(f"pass {epoch}: score {score:.4f} {figures}")
            if score > best["score"]:
                best = {"score": score, "epoch": epoch, **figures}
                _save_best(average, best, out)
        if step % config.train.checkpoint_steps == 0 or step % steps_per_epoch == 0:
            _save_state(state, step, best, net, average, optimiser)
    return out / "best.safetensors"


def load_network(config: RunConfig, weights: Path) -> MammoNet:
    """Build the network of a run with the weights that it learned (``.safetensors``)."""
    from safetensors.torch import load_file

    net = MammoNet(
        config.network.backbone,
        hidden=config.network.hidden,
        dropout=config.network.dropout,
        pooling=config.network.pooling,
    )
    net.load_state_dict(load_file(weights))
    return net.eval()


def predict_logits(
    net: MammoNet, cache: PreparedCache, device: torch.device | None = None, batch: int = 16
) -> npt.NDArray[np.float32]:
    """Logits (n, 3) of every picture of a cache, averaged over the picture and its mirror."""
    net.eval()
    out: list[npt.NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in range(0, len(cache.records), batch):
            rows = range(start, min(start + batch, len(cache.records)))
            pictures = _stack([cache.picture(row) for row in rows])
            pictures = pictures.to(device or torch.device("cpu"))
            both = (net(pictures) + net(pictures.flip(2))) / 2
            out.append(both.float().cpu().numpy())
    return np.concatenate(out)


def _write_run(config: RunConfig, manifest: Manifest, out: Path) -> None:
    summary = {
        "config": json.loads(config.model_dump_json()),
        "manifest_digest": manifest.digest,
        "split_digest": split_digest(manifest),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }
    (out / "run.json").write_text(json.dumps(summary, indent=1))


def _optimiser(net: MammoNet, config: RunConfig) -> torch.optim.AdamW:
    for stage in list(net.stages())[: config.network.frozen_stages]:
        stage.requires_grad_(False)
    trunk = [p for p in net.trunk.parameters() if p.requires_grad]
    head = [*net.hidden.parameters(), *net.out.parameters()]
    groups = [
        {"params": trunk, "lr": config.train.trunk_rate, "peak": config.train.trunk_rate},
        {"params": head, "lr": config.train.head_rate, "peak": config.train.head_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=config.train.weight_decay)


def _set_rates(optimiser: torch.optim.Optimizer, config: RunConfig, progress: float) -> None:
    """Linear warm-up, then half a cosine down to a hundredth."""
    warmup = config.train.warmup
    if progress < warmup:
        factor = progress / warmup
    else:
        factor = 0.505 + 0.495 * math.cos(math.pi * (progress - warmup) / (1 - warmup))
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * max(factor, 0.01)


def _train_mode(net: MammoNet, frozen_stages: int) -> None:
    net.train()
    for stage in list(net.stages())[:frozen_stages]:
        stage.eval()


def _draw(weights: npt.NDArray[np.float64], config: RunConfig, epoch: int) -> npt.NDArray[np.intp]:
    rng = np.random.default_rng((config.train.seed, epoch))
    return rng.choice(len(weights), config.train.epoch_images, p=weights)


def _augmented(
    cache: PreparedCache, rows: npt.NDArray[np.intp], config: RunConfig, epoch: int, place: int
) -> Tensor:
    rng = np.random.default_rng((config.train.seed, epoch, place))
    changes = [draw_augmentation(rng, config.augment) for _ in rows]
    torch.manual_seed(int(rng.integers(2**62)))
    return _stack(
        [apply_augmentation(cache.picture(i), c) for i, c in zip(rows, changes, strict=True)]
    )


def _stack(pictures: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    stacked = torch.from_numpy(np.stack(pictures)[:, None])
    return stacked.contiguous(memory_format=torch.channels_last)


def _batch_norms(net: MammoNet) -> Iterator[torch.nn.BatchNorm2d]:
    return (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))


def _adapt_batch_norm(
    net: MammoNet, cache: PreparedCache, config: RunConfig, device: torch.device
) -> None:
    """Replace ImageNet's batch-norm statistics by those of mammograms (arXiv 2508.15452)."""
    rng = np.random.default_rng(config.train.seed)
    momenta = [layer.momentum for layer in _batch_norms(net)]
    for layer in _batch_norms(net):
        layer.reset_running_stats()
        layer.momentum = None
    net.train()
    rows = rng.choice(len(cache.records), min(_ADAPTATION_IMAGES, len(cache.records)), False)
    with torch.no_grad():
        for start in range(0, len(rows), config.train.batch):
            chosen = rows[start : start + config.train.batch]
            net(_stack([cache.picture(row) for row in chosen]).to(device))
    for layer, momentum in zip(_batch_norms(net), momenta, strict=True):
        layer.momentum = momentum


@torch.no_grad()
def _move_average(average: MammoNet, net: MammoNet, decay: float) -> None:
    theirs = net.state_dict()
    for key, mine in average.state_dict().items():
        if mine.is_floating_point():
            mine.lerp_(theirs[key], 1.0 - decay)
        else:
            mine.copy_(theirs[key])


def _validate(
    net: MammoNet, cache: PreparedCache, device: torch.device
) -> tuple[float, dict[str, float]]:
    """Image-weighted mean over the data sets of the AUC of malignancy within each."""
    logits = predict_logits(net, cache, device).astype(np.float64)
    odds = logits[:, 2] - np.logaddexp(logits[:, 0], logits[:, 1])
    figures: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for dataset in sorted({record.dataset for record in cache.records}):
        rows = [
            i
            for i, record in enumerate(cache.records)
            if record.dataset == dataset and record.malignant is not None
        ]
        labels = np.array([bool(cache.records[i].malignant) for i in rows])
        if labels.any() and not labels.all():
            figures[f"auc_{dataset}"] = round(float(auc(labels, odds[rows])), 4)
            sizes[f"auc_{dataset}"] = len(rows)
    if not figures:
        raise InvalidManifest("no validation data set has both outcomes", keyword="malignant")
    score = sum(figures[k] * sizes[k] for k in figures) / sum(sizes.values())
    return score, figures


def _log(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _save_best(net: MammoNet, best: dict[str, Any], out: Path) -> None:
    from safetensors.torch import save_file

    tensors = {key: value.cpu().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, out / "best.safetensors")
    (out / "best.json").write_text(json.dumps(best, indent=1))


def _save_state(
    path: Path,
    step: int,
    best: dict[str, Any],
    net: MammoNet,
    average: MammoNet,
    optimiser: torch.optim.Optimizer,
) -> None:
    parts = {
        "step": step,
        "best": best,
        "net": net.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    partial = path.with_suffix(".partial")
    torch.save(parts, partial)
    partial.replace(path)


def _resume(
    path: Path, net: MammoNet, optimiser: torch.optim.Optimizer
) -> tuple[int, dict[str, Any], MammoNet]:
    parts = torch.load(path, map_location="cpu", weights_only=True)
    average = copy.deepcopy(net)
    net.load_state_dict(parts["net"])
    average.load_state_dict(parts["average"])
    optimiser.load_state_dict(parts["optimiser"])
    return int(parts["step"]), dict(parts["best"]), average
