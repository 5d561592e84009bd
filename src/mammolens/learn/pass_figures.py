"""The figures of a pass: the loss and the AUC of malignancy on training and held-out pictures.

`Tally` collects the training pictures of a pass. It is part of the checkpoint. So a run that was
interrupted within a pass still reports the whole pass.
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
from mammolens.metrics import auc_within

__all__ = ["Tally", "judge_pass", "malignancy_figures", "malignancy_odds"]


class Tally:
    """The training pictures of a pass as they were drawn (augmented, some twice), and their logits.

    Each process collects its own share; the first process reports.
    """

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.logits: list[list[float]] = []

    def add(self, rows: Sequence[int], logits: Tensor, count: int) -> None:
        """Add the pictures of a step.

        Parameters
        ----------
        rows
            Rows of the pictures. Rows from `count` on teach places of lesions only and are left
            out.
        logits
            Float (B, 3).
        """
        values = logits.detach().float().cpu().tolist()
        own = [(row, one) for row, one in zip(rows, values, strict=True) if row < count]
        self.rows += [row for row, _ in own]
        self.logits += [one for _, one in own]

    def close(self, records: Sequence[Record], smoothing: float) -> dict[str, float | None]:
        """Give the loss and the score of the pass, and start the next one."""
        seen, logits = [records[row] for row in self.rows], np.array(self.logits, np.float32)
        self.rows, self.logits = [], []
        if not seen:
            return {"loss": None, "train_score": None}
        try:
            score: float | None = round(malignancy_figures(seen, logits)[0], 4)
        except InvalidManifest:  # a short pass may have drawn only one outcome
            score = None
        return {"loss": _label_loss(seen, logits, smoothing), "train_score": score}

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"rows": list(self.rows), "logits": list(self.logits)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint; a checkpoint of an older version has no entries."""
        self.rows, self.logits = list(state.get("rows", ())), list(state.get("logits", ()))


def judge_pass(
    records: Sequence[Record], logits: npt.ArrayLike, smoothing: float
) -> tuple[float, dict[str, float]]:
    """Give the score of validation pictures, and their figures: the loss and the AUCs.

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


def malignancy_odds(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Log-odds (n,) of malignancy from logits (n, 3).

    Examples
    --------
    >>> malignancy_odds([[0.0, 0.0, 0.0]]).round(4).tolist()
    [-0.6931]
    """
    values = np.asarray(logits, np.float64)
    odds: npt.NDArray[np.float64] = values[:, 2] - np.logaddexp(values[:, 0], values[:, 1])
    return odds


def malignancy_figures(
    records: Sequence[Record], logits: npt.ArrayLike
) -> tuple[float, dict[str, float]]:
    """Give the score, and the AUC of malignancy within each data set.

    The score is the mean of these AUCs, weighted by their numbers of images.

    Parameters
    ----------
    logits
        (n, 3), in the order of `records`.

    Raises
    ------
    InvalidManifest
        If no data set has both outcomes.

    Examples
    --------
    >>> from pathlib import Path
    >>> two = [Record("x", str(i), "p", Path("x"), malignant=bool(i)) for i in range(2)]
    >>> malignancy_figures(two, [[0, 0, 0], [0, 0, 1]])
    (1.0, {'auc_x': 1.0})
    """
    rows = [row for row, record in enumerate(records) if record.malignant is not None]
    areas = auc_within(
        [bool(records[row].malignant) for row in rows],
        malignancy_odds(logits)[rows],
        [records[row].dataset for row in rows],
    )
    figures = {f"auc_{dataset}": round(area, 4) for dataset, (area, _) in areas.items()}
    if not figures:
        raise InvalidManifest(
            "no data set has both malignant and other images on the validation side",
            keyword="malignant",
            remedy="Give labels of both kinds, more patients, or another split (data.validation, "
            "data.split_seed)",
        )
    sizes = [n for _, n in areas.values()]
    score = sum(area * n for area, n in zip(figures.values(), sizes, strict=True)) / sum(sizes)
    return score, figures


def _label_loss(records: Sequence[Record], logits: npt.ArrayLike, smoothing: float) -> float:
    """Give the mean `partial_label_loss`, as the training loop computes it."""
    allowed = torch.tensor([record.allowed for record in records])
    values = torch.from_numpy(np.asarray(logits, np.float32))
    return round(float(partial_label_loss(values, allowed, smoothing)), 4)
