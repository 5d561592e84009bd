"""What the steps of the present pass showed, so that a pass can be told by its means.

It is a part of the checkpoint: a run that was cut off within a pass tells of the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.learn.loss import partial_label_loss
from mammolens.learn.predict import malignancy_figures

__all__ = ["Tally", "judge_pass"]


class Tally:
    """Training pictures of a pass as they were drawn (augmented, some twice), and their logits.

    Of several processes each tallies its own share, and the first one tells.
    """

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.logits: list[list[float]] = []

    def add(self, rows: Sequence[int], logits: Tensor, count: int) -> None:
        """Note a step.

        Parameters
        ----------
        rows
            Of the pictures of the step; those from `count` on teach places only, and are left out.
        logits
            Float (B, 3).
        """
        said = logits.detach().float().cpu().tolist()
        own = [(row, one) for row, one in zip(rows, said, strict=True) if row < count]
        self.rows += [row for row, _ in own]
        self.logits += [one for _, one in own]

    def close(self, records: Sequence[Record], smoothing: float) -> dict[str, float | None]:
        """Loss of the labels and score of the pass; then begin the next."""
        seen, logits = [records[row] for row in self.rows], np.array(self.logits, np.float32)
        self.rows, self.logits = [], []
        if not seen:
            return {"loss": None, "train_score": None}
        try:
            score: float | None = round(malignancy_figures(seen, logits)[0], 4)
        except InvalidManifest:  # a short pass may have drawn one outcome alone
            score = None
        return {"loss": _label_loss(seen, logits, smoothing), "train_score": score}

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"rows": list(self.rows), "logits": list(self.logits)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint; one of an older version holds nothing."""
        self.rows, self.logits = list(state.get("rows", ())), list(state.get("logits", ()))


def judge_pass(
    records: Sequence[Record], logits: npt.ArrayLike, smoothing: float
) -> tuple[float, dict[str, float]]:
    """The score of validation pictures, and their figures: loss of the labels and AUCs.

    Parameters
    ----------
    logits
        (n, 3), in the order of `records`.

    Raises
    ------
    InvalidManifest
        As `malignancy_figures`.
    """
    score, figures = malignancy_figures(records, logits)
    return score, {"val_loss": _label_loss(records, logits, smoothing), **figures}


def _label_loss(records: Sequence[Record], logits: npt.ArrayLike, smoothing: float) -> float:
    """Mean loss of the labels, as the loop takes it (`partial_label_loss`)."""
    allowed = torch.tensor([record.allowed for record in records])
    values = torch.from_numpy(np.asarray(logits, np.float32))
    return round(float(partial_label_loss(values, allowed, smoothing)), 4)
