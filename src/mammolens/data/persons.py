"""The table of persons: which patient identifiers belong to the same person.

One person may have several identifiers, in one data set or in several. The table is a CSV file
with the columns ``dataset, patient_id, person_id`` and one row for each identifier. Any text may
name a person, as long as no other person has the same text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mammolens.data.manifest import Record, Split
from mammolens.errors import InvalidManifest
from mammolens.tables import read_table

__all__ = ["NO_LINKS", "Patient", "person_key", "read_persons", "unknown_identities"]

Patient = tuple[str, str]
"""(data set, patient identifier)."""

NO_LINKS: Mapping[Patient, str] = MappingProxyType({})
"""The empty mapping: no two identifiers are known to be the same person."""

_COLUMNS = ("dataset", "patient_id", "person_id")
_SAME_PATIENTS = (("ddsm", "cbis"),)
"""Parts of the names of data sets that show the same patients. CBIS-DDSM is a selection of DDSM's
cases under new numbers (Lee et al. 2017, doi 10.1038/sdata.2017.177)."""


def read_persons(table: Path) -> dict[Patient, str]:
    """Read a table of persons: (data set, patient identifier) → person.

    Raises
    ------
    InvalidManifest
        A cell is empty, or one identifier has two persons. The message names the line.
    """
    persons: dict[Patient, str] = {}
    for row in read_table(table, _COLUMNS, remedy=f"Give {', '.join(_COLUMNS)}").rows:
        if not row["dataset"]:
            raise row.wrong("dataset", "given")
        patient = row["dataset"], row.identifier("patient_id")
        if persons.setdefault(patient, row.identifier("person_id")) != row.identifier("person_id"):
            raise InvalidManifest(
                f"line {row.line} gives {'/'.join(patient)} a second person",
                source=str(table),
                keyword="person_id",
                remedy="Keep one row for each identifier",
            )
    return persons


def person_key(patient: Patient, same_person: Mapping[Patient, str]) -> tuple[str, str]:
    """Give one key for each person: the name in `same_person`, otherwise the identifier itself.

    Examples
    --------
    >>> who = {("ddsm", "C_0386"): "a", ("cbis", "P_00173"): "a"}
    >>> person_key(("ddsm", "C_0386"), who) == person_key(("cbis", "P_00173"), who)
    True
    """
    person = same_person.get(patient)
    return patient if person is None else ("", person)


def unknown_identities(
    records: Sequence[Record], same_person: Mapping[Patient, str]
) -> Iterator[tuple[tuple[str, ...], set[Split | None]]]:
    """Find sources that show the same patients while `same_person` does not link all of them.

    Yields
    ------
    tuple of str, set of Split or None
        The names of the data sets, and the sides of the patients that are not linked.

    Examples
    --------
    >>> records = [Record(name, "1", "p", Path("x")) for name in ("ddsm", "cbis_masses", "mias")]
    >>> next(unknown_identities(records, NO_LINKS))
    (('cbis_masses', 'ddsm'), {None})
    """
    for words in _SAME_PATIENTS:
        sides: dict[str, set[Split | None]] = defaultdict(set)
        present: set[str] = set()
        for record in records:
            if any(word in record.dataset.lower() for word in words):
                present.add(record.dataset)
                if record.patient not in same_person:
                    sides[record.dataset].add(record.split)
        if len(present) > 1 and sides:
            yield tuple(sorted(present)), set().union(*sides.values())
