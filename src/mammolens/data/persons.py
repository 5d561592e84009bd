"""Who is who: women whom several sources, or several identifiers of one, show.

A table of persons is a CSV file with the columns ``dataset, patient_id, person_id``, one row for
each identifier. Any word will do for a person as long as it is hers alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from mammolens.data.manifest import Record, Split
from mammolens.errors import InvalidManifest
from mammolens.tables import read_table

__all__ = ["NOBODY", "Patient", "person_of", "read_persons", "unknown_identities"]

Patient = tuple[str, str]
"""(data set, patient identifier)."""

NOBODY: Mapping[Patient, str] = MappingProxyType({})
"""Nobody is known under two identifiers."""

_COLUMNS = ("dataset", "patient_id", "person_id")
_SAME_WOMEN = (("ddsm", "cbis"),)
"""Words of names of data sets that show the same women: CBIS-DDSM is drawn from DDSM's cases and
numbers them anew (Lee et al. 2017, doi 10.1038/sdata.2017.177)."""


def read_persons(table: Path) -> dict[Patient, str]:
    """Read a table of persons: (data set, patient) → person.

    Raises
    ------
    InvalidManifest
        Names the table, the line and what is wrong there.
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


def person_of(patient: Patient, same_person: Mapping[Patient, str]) -> tuple[str, str]:
    """A key for the woman: her person if she is known, otherwise her identifier.

    Examples
    --------
    >>> who = {("ddsm", "C_0386"): "a", ("cbis", "P_00173"): "a"}
    >>> person_of(("ddsm", "C_0386"), who) == person_of(("cbis", "P_00173"), who)
    True
    """
    person = same_person.get(patient)
    return patient if person is None else ("", person)


def unknown_identities(
    records: Sequence[Record], same_person: Mapping[Patient, str]
) -> Iterator[tuple[tuple[str, ...], set[Split | None]]]:
    """Sources that show the same women while nothing says who is who, with the sides of those
    patients.

    Examples
    --------
    >>> records = [Record(name, "1", "p", Path("x")) for name in ("ddsm", "cbis_masses", "mias")]
    >>> next(unknown_identities(records, NOBODY))
    (('cbis_masses', 'ddsm'), {None})
    """
    for words in _SAME_WOMEN:
        sides: dict[str, set[Split | None]] = defaultdict(set)
        present: set[str] = set()
        for record in records:
            if any(word in record.dataset.lower() for word in words):
                present.add(record.dataset)
                if record.patient not in same_person:
                    sides[record.dataset].add(record.split)
        if len(present) > 1 and sides:
            yield tuple(sorted(present)), set().union(*sides.values())
