"""CBIS-DDSM: the archive's DICOM tree, or a re-release as PNG or JPEG, with the case tables.

One record a film. A film may stand in the sets of masses and of calcifications, and several times
in each: its abnormalities are merged, and it is malignant if any of them is. Some women stand in a
training and a test set (the sets were split apart from each other): they are kept for testing,
their training films are left out, and a caution says so.

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
from mammolens.data.sources._tree import counted, finish
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
    """Read CBIS-DDSM, whole or in part.

    Parameters
    ----------
    root
        The folder above pictures and case tables. Read are the archive's tree (any of its layouts),
        the JPEG re-release (``csv/``, ``jpeg/<series>/``), and pictures named like their case.

    Returns
    -------
    Manifest
        Patient ``P_00001``, image ``P_00001_LEFT_CC``, lesions as masks, official split. Its
        cautions count what was left out or could not be told.

    Raises
    ------
    InvalidManifest
        If tables or whole films are missing, or a row is not understood.

    Notes
    -----
    BENIGN_WITHOUT_CALLBACK is benign: something was marked there.
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
            "there is no case table here",
            source=str(root),
            remedy="Put mass_case_description_train_set.csv and its like below this folder",
        )
    pictures = find_pictures(root, series)
    sets = _sets(pictures, found)
    women = _women_of_both(sets)
    sides = {film: _side(of_film) for film, of_film in sets.items()}
    dropped = [f for f in sides if f.patient in women and sides[f] is Split.TRAIN]
    records = [
        _record(film, sorted(found[film], key=_masses_first), pictures, sides[film])
        for film in sorted(sides, key=str)
        if film not in dropped
    ]
    shared = _shared(women, len(dropped))
    return finish(records, (*shared, *_cautions(root, tables, found, pictures)), root)


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
    """Case by series UID: the folder above the file in each of a row's paths."""
    series = {}
    for column in _PATHS:
        path = row[column]
        if path.count("/") >= 2:
            series[path.split("/")[-2]] = case_in(path) or case
    return series


def _masses_first(abnormality: _Abnormality) -> tuple[bool, int]:
    return not abnormality.of_set.of_masses, abnormality.case.number or 0


def _sets(
    pictures: Pictures, found: Mapping[Film, Sequence[_Abnormality]]
) -> dict[Film, frozenset[Set]]:
    """The official sets of each film that is both here and listed: by its pictures' names, or by
    the tables where these do not tell."""
    return {
        film: pictures.sets[film] or frozenset(a.of_set for a in found[film])
        for film in pictures.films
        if film in found
    }


def _side(sets: frozenset[Set]) -> Split:
    """Testing if any of a film's sets is for it."""
    return Split.TEST if any(of_set.to_test for of_set in sets) else Split.TRAIN


def _women_of_both(sets: Mapping[Film, frozenset[Set]]) -> set[str]:
    seen: dict[str, set[bool]] = defaultdict(set)
    for film, of_film in sets.items():
        seen[film.patient] |= {of_set.to_test for of_set in of_film}
    return {woman for woman, sides in seen.items() if len(sides) > 1}


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
    """The mask of an abnormality; names may leave out its set or number where there is but one."""
    names = [case]
    if sum(a.case.number == case.number for a in abnormalities) == 1:
        names.append(case._replace(of_set=None))
    if sum(a.of_set == case.of_set for a in abnormalities) == 1:
        names.append(case._replace(number=None))
    if len(abnormalities) == 1:
        names.append(Case(case.film, None, None))
    return next((pictures.masks[name] for name in names if name in pictures.masks), None)


def _shared(women: set[str], dropped: int) -> tuple[Caution, ...]:
    if not women:
        return ()
    what = (
        f"{len(women)} women stand in a training and in a test set: their films are kept for"
        f" testing, {dropped} that are for training only were left out ({', '.join(sorted(women))})"
    )
    return (Caution("patients_in_training_and_test", what),)


def _cautions(
    root: Path,
    tables: set[Set],
    found: Mapping[Film, Sequence[_Abnormality]],
    pictures: Pictures,
) -> list[Caution]:
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
                f"case tables of {', '.join(lacking)} are not below {root.name}: a film that is"
                " benign here may be malignant, or its woman in another set, by them",
            )
        )
    listed = [str(film) for film in sorted(found, key=str) if film not in pictures.films]
    unlisted = [str(film) for film in sorted(pictures.films, key=str) if film not in found]
    for name, what, items in (
        ("images_missing", "films of the tables are not here", listed),
        ("images_unlisted", "films left out, no table lists them", unlisted),
        ("pictures_unplaced", "pictures left out, nothing says whose they are", pictures.unplaced),
        ("masks_swapped", "masks were described as crops; told by size", pictures.swapped),
        ("masks_of_other_size", "masks left out, not of their film's size", pictures.other_size),
    ):
        cautions += counted(name, what, items)
    return cautions
