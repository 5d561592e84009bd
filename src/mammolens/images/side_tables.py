"""Read sides and views from a table near the images: RSNA's ``train.csv``, or ``manifest.csv``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mammolens.core import Laterality, ViewPosition
from mammolens.errors import InvalidManifest, MammolensError
from mammolens.tables import Row, has_columns, read_table

__all__ = ["TableRow", "look_up"]

TABLES = ("train.csv", "manifest.csv")
LEVELS_UP = 3
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
    for _ in range(LEVELS_UP):
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
