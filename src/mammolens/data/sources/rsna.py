"""RSNA Screening Mammography Breast Cancer Detection (2022): ``train.csv`` and its images.

Images are ``train_images/<patient>/<image>.dcm``, or one of the re-releases: the same tree as PNG
or JPEG, or flat ``<patient>_<image>.png``. Traps: ``cancer`` 0 says "no cancer" and leaves open
whether something benign is there; square re-releases are squeezed (detectors are about 4:5) and
some of their images inverted; machine and site differ between the classes.
Source: https://www.kaggle.com/competitions/rsna-breast-cancer-detection/data
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mammolens.data.manifest import SQUEEZED_SOURCES, Manifest, Record
from mammolens.data.sources._tree import (
    Row,
    counted,
    find_file,
    finish,
    images_under,
    laterality_of,
    number_of,
    read_table,
    view_of,
)
from mammolens.errors import InputError, InvalidManifest
from mammolens.images import read_facts

__all__ = ["build"]

_NEEDED: Final = ("patient_id", "image_id", "laterality", "view", "cancer")
_CANCER: Final = {"1": True, "1.0": True, "0": False, "0.0": False, "": None}


def build(root: Path) -> Manifest:
    """Read the challenge's training images; those without a row of ``train.csv`` are left out.

    Raises
    ------
    InvalidManifest
        ``train.csv`` or every image is missing, or a cell cannot be understood.
    """
    table = find_file(root, "train.csv")
    images = _index(images_under(root))
    records: list[Record] = []
    missing: list[str] = []
    for row in read_table(table, _NEEDED):
        key = row["patient_id"], row["image_id"]
        if key in images:
            records.append(_record(row, images[key], table))
        else:
            missing.append("_".join(key))
    listed = {tuple(record.image_id.split("_")) for record in records}
    unlisted = [str(path) for key, path in images.items() if key not in listed]
    squeezed = [record.image_id for record in records if record.pixel_aspect != 1.0]
    cautions = (
        *counted("no_image", "listed images are not here", missing),
        *counted("no_row", "images have no row and are left out", unlisted),
        *counted("squeezed", "square pictures are taken for squeezed from 4:5", squeezed),
    )
    return finish(records, cautions, root)


def _index(images: Iterable[Path]) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    for path in images:
        patient, flat, image = path.stem.partition("_")
        key = (patient, image) if flat else (path.parent.name, path.stem)
        if not (key[0].isdigit() and key[1].isdigit()):
            continue
        if key in found:
            raise InvalidManifest(
                f"image {key[1]} is here twice, also as {found[key]}",
                source=str(path),
                remedy="Give the folder of one release",
            )
        found[key] = path
    return found


def _record(row: Row, path: Path, table: Path) -> Record:
    if row["cancer"] not in _CANCER:
        raise InvalidManifest(
            f"image {row['image_id']} says {row['cancer']!r}",
            source=str(table),
            keyword="cancer",
            remedy="It must be 1, 0 or empty",
        )
    birads = number_of(row.get("BIRADS", ""), table, "BIRADS")
    return Record(
        dataset="rsna",
        image_id=f"{row['patient_id']}_{row['image_id']}",
        patient_id=row["patient_id"],
        path=path,
        laterality=laterality_of(row["laterality"]),
        view_position=view_of(row["view"]),
        malignant=_CANCER[row["cancer"]],
        birads=None if birads is None else f"{birads:g}",
        density=row.get("density") or None,
        age_years=number_of(row.get("age", ""), table, "age"),
        machine=row.get("machine_id") or None,
        pixel_aspect=_aspect(path),
    )


def _aspect(path: Path) -> float:
    """Detectors are not square: a square picture without a header of its own was squeezed."""
    if path.suffix.lower() in (".dcm", ".dicom"):
        return 1.0
    try:
        facts = read_facts(path)
    except InputError:
        return 1.0
    return SQUEEZED_SOURCES["rsna"] if facts.rows == facts.columns else 1.0
