"""Read patient, side and view from file names and from a table near the images.

Names: conventions of public data sets, and L_CC tokens. Tables: RSNA's ``train.csv``, or
``manifest.csv``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mammolens.core import Laterality, ViewPosition
from mammolens.errors import InvalidManifest, MammolensError
from mammolens.images.descriptions import read_description
from mammolens.images.vocabulary import VIEW_TOPICS, Topic
from mammolens.tables import Row, has_columns, read_table

__all__ = ["IMAGE_SUFFIXES", "NameFacts", "TableRow", "look_up", "read_name"]


@dataclass(frozen=True)
class NameFacts:
    """Facts from a file name; ``None`` is unknown.

    `convention` names the data set, or is ``plain``. Images with the same `case` belong to one
    exam. `topics` are further words about the view in a plain name.
    """

    convention: str
    patient_id: str | None = None
    case: str | None = None
    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    image_id: str | None = None
    topics: frozenset[Topic] = frozenset()


CBIS = re.compile(
    r"(?:Mass|Calc)-(?:Training|Test)_(?P<patient>P_\d{5})_(?P<side>LEFT|RIGHT)_(?P<view>CC|MLO)"
)
DDSM = re.compile(
    r"(?P<patient>[A-D][_-]\d{4})[_-]\d[._](?P<side>LEFT|RIGHT)[_.](?P<view>CC|MLO)", re.IGNORECASE
)
INBREAST = re.compile(
    r"(?P<image>\d{8})_(?P<patient>[0-9a-f]{16})_MG_(?P<side>[LR])_(?P<view>CC|MLO|ML)_ANON"
)
RSNA = re.compile(r"(?P<patient>\d{1,6})_(?P<image>\d{4,12})")
MIAS = re.compile(r"mdb(?P<number>\d{3})(?:\D.*)?")
IMAGE_SUFFIXES = frozenset(
    [".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff", ".pgm", ".ljpeg"]
)
SIDES = {side: Laterality(side[0]) for side in ("L", "R", "LEFT", "RIGHT")}
PLAIN_VIEWS = ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM")
JOINED = re.compile(rf"([LR])({'|'.join(sorted(PLAIN_VIEWS, key=len, reverse=True))})")


def read_name(name: str) -> NameFacts:
    """Read patient, side and view from a path (or ``archive.zip!member``).

    A CBIS-DDSM name may be the name of a folder; the others must be the last part of the path. A
    side or view that the name does not state clearly is ``None``.

    Examples
    --------
    >>> facts = read_name("20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm")
    >>> facts.patient_id, facts.laterality.value, facts.view_position.value
    ('6c613a14b80a8591', 'R', 'CC')
    >>> read_name("Mass-Training_P_00001_LEFT_CC_1.png").case
    'P_00001'
    >>> read_name("scan.png").laterality
    """
    path = PurePosixPath(name.replace("\\", "/").rpartition("!")[2])
    cbis = list(CBIS.finditer(str(path)))
    if cbis:
        return _sided("cbis", cbis[-1], cbis[-1]["patient"])
    stem = path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
    if match := INBREAST.match(stem):
        facts = _sided("inbreast", match, match["patient"])
        # INbreast writes ML for its mediolateral oblique views.
        view = ViewPosition.MLO if match["view"] == "ML" else facts.view_position
        return NameFacts(
            "inbreast", match["patient"], match["patient"], facts.laterality, view, match["image"]
        )
    if match := DDSM.match(stem):
        return _sided("ddsm", match, match["patient"].upper().replace("-", "_"))
    if match := MIAS.fullmatch(stem):
        # MIAS has pairs of MLO films of one patient, odd and even numbers. The name does not show
        # which film is the left one.
        pair = f"mias{(int(match['number']) + 1) // 2:03d}"
        return NameFacts("mias", pair, pair, None, ViewPosition.MLO, match[0][:6])
    if len(path.parts) > 2 and path.parts[-3].startswith(("train_images", "test_images")):
        return NameFacts("rsna", path.parts[-2], path.parts[-2], image_id=stem)
    if match := RSNA.fullmatch(stem):
        return NameFacts("rsna", match["patient"], match["patient"], image_id=match["image"])
    return _plain(stem)


def _sided(convention: str, match: re.Match[str], patient: str) -> NameFacts:
    side = SIDES[match["side"].upper()]
    return NameFacts(convention, patient, patient, side, ViewPosition(match["view"].upper()))


def _plain(stem: str) -> NameFacts:
    """Read sides and views that are separate tokens; two different sides give no side."""
    sides: set[Laterality] = set()
    views: set[ViewPosition] = set()
    rest: list[str] = []
    lone_letter = False
    for token in re.split(r"[^A-Za-z0-9]+", stem):
        upper = token.upper()
        if upper in SIDES:
            sides.add(SIDES[upper])
            lone_letter = lone_letter or len(upper) == 1
        elif upper in PLAIN_VIEWS:
            views.add(ViewPosition(upper))
        elif joined := JOINED.fullmatch(upper):
            sides.add(SIDES[joined[1]])
            views.add(ViewPosition(joined[2]))
        else:
            rest.append(token)
    view = views.pop() if len(views) == 1 else None
    side = sides.pop() if len(sides) == 1 else None
    if lone_letter and view is None:
        side = None
    case = "_".join(rest) if side is not None and view is not None else None
    # Other topics, such as "test", are too uncertain in a file name.
    topics = read_description(stem).topics & VIEW_TOPICS
    return NameFacts("plain", None, case, side, view, stem, topics)


TABLES = ("train.csv", "manifest.csv")
FOLDERS = 3
"""Folders in which a table is looked for: that of the image, and two above it."""
MAX_TABLE_BYTES = 64 << 20
COLUMNS = ("image_id", "laterality", "view")


class TableRow(NamedTuple):
    """The row of one image; ``None`` is unknown. With a `fault`, all other values are ``None``."""

    patient_id: str | None
    laterality: Laterality | None
    view_position: ViewPosition | None
    fault: str | None = None


def look_up(path: Path, *image_ids: str) -> TableRow | None:
    """Find an image in the nearest table: in its own folder, or in the two folders above.

    Parameters
    ----------
    path
        The image file.
    image_ids
        Names that it may have in the column ``image_id``, the best one first.

    Returns
    -------
    TableRow or None
        ``None`` if no table lists the image. If the table has a fault, or its rows contradict each
        other, the row has only the fault.
    """
    folder = path.parent
    for _ in range(FOLDERS):
        for name in TABLES:
            table = folder / name
            rows = _read(table, _modified(table))
            if isinstance(rows, str):
                return TableRow(None, None, None, rows)
            for image_id in image_ids:
                if image_id in rows:
                    return _joined(rows[image_id])
        folder = folder.parent
    return None


def _modified(table: Path) -> int:
    try:
        stat = table.stat()
    except OSError:
        return 0
    return stat.st_mtime_ns if stat.st_size <= MAX_TABLE_BYTES else 0


@lru_cache(maxsize=8)
def _read(table: Path, modified: int) -> dict[str, list[Row]] | str:
    """Read the rows by image, once per version of a table, or give the fault of the table.

    A file without the columns of such a table gives no rows.
    """
    if not modified:
        return {}
    rows: dict[str, list[Row]] = {}
    try:
        if not has_columns(table, COLUMNS):
            return {}
        for row in read_table(table, COLUMNS, ("patient_id",)).rows:
            rows.setdefault(row.key("image_id")[0], []).append(row)
    except MammolensError as error:
        return str(error)
    return rows


def _joined(rows: list[Row]) -> TableRow:
    """Join the rows of one image; rows that contradict each other give a fault."""
    try:
        views = {(row.laterality("laterality"), row.view("view")) for row in rows}
        patients = {row.identifier_or_none("patient_id") for row in rows}
    except InvalidManifest as error:
        return TableRow(None, None, None, str(error))
    if len(views) > 1 or len(patients) > 1:
        lines = " and ".join(str(row.line) for row in rows[:3])
        fault = f"{rows[0].path}: lines {lines} list this image and contradict each other"
        return TableRow(None, None, None, fault)
    ((side, view),), (patient,) = views, patients
    return TableRow(patient, side, view)
