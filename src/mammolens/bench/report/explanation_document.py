"""The report of explanation methods: ``explanations.json`` from `mammolens explain` → document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from mammolens.bench.report.document import (
    Alarm,
    Block,
    Document,
    Pictures,
    Section,
    ShownCase,
    Table,
    Text,
    figure,
    known_facts,
)
from mammolens.bench.report.run_folder import complete

__all__ = ["EXPLAINED_FILE", "EXPLAINED_SCHEMA", "build_explained"]

EXPLAINED_FILE: Final = "explanations.json"
EXPLAINED_SCHEMA: Final = "mammolens.explanations/1"

_NONE: Final = "none"
_ON_LESIONS_NOTE: Final = (
    "Pointing: the map's highest point is in a malignant lesion. Energy: share of the map's sum in "
    "the lesion. Both are shown beside the result of a blind map. Found: share of lesions found at "
    "one false mark per image; a mark is on a lesion if its centre is in the lesion (box: if its "
    "box contains the lesion's centre)."
)
_FAITHFUL_NOTE: Final = (
    "Deletion and insertion: mean P(malignant) while the breast is blurred ({blur:g} px), hottest "
    "cells first, or restored, in {steps} steps. Shuffled: rank correlation and structural "
    "similarity with the map of a network whose head, or all of whose layers, were shuffled. If "
    "the maps stay similar, the method does not use what the network learned."
)

_Cell = Callable[[Mapping[str, Any]], str]


def build_explained(found: Mapping[str, Any], sheet: Path | None = None) -> Document:
    """Make the report of explanation methods; it becomes the page, PDF and ``explanations.md``.

    Parameters
    ----------
    sheet
        PNG file of the pictures with the map of every method.

    Raises
    ------
    InvalidManifest
        If a key is missing from `found`.
    """
    with complete("the explanations lack", EXPLAINED_FILE, "mammolens explain"):
        methods, settings = found["methods"], found["settings"]
        note = _FAITHFUL_NOTE.format(
            blur=settings["deletion_blur_px"], steps=settings["deletion_steps"]
        )
        compared = {name: one for name, one in methods.items() if "difference" in one}
        tables = (
            ("On the lesions", "lesions", _table(_ON_LESIONS, methods, _ON_LESIONS_NOTE)),
            ("Faithfulness to the network, and time", "faithful", _table(_FAITHFUL, methods, note)),
            (
                "Differences from Grad-CAM, on the same images",
                "differences",
                _table(_DIFFERENCES, compared, "The method's figure minus that of Grad-CAM."),
            ),
        )
        return Document(
            title=f"Explanations of {found['model']}",
            facts=known_facts({name: found.get(key) for name, key in _FACTS.items()}),
            sections=(
                Section("Summary", "summary", tuple(_summary(found))),
                *(Section(title, anchor, (table,)) for title, anchor, table in tables),
                *([_pictures(sheet)] if sheet else []),
            ),
        )


def _summary(found: Mapping[str, Any]) -> list[Block]:
    sides = ", ".join(f"{count} {side}" for side, count in found["patients"].items())
    words = (
        f"{found['n_images']} images; patients: {sides}. 95 % intervals from "
        f"{found['bootstrap']['draws']} resamples of patients."
    )
    return [*(Alarm(f"{note.removeprefix('WARNING: ')}.") for note in found["notes"]), Text(words)]


def _pictures(sheet: Path) -> Section:
    words = "Some prepared images with outlined lesions, then the same with the map of each method"
    shown = ShownCase(sheet.read_bytes(), words, (f"{words}, scaled to the map's maximum",))
    return Section("The maps", "maps", (Pictures((shown,), whole=True),))


def _table(
    columns: Mapping[str, _Cell], methods: Mapping[str, Mapping[str, Any]], note: str
) -> Table:
    caption = "Each method, with its n and 95 % intervals"
    rows = tuple(
        (str(one["title"]), *(cell(one) for cell in columns.values())) for one in methods.values()
    )
    return Table(caption, ("Method", *columns), rows, note=note)


def _nested(one: Any, *keys: str) -> Any:
    for key in keys:
        one = one.get(key) if one else None
    return one


def _figure(*keys: str) -> _Cell:
    return lambda one: figure(_nested(one, *keys), 2)


def _beside_chance(name: str) -> _Cell:
    def cell(one: Mapping[str, Any]) -> str:
        found = _nested(one, "localisation", "all", name)
        return _NONE if found is None else f"{figure(found, 2)}, blind {found['chance']:.2f}"

    return cell


def _counts(one: Mapping[str, Any]) -> str:
    found = _nested(one, "localisation", "all")
    if found is None:
        return _NONE
    return f"{found['n_lesions']} lesions, {found['n_images_without']} images without"


def _shuffled(layers: str) -> _Cell:
    def cell(one: Mapping[str, Any]) -> str:
        found = _nested(one, "shuffled_weights", layers)
        if found is None:
            return _NONE
        ranks, alike = found["rank_correlation"], found["structural_similarity"]
        words = f"{figure(ranks, 2)}, n {ranks['n']}" if ranks else "even maps"
        return f"{words}; {figure(alike, 2)}, n {alike['n']}"

    return cell


def _verdict(one: Mapping[str, Any]) -> str:
    depends = _nested(one, "shuffled_weights", "all", "depends_on_weights")
    return {None: _NONE, True: "yes", False: "no"}[depends]


def _n_differences(one: Mapping[str, Any]) -> str:
    aimed, curved = (
        _nested(one, "difference", name, "n") for name in ("pointing_game", "deletion")
    )
    froc = _nested(one, "difference", "sensitivity_at_1_false_mark.centre_in_lesion", "n")
    return "; ".join(str(n or 0) for n in (aimed, froc, curved))


def _n_curves(one: Mapping[str, Any]) -> str:
    found = _nested(one, "faithfulness", "deletion")
    return _NONE if found is None else str(found["n"])


_FACTS: Final = {"Model": "model", "Measured": "created", "Software": "software"}
_AT_ONE: Final = ("sensitivity_at_false_marks_per_image", "1")
_ON_LESIONS: Final[dict[str, _Cell]] = {
    "n": _counts,
    "Pointing": _beside_chance("pointing_game"),
    "Energy": _beside_chance("energy_in_lesion"),
    "Found": _figure("localisation", "all", "froc", "centre_in_lesion", *_AT_ONE),
    "Found (box)": _figure("localisation", "all", "froc", "box_holds_centre", *_AT_ONE),
}
_FAITHFUL: Final[dict[str, _Cell]] = {
    "n": _n_curves,
    "Deletion ↓": _figure("faithfulness", "deletion"),
    "Insertion ↑": _figure("faithfulness", "insertion"),
    "Head shuffled": _shuffled("head"),
    "All shuffled": _shuffled("all"),
    "Depends on weights": _verdict,
    "Time": lambda one: f"{one['time_ratio']:.2g}" if "time_ratio" in one else _NONE,
}
_DIFFERENCES: Final[dict[str, _Cell]] = {
    "n: pointing, energy; found; deletion, insertion": _n_differences,
    "Pointing": _figure("difference", "pointing_game"),
    "Energy": _figure("difference", "energy_in_lesion"),
    "Found": _figure("difference", "sensitivity_at_1_false_mark.centre_in_lesion"),
    "Found (box)": _figure("difference", "sensitivity_at_1_false_mark.box_holds_centre"),
    "Deletion ↓": _figure("difference", "deletion"),
    "Insertion ↑": _figure("difference", "insertion"),
}
