"""Who is learned from and who is held out, as the run's section ``data`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammolens.data.manifest import Manifest, Split
from mammolens.data.persons import NOBODY, read_persons
from mammolens.data.splits import (
    fold_patients,
    hold_out_source,
    official_split,
    refuse_leak,
    split_patients,
)

if TYPE_CHECKING:
    from mammolens.learn.config import DataConfig

__all__ = ["put_on_sides"]


def put_on_sides(manifest: Manifest, data: DataConfig) -> Manifest:
    """Put every patient on a side.

    In order of precedence: a source is left out (``leave_out``), one of several folds is held out
    (``folds``; of the official training and validation sides with ``official``), the tables' own
    sides hold (``official``), or a share of the patients is cut off (``validation``).

    Parameters
    ----------
    manifest
        Sides that its records have are looked at with ``official`` only.

    Raises
    ------
    InvalidManifest
        If a side would be empty, or a record states none with ``official``.
    PatientLeak
        If a woman would stand on two sides.
    ConfigError
        If no record is of the source that is to be left out.
    """
    who = read_persons(data.persons) if data.persons else NOBODY
    seed, share = data.split_seed, data.validation
    if data.leave_out:
        split = _as_validation(
            hold_out_source(manifest, data.leave_out, seed=seed, same_person=who)
        )
    elif data.folds:
        if data.official:
            manifest = official_split(manifest, same_person=who)
            manifest = manifest.select(where=lambda record: record.split is not Split.TEST)
        split = fold_patients(manifest, data.folds, seed, same_person=who)[data.fold]
    elif data.official:
        split = official_split(manifest, validation=share, seed=seed, same_person=who)
    else:
        split = split_patients(manifest, validation=share, seed=seed, same_person=who)
    refuse_leak(split.records, who)
    return split


def _as_validation(manifest: Manifest) -> Manifest:
    return manifest.with_splits(
        {
            record.patient: Split.TRAIN if record.split is Split.TRAIN else Split.VALIDATION
            for record in manifest.records
        }
    )
