"""The criteria of positioning. They are reported, and never a doubt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mammolens.core import Criterion, Standing, ViewPosition
from mammolens.quality.criteria import judged, unknown
from mammolens.quality.places import Places
from mammolens.quality.positioning import Positioning

__all__ = ["positioning_criteria"]

LEAST_BUMP: Final = 0.015
"""The nipple stands out of the outline by this, by the breast's height. Chosen by hand on 32
pictures; no reader's labels were at hand."""
MUSCLE_REACH: Final = 0.0
"""The muscle's lower end lies at the posterior nipple line or below (PGMI)."""


def positioning_criteria(
    found: Positioning | None, place: Places, position: ViewPosition | None
) -> Iterable[Criterion]:
    """Judge nipple, muscle and posterior nipple line; `found` is ``None`` if tissue is cut off."""
    names = ("nipple", "muscle", "nipple_line")
    if found is None or position not in (ViewPosition.CC, ViewPosition.MLO):
        why = "tissue is cut off" if found is None else "the view is neither CC nor MLO"
        yield from (unknown(name, why) for name in names)
        return
    yield judged(
        "nipple",
        found.bump < LEAST_BUMP,
        ("the nipple does not stand out in profile", "the nipple stands out in profile"),
        value=found.bump,
        limit=LEAST_BUMP,
        unit="share of the breast's height",
        marks=[place.point(found.nipple)],
    )
    if position is ViewPosition.CC:
        yield unknown("muscle", "a CC view need not show the muscle")
    elif found.muscle is None or found.reach is None:
        yield Criterion("muscle", Standing.POOR, "no pectoral muscle was found on the MLO view")
    else:
        edge = found.muscle
        ends = (edge.top, edge.left + edge.across), (edge.top + edge.down, edge.left)
        yield judged(
            "muscle",
            found.reach < MUSCLE_REACH,
            (
                "the pectoral muscle ends above the level of the nipple",
                "the pectoral muscle reaches the level of the nipple",
            ),
            value=found.reach,
            limit=MUSCLE_REACH,
            unit="share of the breast's height",
            marks=[place.line(ends), place.line(found.line)],
        )
    if position is ViewPosition.MLO and found.muscle is None:
        yield unknown("nipple_line", "no pectoral muscle was found")
        return
    length = place.length_mm(found.line)
    yield Criterion(
        "nipple_line",
        Standing.GOOD,
        "the posterior nipple line; the exam compares CC and MLO",
        length if length is not None else place.length_px(found.line),
        None,
        "mm" if length is not None else "px",
        marks=(place.line(found.line),),
    )
