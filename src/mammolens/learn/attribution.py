"""Explanation methods: maps of the places that make a network find a picture malignant.

The input is a prepared picture; the output is a map (h, w) ≥ 0 with one cell for 32 × 32 pixels.
All methods explain the same score: the log-odds of malignant against the rest, averaged over the
picture and its upside-down mirror image, as in the analysis. With the last feature maps A (K, h, w)
and the gradient g of the score with respect to them::

    grad_cam     relu(sum_k mean(g_k) A_k)           Selvaraju 2017, 10.1109/ICCV.2017.74
    grad_cam_pp  relu(sum_k w_k A_k), w_k = sum a_k relu(g_k), a = g^2 / (2 g^2 + sum(A_k) g^3)
                                                     Chattopadhay 2018, 10.1109/WACV.2018.00097
    hires_cam    relu(sum_k g_k A_k)                 Draelos 2020, arXiv 2011.08891
    layer_cam    relu(sum_k relu(g_k) A_k)           Jiang 2021, 10.1109/TIP.2021.3089943

Integrated gradients (Sundararajan 2017, arXiv 1703.01365, from a black picture) and occlusion
(Zeiler 2014, 10.1007/978-3-319-10590-1_53, by the mean of the breast) are captum's; both are summed
over the pixels of a cell, and negative values are set to 0, as in the other maps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammolens.errors import ConfigError
from mammolens.learn.grad_cam import ScoreAndExplain
from mammolens.learn.network import MammoNet
from mammolens.model import STRIDE
from mammolens.spelling import check_known

__all__ = [
    "METHODS",
    "Costs",
    "LogOdds",
    "Method",
    "choose_methods",
    "look_at",
    "map_of",
    "probabilities",
    "shuffled",
]


@dataclass(frozen=True)
class Costs:
    """Settings of the slow methods: steps of integrated gradients, window and stride (pixels) of
    occlusion, and pictures in one pass."""

    steps: int = 12
    window_px: int = 64
    stride_px: int = 64
    batch: int = 8


class LogOdds(nn.Module):
    """Log-odds of malignancy of pictures, with the feature maps as a layer of their own.

    Parameters
    ----------
    net
        In evaluation mode; used as it is, not copied.
    """

    def __init__(self, net: MammoNet) -> None:
        super().__init__()
        self.maps = _Maps(net)
        self.net = net
        self.closed_form = ScoreAndExplain(net)

    def of_maps(self, maps: Tensor) -> Tensor:
        """Log-odds (B,) of feature maps (B, K, h, w)."""
        logits = self.net.head(self.net.pool(maps))
        return logits[:, 2] - torch.logsumexp(logits[:, :2], 1)

    def forward(self, image: Tensor) -> Tensor:
        """Log-odds (B,) of grey pictures (B, 1, H, W), 0–255."""
        return self.of_maps(self.maps(image))


@dataclass(frozen=True)
class Look:
    """A picture (1, 1, H, W), float 0–255, and the network's last feature maps (1, K, h, w)."""

    image: Tensor
    maps: Tensor


Explain = Callable[[LogOdds, Look, Costs], Tensor]
"""Network, picture with maps, and settings → map (h, w) ≥ 0."""


@dataclass(frozen=True)
class Method:
    """One explanation method.

    A `reference` uses only the picture, or nothing. A method that `reads_maps` needs only one pass
    through the trunk.
    """

    title: str
    explain: Explain
    reads_maps: bool = False
    slow: bool = False
    reference: bool = False


def choose_methods(names: Sequence[str]) -> dict[str, Method]:
    """Give the methods with these names, or all if there are no names. Grad-CAM is always included.

    Raises
    ------
    ConfigError
        If a method does not exist; the message proposes the nearest name.
    """
    for name in names:
        check_known(name, METHODS, "method", "methods")
    wanted = {"grad_cam", *(names or METHODS)}
    return {name: method for name, method in METHODS.items() if name in wanted}


@torch.no_grad()
def look_at(model: LogOdds, picture: npt.NDArray[np.uint8]) -> tuple[Look, Look]:
    """Pass a prepared picture, uint8 (H, W), and its upside-down mirror through the trunk."""
    image = torch.from_numpy(np.array(picture))[None, None].float()
    both = torch.cat([image, image.flip(2)])
    maps = model.maps(both)
    return Look(both[:1], maps[:1]), Look(both[1:], maps[1:])


def map_of(
    method: Method, model: LogOdds, looks: tuple[Look, Look], costs: Costs = Costs()
) -> npt.NDArray[np.float32]:
    """Explain a picture and its mirror image, and give the mean of both.

    Returns
    -------
    Float32 (h, w) ≥ 0, one cell for 32 × 32 pixels.
    """
    first, second = (method.explain(model, look, costs) for look in looks)
    found: npt.NDArray[np.float32] = ((first + second.flip(0)) / 2).float().numpy()
    return found


def probabilities(model: LogOdds, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """P(malignant) (n,) of prepared pictures (n, 1, H, W), without their mirror images."""
    with torch.inference_mode():
        parts = [
            torch.sigmoid(model(part)) for part in torch.from_numpy(pictures).split(Costs.batch)
        ]
    found: npt.NDArray[np.float64] = torch.cat(parts).double().numpy()
    return found


def shuffled(net: MammoNet, layers: str, seed: int) -> MammoNet:
    """Copy a network and shuffle the values of every weight tensor within itself.

    The network then knows nothing, but the sizes of its weights are as before. Source: Adebayo
    2018, arXiv 1810.03292, which draws new weights.

    Parameters
    ----------
    layers
        ``head``: all above the trunk; ``all``: the whole network.
    """
    if layers not in ("head", "all"):
        raise ConfigError(f"there are no layers {layers!r}", remedy="Give head or all")
    copied = copy.deepcopy(net)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in copied.head_parameters() if layers == "head" else copied.parameters():
            order = torch.randperm(value.numel(), generator=generator)
            value.copy_(value.flatten()[order].view(value.shape))
    return copied


class _Maps(nn.Module):
    def __init__(self, net: MammoNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return self.net.maps(image)


@torch.no_grad()
def _grad_cam(model: LogOdds, look: Look, _: Costs) -> Tensor:
    return model.closed_form.of_maps(look.maps)[2][0]


def _from_maps(rule: Callable[[Tensor, Tensor], Tensor]) -> Explain:
    """Make a method from a rule on the last maps (K, h, w) and the score's gradient there."""

    def explain(model: LogOdds, look: Look, _: Costs) -> Tensor:
        maps = look.maps.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model.of_maps(maps).sum(), maps)
        heat = torch.relu(rule(maps.detach()[0], gradient[0]))
        fine = heat.shape[0] * STRIDE > look.image.shape[2]
        return F.avg_pool2d(heat[None], 2)[0] if fine else heat

    return explain


def _grad_cam_pp(maps: Tensor, gradient: Tensor) -> Tensor:
    """Weigh the maps as Grad-CAM++ does; exp(score), a factor of all cells, is left out."""
    square = gradient * gradient
    below = 2.0 * square + maps.sum((1, 2), keepdim=True) * square * gradient
    alpha = torch.where(below != 0, square / below, 0.0)
    weights = (alpha * torch.relu(gradient)).sum((1, 2), keepdim=True)
    return (weights * maps).sum(0)


def _integrated_gradients(model: LogOdds, look: Look, costs: Costs) -> Tensor:
    from captum.attr import IntegratedGradients

    each = IntegratedGradients(model).attribute(
        look.image.clone().requires_grad_(),
        baselines=0.0,
        n_steps=costs.steps,
        internal_batch_size=costs.batch,
    )
    return _cells(each.detach())


@torch.no_grad()
def _occlusion(model: LogOdds, look: Look, costs: Costs) -> Tensor:
    from captum.attr import Occlusion

    image, window, stride = look.image, costs.window_px, costs.stride_px
    inside = image[image > 0]
    each = Occlusion(model).attribute(
        image,
        sliding_window_shapes=(1, min(window, image.shape[2]), min(window, image.shape[3])),
        strides=(1, stride, stride),
        baselines=float(inside.mean()) if len(inside) else 0.0,
        perturbations_per_eval=costs.batch,
    )
    return _cells(each)


def _chance(_: LogOdds, look: Look, __: Costs) -> Tensor:
    """Random numbers that a picture and its mirror image do not share."""
    image = look.image
    rows, cols = image.shape[2] // STRIDE, image.shape[3] // STRIDE
    weights = torch.arange(image.numel(), dtype=torch.float64).view_as(image)
    seed = int((image.double() * weights).sum().item()) % 2**31
    return torch.rand(rows, cols, generator=torch.Generator().manual_seed(seed))


def _cells(pixels: Tensor) -> Tensor:
    """Sum (1, 1, H, W) over the pixels of each cell (h, w), and set negative sums to 0."""
    summed: Tensor = F.avg_pool2d(pixels, STRIDE)[0, 0] * STRIDE**2
    return torch.relu(summed)


METHODS: Final = {
    "grad_cam": Method("Grad-CAM (in the graph)", _grad_cam, reads_maps=True),
    "grad_cam_pp": Method("Grad-CAM++", _from_maps(_grad_cam_pp), reads_maps=True),
    "hires_cam": Method("HiResCAM", _from_maps(lambda a, g: (g * a).sum(0)), reads_maps=True),
    "layer_cam": Method(
        "LayerCAM", _from_maps(lambda a, g: (torch.relu(g) * a).sum(0)), reads_maps=True
    ),
    "integrated_gradients": Method("Integrated gradients", _integrated_gradients, slow=True),
    "occlusion": Method("Occlusion", _occlusion, slow=True),
    "brightness": Method(
        "Brightness of the picture", lambda _, look, __: _cells(look.image), reference=True
    ),
    "chance": Method("Random numbers", _chance, reference=True),
}
