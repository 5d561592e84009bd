"""Make criteria, judge the positioning of an image, and compare the images of an exam.

Criteria of positioning are only reported; they are never a doubt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from mammolens.core import Criterion, ImageQuality, Laterality, Mark, Standing, ViewPosition
from mammolens.quality.frame import Places
from mammolens.quality.positioning import Positioning
from mammolens.wording import view_name

__all__ = ["compare_views", "judged", "positioning_criteria", "unknown"]


def judged(
    name: str,
    poor: bool,
    reasons: tuple[str, str],
    *,
    value: float | None = None,
    limit: float | None = None,
    unit: str = "",
    doubts: bool = False,
    marks: Iterable[Mark] = (),
) -> Criterion:
    """Make a criterion; `reasons` are for poor and for good, and `marks` are kept if it is poor."""
    standing = Standing.POOR if poor else Standing.GOOD
    shown = tuple(marks) if poor else ()
    number = None if value is None else round(value, 3)
    return Criterion(name, standing, reasons[not poor], number, limit, unit, doubts, shown)


def unknown(name: str, why: str, *, doubts: bool = False) -> Criterion:
    """Make a criterion that cannot be assessed; with `doubts` that alone withholds ``low``."""
    return Criterion(name, Standing.NOT_ASSESSABLE, why, doubts=doubts)


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


MOST_DIFFERENCE_MM: Final = 10.0
"""The posterior nipple lines of CC and MLO differ by 1 cm at most (PGMI, EUREF)."""
MOST_DIFFERENCE: Final = 0.10
"""If the spacing is unknown: 1 cm as a share of the MLO's line, which is usually 10 cm long."""
View = tuple[Laterality | None, ViewPosition | None]
Judged = tuple[View, ImageQuality]


def compare_views(
    images: Sequence[Judged], complete_views: Collection[View]
) -> tuple[Criterion, ...]:
    """Judge an exam by its images.

    Parameters
    ----------
    images
        Every image that has a verdict.
    complete_views
        The views that make an exam complete. A missing one withholds ``low`` by its own rule
        (`mammolens.analysis.low`); here it is only reported.
    """
    there = {view for view, _ in images}
    missing = [view for view in complete_views if view not in there]
    words = ", ".join(map(view_name, missing))
    completeness = judged(
        "completeness",
        bool(missing),
        (f"views are missing: {words}", "all views are there"),
        value=float(len(missing)),
        limit=0.0,
        unit="views",
    )
    return completeness, *(_difference(side, images) for side in Laterality)


def _difference(side: Laterality, images: Sequence[Judged]) -> Criterion:
    name = f"nipple_line_{'right' if side is Laterality.RIGHT else 'left'}"
    lines = {
        view[1]: quality
        for view, quality in images
        if view[0] is side and quality.nipple_line_px is not None
    }
    cc, mlo = lines.get(ViewPosition.CC), lines.get(ViewPosition.MLO)
    if cc is None or mlo is None or not cc.nipple_line_px or not mlo.nipple_line_px:
        why = "the posterior nipple line is not known in both CC and MLO"
        return unknown(name, why)
    if cc.nipple_line_mm is not None and mlo.nipple_line_mm is not None:
        value, limit, unit = mlo.nipple_line_mm - cc.nipple_line_mm, MOST_DIFFERENCE_MM, "mm"
    else:
        value = 1.0 - cc.nipple_line_px / mlo.nipple_line_px
        limit, unit = MOST_DIFFERENCE, "share of the line"
    reasons = (
        "the posterior nipple lines of CC and MLO differ: one of them shows less tissue",
        "the posterior nipple lines of CC and MLO agree",
    )
    return judged(name, abs(value) > limit, reasons, value=value, limit=limit, unit=unit)
