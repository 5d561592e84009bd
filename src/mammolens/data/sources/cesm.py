"""Read CDD-CESM: contrast-enhanced mammograms, low-energy (DM) and subtracted (CM), with outlines.

Its files are ``Radiology-manual-annotations.xlsx`` (or CSV) with a row for each finding, pictures
named ``P105_R_DM_CC.jpg``, and ``Radiology_hand_drawn_segmentations_v2.csv`` from the VGG
annotator. Traps: a subtracted image shows contrast medium and does not look like a mammogram, so
only low-energy images are read by default; some names end in a space; "Normal" may be known from
follow-up only, and some normal images have outlines.
Source: Khaled et al., Scientific Data 9 (2022) 122, doi 10.7937/29kw-ae92.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mammolens.core import Box
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Manifest, Record
from mammolens.data.sources._tree import (
    find_file,
    images_under,
    laterality_of,
    make_manifest,
    view_of,
)
from mammolens.spelling import check_known
from mammolens.tables import Row, read_table

__all__ = ["build"]

_SHEETS: Final = ("Radiology-manual-annotations.csv", "Radiology-manual-annotations.xlsx")
_OUTLINES: Final = (
    "Radiology_hand_drawn_segmentations_v2.csv",
    "Radiology_hand_drawn_segmentations.csv",
)
_PATHOLOGY: Final = "Pathology Classification/ Follow up"
_LABELS: Final = {
    "normal": (False, False),
    "benign": (True, False),
    "malignant": (True, True),
}
_FURTHER: Final = ("BIRADS", "Breast density (ACR)", "Age", "Machine")
_TYPES: Final = {"low-energy": ("DM",), "subtracted": ("CM",), "both": ("DM", "CM")}
_NAME: Final = re.compile(r"P(?P<patient>\d+)_(?P<side>[LR])_(?P<type>DM|CM)_(?P<view>[A-Z]+)\d*")


def build(root: Path, *, images: str = "low-energy") -> Manifest:
    """Read CDD-CESM.

    Parameters
    ----------
    images
        ``low-energy`` (looks like other mammograms), ``subtracted``, or ``both``.

    Raises
    ------
    InvalidManifest
        The annotations or all images are missing, or a cell cannot be understood.
    ConfigError
        Unknown value of `images`, or the annotations are an Excel sheet and openpyxl is not
        installed.
    """
    check_known(images, _TYPES, "kind of images", "images")
    table = find_file(root, *_SHEETS)
    rows = _read_rows(table)
    outlines = _read_outlines(find_file(root, *_OUTLINES))
    pictures = {path.stem.strip(): path for path in images_under(root)}
    names = [(name, match) for name in sorted(pictures) if (match := _NAME.fullmatch(name))]
    chosen = {name: match for name, match in names if match["type"] in _TYPES[images]}
    records = [
        _record(match, rows[name], pictures[name], outlines.get(name, []))
        for name, match in chosen.items()
        if name in rows
    ]
    listed = {n for n in rows if (m := _NAME.fullmatch(n)) and m["type"] in _TYPES[images]}
    drawn = [r.image_id for r in records if r.lesions and r.tumour is False]
    cautions = (
        ("no_row", "images have no annotation", [n for n in chosen if n not in rows]),
        ("no_image", "annotated images are missing", sorted(listed - chosen.keys())),
        ("outline_on_normal", "images labelled normal have outlines", drawn),
    )
    return make_manifest(records, cautions, root)


def _read_rows(table: Path) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in read_table(table, ("Image_name", _PATHOLOGY), _FURTHER).rows:
        _labels(row)
        rows[_image_name(row.identifier("Image_name"))].append(row)
    return rows


def _labels(row: Row) -> tuple[bool | None, bool | None]:
    return row.word(_PATHOLOGY, _LABELS) or (None, None)


def _read_outlines(table: Path) -> dict[str, list[Lesion]]:
    """Read the boxes of outlines; points and open lines have no extent and are ignored."""
    found: dict[str, list[Lesion]] = defaultdict(list)
    for row in read_table(table, ("filename", "region_shape_attributes")).rows:
        try:
            box = _bounds(json.loads(row["region_shape_attributes"] or "{}"))
        except (ValueError, KeyError, TypeError) as error:
            raise row.wrong("region_shape_attributes", "an outline of the VGG annotator") from error
        if box is not None:
            found[_image_name(row.identifier("filename"))].append(Lesion(box_source_px=box))
    return found


def _bounds(shape: dict[str, Any]) -> Box | None:
    kind = shape.get("name")
    if kind == "polygon":
        x, y = shape["all_points_x"], shape["all_points_y"]
        return float(min(y)), float(min(x)), float(max(y) + 1), float(max(x) + 1)
    if kind == "rect":
        top, left = float(shape["y"]), float(shape["x"])
        return top, left, top + shape["height"], left + shape["width"]
    if kind not in ("circle", "ellipse"):
        return None
    across, down = (shape["r"], shape["r"]) if kind == "circle" else (shape["rx"], shape["ry"])
    turn = float(shape.get("theta") or 0.0)
    half_x = math.hypot(across * math.cos(turn), down * math.sin(turn))
    half_y = math.hypot(across * math.sin(turn), down * math.cos(turn))
    x, y = float(shape["cx"]), float(shape["cy"])
    return y - half_y, x - half_x, y + half_y, x + half_x


def _image_name(name: str) -> str:
    return name.strip().removesuffix(".jpg").strip()


def _record(match: re.Match[str], rows: list[Row], path: Path, lesions: list[Lesion]) -> Record:
    tumour, malignant = (_worst(column) for column in zip(*map(_labels, rows), strict=True))
    first = rows[0]
    return Record(
        dataset="cesm",
        image_id=match[0],
        patient_id=f"P{match['patient']}",
        path=path,
        laterality=laterality_of(match["side"]),
        view_position=view_of(match["view"]),
        tumour=tumour,
        malignant=malignant,
        birads=first.text("BIRADS"),
        density=first.text("Breast density (ACR)"),
        age_years=first.age("Age"),
        machine=first.text("Machine"),
        lesions=tuple(replace(lesion, malignant=malignant) for lesion in lesions),
    )


def _worst(labels: tuple[bool | None, ...]) -> bool | None:
    """Give true if any finding is true, and false only if all are false; otherwise unknown."""
    return True if True in labels else None if None in labels else False
