"""Read CMMD: ``CMMD_clinicaldata_revision.xlsx`` (or CSV) and DICOM files in folders by patient.

The table has a row for each labelled breast (``ID1, LeftRight, Age, number, abnormality,
classification, subtype``). The laterality and view of an image are only in its DICOM header. Traps:
a breast without a row is unknown, not normal; the table gives benign or malignant (by biopsy) and
never normal; scores by breast and by patient differ a lot on this set.
Source: Cui et al., doi 10.7937/tcia.eqde-4b16.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mammolens.core import Laterality
from mammolens.data.manifest import Manifest, Record
from mammolens.data.sources._tree import find_file, images_under, make_manifest
from mammolens.errors import InputError
from mammolens.images import HeaderInfo, ImageFile, identify
from mammolens.tables import Row, read_table

__all__ = ["build"]

_NAMES: Final = (
    "CMMD_clinicaldata_revision.csv",
    "CMMD_clinicaldata_revision_CSV.csv",
    "CMMD_clinicaldata_revision.xlsx",
)
_NEEDED: Final = ("ID1", "LeftRight", "classification")
_MALIGNANT: Final = {"benign": False, "malignant": True}
_PATIENT: Final = re.compile(r"D[12]-\d{4}")

_Breast = tuple[str, Laterality | None]


def build(root: Path) -> Manifest:
    """Read CMMD. Laterality, view and patient come from the headers; pixels are not decoded.

    Raises
    ------
    InvalidManifest
        The clinical table or all images are missing, or a cell cannot be understood.
    ConfigError
        The table is an Excel sheet and openpyxl is not installed.
    """
    table = find_file(root, *_NAMES)
    breasts = _read_breasts(table)
    records: list[Record] = []
    unreadable: list[Path] = []
    for path in images_under(root):
        try:
            info = identify(ImageFile(path))
        except InputError:
            unreadable.append(path)
            continue
        record = _record(path, info, breasts)
        if record is not None:
            records.append(record)
    unknown = [record.image_id for record in records if record.malignant is None]
    cautions = (
        ("unreadable", "files are not images and are left out", unreadable),
        ("no_row", "images show breasts without a row: their label is unknown", unknown),
        ("no_image", "listed breasts have no image here", _without_image(breasts, records)),
    )
    return make_manifest(records, cautions, root)


def _read_breasts(table: Path) -> dict[_Breast, Row]:
    breasts: dict[_Breast, Row] = {}
    for row in read_table(table, _NEEDED, ("Age",)).rows:
        side = row.laterality("LeftRight")
        if side is None:
            raise row.wrong("LeftRight", "L or R")
        breast = row.identifier("ID1"), side
        earlier = breasts.get(breast)
        # If one breast has two rows, cancer in either row is cancer in the breast. One benign and
        # one unknown row make the breast unknown.
        if earlier is None or _rank(row) > _rank(earlier):
            breasts[breast] = row
    return breasts


def _rank(row: Row) -> int:
    return {False: 0, None: 1, True: 2}[row.word("classification", _MALIGNANT)]


def _record(path: Path, info: HeaderInfo, breasts: dict[_Breast, Row]) -> Record | None:
    ref = info.ref
    patient = _patient(path, ref.patient_id)
    if patient is None:
        return None
    row = breasts.get((patient, ref.laterality))
    malignant = row.word("classification", _MALIGNANT) if row else None
    return Record(
        dataset="cmmd",
        image_id=ref.sop_instance_uid
        or path.relative_to(path.parents[2]).with_suffix("").as_posix(),
        patient_id=patient,
        path=path,
        laterality=ref.laterality,
        view_position=ref.view_position,
        tumour=None if malignant is None else True,
        malignant=malignant,
        age_years=row.age("Age") if row else ref.age_years,
        machine=ref.manufacturer,
        study_id=ref.study_instance_uid,
    )


def _patient(path: Path, in_header: str | None) -> str | None:
    """Give the patient of the header, or of the nearest folder that is named like a patient."""
    names = [in_header or "", *reversed(path.parts)]
    return next((name for name in names if _PATIENT.fullmatch(name)), None)


def _without_image(breasts: dict[_Breast, Row], records: list[Record]) -> list[str]:
    seen = {(record.patient_id, record.laterality) for record in records}
    return [f"{patient} {side.value if side else '?'}" for patient, side in breasts.keys() - seen]
