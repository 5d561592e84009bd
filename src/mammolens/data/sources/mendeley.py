"""Lin and Huang's "Dataset of breast mammography images with masses" (227×227 PNG).

Folders ``Benign Masses`` and ``Malignant Masses`` under ``DDSM Dataset``, ``INbreast Dataset``,
``MIAS Dataset`` or all together; files ``D1_A_1177_1.RIGHT_CC (3).png``, ``20587612 (5).png``,
``mdb001 (2).png``. Traps: the numbers in brackets are augmented copies of one film, of which the
first is kept; every malignant DDSM picture is turned by 90° and no benign one is, so that borders
alone tell the label; pictures are cropped to the breast and squeezed to a square; INbreast's names
hide the woman and its labels are BI-RADS.
Source: Lin and Huang, Data in Brief 31 (2020) 105928, doi 10.17632/ywsbh3ndr8.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens.core import Caution, Laterality, ViewPosition
from mammolens.data.manifest import SQUEEZED_SOURCES, Manifest, Record
from mammolens.data.sources._tree import (
    counted,
    finish,
    images_under,
    laterality_of,
    view_of,
)
from mammolens.errors import InputError, InvalidManifest
from mammolens.images import read_image

__all__ = ["build"]

_CLASSES: Final = {"benign masses": False, "malignant masses": True}
_COPY: Final = re.compile(r"(?P<film>.+?)\s*(?:\((?P<copy>\d+)\))?")
_DDSM: Final = re.compile(
    r"(?:D\d+_)?(?P<patient>[A-D]_\d{4})_(?P<exam>\d)\.(?P<side>LEFT|RIGHT)_(?P<view>CC|MLO)"
)
_INBREAST: Final = re.compile(r"\d{8}")
_MIAS: Final = re.compile(r"mdb(?P<number>\d{3})")
_SAME_EXAM: Final = 300
"""INbreast numbers its films as they came: those of one exam lie at most 85 apart, in 54 women.
Two of these women have two exams with far numbers, which nothing in this set can join."""

_TURN: Final = {"top": 0, "left": 90, "bottom": 180, "right": 270}
"""Degrees clockwise that bring an edge of the picture to its top."""
_CLEAR: Final = 2 / 3
"""Share of a class's oblique views that must agree on how the class is turned."""


def build(root: Path) -> Manifest:
    """Read the set, one picture a film, and find from the pictures how each class is turned.

    Raises
    ------
    InvalidManifest
        There is no class folder, or one film is in both classes.
    """
    records, copies, strange = _first_copies(root)
    turned, cautions = _turned(records)
    inbreast = [r.image_id for r in records if r.dataset == "inbreast"]
    cautions += (
        *counted("copies_left_out", "augmented copies are left out", copies),
        *counted("unknown_name", "files have names that the set does not use", strange),
        *counted(
            "patients_by_number",
            "INbreast films are grouped to women by near numbers, which joins some women and may"
            " part two exams of one",
            inbreast,
        ),
    )
    return finish(turned, cautions, root)


def _first_copies(root: Path) -> tuple[list[Record], list[Path], list[Path]]:
    films: dict[tuple[str, bool], list[tuple[int, Path]]] = defaultdict(list)
    strange: list[Path] = []
    for path in images_under(root):
        malignant = _CLASSES.get(path.parent.name.lower())
        match = _COPY.fullmatch(path.stem)
        if malignant is None or match is None:
            continue
        films[match["film"], malignant].append((int(match["copy"] or 0), path))
    contrary = [film for film, malignant in films if malignant and (film, False) in films]
    if contrary:
        raise InvalidManifest(
            f"{len(contrary)} films are in both classes, first {contrary[0]}",
            source=str(root),
            remedy="Keep each film in the class that its source gives it",
        )
    records: list[Record] = []
    copies: list[Path] = []
    groups = _inbreast_groups([film for film, _ in films if _INBREAST.fullmatch(film)])
    for (film, malignant), found in sorted(films.items()):
        kept, *others = sorted(found, key=lambda item: (item[0], len(item[1].parts), str(item[1])))
        copies += [path for _, path in others]
        record = _record(film, malignant, kept[1], groups)
        if record is None:
            strange.append(kept[1])
        else:
            records.append(record)
    return records, copies, strange


def _inbreast_groups(films: Sequence[str]) -> dict[str, str]:
    """Runs of near numbers, so that no exam is torn apart; the first number names the run."""
    groups: dict[str, str] = {}
    first = last = ""
    for film in sorted(films):
        if not last or int(film) - int(last) > _SAME_EXAM:
            first = film
        groups[film] = f"near-{first}"
        last = film
    return groups


def _record(film: str, malignant: bool, path: Path, groups: dict[str, str]) -> Record | None:
    record = Record("", film, "", path, tumour=True, malignant=malignant)
    if match := _DDSM.fullmatch(film):
        return replace(
            record,
            dataset="ddsm",
            image_id=f"{match['patient']}_{match['exam']}.{match['side']}_{match['view']}",
            patient_id=match["patient"],
            laterality=laterality_of(match["side"]),
            view_position=view_of(match["view"]),
            pixel_aspect=SQUEEZED_SOURCES["ddsm"],
        )
    if film in groups:
        return replace(record, dataset="inbreast", patient_id=groups[film])
    if match := _MIAS.fullmatch(film):
        number = int(match["number"])
        return replace(
            record,
            dataset="mias",
            patient_id=f"mias{(number + 1) // 2:03d}",
            laterality=Laterality.LEFT if number % 2 else Laterality.RIGHT,
            view_position=ViewPosition.MLO,
        )
    return None


def _turned(records: Sequence[Record]) -> tuple[list[Record], tuple[Caution, ...]]:
    """Turn DDSM's pictures class by class, by what its oblique views show."""
    turned = list(records)
    cautions: list[Caution] = []
    for malignant in (False, True):
        here = [
            n for n, r in enumerate(records) if r.dataset == "ddsm" and r.malignant is malignant
        ]
        votes = Counter(turn for n in here if (turn := _turn_of(records[n])) is not None)
        turn, agreeing = votes.most_common(1)[0] if votes else (0, 0)
        said = f"{'malignant' if malignant else 'benign'} DDSM pictures"
        of = f"{agreeing} of {votes.total()} oblique views show it"
        if not here:
            continue
        if agreeing < _CLEAR * votes.total() or not votes:
            note = f"{said} stay as stored: which way is up cannot be told ({of})"
            cautions.append(Caution("orientation_unclear", note))
            continue
        cautions.append(Caution("turned_upright", f"{said} are turned by {turn} degrees ({of})"))
        for n in here:
            turned[n] = replace(records[n], rotation_deg=turn)
    return turned, tuple(cautions)


def _turn_of(record: Record) -> int | None:
    if record.view_position is not ViewPosition.MLO:
        return None
    try:
        return _TURN[_upper_edge(read_image(record.path).pixels.astype(np.float32))]
    except InputError:
        return None


def _upper_edge(pixels: npt.NDArray[np.float32]) -> str:
    """The edge that is up in an oblique view that is cropped to the breast.

    The chest wall is the brightest edge, and the pectoral muscle makes its upper end the brighter
    one. Right for 346 of 354 films of DDSM that stand upright, whichever scanner they are from.
    """
    deep = max(1, min(pixels.shape) // 10)
    edges = {
        "top": pixels[:deep].mean(0),
        "bottom": pixels[-deep:].mean(0),
        "left": pixels[:, :deep].mean(1),
        "right": pixels[:, -deep:].mean(1),
    }
    wall = max(edges, key=lambda edge: float(edges[edge].mean()))
    strip, third = edges[wall], len(edges[wall]) // 3
    ends = ("left", "right") if wall in ("top", "bottom") else ("top", "bottom")
    return ends[0] if strip[:third].mean() > strip[-third:].mean() else ends[1]
