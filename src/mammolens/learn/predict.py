"""What a network says of a cache of pictures, and how well it ranks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Record
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.learn._allocator import keep_freed_memory
from mammolens.learn.batches import stack
from mammolens.learn.config import RunConfig
from mammolens.learn.network import MammoNet
from mammolens.metrics import auc

__all__ = [
    "load_network",
    "logits_of_rows",
    "malignancy_figures",
    "malignancy_odds",
    "predict_logits",
]


def load_network(config: RunConfig, weights: Path) -> MammoNet:
    """Build the network of a run with the weights that it learned (``.safetensors``).

    Raises
    ------
    ConfigError
        If the file cannot be read, or holds the weights of another network.
    """
    from safetensors.torch import load_file

    net = MammoNet(
        config.network.backbone,
        hidden=config.network.hidden,
        dropout=config.network.dropout,
        pooling=config.network.pooling,
    )
    try:
        net.load_state_dict(load_file(weights))
    except Exception as error:  # safetensors and torch have no common base but this one
        raise ConfigError(
            f"it does not hold the weights of the run's network: {_first_lines(error)}",
            source=str(weights),
            keyword="network",
            remedy="Give the run.json and best.safetensors of one run",
        ) from error
    return net.eval()


def predict_logits(
    net: MammoNet,
    cache: PreparedCache,
    device: torch.device | None = None,
    batch: int = 16,
    *,
    mirrored: bool = True,
) -> npt.NDArray[np.float32]:
    """Logits (n, 3) of the pictures of a cache, averaged over the picture and its mirror image."""
    keep_freed_memory()

    def forward(pictures: Tensor) -> Tensor:
        logits: Tensor = net(pictures)
        return (logits + net(pictures.flip(2))) / 2 if mirrored else logits

    def read(rows: Sequence[int]) -> Tensor:
        return stack([cache.picture(row) for row in rows])

    return logits_of_rows(net, forward, read, range(len(cache.records)), device, batch)


def logits_of_rows(
    net: MammoNet,
    forward: Callable[[Tensor], Tensor],
    read: Callable[[Sequence[int]], Tensor],
    rows: Sequence[int],
    device: torch.device | None = None,
    batch: int = 16,
) -> npt.NDArray[np.float32]:
    """Logits (n, 3) of rows, in batches; the network is put in evaluation mode.

    Parameters
    ----------
    forward
        Inputs → logits (B, 3), by `net`.
    read
        Rows → inputs, on any device.
    device
        Where the network is; the CPU if nothing is given.
    """
    net.eval()
    out = [np.empty((0, 3), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            inputs = read(rows[start : start + batch]).to(device or torch.device("cpu"))
            out.append(forward(inputs).float().cpu().numpy())
    return np.concatenate(out)


def malignancy_odds(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Log-odds (n,) of malignancy from logits (n, 3).

    Examples
    --------
    >>> malignancy_odds([[0.0, 0.0, 0.0]]).round(4).tolist()
    [-0.6931]
    """
    values = np.asarray(logits, np.float64)
    odds: npt.NDArray[np.float64] = values[:, 2] - np.logaddexp(values[:, 0], values[:, 1])
    return odds


def malignancy_figures(
    records: Sequence[Record], logits: npt.ArrayLike
) -> tuple[float, dict[str, float]]:
    """Image-weighted mean over the data sets of the AUC of malignancy within each.

    Parameters
    ----------
    logits
        (n, 3), in the order of `records`.

    Raises
    ------
    InvalidManifest
        If no data set has both outcomes.

    Examples
    --------
    >>> two = [Record("x", str(i), "p", Path("x"), malignant=bool(i)) for i in range(2)]
    >>> malignancy_figures(two, [[0, 0, 0], [0, 0, 1]])
    (1.0, {'auc_x': 1.0})
    """
    odds = malignancy_odds(logits)
    known = np.array([record.malignant is not None for record in records], bool)
    positive = np.array([record.malignant is True for record in records], bool)
    datasets = np.array([record.dataset for record in records])
    figures: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for dataset in sorted({record.dataset for record in records}):
        rows = known & (datasets == dataset)
        if len(set(positive[rows])) == 2:
            figures[f"auc_{dataset}"] = round(float(auc(positive[rows], odds[rows])), 4)
            sizes[f"auc_{dataset}"] = int(rows.sum())
    if not figures:
        raise InvalidManifest(
            "no data set has both malignant and other images on the validation side",
            keyword="malignant",
            remedy="Give labels of both kinds, more patients, or another split (data.validation, "
            "data.split_seed)",
        )
    score = sum(figures[key] * sizes[key] for key in figures) / sum(sizes.values())
    return score, figures


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
