"""The losses of training: of partial labels, of P(malignant) from teachers, and of lesion maps.

The loss of a partial label is −log of the probability of the classes that the label allows.

For known lesions, an extra layer gives one logit for each cell of the feature maps. It teaches the
trunk to respond at the places of lesions. It is not part of the exported network. Its targets are
masks in the frame of the prepared picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from mammolens.data.cache import prepare_record
from mammolens.data.lesions import draw_lesion
from mammolens.data.manifest import Record
from mammolens.errors import InputError
from mammolens.preprocess import InputConfig

__all__ = [
    "UNKNOWN",
    "cell_targets",
    "lesion_masks",
    "map_loss",
    "partial_label_loss",
    "soft_label_loss",
]

UNKNOWN = -1.0
"""Target of a cell whose content is unknown."""
_COVERED = 0.25
"""Share of a cell that a lesion must cover. Chosen by hand; not tuned."""


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


def lesion_masks(
    records: Sequence[Record], config: InputConfig
) -> dict[int, npt.NDArray[np.uint8]]:
    """Draw the lesions of records, in the frame of their prepared pictures.

    Returns
    -------
    Uint8 (H, W), 255 on a lesion, by index of the record. Normal images get an empty mask;
    images of which no lesion is known are absent, and so are images that cannot be read.

    Raises
    ------
    InvalidManifest
        If a mask has another size than its image.
    """
    empty = np.zeros((config.height, config.width), np.uint8)
    found: dict[int, npt.NDArray[np.uint8]] = {}
    for index, record in enumerate(records):
        if record.tumour is False:
            found[index] = empty
        elif record.lesions:
            try:
                geometry = prepare_record(record, config).geometry
                found[index] = np.maximum.reduce([draw_lesion(x, geometry) for x in record.lesions])
            except InputError:
                continue
    return found


def cell_targets(mask: npt.NDArray[np.uint8], cells: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Give the targets of a map's cells: 1 on a lesion, 0 outside, `UNKNOWN` at its edge.

    A lesion too small to cover a quarter of any cell counts in the cell that it covers most.

    Examples
    --------
    >>> mask = np.zeros((64, 64), np.uint8)
    >>> mask[:32, :32] = 255
    >>> cell_targets(mask, (2, 2)).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    share = cv2.resize(mask, cells[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    if not share.any():
        return share
    level = min(_COVERED, float(share.max()))
    return np.where(share >= level, 1.0, np.where(share > 0, UNKNOWN, 0.0)).astype(np.float32)


def map_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Give the cross-entropy of the cells; lesion and rest of an image have equal weight.

    Parameters
    ----------
    logits
        Float (B, h, w).
    targets
        Float (B, h, w) of 0, 1 and `UNKNOWN`.

    Returns
    -------
    The mean over the images with a known cell; 0 without such images.
    """
    wanted = targets.clamp(min=0)
    each = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    parts, known = [], []
    for value in (1.0, 0.0):
        here = (targets == value).float()
        cells = here.sum((1, 2))
        parts.append((each * here).sum((1, 2)) / cells.clamp(min=1))
        known.append(cells > 0)
    sides = torch.stack(known).sum(0)
    images = (torch.stack(parts).sum(0) / sides.clamp(min=1))[sides > 0]
    return images.mean() if len(images) else logits.sum() * 0.0
