"""What turns feature maps into scores: gated attention over cells, and a head for whole exams.

`GatedAttention` pools maps (B, K, h, w) into vectors (B, K). `ExamHead` reads one such vector per
view of an exam and scores each breast by its own views and by its difference from the other side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mammolens.errors import ConfigError

__all__ = ["VIEWS", "ExamHead", "GatedAttention", "start_exam_head"]

VIEWS = ("L-CC", "L-MLO", "R-CC", "R-MLO")
"""Order of the views that `ExamHead` reads."""


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

        Parameters
        ----------
        maps
            (B, K, h, w).
        gradient
            (B, K).

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


class ExamHead(nn.Module):
    """Score each breast of an exam by the pooled features of up to four views.

    A breast's features are the weighted mean of its views, and two further terms reach the hidden
    layer: both views together where both are there, and the difference from the other breast in
    every view that both sides have. Both terms start at zero, and both vanish where a view is
    missing, so that a breast of which one view alone is there, without that view of the other
    side, is scored exactly as the head of a single view scores it. The sides share all weights:
    exchanging them exchanges the scores.

    Parameters
    ----------
    width
        Features K of a view.
    hidden, dropout
        As of the head of a single view.
    classes
        Classes to score.
    """

    def __init__(
        self, width: int, *, hidden: int = 256, dropout: float = 0.4, classes: int = 3
    ) -> None:
        super().__init__()
        self.width = width
        self.hidden = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, classes)
        self.trust = nn.Linear(width, 1, bias=False)
        self.view_trust = nn.Parameter(torch.zeros(2))
        self.fusion = nn.Linear(2 * width, hidden, bias=False)
        self.comparison = nn.Linear(2 * width, hidden, bias=False)
        for fresh in (self.trust, self.fusion, self.comparison):
            nn.init.zeros_(fresh.weight)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Score the breasts of exams.

        Parameters
        ----------
        features
            (B, 4, K) in the order of `VIEWS`; rows of missing views are never read.
        mask
            Bool (B, 4): which views are there.

        Returns
        -------
        Logits (B, 2, classes) of the left and the right breast; NaN for a breast without any
        view, which nothing can be said about: select by ``mask.view(-1, 2, 2).any(2)`` before
        taking a loss.

        Raises
        ------
        ConfigError
            If features or mask have another form.
        """
        self._check(features, mask)
        there = mask.view(-1, 2, 2)
        views = torch.where(mask[..., None], features, 0.0).view(-1, 2, 2, self.width)
        own = self._mean_view(views, there)
        both = there.all(2, keepdim=True)
        together = torch.where(both, self.fusion(views.flatten(2)), 0.0)
        comparable = (there & there.flip(1))[..., None]
        difference = torch.where(comparable, views - views.flip(1), 0.0)
        z = self.hidden(own) + together + self.comparison(difference.flatten(2))
        logits: Tensor = self.out(self.dropout(torch.relu(z)))
        return logits.masked_fill(~there.any(2, keepdim=True), torch.nan)

    def _mean_view(self, views: Tensor, there: Tensor) -> Tensor:
        """Mean (B, 2, K) over the views that are there, weighted by how far each is trusted."""
        trust = self.trust(views)[..., 0] + self.view_trust
        lowest = torch.finfo(trust.dtype).min
        weights = torch.softmax(trust.masked_fill(~there, lowest), 2)
        return (weights[..., None] * views).sum(2)

    def _check(self, features: Tensor, mask: Tensor) -> None:
        wanted = (mask.shape[0], len(VIEWS), self.width)
        if (
            mask.dtype == torch.bool
            and mask.shape[1:] == (len(VIEWS),)
            and wanted == (*features.shape,)
        ):
            return
        raise ConfigError(
            f"features are (B, {len(VIEWS)}, {self.width}) and the mask is bool (B, {len(VIEWS)}), "
            f"not {tuple(features.shape)} and {mask.dtype} {tuple(mask.shape)}",
            keyword="features",
            remedy=f"Give one row for each of {', '.join(VIEWS)}, and mark the missing ones",
        )


def start_exam_head(hidden: nn.Linear, out: nn.Linear, *, dropout: float = 0.4) -> ExamHead:
    """Make an exam head that begins where the head of a single view ended.

    Parameters
    ----------
    hidden, out
        The two layers of a trained `MammoNet`; they are copied, not touched.
    """
    head = ExamHead(
        hidden.in_features, hidden=hidden.out_features, dropout=dropout, classes=out.out_features
    )
    head.hidden.load_state_dict(hidden.state_dict())
    head.out.load_state_dict(out.state_dict())
    return head
