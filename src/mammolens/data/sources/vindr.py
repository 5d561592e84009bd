"""Read VinDr-Mammo: ``breast-level_annotations.csv``, ``finding_annotations.csv``, ``images/``.

Images are ``images/<study>/<image>.dicom``, or PNG/JPEG of the same names. Traps: labels are
BI-RADS of the breast, not pathology (1 normal, 2 benign, 3 a finding of unknown kind, 4 and 5 taken
as malignant); boxes are in pixels of the DICOM image; the set identifies exams, not patients, so
each exam counts as a patient; benign findings have no boxes.
Source: Nguyen et al., Scientific Data 10 (2023) 277, doi 10.1038/s41597-023-02100-7.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import Final

from mammolens.core import Caution
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.sources._tree import find_file, images_under, make_manifest, size_of
from mammolens.tables import Row, read_table

__all__ = ["build"]

_NEEDED: Final = ("study_id", "image_id", "laterality", "view_position", "breast_birads", "split")
_FURTHER: Final = ("height", "width", "breast_density")
_BOX: Final = ("ymin", "xmin", "ymax", "xmax")
_SPLITS: Final = {"training": Split.TRAIN, "test": Split.TEST}
_LABELS: Final = {  # BI-RADS → (tumour, malignant)
    birads: labels
    for category, labels in {
        "1": (False, False),
        "2": (True, False),
        "3": (True, None),
        "4": (True, True),
        "5": (True, True),
    }.items()
    for birads in (category, f"bi-rads {category}")
}
_KINDS: Final = {
    "Mass": LesionKind.MASS,
    "Suspicious Calcification": LesionKind.CALCIFICATION,
    "Architectural Distortion": LesionKind.DISTORTION,
    "Asymmetry": LesionKind.ASYMMETRY,
    "Focal Asymmetry": LesionKind.ASYMMETRY,
    "Global Asymmetry": LesionKind.ASYMMETRY,
}
_PATIENT_IS_STUDY: Final = Caution(
    "patient_is_exam",
    "the source identifies exams only: two exams of one patient count as two patients",
)
_LABELS_ARE_BIRADS: Final = Caution(
    "labels_are_birads", "malignant means BI-RADS 4 or 5, benign BI-RADS 2; there is no pathology"
)


def build(root: Path) -> Manifest:
    """Read VinDr-Mammo with its official split and its boxes.

    Raises
    ------
    InvalidManifest
        A table or all images are missing, or a cell cannot be understood.
    """
    table = read_table(find_file(root, "breast-level_annotations.csv"), _NEEDED, _FURTHER)
    table.refuse_repeats("study_id", "image_id")
    marks = _read_findings(find_file(root, "finding_annotations.csv"))
    images = {(path.parent.name, path.stem): path for path in images_under(root)}
    records: list[Record] = []
    missing: list[str] = []
    for row in table.rows:
        key = row.identifier("study_id"), row.identifier("image_id")
        if key in images:
            records.append(_record(row, key, images[key], marks.get(key[1], [])))
        else:
            missing.append("/".join(key))
    cautions = (
        _LABELS_ARE_BIRADS,
        _PATIENT_IS_STUDY,
        ("no_image", "listed images are missing", missing),
    )
    return make_manifest(records, cautions, root)


def _read_findings(table: Path) -> dict[str, list[Lesion]]:
    found: dict[str, list[Lesion]] = defaultdict(list)
    for row in read_table(table, ("image_id", "finding_categories", "finding_birads", *_BOX)).rows:
        row0, col0, row1, col1 = (row.number(column) for column in _BOX)
        _, malignant = row.word("finding_birads", _LABELS) or (None, None)
        if row0 is None or col0 is None or row1 is None or col1 is None:
            continue
        box = (row0, col0, row1, col1)
        found[row.identifier("image_id")].append(Lesion(_kind(row), malignant, box))
    return found


def _kind(row: Row) -> LesionKind:
    """Give the kind of the first known category; the others are findings of skin or nipple."""
    column = "finding_categories"
    try:
        categories = ast.literal_eval(row[column])
    except (ValueError, SyntaxError) as error:
        raise row.wrong(column, "a list of categories, like ['Mass']") from error
    return next((_KINDS[name] for name in categories if name in _KINDS), LesionKind.OTHER)


def _record(row: Row, key: tuple[str, str], path: Path, marks: list[Lesion]) -> Record:
    split = row.word("split", _SPLITS)
    if split is None:
        raise row.wrong("split", "training or test")
    tumour, malignant = row.word("breast_birads", _LABELS) or (None, None)
    scale = _scale(row, path)
    return Record(
        dataset="vindr",
        image_id=key[1],
        patient_id=key[0],
        path=path,
        laterality=row.laterality("laterality"),
        view_position=row.view("view_position"),
        tumour=tumour,
        malignant=malignant,
        birads=_category(row, "breast_birads", "BI-RADS"),
        density=_category(row, "breast_density", "DENSITY"),
        study_id=key[0],
        pixel_aspect=round(scale[1] / scale[0], 3),
        lesions=tuple(_scaled(lesion, scale) for lesion in marks),
        split=split,
    )


def _category(row: Row, column: str, scale: str) -> str | None:
    text = row.text(column)
    return text.upper().removeprefix(scale).strip() if text else None


def _scale(row: Row, path: Path) -> tuple[float, float]:
    """Give the stored pixels per pixel of the DICOM image, (rows, columns)."""
    height, width = row.number("height"), row.number("width")
    if path.suffix.lower() in (".dcm", ".dicom") or not height or not width:
        return 1.0, 1.0
    rows, columns = size_of(path) or (height, width)
    return rows / height, columns / width


def _scaled(lesion: Lesion, scale: tuple[float, float]) -> Lesion:
    assert lesion.box_source_px is not None
    row0, col0, row1, col1 = lesion.box_source_px
    box = (row0 * scale[0], col0 * scale[1], row1 * scale[0], col1 * scale[1])
    return Lesion(lesion.kind, lesion.malignant, box)
