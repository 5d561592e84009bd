"""The losses of logits: against partial labels, and against P(malignant) from teachers.

The loss of a partial label is −log of the probability of the classes that the label allows.
"""

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
        Bool (B, 3), at least one class true in each row; a row with all three is unlabelled.
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
    hard = -torch.logsumexp(log_p.masked_fill(~allowed, -torch.inf), dim=1)
    if smoothing == 0.0:
        return hard.mean()
    informative = (~allowed).any(1)
    spread = torch.where(informative, -log_p.mean(1), torch.zeros_like(hard))
    return ((1.0 - smoothing) * hard + smoothing * spread).mean()


def soft_label_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """Mean over the batch of the cross-entropy between P(malignant) and that of the teachers.

    Parameters
    ----------
    logits
        Float (B, 3).
    taught
        Probabilities (B,); a NaN adds nothing.

    Examples
    --------
    >>> loss = soft_label_loss(torch.zeros(2, 3), torch.tensor([1.0, torch.nan]))
    >>> round(float(loss), 4)
    0.5493
    """
    log_p = torch.log_softmax(logits.float(), dim=1)
    known = ~taught.isnan()
    target = torch.where(known, taught, 0.0)
    other = torch.logsumexp(log_p[:, :2], dim=1)
    entropy = -(target * log_p[:, 2] + (1.0 - target) * other)
    return torch.where(known, entropy, 0.0).mean()
