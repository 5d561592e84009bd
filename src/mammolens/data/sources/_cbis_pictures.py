"""Find the whole films, crops and masks in a folder tree of CBIS-DDSM, in any release.

The paths in the case tables are those of the first release only. A picture is identified by one of
four things: the name of the case in its path (``Mass-Training_P_00001_LEFT_CC``, followed by ``_1``
for the crop and mask of an abnormality), the series UID of its folder in the case tables,
``dicom_info.csv`` of the JPEG re-release, or its own header. A mask has the size of its film, and a
crop has not. Descriptions decide only where sizes do not, because some descriptions are swapped.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from mammolens.core import Laterality, ViewPosition
from mammolens.data.sources._tree import images_under
from mammolens.errors import InputError
from mammolens.images import PictureFacts, read_facts
from mammolens.tables import Row, read_table

__all__ = ["Case", "Film", "Pictures", "Set", "case_in", "find_pictures"]

_CASE: Final = re.compile(
    r"(?:(?P<set>mass|calc)-(?P<part>training|test)_)?(?P<patient>P_\d{5})"
    r"_(?P<side>LEFT|RIGHT)_(?P<view>CC|MLO)(?P<tail>[^/]*)",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"[_ (](\d{1,2})(?=[_ ).]|$)")
_INFO: Final = "dicom_info.csv"
_INFO_COLUMNS: Final = ("image_path", "PatientID", "SeriesDescription", "Rows", "Columns")


class Film(NamedTuple):
    """One view of one breast of one patient."""

    patient: str
    laterality: Laterality
    view: ViewPosition

    def __str__(self) -> str:
        side = "LEFT" if self.laterality is Laterality.LEFT else "RIGHT"
        return f"{self.patient}_{side}_{self.view.value}"


class Set(NamedTuple):
    """One of the four official sets: masses or calcifications, for training or for testing."""

    of_masses: bool
    to_test: bool


class Case(NamedTuple):
    """The parts of a case's name. `number` is that of the abnormality, ``None`` for a whole film.
    `of_set` is ``None`` if the name does not include it."""

    film: Film
    of_set: Set | None
    number: int | None


class _Kind(Enum):
    FILM = "full"
    CROP = "crop"
    MASK = "mask"


@dataclass(frozen=True)
class _Picture:
    """A picture; `described_as` is the kind in its description or path, `size` (rows, columns)."""

    path: Path
    case: Case
    described_as: _Kind | None
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Pictures:
    """The pictures of a folder tree.

    `films` gives one picture for each film, and `sets` the official sets that the names of its
    pictures give. `masks` have the size of their film. `swapped` names masks that were described
    as crops, `other_size` masks that do not have their film's size, and `unplaced` the files that
    could not be identified.
    """

    films: Mapping[Film, Path]
    sets: Mapping[Film, frozenset[Set]]
    masks: Mapping[Case, Path]
    swapped: tuple[str, ...]
    other_size: tuple[str, ...]
    unplaced: tuple[str, ...]


def case_in(path: str) -> Case | None:
    """Read the case name that is last in a path; ``None`` if the path has no case name.

    Examples
    --------
    >>> case_in("Calc-Test_P_00038_LEFT_CC_1/1.3.6/1.3.7/000001.dcm").number
    1
    >>> print(case_in("flat/Mass-Training_P_00001_LEFT_CC_FULL.png").film)
    P_00001_LEFT_CC
    """
    match = next(reversed(list(_CASE.finditer(path))), None)
    if match is None:
        return None
    film = Film(
        match["patient"].upper(),
        Laterality(match["side"][0].upper()),
        ViewPosition(match["view"].upper()),
    )
    number = _NUMBER.search(match["tail"])
    of_set = None
    if match["set"]:
        of_set = Set(match["set"].lower() == "mass", match["part"].lower() == "test")
    return Case(film, of_set, int(number[1]) if number else None)


def find_pictures(root: Path, series: Mapping[str, Case]) -> Pictures:
    """Identify the pictures below `root` and sort them into films and masks.

    Parameters
    ----------
    series
        Case by series UID, from the case tables. A folder named like the UID has its pictures.
    """
    info = _read_info(root)
    whole: dict[Film, list[_Picture]] = defaultdict(list)
    parts: dict[Case, list[_Picture]] = defaultdict(list)
    unplaced: list[str] = []
    for path in images_under(root):
        picture = _identify(path, root, series, info)
        if picture is None:
            unplaced.append(path.name)
        elif picture.case.number is None and picture.described_as in (None, _Kind.FILM):
            whole[picture.case.film].append(picture)
        else:
            parts[picture.case].append(picture)
    films = {film: min(pictures, key=_preference) for film, pictures in whole.items()}
    sets = {
        film: frozenset(p.case.of_set for p in ps if p.case.of_set) for film, ps in whole.items()
    }
    masks: dict[Case, Path] = {}
    swapped, other_size = [], []
    for case, pictures in parts.items():
        film = films.get(case.film)
        mask = _mask_of(pictures, film.size if film else None)
        if mask is None:
            continue
        if film is not None and None not in (mask.size, film.size) and mask.size != film.size:
            other_size.append(
                mask.path.name if case.number is None else f"{case.film}_{case.number}"
            )
            continue
        if mask.described_as is _Kind.CROP:
            swapped.append(f"{case.film}_{case.number}")
        masks[case] = mask.path
    return Pictures(
        {film: picture.path for film, picture in films.items()},
        sets,
        masks,
        tuple(swapped),
        tuple(other_size),
        tuple(unplaced),
    )


def _preference(picture: _Picture) -> tuple[bool, bool, str]:
    """Sort pictures of masses before those of calcifications, because their outlines are finer."""
    of_set = picture.case.of_set
    return of_set is None, of_set is not None and not of_set.of_masses, str(picture.path)


def _mask_of(pictures: Iterable[_Picture], film: tuple[int, int] | None) -> _Picture | None:
    """Find the mask among crop and mask by the film's size, the description, or the larger size."""
    pictures = list(pictures)
    of_size = [p for p in pictures if film is not None and p.size == film]
    if len(of_size) == 1:
        return of_size[0]
    masks = [p for p in of_size or pictures if p.described_as is _Kind.MASK]
    if len(masks) == 1:
        return masks[0]
    if len(pictures) > 1 and all(p.size for p in pictures):
        return max(pictures, key=lambda p: (p.size or (0, 0), p.described_as is _Kind.MASK))
    return None


def _identify(
    path: Path, root: Path, series: Mapping[str, Case], info: Mapping[str, Row]
) -> _Picture | None:
    inner = path.relative_to(root).as_posix()
    row = info.get("/".join(path.parts[-2:]))
    case = case_in(inner) or series.get(path.parent.name)
    if row is not None:
        case = case or case_in(row["PatientID"])
        size = (_whole_number(row["Rows"]), _whole_number(row["Columns"]))
        facts = PictureFacts(*size, None, row["SeriesDescription"]) if all(size) else None
    else:
        facts = None
    if facts is None:
        try:
            facts = read_facts(path)
        except InputError:
            return None if case is None else _Picture(path, case, _kind(inner), None)
    case = case or case_in(facts.patient_id or "")
    if case is None:
        return None
    described_as = _kind(facts.series_description or "") or _kind(inner)
    return _Picture(path, case, described_as, (facts.rows, facts.columns))


def _kind(text: str) -> _Kind | None:
    text = text.lower()
    if "mask" in text:
        return _Kind.MASK
    if "crop" in text:
        return _Kind.CROP
    return _Kind.FILM if "full" in text else None


def _whole_number(text: str) -> int:
    return int(float(text)) if re.fullmatch(r"\d+(\.0*)?", text) else 0


def _read_info(root: Path) -> dict[str, Row]:
    """Read ``dicom_info.csv``, if it exists: row by ``<series>/<file>.jpg``."""
    for table in sorted(root.rglob(_INFO)):
        rows = read_table(table, _INFO_COLUMNS).rows
        return {"/".join(row["image_path"].split("/")[-2:]): row for row in rows}
    return {}
