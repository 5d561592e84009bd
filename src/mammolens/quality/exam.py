"""What the images of an exam show together: which views are missing, and the CC–MLO difference."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from mammolens.core import Criterion, ImageQuality, Laterality, Standing, ViewPosition
from mammolens.wording import view_name

__all__ = ["compare_views"]

MOST_DIFFERENCE_MM: Final = 10.0
"""The posterior nipple lines of CC and MLO differ by 1 cm at most (PGMI, EUREF)."""
MOST_DIFFERENCE: Final = 0.10
"""or, where the spacing is unknown, by this share of the MLO's line: a line of 10 cm is usual."""
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
    completeness = Criterion(
        "completeness",
        Standing.POOR if missing else Standing.GOOD,
        f"views are missing: {words}" if missing else "all views are there",
        float(len(missing)),
        0.0,
        "views",
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
        return Criterion(name, Standing.NOT_ASSESSABLE, why)
    if cc.nipple_line_mm is not None and mlo.nipple_line_mm is not None:
        value, limit, unit = mlo.nipple_line_mm - cc.nipple_line_mm, MOST_DIFFERENCE_MM, "mm"
    else:
        value = 1.0 - cc.nipple_line_px / mlo.nipple_line_px
        limit, unit = MOST_DIFFERENCE, "share of the line"
    poor = abs(value) > limit
    reasons = (
        "the posterior nipple lines of CC and MLO differ: one of them shows less tissue",
        "the posterior nipple lines of CC and MLO agree",
    )
    standing = Standing.POOR if poor else Standing.GOOD
    return Criterion(name, standing, reasons[not poor], round(value, 3), limit, unit)
