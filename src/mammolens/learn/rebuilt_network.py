"""Networks from model packages: the whole one for autograd and captum, the trunk to train further.

The graph keeps the names of the trunk's layers, but export has folded every batch norm into the
convolution before it. `unfold_trunk` puts neutral norms behind the folded weights.
`settle_statistics` gives each norm the statistics of its inputs, and weights that undo them. Then
the norm works as usual in training mode, and in evaluation mode the trunk gives the same maps as
the graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mammolens.data.cache import PreparedCache
from mammolens.errors import BadModelPackage, ConfigError
from mammolens.learn.batches import stack
from mammolens.learn.checkpoint import read_run_folder
from mammolens.learn.network import MammoNet, Pooling, batch_norms
from mammolens.learn.predict import load_network
from mammolens.learn.trunk_folding import fold_trunk, watch_layers
from mammolens.model import STRIDE, ModelCard, ModelPackage
from mammolens.model.card import read_card
from mammolens.model.package_files import CARD_FILE, open_package
from mammolens.preprocess import InputConfig

__all__ = ["Rebuilt", "graph_tensors", "rebuild_network", "settle_statistics", "unfold_trunk"]

TOLERANCE = 1e-4
"""Largest difference of a probability between a package and the network rebuilt from it."""

_BEST = "best.safetensors"
_WORDS = re.compile(r"(\S+), (avg|gem|attention|fine_attention) pooling, fully connected (\d+),")
_IMAGES = 384
_PROBE_PX = 64
_PREFIX = "net.trunk."
_SMALLEST, _LARGEST = 0.01, 100.0


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


@torch.no_grad()
def unfold_trunk(net: MammoNet, package: str) -> None:
    """Load the trunk of a package that mammolens exported; it is built in or given by its path.

    Folded filters can have any size, but a learning rate for ImageNet weights is far too high for a
    filter that is ten times smaller. Before a batch norm only the direction of a filter matters. So
    each filter is scaled to its size in the given network, and its norm undoes the scaling.

    Raises
    ------
    BadModelPackage
        If the package does not exist.
    ConfigError
        If its graph has another trunk; the network may then be partly changed.
    """
    source, read = open_package(package)
    stored = graph_tensors(read(read_card(read(CARD_FILE), f"{source}/{CARD_FILE}").graph_file))
    net.eval()
    picture = torch.zeros(1, 1, _PROBE_PX, _PROBE_PX, dtype=torch.uint8)
    names = {module: name for name, module in net.trunk.named_modules()}
    done: set[str] = set()
    for conv, norm in watch_layers(net, picture)[1]:
        usual = _rms(conv.weight)
        _fill(conv.weight, stored, f"{names[conv]}.weight", source)
        size = (usual / _rms(conv.weight).clamp(min=1e-12)).clamp(_SMALLEST, _LARGEST)
        conv.weight *= size[:, None, None, None]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
        norm.weight.copy_(1.0 / size)
        _fill(norm.bias, stored, f"{names[conv]}.bias", source)
        if conv.bias is not None:
            conv.bias.zero_()
        done |= {f"{names[conv]}.weight", f"{names[conv]}.bias"}
        done |= {f"{names[norm]}.{part}" for part in norm.state_dict()}
    for key, value in net.trunk.state_dict().items():
        if key not in done and not key.endswith("num_batches_tracked"):
            _fill(value, stored, key, source)
    net.train()


@torch.no_grad()
def settle_statistics(
    net: MammoNet, cache: PreparedCache, *, seed: int, batch: int, device: torch.device
) -> None:
    """Set the statistics of every batch norm from at most 384 pictures; its output stays the same.

    The network is left in training mode.
    """
    sums: dict[nn.Module, tuple[int, Tensor, Tensor]] = {}

    def watch(norm: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        seen = inputs[0].double()
        count, total, squares = sums.get(norm, (0, torch.tensor(0.0), torch.tensor(0.0)))
        sums[norm] = (
            count + seen.numel() // seen.shape[1],
            total + seen.sum((0, 2, 3)).cpu(),
            squares + seen.square().sum((0, 2, 3)).cpu(),
        )

    norms = list(batch_norms(net))
    handles = [norm.register_forward_hook(watch) for norm in norms]
    rows = np.random.default_rng(seed).permutation(len(cache.records))[:_IMAGES]
    net.eval()
    for start in range(0, len(rows) if norms else 0, batch):
        net.maps(stack([cache.picture(row) for row in rows[start : start + batch]]).to(device))
    for handle in handles:
        handle.remove()
    for norm in norms:
        count, total, squares = sums[norm]
        _undo(norm, total / count, (squares / count - (total / count) ** 2).clamp(min=1e-8))
    net.train()


def _rms(filters: Tensor) -> Tensor:
    """Give the root of the mean square of each filter (n, …)."""
    return filters.square().flatten(1).mean(1).sqrt()


def _undo(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Change a norm's statistics, and its weights so that it maps values as before."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    old_scale = norm.weight.double().cpu() / (norm.running_var.double().cpu() + norm.eps).sqrt()
    old_mean, bias = norm.running_mean.double().cpu(), norm.bias.double().cpu()
    norm.weight.copy_(old_scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(bias + (mean - old_mean) * old_scale)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


def graph_tensors(graph: bytes, prefix: str = _PREFIX) -> dict[str, Tensor]:
    """Give the tensors of a graph whose names have a prefix, without it; in single precision."""
    import onnx

    return {
        tensor.name.removeprefix(prefix).removesuffix(".half"): torch.from_numpy(
            onnx.numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in onnx.load_from_string(graph).graph.initializer
        if tensor.name.startswith(prefix)
    }


def _fill(target: Tensor, stored: dict[str, Tensor], key: str, source: str) -> None:
    """Copy a stored tensor; a grey stem is divided among the three channels of which it is the sum.

    If export made the padding of a convolution constant, its name is one part longer in the graph.
    """
    layer, _, part = key.rpartition(".")
    found = stored.get(key, stored.get(f"{layer}.conv.{part}"))
    if found is not None and found.ndim == 4 and found.shape[1] == 1 and target.shape[1] == 3:
        found = found.expand(-1, 3, -1, -1) / 3
    if found is None or found.shape != target.shape:
        there = "is not in the graph" if found is None else f"is {tuple(found.shape)} there"
        raise ConfigError(
            f"the package's graph does not hold this trunk: {key}, {tuple(target.shape)}, {there}",
            source=source,
            keyword="network.start",
            remedy="Name the package's backbone in network.backbone; trunks that a graph holds "
            "in another form (ConvNeXt) go on from their run's best.safetensors alone",
        )
    target.copy_(found)
