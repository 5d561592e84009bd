"""Who was in the training data, and who was not, in numbers, for the model card.

Unknown is counted as unknown, and a group of which nothing is known is never listed with 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from mammolens.bench.auditing.groups import density_group
from mammolens.data.manifest import Record
from mammolens.model import PeopleGroup

__all__ = ["AXES", "people_groups"]

UNKNOWN: Final = "unknown"
_COUNTRIES: Final = {
    "cbis-ddsm": "United States",
    "cbis_masses": "United States",
    "cesm": "Egypt",
    "cmmd": "China",
    "ddsm": "United States",
    "inbreast": "Portugal",
    "mias": "United Kingdom",
    "rsna": "Australia or United States",
    "vindr": "Viet Nam",
}
"""Where the patients of a source were imaged, as it was published: DDSM Heath 2001; CBIS-DDSM
doi:10.1038/sdata.2017.177; CESM doi:10.1038/s41597-022-01238-0; CMMD doi:10.7937/tcia.eqde-4b16;
INbreast doi:10.1016/j.acra.2011.09.014; mini-MIAS Suckling 1994; RSNA doi:10.1148/radiol.241447 (of
two sites, and the table does not say which is which); VinDr doi:10.1038/s41597-023-02100-7."""
_AGES: Final = (40, 50, 60, 70)
_EXPECTED: Final = {
    "age": ("under 40", "40–49", "50–59", "60–69", "70 and over"),
    "density": ("A", "B", "C", "D"),
    "cancer": ("malignant", "not malignant"),
}
"""Groups that are listed even if nobody is in them, where the data say anything of their axis."""


def _age(record: Record) -> str | None:
    if record.age_years is None:
        return None
    reached = sum(record.age_years >= edge for edge in _AGES)
    return _EXPECTED["age"][reached]


def _cancer(record: Record) -> str | None:
    if record.malignant is None:
        return None
    return "malignant" if record.malignant else "not malignant"


AXES: Final[dict[str, Callable[[Record], str | None]]] = {
    "source": lambda record: record.dataset,
    "country": lambda record: _COUNTRIES.get(record.dataset),
    "sex": lambda _: None,  # no table of images has sex or implants yet: all are unknown
    "age": _age,
    "density": density_group,
    "implant": lambda _: None,
    "machine": lambda record: record.machine and f"{record.dataset}: {record.machine}",
    "cancer": _cancer,
}
"""What is counted, in the order of the card, and the group of an image."""


def people_groups(records: Sequence[Record]) -> tuple[PeopleGroup, ...]:
    """Count the patients and images of each group; a patient with images in two groups is in both.

    Examples
    --------
    >>> from pathlib import Path
    >>> rows = people_groups([Record("mias", "1", "p", Path("1.png"), malignant=True)])
    >>> [(one.axis, one.group, one.patients) for one in rows if one.axis in ("sex", "cancer")]
    [('sex', 'unknown', 1), ('cancer', 'malignant', 1), ('cancer', 'not malignant', 0)]
    """
    found = []
    for axis, group_of in AXES.items():
        known = any(group_of(record) is not None for record in records)
        members: dict[str, list[Record]] = {n: [] for n in _EXPECTED.get(axis, ()) if known}
        unknown: list[Record] = []
        for record in sorted(records, key=lambda one: group_of(one) or ""):
            name = group_of(record)
            (unknown if name is None else members.setdefault(name, [])).append(record)
        groups = members | ({UNKNOWN: unknown} if unknown else {})
        found += [
            PeopleGroup(
                axis=axis, group=name, patients=len({one.patient for one in own}), images=len(own)
            )
            for name, own in groups.items()
        ]
    return tuple(found)
