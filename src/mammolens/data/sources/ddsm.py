"""Read DDSM as first published: ``<volume>/case<NNNN>/`` with ``.ics``, ``.LJPEG``, ``.OVERLAY``.

The label of a film is the pathology of the abnormalities that are outlined on it. A film without
outlines is normal only in a volume of normal cases. In other volumes its label is unknown, because
another view or the other breast has a finding.

Source: Heath et al., The Digital Database for Screening Mammography, IWDM 2001;
http://www.eng.usf.edu/cvprg/mammography/database.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from mammolens.core import Box, Laterality, ViewPosition
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record
from mammolens.data.sources._tree import make_manifest
from mammolens.errors import InputError
from mammolens.images.ljpeg import CaseHeader, case_of, parse_ics

__all__ = ["build", "parse_overlay"]

_DATASET: Final = "ddsm"
_NORMAL_VOLUME: Final = re.compile(r"normals?(?:_\d+)?", re.IGNORECASE)
_NOTES: Final = {
    "unreadable_case": "cases are left out, because their .ics file cannot be read",
    "films_missing": "films are left out, because their .LJPEG file is missing",
    "films_unlisted": "films are left out, because the .ics file of their case does not list them",
    "overlay_missing": "films announce outlines that are missing, so their labels are unknown",
    "overlay_incomplete": "overlays announce another number of abnormalities than they hold; their"
    " films are malignant or unknown",
    "outline_damaged": "films have a damaged outline: they have a label, but no place for it",
    "unproven": "films have an abnormality of unproven pathology",
    "not_marked": "films have no outlines and are not in a volume of normal cases, so their labels"
    " are unknown",
}
"""Name of a caution → its text, after the number of cases or films."""
_Notes = dict[str, list[str]]
_START = re.compile(r"^[ \t]*ABNORMALITY[ \t]+\d+", re.MULTILINE)
_TOTAL = re.compile(r"TOTAL_ABNORMALITIES\s+(\d+)")
_TYPE = re.compile(r"LESION_TYPE[ \t]+(\S+)[ \t]*(.*)")
_ASSESSMENT = re.compile(r"ASSESSMENT[ \t]+([0-6])\b")
_PATHOLOGY = re.compile(r"PATHOLOGY[ \t]+(\S+)")
_BOUNDARY = re.compile(r"BOUNDARY\s+((?:\d+\s+)*\d+)")
_MALIGNANT = {"MALIGNANT": True, "BENIGN": False, "BENIGN_WITHOUT_CALLBACK": False}
_STEPS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""(rows, columns) of the eight directions: 0 is up, then clockwise."""


class _Labels(NamedTuple):
    """The labels and lesions of one film, and the names of the cautions for it."""

    tumour: bool | None
    malignant: bool | None
    birads: str | None
    lesions: tuple[Lesion, ...]
    notes: tuple[str, ...] = ()


def build(root: Path) -> Manifest:
    """Read the folder tree of DDSM, or a part of it.

    Parameters
    ----------
    root
        A folder above the cases. The folders of volumes must keep their names (``normal_01``).

    Returns
    -------
    Manifest
        One record for each film: patient ``A_1004``, image ``A_1004_1.LEFT_CC``, study
        ``A_1004_1``, lesions as boxes, the scanner as machine. Its cautions count the cases and
        films that were left out.

    Raises
    ------
    InvalidManifest
        If the folder has no film with an ``.ics`` file.
    """
    records: list[Record] = []
    notes: _Notes = defaultdict(list)
    for path in sorted(path for path in root.rglob("*") if path.suffix.lower() == ".ics"):
        try:
            case = parse_ics(path.read_text("ascii", errors="replace"), str(path))
        except (InputError, OSError):
            notes["unreadable_case"].append(path.name)
            continue
        records += _films(case, path, root, notes)
    records.sort(key=lambda record: record.image_id)
    cautions = ((name, what, notes[name]) for name, what in _NOTES.items())
    return make_manifest(records, cautions, root)


def _films(case: CaseHeader, path: Path, root: Path, notes: _Notes) -> list[Record]:
    name = case.case or case_of(path.name)
    beside = {file.name.upper(): file for file in path.parent.iterdir()}
    folders = root.resolve().name, *path.parent.relative_to(root).parts
    in_normals = any(map(_NORMAL_VOLUME.fullmatch, folders))
    records = []
    for film, scan in case.films.items():
        image_id = f"{name}.{film}"
        picture = beside.pop(f"{image_id}.LJPEG", None)
        if picture is None:
            notes["films_missing"].append(image_id)
            continue
        labels = _labels(beside.get(f"{image_id}.OVERLAY"), scan.marked, in_normals)
        for note in labels.notes:
            notes[note].append(image_id)
        side, view = film.split("_")
        records.append(
            Record(
                dataset=_DATASET,
                image_id=image_id,
                patient_id=name.rpartition("_")[0] or name,
                path=picture,
                laterality=Laterality(side[0]),
                view_position=ViewPosition(view),
                tumour=labels.tumour,
                malignant=labels.malignant,
                birads=labels.birads,
                density=case.density,
                age_years=case.age_years,
                machine=case.digitizer,
                study_id=name,
                lesions=labels.lesions,
            )
        )
    notes["films_unlisted"] += sorted(
        file for file in beside if file.endswith(".LJPEG") and case_of(file) == name
    )
    return records


def _labels(marks: Path | None, announced: bool | None, in_normals: bool) -> _Labels:
    if marks is not None:
        try:
            return _overlay_labels(parse_overlay(marks.read_text("ascii", errors="replace")))
        except OSError:
            return _Labels(None, None, None, (), ("overlay_missing",))
    if announced:
        return _Labels(None, None, None, (), ("overlay_missing",))
    if in_normals:
        return _Labels(False, False, None, ())
    return _Labels(None, None, None, (), ("not_marked",))


def _overlay_labels(overlay: Overlay) -> _Labels:
    """Label a film: malignant if any abnormality is; benign if all are and none is missing."""
    found = overlay.abnormalities
    labels = {abnormality.malignant for abnormality in found}
    doubts = {
        "overlay_incomplete": not overlay.complete,
        "outline_damaged": any(a.box_source_px is None for a in found),
        "unproven": None in labels,
    }
    unsure = None in labels or not overlay.complete
    return _Labels(
        tumour=True if found else None,
        malignant=True if True in labels else None if unsure else False,
        birads=max((a.assessment for a in found if a.assessment), default=None),
        lesions=tuple(
            Lesion(a.kind, a.malignant, box_source_px=a.box_source_px)
            for a in found
            if a.box_source_px is not None
        ),
        notes=tuple(note for note, holds in doubts.items() if holds),
    )


@dataclass(frozen=True)
class Abnormality:
    """One marked abnormality. `malignant` is ``None`` if the pathology is unproven; `box_source_px`
    is ``None`` if the outline is damaged."""

    kind: LesionKind
    malignant: bool | None
    assessment: str | None
    box_source_px: Box | None


@dataclass(frozen=True)
class Overlay:
    """The abnormalities of one film. `complete` is false if the file announces another number of
    abnormalities than it holds."""

    abnormalities: tuple[Abnormality, ...]
    complete: bool


def parse_overlay(text: str) -> Overlay:
    """Read the marks of one film: outlines of abnormalities as chain codes, with their labels.

    Cores are ignored: they are inside the boundary's box.

    Source: http://www.eng.usf.edu/cvprg/Mammography/DDSM/case_description.html

    Examples
    --------
    >>> overlay = parse_overlay(
    ...     "TOTAL_ABNORMALITIES 1\\nABNORMALITY 1\\nLESION_TYPE MASS SHAPE OVAL MARGINS OBSCURED"
    ...     "\\nASSESSMENT 4\\nSUBTLETY 5\\nPATHOLOGY MALIGNANT\\nTOTAL_OUTLINES 1\\nBOUNDARY\\n"
    ...     "10 20 2 2 4 4 6 6 0 0 #"
    ... )
    >>> overlay.abnormalities[0].malignant, overlay.abnormalities[0].box_source_px
    (True, (20.0, 10.0, 23.0, 13.0))
    """
    blocks = _START.split(text)[1:]
    total = _TOTAL.search(text)
    return Overlay(
        tuple(_abnormality(block) for block in blocks),
        complete=total is not None and len(blocks) > 0 and len(blocks) == int(total[1]),
    )


def _abnormality(block: str) -> Abnormality:
    kind, pathology = _TYPE.search(block), _PATHOLOGY.search(block)
    assessment, boundary = _ASSESSMENT.search(block), _BOUNDARY.search(block)
    return Abnormality(
        kind=_kind(kind[1], kind[2]) if kind else LesionKind.OTHER,
        malignant=_MALIGNANT.get(pathology[1].upper()) if pathology else None,
        assessment=assessment[1] if assessment else None,
        box_source_px=_box([int(n) for n in boundary[1].split()]) if boundary else None,
    )


def _kind(word: str, details: str) -> LesionKind:
    if word == "CALCIFICATION":
        return LesionKind.CALCIFICATION
    if word != "MASS":
        return LesionKind.OTHER
    shape = re.search(r"SHAPE[ \t]+(\S+)", details)
    if shape and shape[1] == "ARCHITECTURAL_DISTORTION":
        return LesionKind.DISTORTION
    if shape and "ASYMMETRIC" in shape[1]:
        return LesionKind.ASYMMETRY
    return LesionKind.MASS


def _box(numbers: list[int]) -> Box | None:
    """Give the smallest box around an outline: column and row of the start, then its steps."""
    if len(numbers) < 3 or max(numbers[2:]) > 7:
        return None
    (column, row), rows, columns = numbers[:2], [0], [0]
    for step in numbers[2:]:
        rows.append(rows[-1] + _STEPS[step][0])
        columns.append(columns[-1] + _STEPS[step][1])
    return (
        float(row + min(rows)),
        float(column + min(columns)),
        float(row + max(rows) + 1),
        float(column + max(columns) + 1),
    )
