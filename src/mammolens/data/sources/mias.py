"""Read mini-MIAS: 322 films of 161 patients, 1024×1024 PGM, and ``Info.txt``.

Traps: the origin of circles is the bottom-left corner; one image may have several rows; three
malignant images have no place (note 3). An odd number and the next even number are the two breasts
of one patient; all views are MLO. The pictures are mirrored. ``Info.txt`` says that even numbers
are left breasts, but the markers on the films say that odd numbers are. This reader follows the
markers.
Source: Suckling et al., Excerpta Medica ICS 1069 (1994) 375–378.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

from mammolens.core import Laterality, ViewPosition
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record
from mammolens.data.sources._tree import find_file, images_under, make_manifest, size_of
from mammolens.errors import InvalidManifest
from mammolens.tables import read_lines

__all__ = ["build"]

_SIDE_PX: Final = 1024
"""Rows and columns of the original pictures, to which circles refer."""
_LINE: Final = re.compile(
    r"(?P<image>(?i:mdb)\d{3})\s+(?P<density>[FGD])\s+(?P<kind>[A-Z]{4})(?:\s+(?P<severity>[BM]))?"
    r"(?:\s+(?:(?P<x>\d+)\s+(?P<y>\d+)\s+(?P<radius>\d+)|\*NOTE 3\*))?"
)
_KINDS: Final = {
    "CALC": LesionKind.CALCIFICATION,
    "CIRC": LesionKind.MASS,
    "SPIC": LesionKind.MASS,
    "MISC": LesionKind.MASS,
    "ARCH": LesionKind.DISTORTION,
    "ASYM": LesionKind.ASYMMETRY,
    "NORM": None,
}
_SEVERITY: Final = {"B": False, "M": True, None: None}


class _Mark(NamedTuple):
    """One line of ``Info.txt``; `circle` is (row, column, radius), origin top left."""

    density: str
    kind: LesionKind | None
    malignant: bool | None
    circle: tuple[float, float, float] | None


def build(root: Path) -> Manifest:
    """Read mini-MIAS from a folder with ``Info.txt`` and ``mdbNNN.pgm`` (or PNG, JPEG).

    Raises
    ------
    InvalidManifest
        ``Info.txt`` or all images are missing, or a line of it cannot be understood.
    """
    info = find_file(root, "Info.txt")
    marks = _read_info(info)
    images = {path.stem.lower(): path for path in images_under(root)}
    resized: list[str] = []
    records = [
        _record(image, marks[image], images[image], resized)
        for image in sorted(marks)
        if image in images
    ]
    unlisted = sorted(name for name in images.keys() - marks.keys() if re.match(r"mdb\d", name))
    cautions = (
        ("no_image", "listed images are missing", sorted(marks.keys() - images.keys())),
        ("no_row", "images have no line in Info.txt and are left out", unlisted),
        (
            "circles_left_out",
            "images are not 1024 pixels wide, so their circles are left out",
            resized,
        ),
    )
    return make_manifest(records, cautions, root)


def _read_info(info: Path) -> dict[str, list[_Mark]]:
    marks: dict[str, list[_Mark]] = defaultdict(list)
    for number, line in enumerate(read_lines(info), start=1):
        if not re.match(r"\s*mdb\d", line, re.IGNORECASE):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or match["kind"] not in _KINDS:
            raise InvalidManifest(
                f"line {number} cannot be understood: {line.strip()!r}",
                source=str(info),
                remedy="Use Info.txt as the database distributes it",
            )
        circle = None
        if match["x"]:
            # The origin is the bottom-left corner of a picture of 1024 rows.
            circle = (_SIDE_PX - float(match["y"]), float(match["x"]), float(match["radius"]))
        mark = _Mark(match["density"], _KINDS[match["kind"]], _SEVERITY[match["severity"]], circle)
        marks[match["image"].lower()].append(mark)
    return marks


def _record(image: str, marks: list[_Mark], path: Path, resized: list[str]) -> Record:
    found = [mark for mark in marks if mark.kind is not None]
    severities = {mark.malignant for mark in found}
    lesions = tuple(
        Lesion(kind=mark.kind, malignant=mark.malignant, circle_source_px=mark.circle)
        for mark in found
        if mark.circle is not None
    )
    if lesions and size_of(path) != (_SIDE_PX, _SIDE_PX):
        resized.append(image)
        lesions = ()
    worst = max(lesions, key=lambda lesion: lesion.malignant is True, default=None)
    circle = worst.circle_source_px if worst else None
    number = int(image[3:])
    return Record(
        dataset="mias",
        image_id=image,
        patient_id=f"mias{(number + 1) // 2:03d}",
        path=path,
        laterality=Laterality.LEFT if number % 2 else Laterality.RIGHT,
        view_position=ViewPosition.MLO,
        tumour=bool(found),
        malignant=True if True in severities else None if None in severities else False,
        density=marks[0].density,
        lesion_centre_px=circle and circle[:2],
        lesions=lesions,
    )
