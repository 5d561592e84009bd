"""The Breast Cancer Risk Assessment Tool (BCRAT, "Gail model"): a risk of the years to come.

It is a separate statement about a patient without breast cancer, and part of no score: whether it
helps beside an image cannot be measured on the data that we have.

Source: the constants are those that the National Cancer Institute publishes (BCRAT 1.4.5 and its
SAS macro): Gail 1989, doi:10.1093/jnci/81.24.1879 (white); Gail 2007, doi:10.1093/jnci/djm223
(CARE, black); Matsuno 2011, doi:10.1093/jnci/djr154 (Asian and Pacific Islander); Banegas 2017,
doi:10.1093/jnci/djw215 (Hispanic). They stand in ``bcrat.json``, decide what is stated
of a patient's risk, and are held to the reference cases in ``tests/clinical/test_gail.py``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from mammolens.clinical.records import known_value
from mammolens.core import ClinicalItem, RiskStatement

__all__ = ["MODEL", "absolute_risk", "state_risk"]

MODEL: Final = "BCRAT (Gail model)"
YEARS: Final = 5
_YOUNGEST, _OLDEST = 20, 90
"""Ages for which rates are published."""


class _Group(NamedTuple):
    """Constants of a group of patients; ``bcrat.json`` says what they are."""

    model: str
    beta: Sequence[float]
    unattributable: Sequence[float]
    incidence: Sequence[float]
    deaths: Sequence[float]


@cache
def _groups() -> Mapping[str, _Group]:
    """Read the constants. NCI takes those of white patients for Native Americans too."""
    text = resources.files("mammolens.clinical").joinpath("bcrat.json").read_text("utf-8")
    data = json.loads(text)
    return {
        name: _Group(**data["models"][one["model"]], **one) for name, one in data["groups"].items()
    }


_ATYPIA, _NO_ATYPIA = 1.82, 0.93
"""Factors on the relative risk if a biopsy had, or had not, atypical hyperplasia (BCRAT)."""


def state_risk(items: Sequence[ClinicalItem]) -> RiskStatement | None:
    """State the risk of invasive breast cancer in the next five years.

    Parameters
    ----------
    items
        Items of an exam with `is_used` set.

    Returns
    -------
    ``None`` if age or race are unknown, the age is outside 20 to 84 years, or the patient had
    breast cancer: BCRAT is not made for that.
    """
    age, race = known_value(items, "age"), known_value(items, "race")
    had = any(item.name == "prior_cancer" and item.value and item.is_used for item in items)
    if age is None or race is None or had or not _YOUNGEST <= float(age) < _OLDEST - YEARS:
        return None
    births, first = known_value(items, "births"), known_value(items, "first_birth_age")
    number = known_value(items, "biopsies")
    known = {
        "menarche_age": known_value(items, "menarche_age"),
        "first_birth_age": 0.0 if births == 0 else first,
        "family_first_degree": known_value(items, "family_first_degree"),
        "biopsies": number,
        "atypia": known_value(items, "atypia") if number else False,
        "prior_cancer": known_value(items, "prior_cancer"),
    }
    years = int(float(age))
    risk = absolute_risk(
        years,
        years + YEARS,
        str(race),
        menarche_age=_number(known["menarche_age"]),
        first_birth_age=_number(known["first_birth_age"]),
        relatives=_number(known["family_first_degree"]),
        biopsies=_number(number),
        atypia=None if (found := known["atypia"]) is None else bool(found),
    )
    assumed = tuple(name for name, value in known.items() if value is None)
    return RiskStatement(MODEL, YEARS, risk, assumed)


def absolute_risk(
    age: int,
    until: int,
    race: str,
    *,
    menarche_age: float | None = None,
    first_birth_age: float | None = None,
    relatives: float | None = None,
    biopsies: float | None = None,
    atypia: bool | None = None,
) -> float:
    """Give the probability of invasive breast cancer between two ages.

    Parameters
    ----------
    age, until
        Completed years, 20 to 90.
    race
        A value of the item `race`.
    first_birth_age
        0 if there was no live birth.
    menarche_age, relatives, biopsies, atypia
        ``None`` is unknown; BCRAT then takes the least risk.

    Examples
    --------
    >>> round(100 * absolute_risk(40, 50, "white", menarche_age=12, first_birth_age=25,
    ...                           relatives=1, biopsies=1), 4)
    4.5136
    """
    below, above = _relative_risks(race, menarche_age, first_birth_age, relatives, biopsies, atypia)
    group = _groups()[race]
    risk, survival = 0.0, 1.0
    for year in range(age, until):
        band = (year - _YOUNGEST) // 5
        relative, share = (below, 0) if year < 50 else (above, 1)
        cancer = group.incidence[band] * relative * group.unattributable[share]
        leaving = cancer + group.deaths[band]
        stays = math.exp(-leaving)
        risk += survival * cancer / leaving * (1.0 - stays)
        survival *= stays
    return risk


def _relative_risks(
    race: str,
    menarche_age: float | None,
    first_birth_age: float | None,
    relatives: float | None,
    biopsies: float | None,
    atypia: bool | None,
) -> tuple[float, float]:
    """Give the relative risks below 50 years and from 50 years on."""
    is_hispanic = race.startswith("hispanic")
    is_asian = _groups()[race].model == "asian"
    taken = min(int(biopsies or 0), 1 if is_hispanic else 2)
    kin = min(int(relatives or 0), 1 if is_hispanic or is_asian else 2)
    early = 0 if menarche_age is None or menarche_age >= 14 else 1 if menarche_age >= 12 else 2
    if race == "black":
        early = min(early, 1)
    birth = _birth_category(first_birth_age, is_hispanic)
    factor = 1.0
    if taken and atypia is not None:
        factor = _ATYPIA if atypia else _NO_ATYPIA
    b = _groups()[race].beta  # b[4]: biopsies from 50 on; b[5]: first birth and relatives together
    line = b[0] * taken + b[1] * early + b[2] * birth + b[3] * kin + b[5] * birth * kin
    below = math.exp(line) * factor
    return below, below * math.exp(b[4] * taken)


def _birth_category(age: float | None, is_hispanic: bool) -> int:
    """Give the category of the age at first live birth; 0 years is no birth."""
    if age is None or 0 < age < 20:
        return 0
    if age == 0:
        return 2
    found = 1 if age < 25 else 2 if age < 30 else 3
    return {1: 1, 2: 1, 3: 2}[found] if is_hispanic else found


def _number(value: bool | float | str | None) -> float | None:
    return None if value is None else float(value)
