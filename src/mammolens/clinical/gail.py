"""The Breast Cancer Risk Assessment Tool (BCRAT, "Gail model"): a risk of the years to come.

It is a separate statement about a patient without breast cancer, and part of no score: whether it
helps beside an image cannot be measured on the data that we have.

Source: the constants are those that the National Cancer Institute publishes (BCRAT 1.4.5 and its
SAS macro): Gail 1989, doi:10.1093/jnci/81.24.1879 (white); Gail 2007, doi:10.1093/jnci/djm223
(CARE, black); Matsuno 2011, doi:10.1093/jnci/djr154 (Asian and Pacific Islander); Banegas 2017,
doi:10.1093/jnci/djw215 (Hispanic). They decide what is stated of a patient's risk, and are held to
the reference cases in ``tests/clinical/test_gail.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from mammolens.clinical.records import known_value
from mammolens.core import ClinicalItem, RiskStatement

__all__ = ["MODEL", "absolute_risk", "state_risk"]

MODEL: Final = "BCRAT (Gail model)"
YEARS: Final = 5
_YOUNGEST, _OLDEST = 20, 90
"""Ages for which rates are published."""


class _Model(NamedTuple):
    """Log relative risks, and 1 − attributable risk below 50 years and from 50 years on.

    `beta`: biopsies, age at menarche, age at first birth, relatives, biopsies from 50 years on,
    first birth × relatives.
    """

    beta: tuple[float, float, float, float, float, float]
    unattributable: tuple[float, float]


_WHITE: Final = _Model(
    (0.5292641686, 0.0940103059, 0.2186262218, 0.9583027845, -0.2880424830, -0.1908113865),
    (0.5788413, 0.5788413),
)
_BLACK: Final = _Model(
    (0.1822121131, 0.2672530336, 0.0, 0.4757242578, -0.1119411682, 0.0), (0.72949880, 0.74397137)
)
_US_BORN: Final = _Model(
    (0.0970783641, 0.0, 0.2318368334, 0.166685441, 0.0, 0.0), (0.749294788397, 0.778215491668)
)
_FOREIGN_BORN: Final = _Model(
    (0.4798624017, 0.2593922322, 0.4669246218, 0.9076679727, 0.0, 0.0),
    (0.428864989813, 0.450352338746),
)
_ASIAN: Final = _Model(
    (0.55263612260619, 0.07499257592975, 0.27638268294593, 0.79185633720481, 0.0, 0.0),
    (0.47519806426735, 0.50316401683903),
)
_MODELS: Final = {
    "white": _WHITE,
    "black": _BLACK,
    "hispanic_us_born": _US_BORN,
    "hispanic_foreign_born": _FOREIGN_BORN,
    "native_american": _WHITE,
    **dict.fromkeys(
        ("chinese", "japanese", "filipino", "hawaiian", "pacific_islander", "other_asian"), _ASIAN
    ),
}
"""NCI uses the model for white patients for Native Americans too, and says that it may be wrong."""

# fmt: off
_INCIDENCE: Final = {
    "white": (
        1.0e-5, 7.6e-5, 2.66e-4, 6.61e-4, 1.265e-3, 1.866e-3, 2.211e-3,
        2.721e-3, 3.348e-3, 3.923e-3, 4.178e-3, 4.439e-3, 4.421e-3, 4.109e-3,
    ),
    "black": (
        2.696e-5, 1.1295e-4, 3.1094e-4, 6.7639e-4, 1.19444e-3, 1.87394e-3, 2.41504e-3,
        2.91112e-3, 3.10127e-3, 3.6656e-3, 3.93132e-3, 4.08951e-3, 3.96793e-3, 3.63712e-3,
    ),
    "hispanic_us_born": (
        1.66e-5, 7.41e-5, 2.74e-4, 6.099e-4, 1.2225e-3, 1.9027e-3, 2.3142e-3,
        2.8357e-3, 3.1144e-3, 3.0794e-3, 3.3344e-3, 3.5082e-3, 2.5308e-3, 2.0414e-3,
    ),
    "hispanic_foreign_born": (
        1.02e-5, 5.31e-5, 1.578e-4, 3.602e-4, 7.617e-4, 1.1599e-3, 1.4111e-3,
        1.7245e-3, 2.0619e-3, 2.3603e-3, 2.5575e-3, 2.8227e-3, 2.8295e-3, 2.5868e-3,
    ),
    "chinese": (
        4.059636e-6, 4.5944465e-5, 1.88279352e-4, 4.92930493e-4, 9.13603501e-4, 1.471537353e-3,
        1.421275482e-3, 1.970946494e-3, 1.674745804e-3, 1.821581075e-3, 1.834477198e-3,
        1.919911972e-3, 2.233371071e-3, 2.247315779e-3,
    ),
    "japanese": (
        1e-12, 9.9483924e-5, 2.87041681e-4, 5.45285759e-4, 1.152211095e-3, 1.859245108e-3,
        2.606291272e-3, 3.221751682e-3, 4.006961859e-3, 3.521715275e-3, 3.593038294e-3,
        3.589303081e-3, 3.538507159e-3, 2.051572909e-3,
    ),
    "filipino": (
        7.500161e-6, 8.1073945e-5, 2.27492565e-4, 5.49786433e-4, 1.129400541e-3, 1.813873795e-3,
        2.223665639e-3, 2.680309266e-3, 2.89121923e-3, 2.534421279e-3, 2.457159409e-3,
        2.28661692e-3, 1.814802825e-3, 1.75087913e-3,
    ),
    "hawaiian": (
        4.5080582e-5, 9.8570724e-5, 3.3997086e-4, 8.52591429e-4, 1.668562761e-3, 2.552703284e-3,
        3.321774046e-3, 5.373001776e-3, 5.237808549e-3, 5.581732512e-3, 5.677419355e-3,
        6.513409962e-3, 3.889457523e-3, 2.949061662e-3,
    ),
    "pacific_islander": (
        1e-12, 7.1525212e-5, 2.88799028e-4, 6.02250698e-4, 7.55579402e-4, 7.66406354e-4,
        1.893124938e-3, 2.365580107e-3, 2.84393307e-3, 2.920921732e-3, 2.330395655e-3,
        2.036291235e-3, 1.482683983e-3, 1.012248203e-3,
    ),
    "other_asian": (
        1.2355409e-5, 5.9526456e-5, 1.84320831e-4, 4.54677273e-4, 7.91265338e-4, 1.048462801e-3,
        1.372467817e-3, 1.495473711e-3, 1.646746198e-3, 1.478363563e-3, 1.216010125e-3,
        1.0676637e-3, 1.376104012e-3, 6.61576644e-4,
    ),
}
"""Invasive breast cancers a person-year, by five years of age from 20 to 89 (SEER)."""

_DEATHS: Final = {
    "white": (
        4.93e-4, 5.31e-4, 6.25e-4, 8.25e-4, 1.307e-3, 2.181e-3, 3.655e-3,
        5.852e-3, 9.439e-3, 1.5028e-2, 2.3839e-2, 3.8832e-2, 6.6828e-2, 1.44908e-1,
    ),
    "black": (
        7.4354e-4, 1.01698e-3, 1.45937e-3, 2.15933e-3, 3.15077e-3, 4.48779e-3, 6.32281e-3,
        9.63037e-3, 1.471818e-2, 2.116304e-2, 3.266035e-2, 4.564087e-2, 6.835185e-2, 1.3271262e-1,
    ),
    "hispanic_us_born": (
        3.561e-4, 4.038e-4, 5.281e-4, 8.875e-4, 1.3987e-3, 2.0769e-3, 3.0912e-3,
        4.696e-3, 7.605e-3, 1.20555e-2, 1.93805e-2, 2.88386e-2, 4.29634e-2, 7.40349e-2,
    ),
    "hispanic_foreign_born": (
        3.129e-4, 2.908e-4, 3.515e-4, 4.943e-4, 7.807e-4, 1.284e-3, 2.0325e-3,
        3.4533e-3, 5.8674e-3, 9.6888e-3, 1.54429e-2, 2.54675e-2, 4.48037e-2, 1.125678e-1,
    ),
    "chinese": (
        2.10649076e-4, 1.92644865e-4, 2.44435215e-4, 3.17895949e-4, 4.73261994e-4, 8.0027138e-4,
        1.217480226e-3, 2.099836508e-3, 3.436889186e-3, 6.097405623e-3, 1.0664526765e-2,
        2.0148678452e-2, 3.799079659e-2, 9.8333900733e-2,
    ),
    "japanese": (
        1.73593803e-4, 2.95805882e-4, 2.28322534e-4, 3.63242389e-4, 5.90633044e-4, 1.086079485e-3,
        1.859999966e-3, 3.216600974e-3, 4.719402141e-3, 8.535331402e-3, 1.2433511681e-2,
        2.0230197885e-2, 3.7725498348e-2, 1.06149118663e-1,
    ),
    "filipino": (
        2.29120979e-4, 2.62988494e-4, 3.1484409e-4, 3.94471908e-4, 6.4762261e-4, 1.170202327e-3,
        1.809380379e-3, 2.614170568e-3, 4.483330681e-3, 7.393665092e-3, 1.2233059675e-2,
        2.1127058106e-2, 3.7936954809e-2, 8.5138518334e-2,
    ),
    "hawaiian": (
        5.63507269e-4, 3.69640217e-4, 1.019912579e-3, 1.234013911e-3, 2.098344078e-3,
        2.982934175e-3, 5.402445702e-3, 9.591474245e-3, 1.6315472607e-2, 2.0152229069e-2,
        2.735483871e-2, 5.0446998723e-2, 7.2262026612e-2, 1.45844504021e-1,
    ),
    "pacific_islander": (
        4.65500812e-4, 6.0046692e-4, 8.51057138e-4, 1.478265376e-3, 1.931486788e-3, 3.866623959e-3,
        4.924932309e-3, 8.177071806e-3, 8.63820289e-3, 1.8974658371e-2, 2.9257567105e-2,
        3.8408980974e-2, 5.2869579345e-2, 7.4745721133e-2,
    ),
    "other_asian": (
        2.12632332e-4, 2.42170741e-4, 3.01552711e-4, 3.69053354e-4, 5.43002943e-4, 8.93862331e-4,
        1.515172239e-3, 2.574669551e-3, 4.324370426e-3, 7.419621918e-3, 1.325176513e-2,
        2.229142749e-2, 4.1746550635e-2, 8.7485802065e-2,
    ),
}
"""Deaths of other causes a person-year, by five years of age from 20 to 89 (NCHS)."""
# fmt: on

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
        A group of `_MODELS`.
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
    model, rates = _MODELS[race], "white" if race == "native_american" else race
    risk, survival = 0.0, 1.0
    for year in range(age, until):
        band = (year - _YOUNGEST) // 5
        relative, share = (below, 0) if year < 50 else (above, 1)
        cancer = _INCIDENCE[rates][band] * relative * model.unattributable[share]
        leaving = cancer + _DEATHS[rates][band]
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
    is_asian = _MODELS[race] is _ASIAN
    taken = min(int(biopsies or 0), 1 if is_hispanic else 2)
    kin = min(int(relatives or 0), 1 if is_hispanic or is_asian else 2)
    early = 0 if menarche_age is None or menarche_age >= 14 else 1 if menarche_age >= 12 else 2
    if race == "black":
        early = min(early, 1)
    birth = _birth_category(first_birth_age, is_hispanic)
    factor = 1.0
    if taken and atypia is not None:
        factor = _ATYPIA if atypia else _NO_ATYPIA
    b = _MODELS[race].beta
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
