"""Losses of logits: of partial labels (−log of the probability of what the label allows), and of a
probability of malignancy that others have said."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["partial_label_loss", "soft_label_loss"]


def partial_label_loss(logits: Tensor, allowed: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean over the batch of −log Σ p over the allowed classes.

    Parameters
    ----------
    logits
        Float (B, 3).
    allowed
        Bool (B, 3), at least one class true in each row; all true carries no information.
    smoothing
        Share of the weight that goes to the mean of −log p over all classes.

    Source: Jin & Ghahramani 2002, Learning with multiple labels.

    Examples
    --------
    >>> loss = partial_label_loss(torch.zeros(1, 3), torch.tensor([[True, True, False]]))
    >>> round(float(loss), 4)
    0.4055
    """
    log_p = torch.log_softmax(logits.float(), dim=1)
    told = -torch.logsumexp(log_p.masked_fill(~allowed, -torch.inf), dim=1)
    if smoothing == 0.0:
        return told.mean()
    informative = (~allowed).any(1)
    spread = torch.where(informative, -log_p.mean(1), torch.zeros_like(told))
    return ((1.0 - smoothing) * told + smoothing * spread).mean()


def soft_label_loss(logits: Tensor, told: Tensor) -> Tensor:
    """Mean over the batch of the cross-entropy between P(malignant) and what was told of it.

    Parameters
    ----------
    logits
        Float (B, 3).
    told
        Probabilities (B,); NaN where nothing was told, which adds nothing.

    Examples
    --------
    >>> loss = soft_label_loss(torch.zeros(2, 3), torch.tensor([1.0, torch.nan]))
    >>> round(float(loss), 4)
    0.5493
    """
    log_p = torch.log_softmax(logits.float(), dim=1)
    heard = ~told.isnan()
    target = torch.where(heard, told, 0.0)
    other = torch.logsumexp(log_p[:, :2], dim=1)
    entropy = -(target * log_p[:, 2] + (1.0 - target) * other)
    return torch.where(heard, entropy, 0.0).mean()
