"""Sides and views from a table beside the images: RSNA's ``train.csv``, or a ``manifest.csv``."""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from mammolens.core import Laterality, ViewPosition

__all__ = ["TableRow", "look_up"]

TABLES = ("train.csv", "manifest.csv")
LEVELS_UP = 3
MAX_TABLE_BYTES = 64 << 20


class TableRow(NamedTuple):
    """What a table says of one image; ``None`` is unknown."""

    patient_id: str | None
    laterality: Laterality | None
    view_position: ViewPosition | None


def look_up(path: Path, *image_ids: str) -> TableRow | None:
    """Find an image in the nearest table, from its own folder up to two above the patient's.

    Parameters
    ----------
    path
        The image file.
    image_ids
        Names under which it may be listed in ``image_id``, best first.
    """
    folder = path.parent
    for _ in range(LEVELS_UP):
        for name in TABLES:
            table = folder / name
            rows = _read(table, _modified(table))
            for image_id in image_ids:
                if image_id in rows:
                    return rows[image_id]
        folder = folder.parent
    return None


def _modified(table: Path) -> int:
    try:
        stat = table.stat()
    except OSError:
        return 0
    return stat.st_mtime_ns if stat.st_size <= MAX_TABLE_BYTES else 0


@lru_cache(maxsize=8)
def _read(table: Path, modified: int) -> dict[str, TableRow]:
    """Parse a table once per version of it; anything that is no such table gives no rows."""
    if not modified:
        return {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if not {"image_id", "laterality", "view"} <= set(reader.fieldnames or ()):
                return {}
            return {row["image_id"]: _row(row) for row in reader if row["image_id"]}
    except (OSError, UnicodeError, csv.Error):
        return {}


def _row(row: dict[str, str]) -> TableRow:
    side, view = (row["laterality"] or "").upper(), (row["view"] or "").upper()
    return TableRow(
        row.get("patient_id") or None,
        Laterality(side) if side in ("L", "R") else None,
        ViewPosition(view) if view in ViewPosition.__members__ else None,
    )
