"""The split of a run: which patients it learns from, and which patients it holds out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.persons import NO_LINKS, read_persons
from mammolens.data.splits import (
    fold_patients,
    hold_out_source,
    official_split,
    refuse_leak,
    split_patients,
)
from mammolens.errors import ConfigError

if TYPE_CHECKING:
    from mammolens.learn.sections import DataConfig

__all__ = ["keep_training_share", "put_on_sides"]


def put_on_sides(manifest: Manifest, data: DataConfig) -> Manifest:
    """Put every patient on a side.

    In order of precedence: a data set is held out (``leave_out``); one of several folds is held out
    (``folds``; with ``official`` the folds are cut from the official training and validation
    sides); the tables' own sides are used (``official``); or a share of the patients is held out
    (``validation``). With ``inner_folds`` the training side is cut once more, and the patients that
    the first cut holds out are left out.

    Parameters
    ----------
    manifest
        Sides that its records state are used with ``official`` only.

    Raises
    ------
    InvalidManifest
        If a side would be empty, or with ``official`` a record states no side.
    PatientLeak
        If a patient would be on two sides.
    ConfigError
        If no record is of the data set that is to be held out.
    """
    who = read_persons(data.persons) if data.persons else NO_LINKS
    seed, share = data.split_seed, data.validation
    if data.leave_out:
        split = hold_out_source(manifest, data.leave_out, same_person=who)
    elif data.folds:
        if data.official:
            manifest = official_split(manifest, same_person=who)
            manifest = manifest.select(where=lambda record: record.split is not Split.TEST)
        split = fold_patients(manifest, data.folds, seed, same_person=who)[data.fold]
    elif data.official:
        split = official_split(manifest, validation=share, seed=seed, same_person=who)
    else:
        split = split_patients(manifest, validation=share, seed=seed, same_person=who)
    if data.inner_folds:
        rest = split.select(split=Split.TRAIN)
        split = fold_patients(rest, data.inner_folds, seed, same_person=who)[data.inner_fold]
    refuse_leak(split.records, who)
    return split


def keep_training_share(manifest: Manifest, data: DataConfig) -> Manifest:
    """Leave out training patients beyond ``data.training_share`` of their data set.

    Patients are chosen by a seeded hash of their identifier. Patients who are held out all stay.

    Raises
    ------
    ConfigError
        If no record is of a data set that is named there.
    """
    unknown = set(data.training_share) - {record.dataset for record in manifest.records}
    if unknown:
        raise ConfigError(
            f"no table has the data set {min(unknown)!r}",
            keyword="data.training_share",
            remedy="Name data sets as the tables do",
        )

    def wanted(record: Record) -> bool:
        share = data.training_share.get(record.dataset, 1.0)
        return record.split is not Split.TRAIN or _place(record, data.split_seed) < share

    return manifest.select(where=wanted) if data.training_share else manifest


def _place(record: Record, seed: int) -> float:
    key = repr((seed, "training_share", *record.patient)).encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2.0**64
