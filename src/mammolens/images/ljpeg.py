"""Read the films of DDSM: LJPEG files, calibrated to optical density × 1000, and `.ics` headers.

Ordinary JPEG readers cannot read these files, for three reasons. Their coder (Stanford's PVRG) has
a bug in the first line, see `decoders.pvrg`. Rows and columns in the stream may be swapped; the
``.ics`` file of the case has the size of the film. Each scanner has its own scale of grey, so only
optical density can be compared. The ``.ics`` file must be in the same folder as the picture.

Source: Debian's notes on pvrg-jpeg (the coder's bug);
http://www.eng.usf.edu/cvprg/Mammography/DDSM/calibrate/ (the scanners);
http://www.eng.usf.edu/cvprg/Mammography/DDSM/case_description.html (the headers).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mammolens.core import Caution, ImageRef, Mammogram, Photometric, SourceHeader
from mammolens.errors import InputError, MissingAttribute, NotAnImage, UnsupportedImage
from mammolens.images import archives
from mammolens.images.decoders.jpeg import stream_size
from mammolens.images.decoders.pvrg import decode_pvrg
from mammolens.images.files import ImageFile
from mammolens.images.limits import check_content, check_size
from mammolens.images.raster import describe_raster

__all__ = [
    "MAX_DENSITY",
    "CaseHeader",
    "FilmScan",
    "case_of",
    "describe_ljpeg",
    "looks_like_ljpeg",
    "optical_density",
    "parse_ics",
    "read_ljpeg",
]

MAX_DENSITY = 4.0
"""Largest optical density: film is hardly ever denser, and these scanners measure no more."""
FILM_NAME = re.compile(r"(LEFT|RIGHT)_(CC|MLO)", re.IGNORECASE)
TOO_DEEP_SHARE = 0.001
"""Share of pixels that may exceed the bits of the scanner. Chosen by hand; not tuned."""


class Calibration(NamedTuple):
    """Optical density = `intercept` + `slope` × grey value (or × its logarithm to base 10).

    Source: the page on the scanners, named at the top of this file.
    """

    intercept: float
    slope: float
    logarithmic: bool = False


DBA_M2100 = Calibration(4.80662 / 1.07553, -1 / 1.07553, logarithmic=True)
HOWTEK_960 = Calibration(3.789, -0.00094568)
HOWTEK_MULTIRAD850 = Calibration(3.96604096240593, -0.00099055807612)
LUMISYS = Calibration(4096.99 / 1009.01, -1 / 1009.01)


def looks_like_ljpeg(name: str, head: bytes) -> bool:
    """Return whether a file with this name and these first bytes is an LJPEG file of DDSM."""
    return name.lower().endswith(".ljpeg") and head.startswith(b"\xff\xd8\xff")


def describe_ljpeg(
    file: ImageFile,
) -> tuple[ImageRef, SourceHeader, tuple[Caution, ...], InputError | None]:
    """Read reference, header and cautions of a film from its name and the header of its case.

    The last value is the error that `read_ljpeg` would raise, as far as the headers show it.
    """
    ref, header, cautions = describe_raster(file.name, None)
    try:
        case, film = _film_of(file)
        _calibration(case, file.name)
    except InputError as error:
        return ref, header, cautions, error
    return _with_case(ref, case, film), header, cautions, None


def read_ljpeg(data: bytes, file: ImageFile) -> Mammogram:
    """Decode a film and calibrate it.

    Returns
    -------
    Mammogram
        ``(rows, columns)`` uint16, optical density × 1000 (as DICOM's Rescale Type ``OD``),
        MONOCHROME1: denser film is darker.

    Raises
    ------
    MissingAttribute
        If there is no ``.ics`` file in the same folder, or it does not list this film.
    UnsupportedImage
        If the scanner is unknown, or the stream is of another kind.
    NotAnImage
        If the stream is damaged, or contradicts the ``.ics`` file.
    """
    case, film = _film_of(file)
    calibration = _calibration(case, file.name)
    check_size(film.rows, film.columns, file.name)
    size = stream_size(data, file.name)
    if size.rows * size.columns != film.rows * film.columns:
        raise NotAnImage(
            f"the stream has {size.rows} x {size.columns} pixels, but the header of the case says"
            f" {film.rows} x {film.columns}",
            source=file.name,
            keyword="LINES",
            remedy="Copy the case again; its .ics and its films belong together",
        )
    grey = decode_pvrg(data, file.name).reshape(film.rows, film.columns).astype(np.uint16)
    if np.count_nonzero(grey >> film.bits) > TOO_DEEP_SHARE * grey.size:
        raise NotAnImage(
            f"the decoded values exceed the {film.bits} bits of the scanner",
            source=file.name,
            keyword="BITS_PER_PIXEL",
            remedy="Copy the case again",
        )
    check_content(grey, file.name)
    ref, header, cautions = describe_raster(file.name, None)
    if size.columns != film.columns:
        note = (
            f"the stream says {size.rows} x {size.columns} pixels; the size in the header of the"
            " case was used"
        )
        cautions = (*cautions, Caution("ljpeg_size_swapped", note))
    pixels = _thousandths(calibration)[grey]
    ref = _with_case(ref, case, film)
    return Mammogram(ref, header, pixels, Photometric.MONOCHROME1, cautions=cautions)


def optical_density(
    grey: npt.NDArray[np.generic], calibration: Calibration
) -> npt.NDArray[np.float64]:
    """Convert a scanner's grey values to optical density, 0–`MAX_DENSITY`.

    Examples
    --------
    >>> optical_density(np.array([0, 1000, 3000]), LUMISYS).round(2)
    array([4.  , 3.07, 1.09])
    """
    values = grey.astype(np.float64)
    if calibration.logarithmic:
        values = np.log10(np.maximum(values, 0.5))
    density = calibration.intercept + calibration.slope * values
    return np.clip(density, 0.0, MAX_DENSITY)


def _thousandths(calibration: Calibration) -> npt.NDArray[np.uint16]:
    table = 1000 * optical_density(np.arange(1 << 16), calibration)
    return np.rint(table).astype(np.uint16)


def _calibration(case: CaseHeader, source: str) -> Calibration:
    """Calibration of the scanner. Howtek made two: the model or the hospital shows which."""
    scanner, hospital = (
        (case.digitizer or "").upper(),
        (case.case or case_of(_last_part(source)))[:1],
    )
    if "DBA" in scanner:
        return DBA_M2100
    if "LUMISYS" in scanner:
        return LUMISYS
    if "HOWTEK" in scanner and ("MULTIRAD" in scanner or hospital == "D"):
        return HOWTEK_MULTIRAD850
    if "HOWTEK" in scanner and ("960" in scanner or hospital == "A"):
        return HOWTEK_960
    raise UnsupportedImage(
        f"no calibration is known for the scanner {case.digitizer or '(not named)'}",
        source=source,
        keyword="DIGITIZER",
        remedy="Name the scanner in the case's .ics file: DBA, HOWTEK 960, HOWTEK MULTIRAD850"
        " or LUMISYS",
    )


def _film_of(file: ImageFile) -> tuple[CaseHeader, FilmScan]:
    name = _last_part(file.name)
    text, source = _ics_beside(file, case_of(name))
    case = parse_ics(text, source)
    named = FILM_NAME.search(name)
    film = case.films.get(named[0].upper()) if named else None
    if film is None:
        raise MissingAttribute(
            "the header of the case does not list this film",
            source=file.name,
            keyword="LINES",
            remedy=f"Keep the names of DDSM; {source} lists {', '.join(case.films)}",
        )
    return case, film


def _ics_beside(file: ImageFile, case: str) -> tuple[str, str]:
    """Read the ``.ics`` file of this case, or the only one in the folder; give text and name."""
    headers = [f for f in _neighbours(file) if f.name.lower().endswith(".ics")]
    named = [f for f in headers if case_of(_last_part(f.name)) == case]
    chosen = named or (headers if len(headers) == 1 else [])
    if not chosen:
        raise MissingAttribute(
            "the header of its case, an .ics file, is not in the same folder: without it, size and"
            " scanner are unknown",
            source=file.name,
            keyword="DIGITIZER",
            remedy="Keep the files of a case together in one folder",
        )
    return chosen[0].read_bytes().decode("ascii", errors="replace"), chosen[0].name


def _neighbours(file: ImageFile) -> list[ImageFile]:
    if file.member is not None:
        folder = PurePosixPath(file.member).parent
        members, _ = archives.list_members(file.path)
        return [replace(file, member=m) for m in members if PurePosixPath(m).parent == folder]
    try:
        return [ImageFile(path) for path in sorted(file.path.parent.iterdir())]
    except OSError:
        return []


def _with_case(ref: ImageRef, case: CaseHeader, film: FilmScan) -> ImageRef:
    pitch = film.spacing_mm
    return replace(
        ref,
        spacing_mm=None if pitch is None else (pitch, pitch),
        manufacturer=case.digitizer,
        age_years=case.age_years,
        acquisition_date=case.study_date,
    )


def _last_part(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/").rpartition("!")[2]).name


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
