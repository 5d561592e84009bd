"""Which subgroup of a data set each breast or image belongs to: the axes of the audit.

A unit is counted as unknown if its group on an axis is not known or its images disagree. Groups are
exclusive: a breast with a mass and a calcification is in the group "calcification + mass", and in
neither "mass" nor "calcification".
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mammolens.bench.units import ImageResult, Unit, unit_key, units_of
from mammolens.data.manifest import Record

__all__ = [
    "GROUP_ORDER",
    "Axis",
    "Grouped",
    "axes_between",
    "axes_within",
    "density_group",
    "group_units",
]

Members = Sequence[ImageResult]

MEDIUM: Final = {
    "cbis-ddsm": "film",
    "cbis_masses": "film",
    "cesm": "digital",
    "cmmd": "digital",
    "ddsm": "film",
    "inbreast": "digital",
    "mias": "film",
    "rsna": "digital",
    "vindr": "digital",
}
"""How the pictures of a known source were exposed; it is stated by source, not by image."""

_AGE_BANDS = ((50.0, "under 50"), (60.0, "50-59"), (70.0, "60-69"), (np.inf, "70 and over"))
_SIZES = ("small", "middle", "large")
GROUP_ORDER: Final = {
    name: place for place, name in enumerate((*(name for _, name in _AGE_BANDS), *_SIZES))
}
"""Place of groups whose alphabetical order means nothing."""

_DENSITY_NOTE = (
    "BI-RADS 1-4 are A-D; percentages are quarters (A below 25); mini-MIAS: its own three words"
)
_BIRADS = dict(zip("1234", "ABCD", strict=True)) | {letter: letter for letter in "ABCD"}
_MIAS_DENSITY = {"F": "fatty", "G": "fatty-glandular", "D": "dense-glandular"}
_QUARTERS = ((25.0, "A"), (50.0, "B"), (75.0, "C"), (100.0, "D"))
_LESION_KINDS = {  # part of a word in a table → kind
    "calc": "calcification",
    "circ": "mass",
    "spic": "mass",
    "mass": "mass",
    "arch": "distortion",
    "distortion": "distortion",
    "asym": "asymmetry",
    "norm": "no finding",
}


@dataclass(frozen=True)
class Axis:
    """One way to divide a data set into groups.

    `group` gives the name of the group from the images of one unit; ``None`` if it is unknown.
    """

    name: str
    unit: str
    group: Callable[[Members], str | None]
    note: str


@dataclass(frozen=True)
class Grouped:
    """Units with a label, a score and a group; `n_unknown` counts those without a group."""

    units: tuple[Unit, ...]
    names: tuple[str, ...]
    n_unknown: int


def axes_within(results: Members) -> tuple[Axis, ...]:
    """Give the axes within one data set; `results` are its images."""
    return (
        Axis("density", "breast", _by_image(lambda one: density_group(one.record)), _DENSITY_NOTE),
        Axis("age", "breast", _by_image(_age_band), "age that the scores regard, in years"),
        Axis("view", "image", _by_image(_view), "view position"),
        Axis("laterality", "breast", _by_image(_side), "side of the breast"),
        Axis("machine", "breast", _by_image(lambda one: one.record.machine), "the table's word"),
        Axis("lesion", "breast", _lesion_group, "kinds of all findings marked or named"),
        _size_axis(results),
    )


def axes_between() -> tuple[Axis, ...]:
    """Give the axes between data sets."""
    return (
        Axis("source", "breast", _by_image(lambda one: one.record.dataset), "data set"),
        Axis(
            "medium",
            "breast",
            _by_image(lambda one: MEDIUM.get(one.record.dataset)),
            "film or digital, stated by data set",
        ),
    )


def group_units(results: Members, axis: Axis, unit: str | None = None) -> Grouped:
    """Pool images into the units of an axis and name their groups."""
    pooled: dict[Hashable, list[ImageResult]] = {}
    for result in results:
        pooled.setdefault(unit_key(result.record, unit or axis.unit), []).append(result)
    found = [
        (one, axis.group(members))
        for members in pooled.values()
        for one in units_of(members, "malignancy", unit or axis.unit)
        if one.scores is not None
    ]
    known = [(one, name) for one, name in found if name is not None]
    return Grouped(
        tuple(one for one, _ in known), tuple(name for _, name in known), len(found) - len(known)
    )


def density_group(record: Record) -> str | None:
    """Give the group of a record's breast density, whatever scale its table uses.

    Examples
    --------
    >>> from pathlib import Path
    >>> def of(dataset, density):
    ...     return density_group(Record(dataset, "1", "p", Path("1.png"), density=density))
    >>> of("ddsm", "4"), of("cbis", "3.0"), of("mine", "53.2"), of("mias", "D"), of("rsna", "D")
    ('D', 'C', 'C', 'dense-glandular', 'D')
    >>> of("mine", "3 %")
    'A'
    """
    word = (record.density or "").strip().upper()
    if record.dataset == "mias":
        return _MIAS_DENSITY.get(word)
    if word.removesuffix(".0") in _BIRADS:
        return _BIRADS[word.removesuffix(".0")]
    try:
        percent = float(word.removesuffix("%"))
    except ValueError:
        return None
    return next((name for end, name in _QUARTERS if 0 <= percent <= end), None)


def _by_image(name: Callable[[ImageResult], str | None]) -> Callable[[Members], str | None]:
    """Give the name on which all images of a unit agree; ``None`` if unknown or contradictory."""

    def group(members: Members) -> str | None:
        names = {name(member) for member in members} - {None}
        return names.pop() if len(names) == 1 else None

    return group


def _age_band(result: ImageResult) -> str | None:
    age = result.age_years
    return None if age is None else next(name for end, name in _AGE_BANDS if age < end)


def _view(result: ImageResult) -> str | None:
    view = result.record.view_position
    return view.value if view else None


def _side(result: ImageResult) -> str | None:
    side = result.record.laterality
    return {"L": "left", "R": "right"}[side.value] if side else None


def _lesion_group(members: Members) -> str | None:
    found = {kind for member in members for kind in _kinds(member)}
    if len(found) > 1:
        found.discard("no finding")
    return " + ".join(sorted(found)) or None


def _kinds(result: ImageResult) -> set[str]:
    record = result.record
    marked = {lesion.kind.value for lesion in record.lesions if lesion.kind is not None}
    words = marked or set((record.abnormality or "").lower().split(";"))
    return {
        next((kind for part, kind in _LESION_KINDS.items() if part in word), "other")
        for word in words
        if word.strip()
    }


def _size_axis(results: Members) -> Axis:
    """Divide a data set into thirds by breast size: by area if all are known, else by share."""
    in_mm2 = all(one.breast_mm2 is not None for one in results if one.scores)

    def size(members: Members) -> float | None:
        values = [one.breast_mm2 if in_mm2 else one.breast_share for one in members]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    breasts: dict[Hashable, list[ImageResult]] = {}
    for result in results:
        breasts.setdefault(unit_key(result.record, "breast"), []).append(result)
    sizes = [value for members in breasts.values() if (value := size(members)) is not None]
    edges = np.quantile(sizes, (1 / 3, 2 / 3)) if sizes else np.zeros(2)

    def group(members: Members) -> str | None:
        value = size(members)
        return None if value is None else _SIZES[int(np.searchsorted(edges, value, "right"))]

    what = "area in mm²" if in_mm2 else "share of the picture that the breast covers"
    bounds = [f"{edge:.0f}" if in_mm2 else f"{edge:.3f}" for edge in edges]
    return Axis(
        "breast size", "breast", group, f"thirds of {what}, divided at {' and '.join(bounds)}"
    )
