"""The order in which a split takes patients: by stratum, seeded, evenly mixed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from mammolens.data.manifest import Record
from mammolens.data.persons import Patient, person_key

__all__ = ["Stratum", "split_strata"]

Stratum = Callable[[Record], object]
"""Function that gives a further stratum of a record."""


def split_strata(
    records: Sequence[Record],
    seed: int,
    further: Stratum | None,
    same_person: Mapping[Patient, str],
) -> Iterator[list[list[Patient]]]:
    """Yield, for each source and outcome, its persons in the order of the split.

    A person is a list of identifiers. The order comes from a seeded hash. The persons of each
    further stratum are spread evenly over the list, so that any slice of it has about the same mix.
    """
    by_person: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        by_person[person_key(record.patient, same_person)].append(record)
    strata: dict[tuple[object, bool], dict[object, list[tuple[str, list[Patient]]]]] = {}
    for own in by_person.values():
        patients = sorted({record.patient for record in own})
        sources = tuple(sorted({record.dataset for record in own}))
        cell = tuple(sorted({str(further(record)) for record in own})) if further else ()
        outcome = any(record.malignant is True for record in own)
        persons = strata.setdefault((sources, outcome), {}).setdefault(cell, [])
        persons.append((_rank(patients[0], seed), patients))
    for cells in strata.values():
        placed: list[tuple[float, str, list[Patient]]] = []
        for persons in cells.values():
            persons.sort()
            placed += [((i + 0.5) / len(persons), *person) for i, person in enumerate(persons)]
        yield [patients for _, _, patients in sorted(placed)]


def _rank(patient: Patient, seed: int) -> str:
    return hashlib.sha256(repr((seed, *patient)).encode()).hexdigest()
