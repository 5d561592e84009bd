"""Write a manifest: a CSV table in our own format, with marked lesions in ``lesions.csv``.

The written files are read back and compared with the records before they get their final names.
Paths of images in the table's folder are relative to it; other paths are absolute.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from mammolens.data.lesions import LESION_COLUMNS, Lesion, read_lesions
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import InvalidManifest
from mammolens.files import storage, whole_text

__all__ = ["SIDE_TABLE", "write_manifest"]

SIDE_TABLE: Final = "lesions.csv"
_Key = tuple[str, str]


def write_manifest(manifest: Manifest, path: Path) -> tuple[Path, ...]:
    """Write a table and, if lesions are marked, the table of lesions. Either both or none appear.

    An existing ``lesions.csv`` keeps the rows of images that this manifest does not hold, so that
    several tables may share a folder.

    Returns
    -------
    tuple of Path
        The files that were written.

    Raises
    ------
    InvalidManifest
        A record would change when read back, or the existing ``lesions.csv`` has rows that might
        belong to these images.
    StorageError
        The folder cannot be written.

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
            "this name is reserved for marked lesions",
            source=str(path),
            remedy="Use another name",
        )
    home = Path(os.path.abspath(path.parent))  # noqa: PTH100 (links stay as they are)
    # Links stay as they are.
    records = [_with_paths(r, lambda p: Path(os.path.abspath(p))) for r in manifest.records]  # noqa: PTH100
    side = home / SIDE_TABLE
    lesions = _merge_lesions(side, records)
    with storage(path, "the table"):
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home, prefix=".writing-") as name:
            folder = Path(name)
            images = [_row(record, home) for record in records]
            _write(folder / path.name, images[0], (image.values() for image in images))
            rows = [_lesion_row(key, lesion, home) for key, lesion in lesions]
            _write(folder / SIDE_TABLE, LESION_COLUMNS, rows)
            _check_read_back(folder, path, home, records)
            if rows or side.is_file():
                (folder / SIDE_TABLE).replace(side)
            (folder / path.name).replace(path)
    return (path, path.parent / SIDE_TABLE) if rows else (path,)


def _with_paths(record: Record, change: Callable[[Path], Path]) -> Record:
    """Apply `change` to the paths of the image and its masks."""
    lesions = tuple(
        replace(lesion, mask_path=change(lesion.mask_path)) if lesion.mask_path else lesion
        for lesion in record.lesions
    )
    return replace(record, path=change(record.path), lesions=lesions)


def _merge_lesions(side: Path, records: Sequence[Record]) -> list[tuple[_Key, Lesion]]:
    """Give the rows of the new table of lesions: existing ones of other images, then our own."""
    ours = {record.key for record in records}
    bare = {record.image_id for record in records}
    kept: list[tuple[_Key, Lesion]] = []
    for key, lesions in (read_lesions(side) if side.is_file() else {}).items():
        if key in ours:
            continue
        if not key[0] and key[1] in bare:
            raise InvalidManifest(
                f"the existing lesions of {key[1]!r} have no data set",
                source=str(side),
                keyword="dataset",
                remedy="Fill the column for them, or write into another folder",
            )
        kept += [(key, lesion) for lesion in lesions]
    own = [(r.key, lesion) for r in records for lesion in r.lesions]
    return kept + own


def _row(record: Record, home: Path) -> dict[str, str]:
    """Give the cells of one image by column; unknown cells are empty."""
    col, row = (record.lesion_centre_px or (None, None))[::-1]
    return {
        "dataset": record.dataset,
        "image_id": record.image_id,
        "patient_id": record.patient_id,
        "path": _relative(record.path, home),
        "laterality": record.laterality.value if record.laterality else "",
        "view": record.view_position.value if record.view_position else "",
        "tumour": _flag(record.tumour),
        "malignant": _flag(record.malignant),
        "birads": record.birads or "",
        "density": record.density or "",
        "age": _number(record.age_years),
        "machine": record.machine or "",
        "study_id": record.study_id or "",
        "pixel_aspect": "" if record.pixel_aspect == 1.0 else _number(record.pixel_aspect),
        "rotation": str(record.rotation_deg or ""),
        "lesion_x": _number(col),
        "lesion_y": _number(row),
        "split": record.split.value if record.split else "",
        "abnormality": record.abnormality or "",
    }


def _lesion_row(key: _Key, lesion: Lesion, home: Path) -> list[str]:
    box = lesion.box_source_px or (None,) * 4
    circle = lesion.circle_source_px or (None,) * 3
    return [
        *key,
        lesion.kind.value if lesion.kind else "",
        _flag(lesion.malignant),
        *map(_number, box),
        *map(_number, circle),
        _relative(lesion.mask_path, home) if lesion.mask_path else "",
    ]


def _relative(path: Path, home: Path) -> str:
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def _flag(value: bool | None) -> str:
    return "" if value is None else str(int(value))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if float(value).is_integer() else repr(float(value))


def _write(path: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    with whole_text(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _check_read_back(folder: Path, path: Path, home: Path, records: Sequence[Record]) -> None:
    """Read the written table and compare it with the records, as if it were already in `home`."""
    try:
        read = Manifest.read(folder / path.name).records
    except InvalidManifest as error:
        raise InvalidManifest(
            f"the written table could not be read again: {error.message}",
            source=str(path),
            keyword=error.keyword,
            remedy=error.remedy,
        ) from error

    def in_home(path: Path) -> Path:
        return home / path.relative_to(folder) if path.is_relative_to(folder) else path

    for record, read_back in zip(records, read, strict=True):
        if record != _with_paths(read_back, in_home):
            raise InvalidManifest(
                f"the row of {record.image_id!r} would change when the table is read again",
                source=str(path),
                remedy="Look for labels that contradict each other, and for cells that begin or "
                "end with a space or mean unknown (NA, none, -)",
            )
