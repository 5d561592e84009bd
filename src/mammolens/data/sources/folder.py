"""Read any images, one folder for each class: ``…/malignant/*.png``, ``…/train/benign/…``.

The nearest folder whose name is a class (see ``CLASSES``) gives the label. A folder above it named
train, validation or test gives the split. The patient is the first group of the regular expression
``patient`` in the path below the root. Without an expression the patient is read from the DICOM
header. Without either, each file counts as a patient of its own; a split may then put one patient
on both sides, and a caution says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.sources._tree import Counted, images_under, make_manifest
from mammolens.errors import ConfigError, InputError, InvalidManifest
from mammolens.images import HeaderInfo, ImageFile, identify
from mammolens.spelling import check_known

__all__ = ["CLASSES", "build"]

CLASSES: Final = {
    "normal": (False, False),
    "benign": (True, False),
    "malignant": (True, True),
    "cancer": (True, True),
    "no_cancer": (None, False),
    "tumour": (True, None),
    "unknown": (None, None),
}
"""Class → (tumour, malignant)."""

_ALIASES: Final = {
    "benign_masses": "benign",
    "benign_mass": "benign",
    "malignant_masses": "malignant",
    "malignant_mass": "malignant",
    "not_cancer": "no_cancer",
    "non_cancer": "no_cancer",
    "noncancer": "no_cancer",
    "not_malignant": "no_cancer",
    "non_malignant": "no_cancer",
    "cancerous": "cancer",
    "tumor": "tumour",
    "unlabelled": "unknown",
    "unlabeled": "unknown",
}
_SPLITS: Final = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "test": Split.TEST,
    "testing": Split.TEST,
}


def build(root: Path, *, patient: str = "", classes: str = "", name: str = "") -> Manifest:
    """Read images that are in one folder for each class.

    Parameters
    ----------
    patient
        Regular expression with one group, e.g. ``(P\\d+)_``, searched in the path below `root`.
    classes
        Further folder names, e.g. ``0=no_cancer,1=cancer``.
    name
        Name of the data set; by default the name of the folder.

    Raises
    ------
    ConfigError
        The expression or the classes cannot be understood.
    InvalidManifest
        There are no images, or an image has no class, or the expression does not match its path.
    """
    pattern = _pattern(patient)
    known = _class_names(classes)
    images = images_under(root)
    stray = [path for path in images if _class_of(path, root, known) is None]
    if stray:
        raise InvalidManifest(
            f"{len(stray)} images are not in a folder of a class, first {stray[0]}",
            source=str(root),
            remedy=f"Name the folders {', '.join(CLASSES)}, or give --set classes=FOLDER=CLASS",
        )
    dataset = name or root.resolve().name
    without_patient: list[Path] = []
    records = [_record(path, root, dataset, known, pattern, without_patient) for path in images]
    return make_manifest(records, _cautions(without_patient, records), root)


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        pattern = re.compile(text) if text else None
    except re.error as error:
        raise ConfigError(
            f"{text!r} is not a regular expression: {error}",
            keyword="patient",
            remedy=r"Write for example (P\d+)_",
        ) from error
    if pattern is not None and pattern.groups < 1:
        raise ConfigError(
            f"{text!r} has no group", keyword="patient", remedy=r"Write for example (P\d+)_"
        )
    return pattern


def _class_names(text: str) -> dict[str, str]:
    known = {name: name for name in CLASSES} | _ALIASES
    for pair in filter(None, text.split(",")):
        folder, _, label = (part.strip() for part in pair.partition("="))
        check_known(label, CLASSES, "class", "classes")
        known[_plain(folder)] = label
    return known


def _plain(folder: str) -> str:
    return re.sub(r"[\s-]+", "_", folder.strip().lower())


def _class_of(path: Path, root: Path, known: dict[str, str]) -> str | None:
    folders = path.relative_to(root).parts[:-1]
    return next(
        (known[name] for part in reversed(folders) if (name := _plain(part)) in known), None
    )


def _record(
    path: Path,
    root: Path,
    dataset: str,
    known: dict[str, str],
    pattern: re.Pattern[str] | None,
    without_patient: list[Path],
) -> Record:
    below = path.relative_to(root).as_posix()
    info = _header_or_none(path)
    patient = _patient(below, pattern, info, path)
    if patient is None:
        without_patient.append(path)
    label = _class_of(path, root, known)
    assert label is not None
    tumour, malignant = CLASSES[label]
    folders = below.lower().split("/")[:-1]
    sides = (_SPLITS[folder] for folder in folders if folder in _SPLITS)
    return Record(
        dataset=dataset,
        image_id=below.rpartition(".")[0],
        patient_id=patient or below.rpartition(".")[0],
        path=path,
        laterality=info.ref.laterality if info else None,
        view_position=info.ref.view_position if info else None,
        tumour=tumour,
        malignant=malignant,
        age_years=info.ref.age_years if info else None,
        machine=info.ref.manufacturer if info else None,
        study_id=info.ref.study_instance_uid if info else None,
        split=next(sides, None),
    )


def _header_or_none(path: Path) -> HeaderInfo | None:
    try:
        return identify(ImageFile(path))
    except InputError:
        return None


def _patient(
    below: str, pattern: re.Pattern[str] | None, info: HeaderInfo | None, path: Path
) -> str | None:
    if pattern is None:
        return info.ref.patient_id if info and info.header.sop_class_uid else None
    match = pattern.search(below)
    if match is None or not match[1]:
        raise InvalidManifest(
            f"{pattern.pattern!r} does not find a patient in {below!r}",
            source=str(path),
            keyword="patient",
            remedy="Write an expression that matches every path",
        )
    return match[1]


def _cautions(without_patient: list[Path], records: Iterable[Record]) -> tuple[Counted, ...]:
    sides: dict[str, set[Split | None]] = {}
    for record in records:
        sides.setdefault(record.patient_id, set()).add(record.split)
    leaking = sorted(patient for patient, found in sides.items() if len(found) > 1)
    return (
        (
            "PATIENTS_UNKNOWN",
            "images have no known patient, and each counts as its own patient: A SPLIT MAY PUT ONE"
            " PATIENT ON BOTH SIDES, and figures from it are then too good; give --set"
            " patient=EXPRESSION",
            without_patient,
        ),
        ("patients_on_two_sides", "patients are on two sides of the split", leaking),
    )
