"""A manifest to disk: a CSV table in our own format, marked lesions in ``lesions.csv`` beside it.

What is written reads back as the same records: that is checked before anything gets its final
name. Images within the table's folder are named relative to it, others by their full path.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from mammolens.data.lesions import LESION_COLUMNS, Lesion, read_lesions
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import InvalidManifest
from mammolens.files import storage, whole_text

__all__ = ["SIDE_TABLE", "TABLE_COLUMNS", "write_manifest"]

SIDE_TABLE: Final = "lesions.csv"
TABLE_COLUMNS: Final = (
    *("dataset", "image_id", "patient_id", "path", "laterality", "view", "tumour", "malignant"),
    *("birads", "density", "age", "machine", "study_id", "pixel_aspect", "rotation"),
    *("lesion_x", "lesion_y", "split", "abnormality"),
)

_Key = tuple[str, str]


def write_manifest(manifest: Manifest, path: Path) -> tuple[Path, ...]:
    """Write a table and, if any lesion is marked, its side table; both whole or not at all.

    A side table that is already there keeps the rows of images that this manifest does not hold,
    so that several tables may share a folder.

    Returns
    -------
    The files that were written.

    Raises
    ------
    InvalidManifest
        A record would not read back as it is, or lesions of another table stand in the way.
    StorageError
        The folder cannot be written to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> record = Record("mine", "1", "anna", Path("1.png").absolute(), tumour=False)
    >>> with TemporaryDirectory() as folder:
    ...     written = write_manifest(Manifest.of([record]), Path(folder) / "table.csv")
    ...     Manifest.read(written[0]).records[0].tumour
    False
    """
    if path.name == SIDE_TABLE:
        raise InvalidManifest(
            "this name is kept for marked lesions", source=str(path), remedy="Use another name"
        )
    home = Path(os.path.abspath(path.parent))  # noqa: PTH100 (links stay as they are)
    records = [_anchored(record) for record in manifest.records]
    side = home / SIDE_TABLE
    lesions = _merged(side, records)
    with storage(path, "the table"):
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".writing-") as name:
            folder = Path(name)
            _write(folder / path.name, TABLE_COLUMNS, (_row(record, home) for record in records))
            rows = [_lesion_row(key, lesion, home) for key, lesion in lesions]
            _write(folder / SIDE_TABLE, LESION_COLUMNS, rows)
            _check(folder, path, home, records)
            if rows or side.is_file():
                (folder / SIDE_TABLE).replace(side)
            (folder / path.name).replace(path)
    return (path, path.parent / SIDE_TABLE) if rows else (path,)


def _anchored(record: Record) -> Record:
    def full(path: Path) -> Path:
        return Path(os.path.abspath(path))  # noqa: PTH100

    lesions = tuple(
        replace(lesion, mask_path=full(lesion.mask_path)) if lesion.mask_path else lesion
        for lesion in record.lesions
    )
    return replace(record, path=full(record.path), lesions=lesions)


def _merged(side: Path, records: Sequence[Record]) -> list[tuple[_Key, Lesion]]:
    """What the side table will say: the lesions of others that are there, then our own."""
    ours = {(record.dataset, record.image_id) for record in records}
    bare = {record.image_id for record in records}
    kept: list[tuple[_Key, Lesion]] = []
    for key, lesions in (read_lesions(side) if side.is_file() else {}).items():
        if key in ours:
            continue
        if not key[0] and key[1] in bare:
            raise InvalidManifest(
                f"lesions of {key[1]!r} stand there without the data set that they belong to",
                source=str(side),
                keyword="dataset",
                remedy="Name their data set there, or write into another folder",
            )
        kept += [(key, lesion) for lesion in lesions]
    own = [((r.dataset, r.image_id), lesion) for r in records for lesion in r.lesions]
    return kept + own


def _row(record: Record, home: Path) -> list[str]:
    centre = record.lesion_centre_px
    return [
        record.dataset,
        record.image_id,
        record.patient_id,
        _named(record.path, home),
        record.laterality.value if record.laterality else "",
        record.view_position.value if record.view_position else "",
        _flag(record.tumour),
        _flag(record.malignant),
        record.birads or "",
        record.density or "",
        _number(record.age_years),
        record.machine or "",
        record.study_id or "",
        "" if record.pixel_aspect == 1.0 else _number(record.pixel_aspect),
        str(record.rotation_deg or ""),
        _number(centre[1] if centre else None),
        _number(centre[0] if centre else None),
        record.split.value if record.split else "",
        record.abnormality or "",
    ]


def _lesion_row(key: _Key, lesion: Lesion, home: Path) -> list[str]:
    box = lesion.box_source_px or (None,) * 4
    circle = lesion.circle_source_px or (None,) * 3
    return [
        *key,
        lesion.kind.value if lesion.kind else "",
        _flag(lesion.malignant),
        *map(_number, box),
        *map(_number, circle),
        _named(lesion.mask_path, home) if lesion.mask_path else "",
    ]


def _named(path: Path, home: Path) -> str:
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def _flag(value: bool | None) -> str:
    return "" if value is None else str(int(value))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if float(value).is_integer() else repr(float(value))


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with whole_text(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _check(folder: Path, path: Path, home: Path, records: Sequence[Record]) -> None:
    """Read back what was written, as if it already stood in its place."""
    try:
        read = Manifest.read(folder / path.name).records
    except InvalidManifest as error:
        raise InvalidManifest(
            f"it would not read back: {error.message}",
            source=str(path),
            keyword=error.keyword,
            remedy=error.remedy,
        ) from error
    for wanted, found in zip(records, read, strict=True):
        if wanted != _moved(found, folder, home):
            raise InvalidManifest(
                f"{wanted.image_id!r} would not read back as it is",
                source=str(path),
                remedy="A label contradicts another, or a cell begins or ends with a space or is "
                "a word for unknown (NA, none, -)",
            )


def _moved(record: Record, old: Path, new: Path) -> Record:
    def carried(path: Path) -> Path:
        return new / path.relative_to(old) if path.is_relative_to(old) else path

    lesions = tuple(
        replace(lesion, mask_path=carried(lesion.mask_path)) if lesion.mask_path else lesion
        for lesion in record.lesions
    )
    return replace(record, path=carried(record.path), lesions=lesions)
