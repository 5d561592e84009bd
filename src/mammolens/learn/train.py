"""Training: one visible loop, resumable at any step.

manifest → split by patient → cache of prepared pictures → draws (balanced, augmented) → loss →
AdamW → moving average of the weights → validation after each pass → the best pass is kept.
Every draw depends on the seed, the pass and the place in it alone, so that a run that was cut off
goes on exactly as it would have gone.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mammolens.data.cache import PreparedCache, build_cache
from mammolens.data.manifest import Split
from mammolens.errors import InvalidManifest
from mammolens.learn.batches import draw_batch, gather, stack
from mammolens.learn.checkpoint import add_to_log, read_state, write_best, write_run, write_state
from mammolens.learn.config import RunConfig, load_localisation, load_manifest, read_run
from mammolens.learn.loss import partial_label_loss
from mammolens.learn.marks import map_loss
from mammolens.learn.network import MammoNet, build_network, load_trunk
from mammolens.metrics import auc

__all__ = ["load_network", "predict_logits", "train"]

_ADAPTATION_IMAGES = 512


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
    write_run(config, manifest, out)
    learned, held_out = (
        build_cache(manifest.select(split=side), config.preprocess, config.data.cache, jobs=2)
        for side in (Split.TRAIN, Split.VALIDATION)
    )
    on_progress(f"{len(learned.records)} images to learn from, {len(held_out.records)} held out")
    material = gather(learned, _marked(config), config)

    net = build_network(
        config.network.backbone,
        hidden=config.network.hidden,
        dropout=config.network.dropout,
        pooling=config.network.pooling,
        weights=config.network.weights,
    )
    if config.network.start is not None:
        load_trunk(net, config.network.start)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    places = torch.nn.Conv2d(net.hidden.in_features, 1, 1).to(device)
    optimiser = _optimiser(net, places, config)
    average = copy.deepcopy(net)
    steps_per_epoch = math.ceil(config.train.epoch_images / config.train.batch)
    total_steps = steps_per_epoch * config.train.epochs

    state = out / "state.pt"
    parts = {"net": net, "average": average, "places": places, "optimiser": optimiser}
    if state.exists():
        step, best = read_state(state, **parts)
        on_progress(f"resumed at step {step} of {total_steps}")
    else:
        step, best = 0, {"score": -1.0, "epoch": -1}
        if config.network.start is None:
            _adapt_batch_norm(net, learned, config, device)
            average.load_state_dict(net.state_dict())

    began = time.monotonic()
    while step < total_steps:
        epoch, place = divmod(step, steps_per_epoch)
        if epoch - int(best["epoch"]) > config.train.patience:
            break
        batch = draw_batch(material, config, epoch, place)
        _set_rates(optimiser, config, step / total_steps)
        _train_mode(net, config.network.frozen_stages)
        maps = net.maps(batch.pictures.to(device))
        logits = net.head(net.pool(maps))
        loss = partial_label_loss(logits, batch.allowed.to(device), config.train.smoothing)
        if batch.targets is not None:
            marked = map_loss(places(maps)[:, 0], batch.targets.to(device))
            loss = loss + config.train.map_weight * marked
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
            row = {"epoch": epoch, "loss": loss.item(), "score": score, **figures}
            add_to_log(out / "log.csv", row)
            on_progress(f"pass {epoch}: score {score:.4f} {figures}")
            if score > best["score"]:
                best = {"score": score, "epoch": epoch, **figures}
                write_best(average, best, out)
        if step % config.train.checkpoint_steps == 0 or step % steps_per_epoch == 0:
            write_state(state, step, best, **parts)
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
    net: MammoNet,
    cache: PreparedCache,
    device: torch.device | None = None,
    batch: int = 16,
    *,
    mirrored: bool = True,
) -> npt.NDArray[np.float32]:
    """Logits (n, 3) of every picture of a cache, averaged over the picture and its mirror."""
    net.eval()
    out: list[npt.NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in range(0, len(cache.records), batch):
            rows = range(start, min(start + batch, len(cache.records)))
            pictures = stack([cache.picture(row) for row in rows])
            pictures = pictures.to(device or torch.device("cpu"))
            logits = net(pictures)
            if mirrored:
                logits = (logits + net(pictures.flip(2))) / 2
            out.append(logits.float().cpu().numpy())
    return np.concatenate(out)


def _marked(config: RunConfig) -> PreparedCache | None:
    """Training patients of the localisation tables, where places are to be learned."""
    marked = load_localisation(config) if config.train.map_weight > 0 else None
    if marked is None:
        return None
    side = marked.select(split=Split.TRAIN)
    return build_cache(side, config.preprocess, config.data.cache, jobs=2)


def _optimiser(net: MammoNet, places: torch.nn.Module, config: RunConfig) -> torch.optim.AdamW:
    for stage in list(net.stages())[: config.network.frozen_stages]:
        stage.requires_grad_(False)
    trunk = [p for p in net.trunk.parameters() if p.requires_grad]
    head = [*net.head_parameters(), *places.parameters()]
    groups = [
        {"params": trunk, "peak": config.train.trunk_rate, "from": config.train.head_first},
        {"params": head, "peak": config.train.head_rate, "from": 0.0},
    ]
    return torch.optim.AdamW(groups, weight_decay=config.train.weight_decay)


def _set_rates(optimiser: torch.optim.Optimizer, config: RunConfig, progress: float) -> None:
    """Linear warm-up from a group's start, then half a cosine down to a hundredth."""
    warmup = config.train.warmup
    for group in optimiser.param_groups:
        since = progress - group["from"]
        if since < 0:
            factor = 0.0
        elif since < warmup:
            factor = max(since / warmup, 0.01)
        else:
            share = (since - warmup) / (1 - warmup - group["from"])
            factor = max(0.505 + 0.495 * math.cos(math.pi * share), 0.01)
        group["lr"] = group["peak"] * factor


def _train_mode(net: MammoNet, frozen_stages: int) -> None:
    net.train()
    for stage in list(net.stages())[:frozen_stages]:
        stage.eval()


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
            net(stack([cache.picture(row) for row in chosen]).to(device))
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
    logits = predict_logits(net, cache, device, mirrored=False).astype(np.float64)
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
