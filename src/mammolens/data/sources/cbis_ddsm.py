"""Read CBIS-DDSM: the archive's DICOM tree, or a re-release as PNG or JPEG, with the case tables.

There is one record for each film. A film may be in the sets of masses and of calcifications, and
several times in each. Its abnormalities are merged, and it is malignant if any of them is. The sets
of masses and calcifications were split separately, so some patients are in a training set and in a
test set. Their test films are kept, their training films are left out, and a caution says so.

Source: Lee et al. 2017, doi 10.1038/sdata.2017.177; doi 10.7937/K9/TCIA.2016.7O02S9CY.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammolens.core import Caution, ViewPosition
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.sources._cbis_pictures import (
    Case,
    Film,
    Pictures,
    Set,
    case_in,
    find_pictures,
)
from mammolens.data.sources._tree import Counted, make_manifest
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["build"]

_DATASET: Final = "cbis-ddsm"
_TABLE: Final = re.compile(r"(?P<set>mass|calc)[-_ ].*?(?P<part>train|test).*\.csv", re.IGNORECASE)
_PATHS: Final = ("image file path", "cropped image file path", "ROI mask file path")
_NEEDED: Final = (
    *("patient_id", "left or right breast", "image view", "abnormality id", "abnormality type"),
    *("assessment", "pathology"),
)
_FURTHER: Final = ("breast density", "mass shape", *_PATHS)
_MALIGNANT: Final = {"malignant": True, "benign": False, "benign_without_callback": False}
_VIEWS: Final = (ViewPosition.CC, ViewPosition.MLO)


@dataclass(frozen=True)
class _Abnormality:
    """One row of a case table."""

    case: Case
    of_set: Set
    kind: LesionKind
    malignant: bool
    assessment: str
    density: str


def build(root: Path) -> Manifest:
    """Read CBIS-DDSM, or a part of it.

    Parameters
    ----------
    root
        The folder above pictures and case tables. It may have the archive's tree (any of its
        layouts), the JPEG re-release (``csv/``, ``jpeg/<series>/``), or pictures that are named
        like their case.

    Returns
    -------
    Manifest
        Patient ``P_00001``, image ``P_00001_LEFT_CC``, lesions as masks, official split. Its
        cautions count the films and masks that were left out or could not be identified.

    Raises
    ------
    InvalidManifest
        If tables or whole films are missing, or a row cannot be understood.

    Notes
    -----
    BENIGN_WITHOUT_CALLBACK counts as benign, because an abnormality was marked.
    """
    found: dict[Film, list[_Abnormality]] = defaultdict(list)
    series: dict[str, Case] = {}
    tables: set[Set] = set()
    for table, of_set in _tables(root):
        tables.add(of_set)
        for row in read_table(table, _NEEDED, _FURTHER).rows:
            abnormality = _abnormality(row, of_set)
            found[abnormality.case.film].append(abnormality)
            series |= _series(row, abnormality.case)
    if not tables:
        raise InvalidManifest(
            "this folder has no case table",
            source=str(root),
            remedy="Put mass_case_description_train_set.csv and the other tables into it",
        )
    pictures = find_pictures(root, series)
    sets = _sets(pictures, found)
    patients = _patients_in_both(sets)
    # A film is on the test side if any of its sets is a test set.
    sides = {
        film: Split.TEST if any(of_set.to_test for of_set in of_film) else Split.TRAIN
        for film, of_film in sets.items()
    }
    dropped = [f for f in sides if f.patient in patients and sides[f] is Split.TRAIN]
    records = [
        _record(
            film,
            sorted(found[film], key=lambda a: (not a.of_set.of_masses, a.case.number or 0)),
            pictures,
            sides[film],
        )
        for film in sorted(sides, key=str)
        if film not in dropped
    ]
    shared = _shared_patients_caution(patients, len(dropped))
    return make_manifest(records, (*shared, *_cautions(root, tables, found, pictures)), root)


def _tables(root: Path) -> Iterator[tuple[Path, Set]]:
    seen: set[Set] = set()
    for path in sorted(root.rglob("*.csv")):
        match = _TABLE.fullmatch(path.name)
        if match is None:
            continue
        of_set = Set(match["set"].lower() == "mass", match["part"].lower() == "test")
        if of_set not in seen:
            seen.add(of_set)
            yield path, of_set


def _abnormality(row: Row, of_set: Set) -> _Abnormality:
    patient, number = row["patient_id"], row.identifier("abnormality id")
    if not re.fullmatch(r"P_\d{5}", patient):
        raise row.wrong("patient_id", "like P_00001")
    malignant = row.word("pathology", _MALIGNANT)
    if malignant is None:
        raise row.wrong("pathology", f"one of {', '.join(map(str.upper, _MALIGNANT))}")
    side, view = row.laterality("left or right breast"), row.view("image view")
    if side is None:
        raise row.wrong("left or right breast", "LEFT or RIGHT")
    if view not in _VIEWS:
        raise row.wrong("image view", "CC or MLO")
    if not (number.isascii() and number.isdigit()):
        raise row.wrong("abnormality id", "a number")
    return _Abnormality(
        case=Case(Film(patient, side, view), of_set, int(number)),
        of_set=of_set,
        kind=_kind(row),
        malignant=malignant,
        assessment=row["assessment"],
        density=row["breast density"],
    )


def _kind(row: Row) -> LesionKind:
    if row["abnormality type"].lower() == "calcification":
        return LesionKind.CALCIFICATION
    shape = row["mass shape"]
    if shape == "ARCHITECTURAL_DISTORTION":
        return LesionKind.DISTORTION
    if shape in ("ASYMMETRIC_BREAST_TISSUE", "FOCAL_ASYMMETRIC_DENSITY"):
        return LesionKind.ASYMMETRY
    return LesionKind.MASS


def _series(row: Row, case: Case) -> dict[str, Case]:
    """Give case by series UID; the UID is the folder above the file in each path of the row."""
    series = {}
    for column in _PATHS:
        path = row[column]
        if path.count("/") >= 2:
            series[path.split("/")[-2]] = case_in(path) or case
    return series


def _sets(
    pictures: Pictures, found: Mapping[Film, Sequence[_Abnormality]]
) -> dict[Film, frozenset[Set]]:
    """Give the official sets of each film that has a picture and a row.

    They come from the names of its pictures, or from the tables where the names do not say.
    """
    return {
        film: pictures.sets[film] or frozenset(a.of_set for a in found[film])
        for film in pictures.films
        if film in found
    }


def _patients_in_both(sets: Mapping[Film, frozenset[Set]]) -> set[str]:
    """Find the patients who are in a training set and in a test set."""
    to_test: dict[str, set[bool]] = defaultdict(set)
    for film, of_film in sets.items():
        to_test[film.patient] |= {of_set.to_test for of_set in of_film}
    return {patient for patient, values in to_test.items() if len(values) > 1}


def _record(
    film: Film, abnormalities: Sequence[_Abnormality], pictures: Pictures, side: Split
) -> Record:
    densities = {a.density for a in abnormalities if a.density in ("1", "2", "3", "4")}
    assessments = [a.assessment for a in abnormalities if a.assessment in "0123456"]
    lesions = []
    for abnormality in abnormalities:
        mask = _mask(abnormality.case, abnormalities, pictures)
        if mask is not None:
            lesions.append(Lesion(abnormality.kind, abnormality.malignant, mask_path=mask))
    return Record(
        dataset=_DATASET,
        image_id=str(film),
        patient_id=film.patient,
        path=pictures.films[film],
        laterality=film.laterality,
        view_position=film.view,
        tumour=True,
        malignant=any(a.malignant for a in abnormalities),
        birads=max(assessments, default=None) or None,
        density=densities.pop() if len(densities) == 1 else None,
        lesions=tuple(lesions),
        split=side,
    )


def _mask(case: Case, abnormalities: Sequence[_Abnormality], pictures: Pictures) -> Path | None:
    """Find the mask of an abnormality; its name may lack the set or number if there is only one."""
    names = [case]
    if sum(a.case.number == case.number for a in abnormalities) == 1:
        names.append(case._replace(of_set=None))
    if sum(a.of_set == case.of_set for a in abnormalities) == 1:
        names.append(case._replace(number=None))
    if len(abnormalities) == 1:
        names.append(Case(case.film, None, None))
    return next((pictures.masks[name] for name in names if name in pictures.masks), None)


def _shared_patients_caution(patients: set[str], dropped: int) -> tuple[Caution, ...]:
    if not patients:
        return ()
    what = (
        f"{len(patients)} patients are in a training set and in a test set: their test films are"
        f" kept, {dropped} films that are for training only are left out"
        f" ({', '.join(sorted(patients))})"
    )
    return (Caution("patients_in_training_and_test", what),)


def _cautions(
    root: Path,
    tables: set[Set],
    found: Mapping[Film, Sequence[_Abnormality]],
    pictures: Pictures,
) -> list[Caution | Counted]:
    cautions: list[Caution] = []
    lacking = [
        f"{'mass' if masses else 'calc'} {'test' if test else 'train'}"
        for masses in (True, False)
        for test in (False, True)
        if Set(masses, test) not in tables
    ]
    if lacking:
        cautions.append(
            Caution(
                "tables_missing",
                f"case tables of {', '.join(lacking)} are not in {root.name}: they may say that a"
                " film that is benign here is malignant, or that its patient is in another set",
            )
        )
    listed = [str(film) for film in sorted(found, key=str) if film not in pictures.films]
    unlisted = [str(film) for film in sorted(pictures.films, key=str) if film not in found]
    return [
        *cautions,
        ("images_missing", "films of the tables have no picture here", listed),
        ("images_unlisted", "films are left out, because no table lists them", unlisted),
        (
            "pictures_unplaced",
            "pictures are left out, because nothing says which film they show",
            pictures.unplaced,
        ),
        (
            "masks_swapped",
            "masks are described as crops and were found by their size",
            pictures.swapped,
        ),
        (
            "masks_of_other_size",
            "masks are left out, because they do not have their film's size",
            pictures.other_size,
        ),
    ]
