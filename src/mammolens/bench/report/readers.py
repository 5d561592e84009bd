"""Sections that compare the model with radiologists of a registry and with the images' readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mammolens.bench.report.charts import Spot
from mammolens.bench.report.document import Block, Table, Text, count, figure, n_and_positives
from mammolens.bench.units import UNITS

__all__ = ["reader_spots", "readers_blocks", "readers_details"]

_BY_UNIT: Final = "breast"
_CHANGES: Final = {
    "false_negatives_found": "Cancers that the readers missed and the model would recall",
    "true_positives_lost": "Cancers that the readers recalled and the model would miss",
    "false_positives_spared": "False recalls of the readers that the model would spare",
    "true_negatives_recalled": "Patients whom the readers cleared and the model would recall",
}

_REGISTRY: Final = (
    "sensitivity",
    "sensitivity_difference",
    "specificity",
    "specificity_difference",
)
_COMPARED: Final = (
    ("AUC", "auc", "auc"),
    ("Sensitivity at their specificity", "sensitivity", "sensitivity_at_their_specificity"),
    ("Specificity at their sensitivity", "specificity", "specificity_at_their_sensitivity"),
)
"""Name, figure of the readers, and figure of the model."""

Judged = Mapping[str, Any]


def readers_blocks(metrics: Judged) -> Iterator[Block]:
    """Show the model's figures at the readers' operating points, and the differences."""
    places = _places(metrics)
    if not places:
        return
    registry = places[0][1]["registry"]
    yield Text(
        f"{registry['source']}. Note: {registry['note']}. The model's thresholds are chosen on "
        "the same patients, in each resample again, so the model looks a little better than with "
        "a threshold that was fixed before."
    )
    units = _units(places, "registry")
    notes = [f"{name}: {found['note']}" for name, found in units if "note" in found]
    rows = [
        (name, n_and_positives(found), *(figure(found[key]) for key in _REGISTRY))
        for name, found in units
        if "note" not in found
    ]
    if rows:
        yield Table(
            f"At the registry's point: sensitivity at specificity {registry['specificity']}, "
            f"specificity at sensitivity {registry['sensitivity']}",
            ("Data set, unit", "n", "Sensitivity", "minus theirs", "Specificity", "minus theirs"),
            tuple(rows),
            note="; ".join(notes),
        )
    yield from _birads_blocks(places)


def readers_details(metrics: Judged) -> Iterator[Block]:
    """Count the units whose recall would change if the model decided."""
    rows = [
        (name, n_and_positives(found), words, count(found["changes"][key]))
        for name, found in _units(_places(metrics), "birads")
        for key, words in _CHANGES.items()
        if key in found.get("changes", {})
    ]
    if rows:
        yield Table(
            "Changed recalls if the model decided at the readers' specificity",
            ("Data set, unit", "n", "Change", "Count"),
            tuple(rows),
            note="These are counts of these units; no figure is estimated from them.",
        )


def _places(metrics: Judged) -> list[tuple[str, Judged]]:
    return [
        (place, one["readers"]) for place, one in metrics["datasets"].items() if one.get("readers")
    ]


def _birads_blocks(places: list[tuple[str, Judged]]) -> Iterator[Block]:
    rows, notes, doubts = [], list[str](), list[str]()
    for name, found in _units(places, "birads"):
        if "difference" not in found:
            notes.append(f"{name}: {found.get('note', 'no reading')}")
            continue
        if "note" in found:
            doubts.append(f"{name}: {found['note']}")
        rows += [
            (
                name,
                n_and_positives(found),
                words,
                figure(found["readers"][key]),
                figure(found["model"][model]),
                figure(found["difference"][key]),
            )
            for words, key, model in _COMPARED
        ]
    if rows:
        head = ("Data set, unit", "n", "Measure", "Readers", "Model", "Model − readers")
        yield Table("The readers of these images (BI-RADS)", head, tuple(rows))
    if doubts:
        yield Text(f"Limits of these readings: {'; '.join(doubts)}.")
    if notes:
        yield Text(f"Not compared with their own readers: {'; '.join(notes)}.")


def _units(places: list[tuple[str, Judged]], readers: str) -> list[tuple[str, Judged]]:
    """Give each unit of each data set by its name; `readers` is ``registry`` or ``birads``."""
    return [
        (f"{place}, {unit}", one[readers][unit])
        for place, one in places
        for unit in UNITS
        if unit in one[readers]
    ]


def reader_spots(judged: Judged) -> Iterator[Spot]:
    """Give the readers' points for a ROC chart: the registry's, and those by BI-RADS."""
    readers = judged.get("readers")
    if not readers:
        return
    registry = readers["registry"]
    yield Spot(
        f"BCSC readers: sensitivity {registry['sensitivity']}, specificity "
        f"{registry['specificity']}",
        [1 - registry["specificity"]],
        [registry["sensitivity"]],
    )
    unit, own = _own_readers(readers["birads"])
    if own:
        yield Spot(
            f"their own readers, by BI-RADS ({unit}, n {count(own['n'])})",
            own["roc"]["false_positive_rate"],
            own["roc"]["true_positive_rate"],
            marker="x",
        )


def _own_readers(birads: Judged) -> tuple[str, Judged | None]:
    found = {u: one for u, one in birads.items() if isinstance(one, Mapping) and "roc" in one}
    unit = _BY_UNIT if _BY_UNIT in found else next(iter(found), "")
    return unit, found.get(unit)
