"""Where a stated place lies in a view: sides, quadrants, distances, and the other view."""

from __future__ import annotations

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.outcomes.report_links import (
    BreastInView,
    Place,
    findings_in,
    region_of,
)

BOX = (0.0, 0.0, 400.0, 200.0)


def breast(view="CC", side="R", wall_right=False, mm=0.5):
    return BreastInView(ViewPosition(view), Laterality(side), BOX, wall_right, mm)


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


@pytest.mark.parametrize(
    ("view", "side", "clock", "high"),
    [
        ("CC", "R", 9, True),  # 9 o'clock is outside in the right breast, and outside is at the top
        ("CC", "L", 9, False),
        ("CC", "L", 3, True),
        ("CC", "R", 3, False),
        ("MLO", "R", 12, True),
        ("MLO", "L", 6, False),
        ("MLO", "R", 10, True),  # upper outer
        ("MLO", "L", 8, False),  # lower inner
    ],
)
def test_a_clock_position_is_on_its_side_of_the_nipple(view, side, clock, high):
    row, _ = middle(region_of(Place(clock, 50.0), breast(view, side)))
    assert (row < 200) is high


def test_the_region_is_behind_the_nipple_wherever_the_chest_wall_is():
    left = region_of(Place(12, 20.0), breast())
    assert left[3] == 200.0  # the nipple
    right = region_of(Place(12, 20.0), breast(wall_right=True))
    assert right[1] == 0.0


def test_a_longer_distance_makes_a_deeper_region():
    near, far = (region_of(Place(12, mm), breast()) for mm in (10.0, 60.0))
    assert far[1] < near[1]


def test_a_quadrant_without_a_distance_is_half_a_view():
    region = region_of(Place(quadrant="lower outer"), breast("CC"))
    assert region[0] == 0.0
    assert 200 < region[2] < 400  # outer: the top, and a little more
    assert region_of(Place(quadrant="central"), breast("CC")) is not None


def test_an_unknown_place_or_view_has_no_region():
    assert region_of(Place(), breast()) is None
    assert region_of(Place(3.0, 20.0), breast("XCCL")) is None
    assert region_of(Place(quadrant="unsure"), breast()) is None


def test_a_finding_is_chosen_by_its_middle():
    region = region_of(Place(9, 50.0), breast())
    outer, inner = (60.0, 120.0, 120.0, 160.0), (300.0, 120.0, 360.0, 160.0)
    assert findings_in(region, [inner, outer]) == [1]
