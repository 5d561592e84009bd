"""Splits by patient: seeded, stratified by source and outcome, checked for leaks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.errors import ConfigError, PatientLeak

__all__ = ["refuse_leak", "split_digest", "split_patients"]


def split_patients(manifest: Manifest, *, validation: float, seed: int) -> Manifest:
    """Put each patient on the training or the validation side.

    Patients of one data set and one outcome (any malignant image, or none) are put in the order
    of a seeded hash of their identifier and cut at the wanted share, so that the split does not
    depend on the order of rows, and one patient more moves few others.

    Parameters
    ----------
    validation
        Share of patients on the validation side, 0–1.

    Raises
    ------
    ConfigError
        If the share is not between 0 and 1.
    """
    if not 0.0 < validation < 1.0:
        raise ConfigError(f"{validation} is no share of patients", keyword="validation")
    positive: dict[tuple[str, str], bool] = defaultdict(bool)
    for record in manifest.records:
        positive[record.patient] |= record.malignant is True
    strata: dict[tuple[str, bool], list[tuple[str, str]]] = defaultdict(list)
    for patient, malignant in positive.items():
        strata[patient[0], malignant].append(patient)
    splits: dict[tuple[str, str], Split] = {}
    for patients in strata.values():
        ordered = sorted(patients, key=lambda patient: _rank(patient, seed))
        cut = round(validation * len(ordered))
        splits |= dict.fromkeys(ordered[:cut], Split.VALIDATION)
        splits |= dict.fromkeys(ordered[cut:], Split.TRAIN)
    return manifest.with_splits(splits)


def split_digest(manifest: Manifest) -> str:
    """SHA-256 of who is on which side."""
    sides = sorted({(*r.patient, r.split.value if r.split else "") for r in manifest.records})
    return hashlib.sha256(repr(sides).encode()).hexdigest()


def refuse_leak(records: Sequence[Record]) -> None:
    """Check that no patient stands on two sides.

    Raises
    ------
    PatientLeak
        Names the patients.
    """
    sides: dict[tuple[str, str], set[Split | None]] = defaultdict(set)
    for record in records:
        sides[record.patient].add(record.split)
    leaks = sorted("/".join(patient) for patient, found in sides.items() if len(found) > 1)
    if leaks:
        raise PatientLeak(
            f"{len(leaks)} patients stand on two sides: {', '.join(leaks[:5])}",
            keyword="split",
            remedy="Put all images of a patient on one side",
        )


def _rank(patient: tuple[str, str], seed: int) -> str:
    return hashlib.sha256(repr((seed, *patient)).encode()).hexdigest()
