"""Checks of the training and validation side before the first step of a run.

Thresholds, calibration and figures of a package count patients, so the validation side needs
patients with cancer and patients without. Sides that `mammolens export` would refuse after hours of
training are refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from mammolens.data.cache import PreparedCache
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.learn.pass_figures import malignancy_figures
from mammolens.metrics.bootstrap import FEW
from mammolens.preprocess import InputConfig, RegionConfig

__all__ = ["FEWEST", "check_sides", "refuse_unjudgeable"]

FEWEST: Final = 2
"""Fewest patients (or lesions) with cancer, and without, for thresholds and calibration. With one
patient all resamples are the same. More are needed for good figures: below `FEW` there is a
caution."""

_NAMES: Final = ("normal", "benign", "malignant")


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
