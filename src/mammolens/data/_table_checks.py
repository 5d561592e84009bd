"""Checks of the patients and labels of a table: the rows are compared, no picture is needed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from mammolens.data._check_report import CheckFinding, Severity, finding
from mammolens.data.manifest import Record
from mammolens.data.persons import Patient, person_key, unknown_identities
from mammolens.images.names import read_name

__all__ = ["label_findings", "patient_findings"]

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")

_NUMBERED = re.compile(r"^(?P<base>.+?)\s*\((?P<number>\d+)\)$")
_YOUNGEST, _OLDEST = 15.0, 110.0
_ODD, _UNLIKELY = 0.05, 1e-3
"""Probabilities of chance below which a machine of one class is a warning, and an error. Chosen by
hand."""


def patient_findings(
    records: Sequence[Record], same_person: Mapping[Patient, str]
) -> Iterator[CheckFinding]:
    """Find patients on two sides of the split, persons with two identifiers, and named copies."""
    persons = _groups(records, lambda r: person_key(r.patient, same_person)).values()
    divided = [kept for kept in persons if len({r.split for r in kept}) > 1]
    leaks = [kept for kept in divided if len({r.split for r in kept} - {None}) > 1]
    if leaks:
        yield finding(
            "patient_on_two_sides",
            (r for kept in leaks for r in kept),
            details=(f"{kept[0].patient_name}: {_sides(kept)}" for kept in leaks),
            n=len(leaks),
        )
    if len(divided) > len(leaks):
        partly = [kept for kept in divided if None in {r.split for r in kept}]
        yield finding(
            "patient_partly_split",
            (r for kept in partly for r in kept),
            n=len(partly),
        )
    yield from _case_numbers(records, same_person)
    for datasets, _ in unknown_identities(records, same_person):
        yield finding("same_women_in_two_sources", words={"sources": " and ".join(datasets)})
    yield from _numbered_copies(records)


def label_findings(
    records: Sequence[Record], machines: Sequence[str | None]
) -> Iterator[CheckFinding]:
    """Find classes that are missing, unknown, contradictory, or tied to one source or machine.

    `machines` gives the machine of each record, in the order of `records`.
    """
    machine_of = dict(zip((r.key for r in records), machines, strict=True))
    by_dataset = _groups(records, lambda r: r.dataset)
    for dataset, kept in by_dataset.items():
        known = {r.malignant for r in kept if r.malignant is not None}
        unknown = sum(r.malignant is None for r in kept) / len(kept)
        if len(known) == 1:
            label = {"label": "malignant" if known.pop() else "not malignant"}
            yield finding("one_class", dataset=dataset, words=label, n=len(kept))
        if unknown > 0.5:
            yield finding("labels_unknown", dataset=dataset, share=unknown)
        yield from _one_class_machines(kept, [machine_of[r.key] for r in kept], dataset)
    yield from _labels_follow_sources(by_dataset)
    yield from _breasts_with_two_labels(records)
    ages = [r for r in records if r.age_years is not None]
    if wrong := [r for r in ages if not _YOUNGEST <= (r.age_years or 0.0) <= _OLDEST]:
        yield finding(
            "impossible_age",
            wrong,
            details=(f"{r.image_name}: {r.age_years:g}" for r in wrong),
            words={"youngest": _YOUNGEST, "oldest": _OLDEST},
        )


def _groups(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    found: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def _sides(records: Iterable[Record]) -> str:
    return " and ".join(sorted({r.split.value for r in records if r.split is not None}))


def _case_numbers(
    records: Sequence[Record], same_person: Mapping[Patient, str]
) -> Iterator[CheckFinding]:
    """Find case numbers of a public source, read from file names, with several patients."""
    cases: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        facts = read_name(str(record.path))
        if facts.convention not in ("plain", "rsna") and facts.patient_id:
            cases[facts.convention, facts.patient_id].append(record)
    several = {
        case: kept
        for (_, case), kept in cases.items()
        if len({person_key(r.patient, same_person) for r in kept}) > 1
    }
    if not several:
        return
    apart = any(len({r.split for r in kept} - {None}) > 1 for kept in several.values())
    yield finding(
        "one_case_two_patients",
        (r for kept in several.values() for r in kept),
        severity=Severity.ERROR if apart else None,
        details=(
            f"{case}: {', '.join(sorted({r.patient_name for r in kept}))}"
            for case, kept in several.items()
        ),
        n=len(several),
    )


def _numbered_copies(records: Sequence[Record]) -> Iterator[CheckFinding]:
    """Find files named ``name (2)``: these are copies; in the set of Lin and Huang, augmented."""
    named = {(r.dataset, r.path.stem) for r in records}
    found = []
    for record in records:
        match = _NUMBERED.match(record.path.stem)
        original = match is not None and (record.dataset, match["base"]) in named
        if match is not None and (original or int(match["number"]) > 1):
            found.append(record)
    if found:
        yield finding("numbered_copies", found, words={"example": found[0].path.name})


def _one_class_machines(
    records: Sequence[Record], machines: Sequence[str | None], dataset: str
) -> Iterator[CheckFinding]:
    """Find machines whose images all have one class, where chance is an unlikely reason.

    The probability of chance is that of patients drawn at the rate of the data set, times the
    number of machines (Bonferroni).
    """
    outcome: dict[Patient, bool] = defaultdict(bool)
    used: dict[str, list[Record]] = defaultdict(list)
    for record, machine in zip(records, machines, strict=True):
        if record.malignant is not None and machine:
            outcome[record.patient] |= record.malignant
            used[machine].append(record)
    if len(used) < 2:
        return
    rate = sum(outcome.values()) / len(outcome)
    for machine, kept in used.items():
        classes = {r.malignant for r in kept}
        patients = len({r.patient for r in kept})
        alone = (rate if True in classes else 1.0 - rate) ** patients
        chance = min(1.0, alone * len(used))
        if len(classes) == 1 and chance < _ODD:
            label = "malignant" if True in classes else "not malignant"
            yield finding(
                "machine_of_one_class",
                kept,
                severity=Severity.ERROR if chance < _UNLIKELY else None,
                dataset=dataset,
                words={"machine": machine, "label": label},
                n=len(kept),
                patients=patients,
                chance=chance,
            )


def _labels_follow_sources(by_dataset: Mapping[str, Sequence[Record]]) -> Iterator[CheckFinding]:
    classes = {
        dataset: {r.malignant for r in kept if r.malignant is not None}
        for dataset, kept in by_dataset.items()
    }
    labelled = {dataset: found for dataset, found in classes.items() if found}
    both = set().union(*labelled.values()) == {True, False}
    if len(labelled) > 1 and both and all(len(found) == 1 for found in labelled.values()):
        yield finding("label_is_source")


def _breasts_with_two_labels(records: Sequence[Record]) -> Iterator[CheckFinding]:
    sided = [r for r in records if r.laterality is not None and r.malignant is not None]
    breasts = _groups(sided, lambda r: (*r.patient, r.study_id, r.laterality))
    split = [kept for kept in breasts.values() if len({r.malignant for r in kept}) > 1]
    if split:
        yield finding(
            "breast_with_two_labels",
            (r for kept in split for r in kept),
            n=len(split),
        )
