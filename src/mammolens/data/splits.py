"""Splits by patient: seeded, stratified by source and outcome, checked for leaks.

A manifest goes in, and comes out with a side for every record; write it with
`mammolens.data.table.write_manifest` to keep the sides in the table's column ``split``.
`split_digest` is a function of the sides alone, so a table needs no further file beside it: a run
folder and a model's card name the digest, and whoever holds the table can compute it again.

Identifiers are unique within a data set only, and one woman may have several: `same_person` maps
(data set, patient) to a name of the woman; patients that it leaves out are each their own.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.persons import NOBODY, Patient, person_of, unknown_identities
from mammolens.errors import ConfigError, InvalidManifest, PatientLeak

__all__ = [
    "drop_overlap",
    "fold_patients",
    "hold_out_source",
    "official_split",
    "refuse_leak",
    "split_digest",
    "split_patients",
]

Stratum = Callable[[Record], object]
_HELD_OUT_FIRST = (Split.TEST, Split.VALIDATION, Split.TRAIN)


def split_patients(
    manifest: Manifest,
    *,
    validation: float,
    seed: int,
    test: float = 0.0,
    further: Stratum | None = None,
    same_person: Mapping[Patient, str] = NOBODY,
) -> Manifest:
    """Put each patient on the training, the validation or the test side.

    Patients of one data set and one outcome (any malignant image, or none) are put in the order
    of a seeded hash of their identifier and cut at the wanted shares, so that the split does not
    depend on the order of rows, and one patient more moves few others. The validation side is the
    same whatever the share of the test side. Sides that the records had are not looked at; see
    `official_split`.

    Parameters
    ----------
    validation, test
        Shares of patients on these sides; together below 1.
    seed
        Another seed, another split.
    further
        Names a further stratum of a record, such as ``lambda record: record.density``: each side
        gets about the same mix of it within a data set and outcome.
    same_person
        (data set, patient) → woman; a woman is never divided.

    Raises
    ------
    ConfigError
        If a share is out of range.
    InvalidManifest
        If there are too few patients for a side that is wanted.
    """
    if not 0.0 < validation < 1.0:
        raise ConfigError(f"{validation} is no share of patients", keyword="validation")
    if not 0.0 <= test < 1.0 - validation:
        raise ConfigError(f"{test} is no share of the other patients", keyword="test")
    sides: dict[Patient, Split] = {}
    for women in _strata(manifest.records, seed, further, same_person):
        first, second = round(validation * len(women)), round((validation + test) * len(women))
        sides |= dict.fromkeys(chain(*women[:first]), Split.VALIDATION)
        sides |= dict.fromkeys(chain(*women[first:second]), Split.TEST)
        sides |= dict.fromkeys(chain(*women[second:]), Split.TRAIN)
    wanted = {Split.TRAIN, Split.VALIDATION} | ({Split.TEST} if test else set())
    for side in sorted(wanted - set(sides.values())):
        raise _too_few(f"no patient would be on the {side.value} side", side.value)
    return manifest.with_splits(sides)


def fold_patients(
    manifest: Manifest,
    folds: int,
    seed: int,
    *,
    further: Stratum | None = None,
    same_person: Mapping[Patient, str] = NOBODY,
) -> tuple[Manifest, ...]:
    """Hold out every patient exactly once: fold i has its patients on the validation side.

    Strata and order are those of `split_patients`, and the first fold is its split with
    ``validation=1 / folds`` (as long as no share of a stratum lies half-way between two numbers).
    A test side must be taken off first: ``manifest.select(split=Split.TRAIN)``.

    Raises
    ------
    ConfigError
        If there are fewer than two folds.
    InvalidManifest
        If a fold would hold out nobody.

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
            f"{folds} folds hold out nobody", keyword="folds", remedy="Give 2 or more"
        )
    held_out: list[set[Patient]] = [set() for _ in range(folds)]
    for women in _strata(manifest.records, seed, further, same_person):
        cuts = [round(fold * len(women) / folds) for fold in range(folds + 1)]
        for patients, first, last in zip(held_out, cuts[:-1], cuts[1:], strict=True):
            patients.update(chain(*women[first:last]))
    everyone = {record.patient for record in manifest.records}
    for number, patients in enumerate(held_out):
        if not patients or patients == everyone:
            raise _too_few(f"fold {number} of {folds} would have an empty side", "folds")
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
    unstated: Split | None = None,
    same_person: Mapping[Patient, str] = NOBODY,
) -> Manifest:
    """Keep the sides that the sources give, and cut a validation side out of their training side.

    Parameters
    ----------
    validation
        Share of the training patients that go to the validation side, cut as in `split_patients`;
        data sets that state a validation side of their own keep it.
    unstated
        Side of patients whose records state none; ``None`` refuses them.

    Raises
    ------
    InvalidManifest
        If a record states no side and `unstated` is ``None``.
    PatientLeak
        If a woman stands on two sides; `drop_overlap` takes her off the training side.
    """
    lacking = [record for record in manifest.records if record.split is None]
    if lacking and unstated is None:
        raise InvalidManifest(
            f"{len(lacking)} of {len(manifest.records)} records state no side, first "
            f"{lacking[0].dataset}/{lacking[0].image_id}",
            keyword="split",
            remedy="Fill the column, or say on which side patients without it shall be",
        )
    refuse_leak([r for r in manifest.records if r.split is not None], same_person)
    sides = {r.patient: r.split or unstated for r in manifest.records}
    sides |= {r.patient: r.split for r in manifest.records if r.split is not None}
    stated = {p: side for p, side in sides.items() if side is not None}
    own = {dataset for (dataset, _), side in stated.items() if side is Split.VALIDATION}
    cut = [
        record
        for record in manifest.records
        if stated[record.patient] is Split.TRAIN and record.dataset not in own
    ]
    if validation and cut:
        again = split_patients(
            Manifest.of(cut), validation=validation, seed=seed, same_person=same_person
        )
        stated |= {r.patient: r.split for r in again.records if r.split is not None}
    kept = manifest.with_splits(stated)
    refuse_leak(kept.records, same_person)
    return kept


def hold_out_source(
    manifest: Manifest,
    dataset: str,
    *,
    validation: float = 0.0,
    seed: int = 0,
    same_person: Mapping[Patient, str] = NOBODY,
) -> Manifest:
    """Leave one source out: it becomes the test side, and the others are learned from.

    Records of its women in other sources are left out altogether. The other sources' patients are
    all on the training side, or cut as by `split_patients` if a `validation` share is given.

    Raises
    ------
    ConfigError
        If no record is of that data set, or no other is left.
    PatientLeak
        If another source shows the same women under identifiers that nothing links.
    """
    names = sorted({record.dataset for record in manifest.records})
    if dataset not in names:
        raise ConfigError(
            f"no record is of {dataset!r}", keyword="dataset", remedy=f"Known: {', '.join(names)}"
        )
    tested = {person_of(r.patient, same_person) for r in manifest.records if r.dataset == dataset}
    others = [r for r in manifest.records if person_of(r.patient, same_person) not in tested]
    if not others:
        raise ConfigError(
            f"nothing is left to learn from without {dataset!r}",
            keyword="dataset",
            remedy="Give a second source of other women",
        )
    learned = Manifest.of(others)
    learned = (
        split_patients(learned, validation=validation, seed=seed, same_person=same_person)
        if validation
        else learned.with_splits({r.patient: Split.TRAIN for r in others})
    )
    sides = {r.patient: r.split for r in learned.records if r.split is not None}
    sides |= {r.patient: Split.TEST for r in manifest.records if r.dataset == dataset}
    kept = manifest.select(where=lambda record: record.patient in sides).with_splits(sides)
    refuse_leak(kept.records, same_person)
    return kept


def drop_overlap(manifest: Manifest, same_person: Mapping[Patient, str] = NOBODY) -> Manifest:
    """Leave out the records of women on two sides, but for those on the most held-out side.

    CBIS-DDSM needs it: women of its official mass training set are in its calcification test set.
    Records without a side are left as they are.
    """
    sides: dict[tuple[str, str], set[Split | None]] = defaultdict(set)
    for record in manifest.records:
        sides[person_of(record.patient, same_person)].add(record.split)

    def stays(record: Record) -> bool:
        found = sides[person_of(record.patient, same_person)]
        return record.split in (None, next((s for s in _HELD_OUT_FIRST if s in found), None))

    return manifest.select(where=stays)


def split_digest(manifest: Manifest) -> str:
    """SHA-256 of who is on which side."""
    sides = sorted({(*r.patient, r.split.value if r.split else "") for r in manifest.records})
    return hashlib.sha256(repr(sides).encode()).hexdigest()


def refuse_leak(records: Sequence[Record], same_person: Mapping[Patient, str] = NOBODY) -> None:
    """Check that no woman stands on two sides, as far as identifiers tell.

    Sources that are known to show the same women under other identifiers (DDSM and CBIS-DDSM) must
    stand on one side together, unless `same_person` says of each of their patients who she is.

    Raises
    ------
    PatientLeak
        Names the patients, or the sources.
    """
    sides: dict[tuple[str, str], set[Split | None]] = defaultdict(set)
    names: dict[tuple[str, str], set[Patient]] = defaultdict(set)
    for record in records:
        person = person_of(record.patient, same_person)
        sides[person].add(record.split)
        names[person].add(record.patient)
    leaks = sorted(
        " = ".join(sorted("/".join(patient) for patient in names[person]))
        for person, found in sides.items()
        if len(found) > 1
    )
    if leaks:
        raise PatientLeak(
            f"{len(leaks)} patients stand on two sides: {', '.join(leaks[:5])}",
            keyword="split",
            remedy="Put all images of a patient on one side",
        )
    for sources, found in unknown_identities(records, same_person):
        if len(found) > 1:
            raise PatientLeak(
                f"{' and '.join(sources)} show the same women under other identifiers and stand "
                "on two sides",
                keyword="split",
                remedy="Keep one of these sources, or give a table of who is who",
            )


def _strata(
    records: Sequence[Record],
    seed: int,
    further: Stratum | None,
    same_person: Mapping[Patient, str],
) -> Iterator[list[list[Patient]]]:
    """Women (each with her identifiers) of one source and outcome, in an order of which every
    stretch has about the same mix of the further stratum."""
    theirs: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        theirs[person_of(record.patient, same_person)].append(record)
    strata: dict[tuple[object, bool], dict[object, list[tuple[str, list[Patient]]]]] = {}
    for own in theirs.values():
        patients = sorted({record.patient for record in own})
        sources = tuple(sorted({record.dataset for record in own}))
        cell = tuple(sorted({str(further(record)) for record in own})) if further else ()
        outcome = any(record.malignant is True for record in own)
        women = strata.setdefault((sources, outcome), {}).setdefault(cell, [])
        women.append((_rank(patients[0], seed), patients))
    for cells in strata.values():
        placed: list[tuple[float, str, list[Patient]]] = []
        for women in cells.values():
            women.sort()
            placed += [((i + 0.5) / len(women), *woman) for i, woman in enumerate(women)]
        yield [patients for _, _, patients in sorted(placed)]


def _rank(patient: Patient, seed: int) -> str:
    return hashlib.sha256(repr((seed, *patient)).encode()).hexdigest()


def _too_few(message: str, keyword: str) -> InvalidManifest:
    return InvalidManifest(
        message, keyword=keyword, remedy="Give more patients, or another share of them"
    )
