"""Read Lin and Huang's "Dataset of breast mammography images with masses" (227×227 PNG).

It has folders ``Benign Masses`` and ``Malignant Masses`` under ``DDSM Dataset``, ``INbreast
Dataset``, ``MIAS Dataset`` or all together, and files ``D1_A_1177_1.RIGHT_CC (3).png``,
``20587612 (5).png``, ``mdb001 (2).png``. Traps: numbers in brackets are augmented copies of one
film, and only the first is kept. Every malignant DDSM picture is turned by 90° and no benign one
is, so that the borders alone give the label away. Pictures are cropped to the breast and squeezed
to a square. INbreast's file names do not show the patient, and its labels are BI-RADS.
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
    Counted,
    images_under,
    laterality_of,
    make_manifest,
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
"""Largest difference between the numbers of two INbreast films of one exam. INbreast numbered its
films in the order of arrival: in 54 patients the films of one exam are at most 85 apart. Two of
these patients have two exams with distant numbers, which nothing in this set can join."""

_TURN: Final = {"top": 0, "left": 90, "bottom": 180, "right": 270}
"""Degrees of clockwise turn that bring an edge of the picture to its top."""
_CLEAR: Final = 2 / 3
"""Share of a class's oblique views that must agree on the turn of the class. Chosen by hand."""


def build(root: Path) -> Manifest:
    """Read one picture for each film, and find out from the pictures how each class is turned.

    Raises
    ------
    InvalidManifest
        There is no class folder, or one film is in both classes.
    """
    records, copies, unknown_names = _first_copies(root)
    turned, turns = _turn_upright(records)
    inbreast = [r.image_id for r in records if r.dataset == "inbreast"]
    cautions: list[Caution | Counted] = [
        *turns,
        ("copies_left_out", "augmented copies are left out", copies),
        ("unknown_name", "files have names that the set does not use", unknown_names),
        (
            "patients_by_number",
            "INbreast films with similar numbers count as one patient; this joins some patients and"
            " may separate two exams of one patient",
            inbreast,
        ),
    ]
    return make_manifest(turned, cautions, root)


def _first_copies(root: Path) -> tuple[list[Record], list[Path], list[Path]]:
    films: dict[tuple[str, bool], list[tuple[int, Path]]] = defaultdict(list)
    unknown_names: list[Path] = []
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
            remedy="Keep each film only in the class of its original data set",
        )
    records: list[Record] = []
    copies: list[Path] = []
    groups = _inbreast_groups([film for film, _ in films if _INBREAST.fullmatch(film)])
    for (film, malignant), found in sorted(films.items()):
        kept, *others = sorted(found, key=lambda item: (item[0], len(item[1].parts), str(item[1])))
        copies += [path for _, path in others]
        record = _record(film, malignant, kept[1], groups)
        if record is None:
            unknown_names.append(kept[1])
        else:
            records.append(record)
    return records, copies, unknown_names


def _inbreast_groups(films: Sequence[str]) -> dict[str, str]:
    """Group films by similar numbers, so that no exam is divided; name a group by its first."""
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
            patient_id=f"mias{(number + 1) // 2:03d}",  # 1 and 2, 3 and 4, … are pairs
            laterality=Laterality.LEFT if number % 2 else Laterality.RIGHT,
            view_position=ViewPosition.MLO,
        )
    return None


def _turn_upright(records: Sequence[Record]) -> tuple[list[Record], tuple[Caution, ...]]:
    """Give the DDSM pictures of each class the rotation that most of its oblique views show."""
    turned = list(records)
    cautions: list[Caution] = []
    for malignant in (False, True):
        here = [
            n for n, r in enumerate(records) if r.dataset == "ddsm" and r.malignant is malignant
        ]
        votes = Counter(turn for n in here if (turn := _turn_of(records[n])) is not None)
        turn, agreeing = votes.most_common(1)[0] if votes else (0, 0)
        which = f"{'malignant' if malignant else 'benign'} DDSM pictures"
        support = f"{agreeing} of {votes.total()} oblique views show it"
        if not here:
            continue
        if agreeing < _CLEAR * votes.total() or not votes:
            note = f"{which} stay as stored: their orientation is not clear ({support})"
            cautions.append(Caution("orientation_unclear", note))
            continue
        note = f"{which} are turned by {turn} degrees ({support})"
        cautions.append(Caution("turned_upright", note))
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
    """Find the upper edge in an oblique view (H, W) that is cropped to the breast.

    The chest wall is the brightest edge, and its upper end is brighter because of the pectoral
    muscle. This is right for 346 of 354 upright films of DDSM, on all scanners.
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
