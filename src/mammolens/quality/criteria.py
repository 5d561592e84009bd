"""Making criteria: poor, good, or not assessable."""

from __future__ import annotations

from collections.abc import Iterable

from mammolens.core import Criterion, Mark, Standing

__all__ = ["judged", "unknown"]


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
    """Make a criterion; `reasons` are the sentences if it is poor and if it is good."""
    standing = Standing.POOR if poor else Standing.GOOD
    shown = tuple(marks) if poor else ()
    number = None if value is None else round(value, 3)
    return Criterion(name, standing, reasons[not poor], number, limit, unit, doubts, shown)


def unknown(name: str, why: str, *, doubts: bool = False) -> Criterion:
    """Make a criterion that cannot be assessed; with `doubts` that alone withholds ``low``."""
    return Criterion(name, Standing.NOT_ASSESSABLE, why, doubts=doubts)
