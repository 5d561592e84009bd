"""The figures of a pass (loss, AUC of malignancy), and sides on which they can be computed.

`Tally` collects the training pictures of a pass. It is part of the checkpoint. So a run that was
interrupted within a pass still reports the whole pass.

`check_sides` is called before the first step. Thresholds, calibration and figures of a package
count patients, so the validation side needs patients with cancer and patients without. Sides that
`mammolens export` would refuse after hours of training are refused there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.learn.loss import partial_label_loss
from mammolens.metrics import auc_within
from mammolens.metrics.bootstrap import FEW
from mammolens.preprocess import InputConfig, RegionConfig

__all__ = [
    "FEWEST",
    "Tally",
    "check_sides",
    "judge_pass",
    "malignancy_figures",
    "malignancy_odds",
    "refuse_unjudgeable",
]

FEWEST: Final = 2
"""Fewest patients (or lesions) with cancer, and without, for thresholds and calibration. With one
patient all resamples are the same. More are needed for good figures: below `FEW` there is a
caution."""
_NAMES: Final = ("normal", "benign", "malignant")


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


def check_sides(
    learned: PreparedCache, held_out: PreparedCache, config: InputConfig
) -> Iterable[str]:
    """Refuse sides on which a model cannot be trained or judged; give cautions in words.

    Parameters
    ----------
    config
        How pictures are prepared: whether a picture shows a breast or a lesion.

    Raises
    ------
    InvalidManifest
        If all training labels are equal, no data set has both outcomes on the validation side,
        `refuse_unjudgeable` refuses that side, or every image of a side was refused.
    """
    for cache, side in ((learned, "training"), (held_out, "validation")):
        if not cache.records:
            reasons = "; ".join(f"{path}: {why}" for path, why in list(cache.refused.items())[:3])
            raise InvalidManifest(
                f"no image of the {side} side can be used ({len(cache.refused)} were refused)",
                source=reasons or None,
                keyword="path",
                remedy="Correct the paths or the images",
            )
    label_sets = {record.allowed for record in learned.records if not all(record.allowed)}
    if len(label_sets) < 2:
        words = " or ".join(n for a in label_sets for n, ok in zip(_NAMES, a, strict=True) if ok)
        raise InvalidManifest(
            f"all labels of the training side say {words or 'nothing'}",
            keyword="malignant",
            remedy="Give labels of two kinds at least",
        )
    if not any(record.malignant for record in learned.records):
        raise InvalidManifest(
            "no image of the training side is malignant",
            keyword="malignant",
            remedy="Give malignant images, or another split (data.split_seed)",
        )
    _, figures = malignancy_figures(held_out.records, np.zeros((len(held_out.records), 3)))
    refuse_unjudgeable(held_out.records, config)
    yield from _cautions(learned, held_out, label_sets, figures, config)


def refuse_unjudgeable(records: Sequence[Record], config: InputConfig) -> None:
    """Refuse a validation side on which `mammolens export` cannot fix thresholds and calibration.

    A patient has cancer if any labelled image of the patient is malignant, so that patients whose
    other breast is healthy do not count among those without.

    Raises
    ------
    InvalidManifest
        If there are fewer than `FEWEST` patients (lesions, for a model of lesions) of either kind,
        or all are of one patient.
    """
    ill, well = _counts(records, config)
    patients = {record.patient for record in records if record.malignant is not None}
    if min(ill, well, len(patients)) < FEWEST:
        unit = _unit(config)
        raise InvalidManifest(
            f"the validation side has {ill} {unit} with cancer and {well} without (patients: "
            f"{len(patients)}): thresholds and calibration of a package are fixed on {unit}, and "
            f"need {FEWEST} of each at least",
            keyword="malignant",
            remedy="Give more patients with known labels, hold out a larger share "
            "(data.validation), or cut another way (data.split_seed, fewer data.folds)",
        )


def _counts(records: Sequence[Record], config: InputConfig) -> tuple[int, int]:
    """Count the units with cancer and without; units without a label are in neither."""
    of_lesions = isinstance(config, RegionConfig)
    units: dict[object, bool] = {}
    for record in records:
        if record.malignant is not None:
            key = record.key if of_lesions else record.patient
            units[key] = units.get(key, False) or record.malignant
    ill = sum(units.values())
    return ill, len(units) - ill


def _unit(config: InputConfig) -> str:
    return "lesions" if isinstance(config, RegionConfig) else "patients"


def _cautions(
    learned: PreparedCache,
    held_out: PreparedCache,
    label_sets: set[tuple[bool, bool, bool]],
    figures: Mapping[str, float],
    config: InputConfig,
) -> Iterable[str]:
    for cache, side in ((learned, "training"), (held_out, "validation")):
        if cache.refused:
            path, reason = next(iter(cache.refused.items()))
            yield (
                f"{len(cache.refused)} images of the {side} side were refused and are left out "
                f"(run.json lists them), the first: {path}: {reason}"
            )
        ill, well = _counts(cache.records, config)
        if min(ill, well) < FEW:
            yield (
                f"the {side} side has {ill} {_unit(config)} with cancer and {well} without: with "
                f"fewer than {FEW} of a kind "
                + ("thresholds and figures" if side == "validation" else "what is learned")
                + " may be far off"
            )
    for place, name in enumerate(_NAMES):
        alone = tuple(place == other for other in range(len(_NAMES)))
        if alone not in label_sets:
            yield (
                f"no training image is labelled {name}: the network can learn it by exclusion "
                "at best"
            )
    for dataset in sorted({record.dataset for record in held_out.records}):
        if f"auc_{dataset}" not in figures:
            yield f"{dataset} has one outcome on the validation side: it is not in the score"
