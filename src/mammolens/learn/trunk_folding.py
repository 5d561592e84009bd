"""Folding of a trunk for inference, in place: fewer and simpler operations with the same result.

Batch norms are folded into the convolutions before them. Padding that depends on the picture's size
becomes constant. If the three channels of the grey picture are equal, the stem reads only one. For
pictures whose sides are multiples of 32 the maps stay the same up to rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammolens.learn.network import MammoNet

__all__ = ["fold_trunk", "round_weights", "watch_layers"]


class _ConstantPadding(nn.Module):
    """A convolution that reads `channels` channels, padded the same way for every picture."""

    def __init__(self, conv: nn.Conv2d, pads: tuple[int, ...], channels: int | None) -> None:
        super().__init__()
        self.conv, self.pads, self.channels = conv, pads, channels

    def forward(self, image: Tensor) -> Tensor:
        if self.channels is not None:
            image = image[:, : self.channels]
        image = F.pad(image, self.pads) if any(self.pads) else image
        folded: Tensor = nn.Conv2d.forward(self.conv, image)
        return folded


def fold_trunk(net: MammoNet, picture: Tensor) -> None:
    """Fold batch norm, padding and the grey stem of a network in evaluation mode, in place.

    Parameters
    ----------
    picture
        (1, 1, H, W); it is passed once through the network to find which layer follows which.
    """
    convolutions, pairs = watch_layers(net, picture)
    for conv, norm in pairs:
        _fold_norm(conv, norm)
    names = {module: name for name, module in net.trunk.named_modules()}
    for _, norm in pairs:
        drop, act = getattr(norm, "drop", nn.Identity()), getattr(norm, "act", nn.Identity())
        _replace(net.trunk, names[norm], nn.Sequential(drop, act))
    stem, alike = convolutions[0], net.white.numel() == 1
    for conv in convolutions:
        grey = conv is stem and conv.in_channels == 3 and conv.groups == 1 and alike
        if grey:
            conv.weight = nn.Parameter(conv.weight.sum(1, keepdim=True), requires_grad=False)
        same = type(conv).__name__ == "Conv2dSame"
        if grey or same:
            pads = _same_padding(conv) if same else (0, 0, 0, 0)
            _replace(net.trunk, names[conv], _ConstantPadding(conv, pads, 1 if grey else None))


def round_weights(net: MammoNet) -> None:
    """Round weights to half precision, in place, if the effect is small.

    Depthwise convolutions and the stem keep their precision: they have few weights, but a large
    effect.
    """
    dense = [m for m in net.trunk.modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
    linear = [m for m in net.trunk.modules() if isinstance(m, nn.Linear)]
    for module in (*dense[1:], *linear, net.hidden):
        module.weight.data = module.weight.data.half().float()


def watch_layers(
    net: MammoNet, picture: Tensor
) -> tuple[list[nn.Conv2d], list[tuple[nn.Conv2d, nn.BatchNorm2d]]]:
    """Pass a picture (1, 1, H, W) through a network, and find which layer follows which.

    Returns
    -------
    The convolutions in the order of use, and each convolution whose output a batch norm reads with
    this norm.
    """
    convolutions: list[nn.Conv2d] = []
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    outputs: list[tuple[Tensor, nn.Conv2d]] = []

    def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            convolutions.append(module)
            outputs.append((output, module))
        elif isinstance(module, nn.BatchNorm2d):
            pairs.extend((conv, module) for made, conv in outputs if made is inputs[0])

    layers = [m for m in net.trunk.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    handles = [layer.register_forward_hook(after) for layer in layers]
    with torch.no_grad():
        net.maps(picture)
    for handle in handles:
        handle.remove()
    return convolutions, pairs


def _fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    old = 0.0 if conv.bias is None else conv.bias.double()
    bias = norm.bias.double() + (old - norm.running_mean.double()) * scale
    weight = conv.weight.double() * scale[:, None, None, None]
    conv.weight = nn.Parameter(weight.float(), requires_grad=False)
    conv.bias = nn.Parameter(bias.float(), requires_grad=False)


def _same_padding(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """Give TensorFlow's SAME padding (left, right, top, bottom); the stride divides the sides."""
    pads: list[int] = []
    for axis in (1, 0):
        reach = (conv.kernel_size[axis] - 1) * conv.dilation[axis] + 1
        total = max(reach - conv.stride[axis], 0)
        pads += [total // 2, total - total // 2]
    return pads[0], pads[1], pads[2], pads[3]


def _replace(root: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(root.get_submodule(parent), leaf, new)
