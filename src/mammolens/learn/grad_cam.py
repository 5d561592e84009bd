"""The network with calibration folded in and Grad-CAM in closed form: what is exported.

The last layers are global pooling and a small head, so the gradient of a score with respect to the
last feature maps has a closed form, and Grad-CAM (Selvaraju 2017, doi 10.1109/ICCV.2017.74) needs
no autograd. With maps A (K, h, w), pooled vector v, z = W1 v + b1 and logits = W2 relu(z) + b2::

    G      = (g W2 * [z > 0]) W1            gradient of the score with respect to v; g below
    alpha  = G / (h w)                                                    average pooling
    alpha  = G mean(A^2 [A >= floor]) (v / mean(A^3)) / (h w)             generalised mean
    alpha  = (G + the pull on the weights) / (h w)           gated attention, `GatedAttention`
    map    = relu(sum_k alpha_k A_k)

Maps of half the stride are explained as they are, and four cells of the result become one.

The explained scores are log-odds, which do not saturate: malignant against the rest, and tumour
(benign or malignant) against normal.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mammolens.errors import ConfigError
from mammolens.learn.network import GEM_FLOOR, GEM_POWER, MammoNet
from mammolens.model import CLASSES

__all__ = ["ScoreAndExplain"]


class ScoreAndExplain(nn.Module):
    """The network with calibration folded into its head, and Grad-CAM in closed form.

    Parameters
    ----------
    net
        A trained network; it is copied, not touched.
    temperature
        Divides the logits: one number, or one per class.
    bias
        Added to the divided logits, per class (a shift of prior, for example).
    """

    def __init__(
        self,
        net: MammoNet,
        temperature: float | Sequence[float] = 1.0,
        bias: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> None:
        super().__init__()
        scale, shift = _calibration(temperature, bias)
        self.net = copy.deepcopy(net).cpu().float().eval().requires_grad_(False)
        out = self.net.out
        weight, offset = out.weight.double(), out.bias.double()
        out.weight.copy_(weight / scale[:, None])
        out.bias.copy_(offset / scale + shift)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score and explain grey pictures.

        Parameters
        ----------
        image
            (B, 1, H, W), values 0–255, uint8 or float; H and W multiples of 32.

        Returns
        -------
        probabilities (B, 3), logits (B, 3), malignancy map (B, h, w), tumour map (B, h, w).
        """
        return self.of_maps(self.net.maps(image))

    def of_maps(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score and explain feature maps (B, K, h, w); gives what `forward` gives."""
        pooled, to_maps = _pool(self.net, maps)
        z = self.net.hidden(pooled)
        logits = self.net.out(torch.relu(z))
        probabilities = torch.softmax(logits, 1)
        cams = []
        for score_gradient in (_malignancy_gradient(logits), _tumour_gradient(logits)):
            hidden_gradient = score_gradient @ self.net.out.weight * (z > 0).to(z.dtype)
            alpha = to_maps(hidden_gradient @ self.net.hidden.weight)
            cam = torch.relu((alpha[:, :, None, None] * maps).sum(1))
            cams.append(F.avg_pool2d(cam, 2) if self.net.pooling == "fine_attention" else cam)
        cells = maps.shape[2] * maps.shape[3]
        return probabilities, logits, cams[0] / cells, cams[1] / cells


def _pool(net: MammoNet, maps: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Pooled vector (B, K), and what carries its gradient to the sum over the cells (B, K)."""
    if net.pooling == "avg":
        return maps.mean((2, 3)), lambda gradient: gradient
    if net.pooling == "gem":
        pooled, slope = _generalised_mean(maps)
        return pooled, lambda gradient: gradient * slope
    return net.pool(maps), lambda gradient: net.attention.map_gradient(maps, gradient)


def _generalised_mean(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled vector (B, K), and h·w times the mean over the map of its derivative (B, K).

    The mask stands for the clamp: a channel that is dead everywhere has no derivative.
    """
    floored = maps.clamp(min=GEM_FLOOR)
    cubes = (floored * floored * floored).mean((2, 3))
    pooled = cubes.pow(1.0 / GEM_POWER)
    squares = (maps * maps * (maps >= GEM_FLOOR).to(maps.dtype)).mean((2, 3))
    return pooled, squares * pooled / cubes


def _malignancy_gradient(logits: Tensor) -> Tensor:
    """Derivative (B, 3) of log P(malignant) − log P(not malignant) with respect to the logits."""
    others = torch.softmax(logits[:, :2], 1)
    return torch.cat([-others, torch.ones_like(logits[:, :1])], 1)


def _tumour_gradient(logits: Tensor) -> Tensor:
    """Derivative (B, 3) of log P(tumour) − log P(normal) with respect to the logits."""
    tumour = torch.softmax(logits[:, 1:], 1)
    return torch.cat([-torch.ones_like(logits[:, :1]), tumour], 1)


def _calibration(
    temperature: float | Sequence[float], bias: Sequence[float]
) -> tuple[Tensor, Tensor]:
    scale = torch.as_tensor(temperature, dtype=torch.float64).flatten()
    shift = torch.as_tensor(bias, dtype=torch.float64)
    if scale.numel() not in (1, len(CLASSES)) or not bool(((scale > 0) & scale.isfinite()).all()):
        raise ConfigError(
            f"a temperature is one finite number above 0, or one per class, not {temperature}",
            keyword="temperature",
        )
    if shift.shape != (len(CLASSES),) or not bool(shift.isfinite().all()):
        raise ConfigError(f"a bias is three finite numbers, not {bias}", keyword="bias")
    return scale, shift
