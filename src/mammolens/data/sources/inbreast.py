"""Read INbreast: full-field digital, ``AllDICOMs/``, ``INbreast.csv`` or ``.xls``, ``AllXML/``.

Labels are BI-RADS, not pathology: 1 is normal, 2 benign, 4 to 6 malignant; for 3 it is unknown
whether the finding is malignant. Patients are known from the file names only, because the table has
no column for them: 410 images of 108 patients.

Source: Moreira et al. 2012, doi 10.1016/j.acra.2011.09.014.
"""

from __future__ import annotations

import math
import plistlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

from mammolens.core import Box, Laterality, ViewPosition
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record
from mammolens.data.sources._tree import make_manifest
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["build"]

_DATASET: Final = "inbreast"
_PICTURE: Final = re.compile(
    r"(?P<image>\d{8})_(?P<patient>[0-9a-f]{16})_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_ANON"
    r"\.(?:dcm|dicom|png|jpe?g|tiff?)",
    re.IGNORECASE,
)
_BARE: Final = re.compile(r"\d{8}\.(?:dcm|dicom|png|jpe?g|tiff?)", re.IGNORECASE)
_VIEWS: Final = {"ML": ViewPosition.MLO}
"""File names say ML for images that are MLO; the table says MLO."""
_LABELS: Final[dict[str, tuple[bool, bool | None]]] = {
    "1": (False, False),
    "2": (True, False),
    "3": (True, None),
    **dict.fromkeys(("4", "4a", "4b", "4c", "5", "6"), (True, True)),
}
_KINDS: Final = {
    "mass": LesionKind.MASS,
    "spiculated region": LesionKind.MASS,
    "espiculated region": LesionKind.MASS,
    "calcification": LesionKind.CALCIFICATION,
    "calcifications": LesionKind.CALCIFICATION,
    "cluster": LesionKind.CALCIFICATION,
    "distortion": LesionKind.DISTORTION,
    "asymmetry": LesionKind.ASYMMETRY,
    "assymetry": LesionKind.ASYMMETRY,
}
"""Names of outlines as they are spelt; ``Unnamed`` and ``Point 1`` do not name a kind of lesion."""
_POINT: Final = re.compile(r"\(\s*(-?[\d.]+(?:e-?\d+)?)\s*,\s*(-?[\d.]+(?:e-?\d+)?)\s*\)")
_COLUMNS: Final = ("Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads")
_NOTES: Final = {
    "women_unknown": "images are left out, because their names do not say which patient they show"
    " (keep INbreast's own names)",
    "images_unlisted": "images are left out, because the table does not list them",
    "images_missing": "images of the table are missing",
    "images_twice": "further copies are left out",
    "laterality_disagrees": "images have different lateralities in name and table: left unknown",
    "outlines_unreadable": "outline files cannot be read; these lesions have no place",
    "normal_with_outlines": "images of BI-RADS 1 have outlines: their labels are left unknown",
}
"""Name of a caution → its text, after the number of images or files."""
_Notes = dict[str, list[str]]


def build(root: Path) -> Manifest:
    """Read INbreast.

    Parameters
    ----------
    root
        The unpacked folder with pictures, table and outlines. Pictures that were converted to PNG
        or JPEG are read if they have the original names; outlines are in pixels of the DICOM files.

    Raises
    ------
    InvalidManifest
        If there is no table or no image, or a row cannot be understood.
    ConfigError
        If the only table is ``.xls`` and xlrd is not installed.
    """
    files = sorted(path for path in root.rglob("*") if path.is_file())
    rows = _table(files, root)
    outlines = {path.stem: path for path in files if path.suffix.lower() == ".xml"}
    records: dict[str, Record] = {}
    notes: _Notes = defaultdict(list)
    for path in files:
        match = _PICTURE.fullmatch(path.name)
        if match is None:
            if _BARE.fullmatch(path.name):
                notes["women_unknown"].append(path.name)
            continue
        image = match["image"]
        if image not in rows:
            notes["images_unlisted"].append(path.name)
        elif image in records:
            notes["images_twice"].append(path.name)
        else:
            records[image] = _record(path, match, rows[image], outlines.get(image), notes)
    notes["images_missing"] = [image for image in rows if image not in records]
    cautions = ((name, what, notes[name]) for name, what in _NOTES.items())
    return make_manifest(records.values(), cautions, root)


def _record(
    path: Path, match: re.Match[str], row: Row, marks: Path | None, notes: _Notes
) -> Record:
    image, patient, side = match["image"], match["patient"].lower(), match["side"].upper()
    birads = (row.text("Bi-Rads") or "").lower()
    tumour, malignant = _LABELS.get(birads, (None, None))
    boxes: tuple[tuple[LesionKind | None, Box], ...] = ()
    if marks is not None:
        try:
            boxes = tuple(_boxes(marks))
        except (OSError, ExpatError, ValueError, KeyError, TypeError, AttributeError):
            notes["outlines_unreadable"].append(marks.name)
    if boxes and tumour is False:
        notes["normal_with_outlines"].append(image)
        tumour = malignant = None
    agree = row.laterality("Laterality") in (None, Laterality(side))
    if not agree:
        notes["laterality_disagrees"].append(image)
    view = row["View"].upper() or match["view"].upper()
    return Record(
        dataset=_DATASET,
        image_id=image,
        patient_id=patient,
        path=path,
        laterality=Laterality(side) if agree else None,
        view_position=_VIEWS.get(view) or ViewPosition.__members__.get(view),
        tumour=tumour,
        malignant=malignant,
        birads=birads or None,
        density=row["ACR"] if row["ACR"] in ("1", "2", "3", "4") else None,
        study_id=f"{patient}_{row['Acquisition date']}" if row["Acquisition date"] else None,
        lesions=tuple(
            Lesion(kind, _lesion_label(malignant, len(boxes)), box_source_px=box)
            for kind, box in boxes
        ),
    )


def _lesion_label(malignant: bool | None, count: int) -> bool | None:
    """Label a lesion. BI-RADS describes the image: if a malignant image has several lesions, it is
    unknown which of them is malignant."""
    return None if malignant and count > 1 else malignant


def _table(files: list[Path], root: Path) -> dict[str, Row]:
    named = [path for path in files if path.stem.lower() == "inbreast"]
    for suffix in (".csv", ".xls", ".xlsx"):
        for path in named:
            if path.suffix.lower() == suffix:
                return _rows_by_file(path)
    raise InvalidManifest(
        "there is no INbreast.csv and no INbreast.xls",
        source=str(root),
        remedy="Give the unpacked folder with its table",
    )


def _rows_by_file(path: Path) -> dict[str, Row]:
    listed: dict[str, Row] = {}
    for row in read_table(path, _COLUMNS).rows:
        if not (row["File Name"] or row["Laterality"] or row["View"]):
            continue  # The last row of the sheet holds sums.
        image = row.identifier("File Name")
        if (row.text("Bi-Rads") or "0").lower() not in ("0", *_LABELS):
            raise row.wrong("Bi-Rads", f"0 to 6, 4a, 4b or 4c, or empty (file {image})")
        if apart := listed.setdefault(image, row).differs(row):
            raise InvalidManifest(
                f"lines {listed[image].line} and {row.line}, both of file {image}, contradict each "
                f"other in {', '.join(apart)}",
                source=str(path),
                keyword="File Name",
                remedy="Keep one row for each image",
            )
    return listed


def _boxes(path: Path) -> Iterator[tuple[LesionKind | None, Box]]:
    """Read the boxes of an OsiriX property list; its points are (x, y) in pixels of the DICOM."""
    with path.open("rb") as stream:
        content: dict[str, Any] = plistlib.load(stream, fmt=plistlib.FMT_XML)
    for image in content["Images"]:
        for outline in image["ROIs"]:
            points = [_POINT.fullmatch(point.strip()) for point in outline["Point_px"]]
            if not points or None in points:
                raise ValueError("an outline has no points")
            x, y = ([float(point[axis]) for point in points if point] for axis in (1, 2))
            box = (min(y), min(x), max(y) + 1, max(x) + 1)
            top, left, bottom, right = (float(math.floor(edge)) for edge in box)
            yield (
                _KINDS.get(str(outline.get("Name", "")).strip().lower()),
                (top, left, bottom, right),
            )
