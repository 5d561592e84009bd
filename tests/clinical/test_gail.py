"""BCRAT against reference cases of the National Cancer Institute's own program.

The cases are the "race-specific" ones that epiverse/bcra-js publishes as output of NCI's BCRA
package 2.1: ages, answers and the absolute risk in percent. 99 there is unknown (here ``None``), 98
no birth (here 0).
"""

import pytest

from mammolens.clinical import state_risk
from mammolens.clinical.gail import absolute_risk
from mammolens.core import ClinicalItem

TYPICAL = (40, 50, 1, None, 12, 25, 1)
HIGH = (45, 55, 2, True, 10, 0, 2)
LOW = (30, 35, 0, None, 14, 22, 0)
UNKNOWN = (50, 60, None, None, None, None, None)
NO_BIRTH = (40, 45, 1, False, 11, 0, 1)
YOUNG = (25, 30, 0, None, 13, None, 0)
OLDER = (70, 80, 1, None, 12, 28, 0)
BIOPSIES = (55, 65, 3, None, 11, 30, 1)
RELATIVES = (42, 52, 1, False, 12, 26, 3)
EARLY = (38, 48, 1, None, 9, 24, 1)
ORDER = (TYPICAL, HIGH, LOW, UNKNOWN, NO_BIRTH, YOUNG, OLDER, BIOPSIES, RELATIVES, EARLY)
EXPECTED = {
    "white": (
        *(4.5136216073, 24.125253066, 0.095603326859, 1.3863082967, 1.8983595395),
        *(0.024129171937, 4.5936976595, 8.956792832, 7.7073715194, 4.0939728739),
    ),
    "black": (
        *(2.7300575728, 11.4017761885, 0.11293841745, 1.8901109571, 1.0088314365),
        *(0.05366941602, 3.442200511, 4.9888568211, 4.5675991663, 2.3135631172),
    ),
    "hispanic_us_born": (
        *(1.8869997821, 5.8245861091, 0.12918276337, 1.9479105765, 0.87467784039),
        *(0.027729517727, 3.263055622, 4.5523888304, 2.0161619073, 1.5788693384),
    ),
    "native_american": (4.5136216073, 24.125253066, 0.095603326859, 1.3863082967, 1.8983595395),
    "hispanic_foreign_born": (
        *(3.337429861, 16.0564828123, 0.053911528049, 0.69478315423, 2.5618113231),
        *(0.014746535537, 3.6257281987, 13.3025723217, 3.561390923, 3.6031469383),
    ),
    "chinese": (
        *(3.9785550501, 15.8392569501, 0.058923079685, 0.84315550627, 1.549843681),
        *(0.01176012768, 2.8387007171, 14.8548659583, 4.0633623787, 2.7376047823),
    ),
    "japanese": (
        *(4.9921994486, 23.4178324615, 0.089821031955, 1.4387369886, 1.9500749503),
        *(0.025455990398, 5.3269992557, 27.0960044332, 5.6094079814, 3.3993929472),
    ),
    "filipino": (4.8802680186, 21.3997396725, 0.071178178106, 1.2133353288),
}


@pytest.mark.parametrize(
    ("race", "case", "percent"),
    [
        (race, case, percent)
        for race, figures in EXPECTED.items()
        for case, percent in zip(ORDER, figures, strict=False)
    ],
)
def test_the_published_reference_cases(race, case, percent):
    age, until, biopsies, atypia, menarche, birth, kin = case
    risk = absolute_risk(
        age,
        until,
        race,
        menarche_age=menarche,
        first_birth_age=birth,
        relatives=kin,
        biopsies=biopsies,
        atypia=atypia,
    )
    assert 100 * risk == pytest.approx(percent, rel=1e-9)


def items(**values):
    return tuple(ClinicalItem(name, value, "t") for name, value in values.items())


def test_the_statement_lists_what_was_assumed():
    found = state_risk(
        items(age=40.9, race="white", biopsies=1.0, births=2.0, first_birth_age=25.0)
    )
    expected = absolute_risk(40, 45, "white", first_birth_age=25, biopsies=1)
    assert found.risk == expected
    assert found.years == 5
    assert found.assumed == ("menarche_age", "family_first_degree", "atypia", "prior_cancer")


@pytest.mark.parametrize(
    "values",
    [
        {"race": "white"},
        {"age": 50.0},
        {"age": 19.0, "race": "white"},
        {"age": 86.0, "race": "white"},
        {"age": 50.0, "race": "white", "prior_cancer": True},
    ],
)
def test_nothing_is_stated_where_the_model_is_not_made_for_it(values):
    assert state_risk(items(**values)) is None
