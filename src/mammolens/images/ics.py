"""Read DDSM's ``.ics`` files: the header of a case, with patient, films and scanner.

Source: http://www.eng.usf.edu/cvprg/Mammography/DDSM/case_description.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mammolens.errors import NotAnImage

__all__ = ["CaseHeader", "FilmScan", "case_of", "parse_ics"]

FILM = re.compile(
    r"(?P<film>(?:LEFT|RIGHT)_(?:CC|MLO))\s+LINES\s+(?P<rows>\d{1,5})"
    r"\s+PIXELS_PER_LINE\s+(?P<columns>\d{1,5})\s+BITS_PER_PIXEL\s+(?P<bits>\d{1,2})"
    r"(?:\s+RESOLUTION\s+(?P<pitch>\d+(?:\.\d+)?))?(?:\s+(?P<overlay>(?:NON_)?OVERLAY))?"
)


@dataclass(frozen=True)
class FilmScan:
    """One digitised film: size in pixels, depth in bits, pixel pitch.

    `marked` says whether the film has an overlay with lesions; ``None`` is unknown.
    """

    rows: int
    columns: int
    bits: int
    spacing_mm: float | None
    marked: bool | None


@dataclass(frozen=True)
class CaseHeader:
    """One case: `films` by name (``LEFT_CC``), `study_date` as YYYYMMDD. ``None`` is unknown."""

    case: str | None
    study_date: str | None
    age_years: float | None
    density: str | None
    digitizer: str | None
    films: Mapping[str, FilmScan]


def parse_ics(text: str, source: str) -> CaseHeader:
    """Read the header of a case.

    Raises
    ------
    NotAnImage
        If it lists no film, or the size of a film is impossible.

    Examples
    --------
    >>> header = parse_ics(
    ...     "filename B-3024-1\\nDATE_OF_STUDY 2 7 1995\\nPATIENT_AGE 42\\nDIGITIZER LUMISYS\\n"
    ...     "LEFT_CC LINES 4696 PIXELS_PER_LINE 3024 BITS_PER_PIXEL 12 RESOLUTION 50 OVERLAY",
    ...     "B-3024-1.ics",
    ... )
    >>> header.case, header.study_date, header.films["LEFT_CC"].spacing_mm
    ('B_3024_1', '19950207', 0.05)
    """
    words: dict[str, str] = {}
    films: dict[str, FilmScan] = {}
    for line in text.splitlines():
        if match := FILM.match(line.strip()):
            films[match["film"]] = _film(match)
        else:
            key, _, value = line.strip().partition(" ")
            words.setdefault(key.upper(), value.strip())
    if not films or any(not (f.rows and f.columns and 2 <= f.bits <= 16) for f in films.values()):
        raise NotAnImage(
            "the header of the case lists no film, or one of an impossible size",
            source=source,
            keyword="LINES",
            remedy="Copy the .ics file of the case again",
        )
    age = words.get("PATIENT_AGE", "")
    name = words.get("FILENAME")
    return CaseHeader(
        case=case_of(name) if name else None,
        study_date=_date(words.get("DATE_OF_STUDY", "")),
        age_years=float(age) if age.isdigit() and int(age) > 0 else None,
        density=words["DENSITY"] if words.get("DENSITY") in ("1", "2", "3", "4") else None,
        digitizer=" ".join(words.get("DIGITIZER", "").split()) or None,
        films=MappingProxyType(films),
    )


def case_of(name: str) -> str:
    """Give the case of a file name such as ``B-3024-1.ics`` or ``B_3024_1.LEFT_CC.LJPEG``.

    Examples
    --------
    >>> case_of("B-3024-1.ics") == case_of("B_3024_1.LEFT_CC.LJPEG")
    True
    """
    return name.partition(".")[0].replace("-", "_").upper()


def _film(match: re.Match[str]) -> FilmScan:
    pitch = float(match["pitch"] or 0) / 1000
    return FilmScan(
        rows=int(match["rows"]),
        columns=int(match["columns"]),
        bits=int(match["bits"]),
        spacing_mm=pitch or None,
        marked=None if match["overlay"] is None else match["overlay"] == "OVERLAY",
    )


def _date(value: str) -> str | None:
    """Convert month, day and year to YYYYMMDD; ``None`` if the date is impossible."""
    match = re.fullmatch(r"(\d{1,2})\s+(\d{1,2})\s+(\d{4})", value)
    if match is None or not (1 <= int(match[1]) <= 12 and 1 <= int(match[2]) <= 31):
        return None
    return f"{match[3]}{int(match[1]):02}{int(match[2]):02}"
