"""Ways to explain side by side, for people: a table in Markdown, and a sheet of the same pictures
under every method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import GROUND, INK, QUIET, band, measure, write
from mammolens.bench.tint import STRONGEST, tinted
from mammolens.core import PreparedView
from mammolens.data.manifest import Record
from mammolens.data.outlines import draw_lesion
from mammolens.errors import DeliveryError

__all__ = ["draw_sheet", "markdown", "write_sheet"]

Rgb = npt.NDArray[np.uint8]
Row = tuple[Record, PreparedView, Mapping[str, npt.NDArray[np.float32]]]

_HIGH: Final = 360
_OUTLINE: Final = (255, 64, 200)
_LETTERS: Final = 13
_NAMES_HIGH: Final = 26
_GAP: Final = 4
_NONE: Final = "–"


def markdown(found: Mapping[str, Any]) -> str:
    """Set the figures of ``explanations.json`` as tables."""
    sides = ", ".join(f"{count} {side}" for side, count in found["patients"].items())
    settings, methods = found["settings"], found["methods"]
    lines = [
        f"# Explanations of {found['model']}",
        "",
        *(line for note in found["notes"] for line in (f"**{note}.**", "")),
        f"{found['disclaimer']} {found['n_images']} images; patients: {sides}. 95 % intervals from "
        f"{found['bootstrap']['draws']} resamples of patients.",
        "",
        "## On the lesions",
        "",
        *_table(_ON_LESIONS, methods),
        "",
        "Pointing: the map's highest point lies in a malignant lesion. Energy: share of the map's "
        "sum there. Both beside what a blind map would reach. Found: share of lesions at one false "
        "mark an image; a mark is on a lesion if its centre lies in it (or: if its box holds the "
        "lesion's centre).",
        "",
        "## True to the network, and its cost",
        "",
        *_table(_FAITHFUL, methods),
        "",
        f"Deletion and insertion: mean P(malignant) as the breast is blurred "
        f"({settings['deletion_blur_px']:g} px) from the hottest cells on, or put back, in "
        f"{settings['deletion_steps']} steps. Shuffled: rank correlation, and structural "
        "similarity, with the map of a network whose head, or whose every layer, was shuffled; a "
        "method that stays alike does not look at what was learned.",
        "",
        "## Less Grad-CAM, on the same images",
        "",
        *_table(_DIFFERENCES, {name: one for name, one in methods.items() if "difference" in one}),
        "",
    ]
    return "\n".join(lines)


def write_sheet(rows: Sequence[Row], columns: Mapping[str, str], path: Path) -> Path:
    """Draw the sheet and write it as PNG.

    Raises
    ------
    DeliveryError
        The file cannot be written.
    """
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(draw_sheet(rows, columns)[..., ::-1]))
    assert done
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise DeliveryError(
            f"the sheet cannot be written: {error.strerror}",
            source=str(path),
            remedy="Check that the folder can be written to and the disk is not full",
        ) from error
    return path


def draw_sheet(rows: Sequence[Row], columns: Mapping[str, str]) -> Rgb:
    """Draw each image as prepared, lesions outlined, then under each method's map.

    Parameters
    ----------
    rows
        At least one; a method that did not explain the image leaves its place empty.
    columns
        Titles of the methods by name.

    Returns
    -------
    Uint8 RGB; every map is tinted by its own peak, so that colours compare places, not strengths.
    """
    lines = [_line(record, view, heats, columns) for record, view, heats in rows]
    width = max(line.shape[1] for line in lines)
    names = _names(["as prepared", *columns.values()], width)
    said = "Lesions outlined; each map is tinted up to its own peak"
    return np.vstack([band([said, DISCLAIMER], width), names, *lines])


def _line(
    record: Record,
    view: PreparedView,
    heats: Mapping[str, npt.NDArray[np.float32]],
    columns: Mapping[str, str],
) -> Rgb:
    wide = round(_HIGH * view.pixels.shape[1] / view.pixels.shape[0])
    grey = np.asarray(
        cv2.resize(view.pixels, (wide, _HIGH), interpolation=cv2.INTER_AREA), np.uint8
    )
    outlines = [
        cv2.resize(draw_lesion(lesion, view.geometry), (wide, _HIGH)) for lesion in record.lesions
    ]
    cells = [_framed(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), outlines)]
    for name in columns:
        if name not in heats:
            cells.append(np.full((_HIGH, wide, 3), GROUND, np.uint8))
            continue
        fine = cv2.resize(heats[name], (wide, _HIGH), interpolation=cv2.INTER_LINEAR)
        peak = max(float(fine.max()), 1e-12)
        cells.append(_framed(tinted(grey, fine * (STRONGEST / peak)), outlines))
    gap = np.full((_HIGH, _GAP, 3), GROUND, np.uint8)
    row = np.hstack([part for cell in cells for part in (cell, gap)])
    word = f"{record.dataset} {record.image_id}"
    write(row, word[-40:], (4, _HIGH - 6), _LETTERS, QUIET)
    return np.vstack([row, np.full((_GAP, row.shape[1], 3), GROUND, np.uint8)])


def _framed(picture: Any, outlines: Sequence[Any]) -> Rgb:
    drawn = np.ascontiguousarray(picture, np.uint8)
    for outline in outlines:
        edges, _ = cv2.findContours(
            (outline >= 128).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(drawn, edges, -1, _OUTLINE, 1, cv2.LINE_AA)
    return drawn


def _names(titles: Sequence[str], width: int) -> Rgb:
    strip = np.full((_NAMES_HIGH, width, 3), GROUND, np.uint8)
    step = width // len(titles)
    for number, title in enumerate(titles):
        size = float(_LETTERS)
        while measure(title, size)[0] > step - 6 and size > 6:
            size -= 0.5
        write(strip, title, (number * step + 3, _NAMES_HIGH - 8), size, INK)
    return strip


Cell = Callable[[Mapping[str, Any]], str]


def _table(columns: Mapping[str, Cell], methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [[one["title"], *(cell(one) for cell in columns.values())] for one in methods.values()]
    head = ["method", *columns]
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _at(one: Any, *keys: str) -> Any:
    for key in keys:
        one = one.get(key) if one else None
    return one


def _figure(*keys: str) -> Cell:
    def cell(one: Mapping[str, Any]) -> str:
        found = _at(one, *keys)
        return _NONE if found is None else _bounded(found)

    return cell


def _bounded(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['value']:.2f} (no interval)"
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def _beside_chance(name: str) -> Cell:
    def cell(one: Mapping[str, Any]) -> str:
        found = _at(one, "localisation", "all", name)
        return _NONE if found is None else f"{_bounded(found)}, blind {found['chance']:.2f}"

    return cell


def _counts(one: Mapping[str, Any]) -> str:
    found = _at(one, "localisation", "all")
    if found is None:
        return _NONE
    return f"{found['n_lesions']} lesions, {found['n_images_without']} images without"


def _shuffled(layers: str) -> Cell:
    def cell(one: Mapping[str, Any]) -> str:
        found = _at(one, "shuffled_weights", layers)
        if found is None:
            return _NONE
        ranks, alike = found["rank_correlation"], found["structural_similarity"]
        words = f"{_bounded(ranks)}, n {ranks['n']}" if ranks else "even maps"
        return f"{words}; {_bounded(alike)}, n {alike['n']}"

    return cell


def _verdict(one: Mapping[str, Any]) -> str:
    depends = _at(one, "shuffled_weights", "all", "depends_on_weights")
    return {None: _NONE, True: "yes", False: "no"}[depends]


def _ratio(one: Mapping[str, Any]) -> str:
    return f"{one['time_ratio']:.2g}" if "time_ratio" in one else _NONE


def _n_differences(one: Mapping[str, Any]) -> str:
    aimed, curved = (_at(one, "difference", name, "n") for name in ("pointing_game", "deletion"))
    froc = _at(one, "difference", "sensitivity_at_1_false_mark.centre_in_lesion", "n")
    return "; ".join(str(n or 0) for n in (aimed, froc, curved))


def _n_curves(one: Mapping[str, Any]) -> str:
    found = _at(one, "faithfulness", "deletion")
    return _NONE if found is None else str(found["n"])


_AT_ONE = ("sensitivity_at_false_marks_per_image", "1")
_ON_LESIONS: Final[dict[str, Cell]] = {
    "n": _counts,
    "pointing": _beside_chance("pointing_game"),
    "energy": _beside_chance("energy_in_lesion"),
    "found": _figure("localisation", "all", "froc", "centre_in_lesion", *_AT_ONE),
    "found (box)": _figure("localisation", "all", "froc", "box_holds_centre", *_AT_ONE),
}
_FAITHFUL: Final[dict[str, Cell]] = {
    "n": _n_curves,
    "deletion ↓": _figure("faithfulness", "deletion"),
    "insertion ↑": _figure("faithfulness", "insertion"),
    "head shuffled": _shuffled("head"),
    "all shuffled": _shuffled("all"),
    "depends on weights": _verdict,
    "time": _ratio,
}
_DIFFERENCES: Final[dict[str, Cell]] = {
    "n: pointing, energy; found; deletion, insertion": _n_differences,
    "pointing": _figure("difference", "pointing_game"),
    "energy": _figure("difference", "energy_in_lesion"),
    "found": _figure("difference", "sensitivity_at_1_false_mark.centre_in_lesion"),
    "found (box)": _figure("difference", "sensitivity_at_1_false_mark.box_holds_centre"),
    "deletion ↓": _figure("difference", "deletion"),
    "insertion ↑": _figure("difference", "insertion"),
}
