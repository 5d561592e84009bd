"""Rebuild the torch network of a model package or a run, for autograd and captum."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from mammolens.errors import BadModelPackage, ConfigError
from mammolens.learn.checkpoint import read_run_folder
from mammolens.learn.network import MammoNet, Pooling
from mammolens.learn.package_trunk import graph_tensors, unfold_trunk
from mammolens.learn.predict import load_network
from mammolens.learn.trunk_folding import fold_trunk
from mammolens.model import STRIDE, ModelCard, ModelPackage
from mammolens.model.package_files import open_package
from mammolens.preprocess import InputConfig

__all__ = ["Rebuilt", "rebuild_network"]

TOLERANCE = 1e-4
"""Largest difference of a probability between a package and the network rebuilt from it."""

_BEST = "best.safetensors"
_WORDS = re.compile(r"(\S+), (avg|gem|attention|fine_attention) pooling, fully connected (\d+),")


@dataclass(frozen=True)
class Rebuilt:
    """A network in evaluation mode, batch norms folded, that needs no gradient of its weights.

    `split_digest` is that of the split that the network was trained with. `card` is ``None`` for a
    run, whose scores are not calibrated.
    """

    net: MammoNet
    preprocess: InputConfig
    split_digest: str
    name: str
    card: ModelCard | None


def rebuild_network(model: str | Path) -> Rebuilt:
    """Make a torch network of a package (built in, folder, zip) or of a run folder.

    The calibration of a package is part of its weights. So the softmax of the network gives the
    package's probabilities; this is checked on random pictures, to 1e-4.

    Raises
    ------
    BadModelPackage
        If the package does not exist, or its network cannot be rebuilt.
    ConfigError
        If a run folder holds no finished pass.
    """
    folder = Path(model)
    if (folder / _BEST).is_file():
        config, summary = read_run_folder(folder)
        net = load_network(config, folder / _BEST)
        name = f"{config.name} (run {folder.name}, not calibrated)"
        return Rebuilt(_ready(net), config.preprocess, summary["split_digest"], name, None)
    package = ModelPackage.load(model)
    card = package.card
    net = _ready(_from_graph(card, model, package.source))
    apart = _apart(net, package)
    if not apart <= TOLERANCE:
        raise _not_rebuilt(
            package.source, f"its probabilities differ by {apart:.2g} from the package's"
        )
    name = f"{card.name} {card.version}"
    return Rebuilt(net, card.preprocess, card.training.split_digest, name, card)


def _from_graph(card: ModelCard, model: str | Path, source: str) -> MammoNet:
    found = _WORDS.match(card.architecture)
    if found is None:
        raise _not_rebuilt(source, f"the card gives the architecture as {card.architecture!r}")
    backbone, pooling, hidden = found.groups()
    try:
        net = MammoNet(backbone, hidden=int(hidden), pooling=cast(Pooling, pooling))
        unfold_trunk(net, str(model))
    except ConfigError as error:
        raise _not_rebuilt(source, error.message) from error
    _, read = open_package(model)
    stored = graph_tensors(read(card.graph_file), "net.")
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if key.startswith("trunk."):
                continue
            if key not in stored or stored[key].shape != value.shape:
                raise _not_rebuilt(source, f"the graph does not hold {key} {tuple(value.shape)}")
            value.copy_(stored[key])
    return net


def _ready(net: MammoNet) -> MammoNet:
    net = net.eval().requires_grad_(False)
    fold_trunk(net, torch.zeros(1, 1, 2 * STRIDE, 2 * STRIDE, dtype=torch.uint8))
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _apart(net: Callable[[torch.Tensor], torch.Tensor], package: ModelPackage) -> float:
    rows, cols = package.card.input_shape
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, 1, rows // 8, cols // 8), dtype=np.uint8)
    pictures: npt.NDArray[np.uint8] = np.ascontiguousarray(coarse.repeat(8, 2).repeat(8, 3))
    with torch.inference_mode():
        rebuilt = torch.softmax(net(torch.from_numpy(pictures)), 1).numpy()
    return float(np.abs(rebuilt - package.predict(pictures).probabilities).max())


def _not_rebuilt(source: str, cause: str) -> BadModelPackage:
    return BadModelPackage(
        f"its network cannot be rebuilt: {cause}",
        source=source,
        keyword="architecture",
        remedy="Give the run folder that it was exported from (with best.safetensors)",
    )
