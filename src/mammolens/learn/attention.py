"""Gated attention: pools feature maps (B, K, h, w) into vectors (B, K)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GatedAttention"]


class GatedAttention(nn.Module):
    """Weighted mean of the cells of a map, the weights by gated attention.

    With cells A_i, ``t_i = tanh(V A_i)``, ``s_i = sigmoid(U A_i)``, the weights are
    ``softmax_i(w · (t_i * s_i))``. A fresh one weighs all cells alike, as average pooling does.
    Source: Ilse, Tomczak and Welling 2018, arXiv 1802.04712, equation 9.

    Parameters
    ----------
    width
        Channels K of the maps.
    hidden
        Rows of V and U.
    """

    def __init__(self, width: int, hidden: int = 128) -> None:
        super().__init__()
        self.content = nn.Conv2d(width, hidden, 1)
        self.gate = nn.Conv2d(width, hidden, 1)
        self.score = nn.Conv2d(hidden, 1, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def weights(self, maps: Tensor) -> Tensor:
        """Weights (B, 1, h, w) of the cells of maps (B, K, h, w); they sum to one."""
        tanh, sigmoid = self._parts(maps)
        return self._softmax(tanh * sigmoid)

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors (B, K) of maps (B, K, h, w)."""
        return (maps * self.weights(maps)).sum((2, 3))

    def map_gradient(self, maps: Tensor, gradient: Tensor) -> Tensor:
        """Carry a gradient with respect to the pooled vectors back to the maps, in closed form.

        With weights a_i, pooled vector v and gradient G, and ``c_i = a_i G · (A_i - v)``, the
        gradient with respect to cell i is
        ``a_i G + Vᵀ(c_i w * s_i * (1 - t_i²)) + Uᵀ(c_i w * t_i * s_i * (1 - s_i))``.

        Returns
        -------
        (B, K), summed over the cells.
        """
        tanh, sigmoid = self._parts(maps)
        weights = self._softmax(tanh * sigmoid)
        pooled = (maps * weights).sum((2, 3), keepdim=True)
        pull = weights * (gradient[:, :, None, None] * (maps - pooled)).sum(1, keepdim=True)
        pull = pull * self.score.weight.transpose(0, 1)[None, :, 0]
        by_content = (pull * sigmoid * (1.0 - tanh * tanh)).sum((2, 3))
        by_gate = (pull * tanh * sigmoid * (1.0 - sigmoid)).sum((2, 3))
        content, gate = self.content.weight.flatten(1), self.gate.weight.flatten(1)
        return gradient + by_content @ content + by_gate @ gate

    def _parts(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(self.content(maps)), torch.sigmoid(self.gate(maps))

    def _softmax(self, gated: Tensor) -> Tensor:
        scores: Tensor = self.score(gated)
        return torch.softmax(scores.flatten(2), 2).view_as(scores)
