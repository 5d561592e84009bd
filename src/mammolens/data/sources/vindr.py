"""VinDr-Mammo: ``breast-level_annotations.csv``, ``finding_annotations.csv``, ``images/``.

Images are ``images/<study>/<image>.dicom``, or PNG/JPEG of the same names. Traps: labels are
BI-RADS of the breast, not pathology (1 normal, 2 benign, 3 something of unknown kind, 4 and 5 taken
as malignant); boxes are in pixels of the DICOM image; the set names exams, not women, so that each
exam counts as a patient; benign findings were not boxed.
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

_NEEDED: Final = ("study_id", "image_id", "laterality", "view_position", "breast_birads", "split")
_BOX: Final = ("ymin", "xmin", "ymax", "xmax")
_SPLITS: Final = {"training": Split.TRAIN, "test": Split.TEST}
_LABELS: Final = {
    "1": (False, False),
    "2": (True, False),
    "3": (True, None),
    "4": (True, True),
    "5": (True, True),
    "": (None, None),
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
    "the source names exams only: two exams of one woman would count as two women",
)
_LABELS_ARE_BIRADS: Final = Caution(
    "labels_are_birads", "malignant means BI-RADS 4 or 5, benign BI-RADS 2; there is no pathology"
)


def build(root: Path) -> Manifest:
    """Read VinDr-Mammo with its official split and its boxes.

    Raises
    ------
    InvalidManifest
        A table or every image is missing, or a cell cannot be understood.
    """
    table = find_file(root, "breast-level_annotations.csv")
    marks = _read_findings(find_file(root, "finding_annotations.csv"))
    images = {(path.parent.name, path.stem): path for path in images_under(root)}
    records: list[Record] = []
    missing: list[str] = []
    for row in read_table(table, _NEEDED):
        key = row["study_id"], row["image_id"]
        if key in images:
            records.append(_record(row, images[key], marks.get(row["image_id"], []), table))
        else:
            missing.append("/".join(key))
    cautions = (
        _LABELS_ARE_BIRADS,
        _PATIENT_IS_STUDY,
        *counted("no_image", "listed images are not here", missing),
    )
    return finish(records, cautions, root)


def _read_findings(table: Path) -> dict[str, list[Lesion]]:
    found: dict[str, list[Lesion]] = defaultdict(list)
    for row in read_table(table, ("image_id", "finding_categories", "finding_birads", *_BOX)):
        corners = [number_of(row[column], table, column) for column in _BOX]
        row0, col0, row1, col1 = corners
        if row0 is None or col0 is None or row1 is None or col1 is None:
            continue
        _, malignant = _labels(row["finding_birads"], table, "finding_birads")
        kind = _kind(row["finding_categories"], table)
        found[row["image_id"]].append(Lesion(kind, malignant, (row0, col0, row1, col1)))
    return found


def _kind(text: str, table: Path) -> LesionKind:
    """The first category of a list that has a kind of its own; further ones are skin and nipple."""
    try:
        categories = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise InvalidManifest(
            f"{text!r} is no list of categories", source=str(table), keyword="finding_categories"
        ) from error
    return next((_KINDS[name] for name in categories if name in _KINDS), LesionKind.OTHER)


def _labels(text: str, table: Path, column: str) -> tuple[bool | None, bool | None]:
    birads = text.removeprefix("BI-RADS").strip()
    if birads not in _LABELS:
        raise InvalidManifest(
            f"{text!r} is no BI-RADS category of this source", source=str(table), keyword=column
        )
    return _LABELS[birads]


def _record(row: Row, path: Path, marks: list[Lesion], table: Path) -> Record:
    if row["split"] not in _SPLITS:
        raise InvalidManifest(
            f"{row['split']!r} is neither training nor test", source=str(table), keyword="split"
        )
    tumour, malignant = _labels(row["breast_birads"], table, "breast_birads")
    scale = _scale(row, path, table)
    return Record(
        dataset="vindr",
        image_id=row["image_id"],
        patient_id=row["study_id"],
        path=path,
        laterality=laterality_of(row["laterality"]),
        view_position=view_of(row["view_position"]),
        tumour=tumour,
        malignant=malignant,
        birads=row["breast_birads"].removeprefix("BI-RADS").strip() or None,
        density=row.get("breast_density", "").removeprefix("DENSITY").strip() or None,
        study_id=row["study_id"],
        pixel_aspect=round(scale[1] / scale[0], 3),
        lesions=tuple(_scaled(lesion, scale) for lesion in marks),
        split=_SPLITS[row["split"]],
    )


def _scale(row: Row, path: Path, table: Path) -> tuple[float, float]:
    """Stored pixels per pixel of the DICOM image, (rows, columns)."""
    height, width = (number_of(row.get(name, ""), table, name) for name in ("height", "width"))
    if path.suffix.lower() in (".dcm", ".dicom") or not height or not width:
        return 1.0, 1.0
    try:
        facts = read_facts(path)
    except InputError:
        return 1.0, 1.0
    return facts.rows / height, facts.columns / width


def _scaled(lesion: Lesion, scale: tuple[float, float]) -> Lesion:
    assert lesion.box_source_px is not None
    row0, col0, row1, col1 = lesion.box_source_px
    box = (row0 * scale[0], col0 * scale[1], row1 * scale[0], col1 * scale[1])
    return Lesion(lesion.kind, lesion.malignant, box)
