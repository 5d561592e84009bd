"""Read RSNA Screening Mammography Breast Cancer Detection (2022): ``train.csv`` and its images.

Images are ``train_images/<patient>/<image>.dcm``, or a re-release: the same tree as PNG or JPEG, or
files ``<patient>_<image>.png`` in one folder. Traps: ``cancer`` 0 means "no cancer", and a benign
finding remains possible; square re-releases are squeezed (detectors are about 4:5), and some of
their images are inverted; machines and sites differ between the classes.
Source: https://www.kaggle.com/competitions/rsna-breast-cancer-detection/data
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from mammolens.data.manifest import SQUEEZED_SOURCES, Manifest, Record
from mammolens.data.sources._tree import find_file, images_under, make_manifest, size_of
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["build"]

_NEEDED: Final = ("patient_id", "image_id", "laterality", "view", "cancer")
_FURTHER: Final = ("age", "BIRADS", "density", "machine_id")
_CHECKED: Final = ("biopsy", "invasive", "implant", "difficult_negative_case")
"""Columns of flags that are read only to find cells that moved into another column."""
_DENSITY: Final = {category.lower(): category for category in "ABCD"}


def build(root: Path) -> Manifest:
    """Read the challenge's training images; those without a row of ``train.csv`` are left out.

    Raises
    ------
    InvalidManifest
        ``train.csv`` or all images are missing, or a cell cannot be understood.
    """
    table = read_table(find_file(root, "train.csv"), _NEEDED, (*_FURTHER, *_CHECKED))
    table.refuse_repeats("patient_id", "image_id")
    images = _index(images_under(root))
    records: list[Record] = []
    missing: list[str] = []
    for row in table.rows:
        record = _record(row)
        path = images.get((record.patient_id, record.image_id.partition("_")[2]))
        if path is None:
            missing.append(record.image_id)
        else:
            records.append(replace(record, path=path, pixel_aspect=_aspect(path)))
    listed = {tuple(record.image_id.split("_")) for record in records}
    unlisted = [str(path) for key, path in images.items() if key not in listed]
    squeezed = [record.image_id for record in records if record.pixel_aspect != 1.0]
    cautions = (
        ("no_image", "listed images are missing", missing),
        ("no_row", "images have no row and are left out", unlisted),
        ("squeezed", "square pictures are treated as squeezed from 4:5", squeezed),
    )
    return make_manifest(records, cautions, root)


def _index(images: Iterable[Path]) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    for path in images:
        patient, flat, image = path.stem.partition("_")
        key = (patient, image) if flat else (path.parent.name, path.stem)
        if not (key[0].isdigit() and key[1].isdigit()):
            continue
        if key in found:
            raise InvalidManifest(
                f"image {key[1]} exists twice, also as {found[key]}",
                source=str(path),
                remedy="Give the folder of one release",
            )
        found[key] = path
    return found


def _digits(row: Row, column: str) -> str:
    text = row.identifier(column)
    if not (text.isascii() and text.isdigit()):
        raise row.wrong(column, "a whole number")
    return text


def _record(row: Row) -> Record:
    """Make the record of a row, still without its picture.

    The columns of `_CHECKED` give no label, but reading them shows if cells have moved.
    """
    flags = {column: row.flag(column) for column in _CHECKED}
    cancer, birads = row.flag("cancer"), row.number("BIRADS")
    if flags["invasive"] and cancer is False:
        raise row.wrong("cancer", "1 where invasive is 1")
    patient = _digits(row, "patient_id")
    return Record(
        dataset="rsna",
        image_id=f"{patient}_{_digits(row, 'image_id')}",
        patient_id=patient,
        path=Path(),
        laterality=row.laterality("laterality"),
        view_position=row.view("view"),
        malignant=cancer,
        birads=None if birads is None else f"{birads:g}",
        density=row.word("density", _DENSITY),
        age_years=row.age("age"),
        machine=row.text("machine_id"),
    )


def _aspect(path: Path) -> float:
    """Give the pixel aspect. Detectors are not square, so a square picture that is not DICOM was
    squeezed."""
    size = None if path.suffix.lower() in (".dcm", ".dicom") else size_of(path)
    return SQUEEZED_SOURCES["rsna"] if size and size[0] == size[1] else 1.0
