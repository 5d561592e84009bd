"""Name the histologies of a specimen, from its diagnosis and its description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from mammolens.pathology.diagnosis import LOWER, REVISES, final_sections
from mammolens.pathology.layout import Section
from mammolens.pathology.mentions import Marked, types_in
from mammolens.pathology.values import Outcome, Statement

__all__ = ["histology_of"]

_TYPE_ROW: Final = re.compile(r"^[\w /()-]{0,30}\b(?:sub)?types?\b[^:=]{0,30}[:=]")
_WEAK: Final = ("normal", "cyst", "scar")
_BESIDE: Final = frozenset(
    (
        *("dcis", "lobular neoplasia", "adh", "fea", "radial scar", "papilloma", "fibroadenoma"),
        *("fibrocystic", "usual hyperplasia", "sclerosing adenosis", "fat necrosis", "pash"),
        *("duct ectasia", "columnar cell", "apocrine metaplasia", "cyst", "gynaecomastia"),
        "lymph node benign",
    )
)
"""Histologies that the description may add to those of the diagnosis."""


def histology_of(rows: Sequence[Marked], outcome: Statement) -> Statement | None:
    """Give the histologies that are certainly present, from the diagnosis if there is one."""
    later = [row for row in rows if row.section is Section.ADDENDUM]
    sections = (*final_sections(rows), Section.ADDENDUM)
    tiers: list[list[Marked]] = [
        [row for row in rows if row.section in sections],
        [row for row in rows if row.section in LOWER],
    ]
    if any(REVISES.search(row.text) and row.histologies() for row in later):
        tiers.insert(0, later)
    for number, tier in enumerate(tiers):
        names: dict[str, str] = {}
        for row in tier:
            for name in _named(row, outcome):
                names.setdefault(name, row.sentence.shown)
        if names and not later and number == 0:
            for row in tiers[1]:
                for name in _BESIDE.intersection(row.histologies()):
                    names.setdefault(name, row.sentence.shown)
        if outcome.value != Outcome.BENIGN.value:
            names.pop("normal", None)
        if names:
            _drop_implied(names)
            evidence = tuple(dict.fromkeys(names.values()))[:6]
            return Statement(tuple(sorted(names)), 0.9, evidence)
    return None


def _named(row: Marked, outcome: Statement) -> Iterator[str]:
    yield from row.histologies()
    if (
        outcome.value == Outcome.INVASIVE.value
        and (match := _TYPE_ROW.match(row.text))
        and not any(one.concept.outcome for one in row.mentions if one.end > match.end())
    ):
        yield from types_in(row.text[match.end() :])


def _drop_implied(names: dict[str, str]) -> None:
    """Take away what only repeats a more exact name."""
    implied = {
        "mixed ductal lobular": ("ductal", "lobular"),
        "pleomorphic lcis": ("lobular neoplasia",),
        "fea": ("columnar cell",),
        "fibrocystic": ("cyst",),
    }
    for name, others in implied.items():
        if name in names:
            for other in others:
                names.pop(other, None)
    if len([name for name in names if name not in _WEAK]) > 0:
        names.pop("normal", None)
