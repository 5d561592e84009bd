"""Splits by patient: seeded, stratified by source and outcome, checked for leaks.

A side of a split is training, validation or test. Each function takes a manifest and returns one
in which every record has a side. `mammolens.data.manifest_writer.write_manifest` stores the sides
in the column ``split`` of the table. `split_digest` depends on the sides only. A run folder and a
model's card name this digest, and anyone who has the table can compute it again.

Patient identifiers are unique within one data set only, and one person may have several of them.
The argument `same_person` maps (data set, patient identifier) to a name of the person. An
identifier that is not in this mapping counts as a person of its own.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.persons import NO_LINKS, Patient, person_key, unknown_identities
from mammolens.errors import ConfigError, InvalidManifest, PatientLeak
from mammolens.spelling import check_known

__all__ = [
    "fold_patients",
    "hold_out_source",
    "official_split",
    "refuse_leak",
    "split_digest",
    "split_patients",
]


def split_patients(
    manifest: Manifest,
    *,
    validation: float,
    seed: int,
    same_person: Mapping[Patient, str] = NO_LINKS,
) -> Manifest:
    """Put each patient on the training or the validation side.

    Patients of one data set and one outcome (at least one malignant image, or none) are sorted by
    a seeded hash of their identifier. The sorted list is cut at the requested share. So the split
    does not depend on the order of rows, and adding one patient moves few others. Sides that the
    records already have are ignored; `official_split` keeps them.

    Parameters
    ----------
    validation
        Share of patients on the validation side, between 0 and 1.
    seed
        Seed of the hash. Another seed gives another split.
    same_person
        (data set, patient identifier) → person. All identifiers of a person are on one side.

    Raises
    ------
    ConfigError
        If the share is out of range.
    InvalidManifest
        If there are too few patients for a side.
    """
    if not 0.0 < validation < 1.0:
        raise ConfigError(
            f"{validation} is not a share of patients",
            keyword="validation",
            remedy="Give a number between 0 and 1",
        )
    sides: dict[Patient, Split] = {}
    for persons in _strata(manifest.records, seed, same_person):
        cut = round(validation * len(persons))
        sides |= dict.fromkeys(chain(*persons[:cut]), Split.VALIDATION)
        sides |= dict.fromkeys(chain(*persons[cut:]), Split.TRAIN)
    for side in sorted({Split.TRAIN, Split.VALIDATION} - set(sides.values())):
        raise _too_few(
            f"no patient would be on the {side.value} side", side.value, "a larger share for it"
        )
    return manifest.with_splits(sides)


def fold_patients(
    manifest: Manifest,
    folds: int,
    seed: int,
    *,
    same_person: Mapping[Patient, str] = NO_LINKS,
) -> tuple[Manifest, ...]:
    """Make one manifest for each fold; every patient is on the validation side of exactly one.

    Strata and order are those of `split_patients`. The first fold is the split that
    `split_patients` makes with ``validation=1 / folds``, except where a share of a stratum lies
    half-way between two whole numbers. Remove a test side before the call:
    ``manifest.select(split=Split.TRAIN)``.

    Raises
    ------
    ConfigError
        If there are fewer than two folds.
    InvalidManifest
        If a fold would have no patient on one of its two sides.

    Examples
    --------
    >>> from pathlib import Path
    >>> manifest = Manifest.of(Record("d", str(i), str(i), Path("x")) for i in range(6))
    >>> folds = fold_patients(manifest, 3, seed=1)
    >>> held_out = [fold.select(split=Split.VALIDATION).records for fold in folds]
    >>> sorted(record.patient_id for records in held_out for record in records)
    ['0', '1', '2', '3', '4', '5']
    """
    if folds < 2:
        raise ConfigError(
            f"{folds} folds leave no patient to validate on",
            keyword="folds",
            remedy="Give 2 or more",
        )
    held_out: list[set[Patient]] = [set() for _ in range(folds)]
    for persons in _strata(manifest.records, seed, same_person):
        cuts = [round(fold * len(persons) / folds) for fold in range(folds + 1)]
        for patients, first, last in zip(held_out, cuts[:-1], cuts[1:], strict=True):
            patients.update(chain(*persons[first:last]))
    everyone = {record.patient for record in manifest.records}
    for number, patients in enumerate(held_out):
        if not patients or patients == everyone:
            raise _too_few(
                f"fold {number} of {folds} would have an empty side", "folds", "fewer folds"
            )
    return tuple(
        manifest.with_splits(
            {p: Split.VALIDATION if p in patients else Split.TRAIN for p in everyone}
        )
        for patients in held_out
    )


def official_split(
    manifest: Manifest,
    *,
    validation: float = 0.0,
    seed: int = 0,
    same_person: Mapping[Patient, str] = NO_LINKS,
) -> Manifest:
    """Keep the sides that the sources state, and cut a validation side from their training side.

    Parameters
    ----------
    validation
        Share of the training patients that go to the validation side, cut as in `split_patients`.
        A data set that states a validation side keeps its own.

    Raises
    ------
    InvalidManifest
        If a record states no side.
    PatientLeak
        If a person is on two sides.
    """
    without_side = [record for record in manifest.records if record.split is None]
    if without_side:
        raise InvalidManifest(
            f"{len(without_side)} of {len(manifest.records)} records state no side, first "
            f"{without_side[0].image_name}",
            keyword="split",
            remedy="Fill the column in every row",
        )
    refuse_leak(manifest.records, same_person)
    stated = {r.patient: r.split for r in manifest.records if r.split is not None}
    own = {dataset for (dataset, _), side in stated.items() if side is Split.VALIDATION}
    to_cut = [
        record
        for record in manifest.records
        if stated[record.patient] is Split.TRAIN and record.dataset not in own
    ]
    if validation and to_cut:
        cut = split_patients(
            Manifest.of(to_cut), validation=validation, seed=seed, same_person=same_person
        )
        stated |= {r.patient: r.split for r in cut.records if r.split is not None}
    kept = manifest.with_splits(stated)
    refuse_leak(kept.records, same_person)
    return kept


def hold_out_source(
    manifest: Manifest,
    dataset: str,
    *,
    same_person: Mapping[Patient, str] = NO_LINKS,
) -> Manifest:
    """Make one data set the validation side, and all others the training side.

    If a person of the data set that is held out is also in another one, the records there are
    removed.

    Raises
    ------
    ConfigError
        If no record is of that data set, or no other data set is left.
    PatientLeak
        If another source shows the same patients under other identifiers and `same_person` does
        not link them.
    """
    check_known(dataset, (record.dataset for record in manifest.records), "data set", "dataset")
    own = {person_key(r.patient, same_person) for r in manifest.records if r.dataset == dataset}
    others = {r.patient for r in manifest.records if person_key(r.patient, same_person) not in own}
    if not others:
        raise ConfigError(
            f"without {dataset!r} no image is left to train on",
            keyword="dataset",
            remedy="Add a second source with other patients",
        )
    sides = dict.fromkeys(others, Split.TRAIN)
    sides |= {r.patient: Split.VALIDATION for r in manifest.records if r.dataset == dataset}
    kept = manifest.select(where=lambda record: record.patient in sides).with_splits(sides)
    refuse_leak(kept.records, same_person)
    return kept


def split_digest(manifest: Manifest) -> str:
    """SHA-256 of the pairs of patient and side, as a hexadecimal string."""
    sides = sorted({(*r.patient, r.split.value if r.split else "") for r in manifest.records})
    return hashlib.sha256(repr(sides).encode()).hexdigest()


def refuse_leak(records: Sequence[Record], same_person: Mapping[Patient, str] = NO_LINKS) -> None:
    """Check that no person is on two sides, as far as the identifiers show it.

    Some sources show the same patients under other identifiers (DDSM and CBIS-DDSM). All their
    records must be on one side, unless `same_person` names the person of each of their patients.

    Raises
    ------
    PatientLeak
        If a person is on two sides. The message names the patients, or the sources.
    """
    sides: dict[tuple[str, str], set[Split | None]] = defaultdict(set)
    names: dict[tuple[str, str], set[Patient]] = defaultdict(set)
    for record in records:
        person = person_key(record.patient, same_person)
        sides[person].add(record.split)
        names[person].add(record.patient)
    leaks = sorted(
        " = ".join(sorted("/".join(patient) for patient in names[person]))
        for person, found in sides.items()
        if len(found) > 1
    )
    if leaks:
        raise PatientLeak(
            f"{len(leaks)} patients are on two sides: {', '.join(leaks[:5])}",
            keyword="split",
            remedy="Put all images of a patient on one side",
        )
    for sources, found in unknown_identities(records, same_person):
        if len(found) > 1:
            raise PatientLeak(
                f"{' and '.join(sources)} show the same patients under other identifiers and are "
                "on two sides",
                keyword="split",
                remedy="Keep one of these sources, or give a table of persons (data.persons)",
            )


def _strata(
    records: Sequence[Record], seed: int, same_person: Mapping[Patient, str]
) -> Iterator[list[list[Patient]]]:
    """Yield, for each source and outcome, its persons in the order of the seeded hash.

    A person is a list of identifiers.
    """
    by_person: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        by_person[person_key(record.patient, same_person)].append(record)
    strata: dict[tuple[object, bool], list[tuple[str, list[Patient]]]] = defaultdict(list)
    for own in by_person.values():
        patients = sorted({record.patient for record in own})
        sources = tuple(sorted({record.dataset for record in own}))
        outcome = any(record.malignant is True for record in own)
        rank = hashlib.sha256(repr((seed, *patients[0])).encode()).hexdigest()
        strata[sources, outcome].append((rank, patients))
    for persons in strata.values():
        yield [patients for _, patients in sorted(persons)]


def _too_few(message: str, keyword: str, change: str) -> InvalidManifest:
    return InvalidManifest(message, keyword=keyword, remedy=f"Give more patients, or {change}")
