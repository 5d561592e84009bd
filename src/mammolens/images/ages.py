"""Age of the patient: PatientAge in its many spellings, compared with birth date and study date.

If they disagree, or if the images of an exam have several ages, the age is computed from birth date
and study date; if that is impossible, it is unknown. Nothing here raises: an impossible age is
unknown. Cautions never contain the age, so they can be written beside a pseudonym.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

from mammolens.core import Caution, ImageRef, SourceHeader
from mammolens.images.dicom.tags import Tags

__all__ = ["AGE_LIMITS", "CHILD_YEARS", "age_of", "dicom_day", "exam_age", "read_age"]

AGE_LIMITS: Final = 1.0, 115.0
"""Possible ages in years. 000Y is an empty field, 999Y means unknown."""
CHILD_YEARS: Final = 15.0
"""Patients below this age are children. The model was trained on adults."""
TOLERANCE_YEARS: Final = 2.0
"""Ages within this difference agree: PatientAge has whole years, and may be the age at the order.
Chosen by hand; not tuned."""
DAYS_PER_YEAR: Final = 365.25
_DAYS: Final = {"Y": DAYS_PER_YEAR, "M": DAYS_PER_YEAR / 12, "W": 7.0, "D": 1.0}
_AGE: Final = re.compile(
    r"(?P<over>[>≥]?)\s*(?P<number>\d{1,3}(?:[.,]\d{1,2})?)\s*(?P<more>\+?)\s*"
    r"(?P<unit>Y|YRS?|YEARS?|YO|A|ANS?|AÑOS|ANNI|ANOS|J|JAHRE?|JAAR|M|MONTHS?|W|WEEKS?|D|DAYS?)?\s*\+?",
    re.IGNORECASE,
)
_DATE: Final = re.compile(r"\s*(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
"""A date, also in the form of ACR-NEMA, such as 2020.01.31."""
_UNITS: Final = {"A": "Y", "J": "Y"}  # first letters of "year" in other languages


def read_age(text: str | None) -> float | None:
    """Read one value of PatientAge (0010,1010), in years.

    Examples
    --------
    >>> read_age("045Y"), read_age("45"), read_age("540M"), read_age("90+Y"), read_age("45 years")
    (45.0, 45.0, 45.0, 90.0, 45.0)
    >>> read_age("000Y"), read_age("999Y"), read_age("-45Y"), read_age("0710")
    (None, None, None, None)
    """
    match = _AGE.fullmatch((text or "").strip())
    if match is None:
        return None
    letter = (match["unit"] or "Y")[0].upper()
    years = float(match["number"].replace(",", ".")) * _DAYS[_UNITS.get(letter, letter)]
    return _possible(years / DAYS_PER_YEAR)


def age_of(tags: Tags) -> tuple[float | None, tuple[Caution, ...]]:
    """Find the age of a patient at a study in years (``None``: unknown), with cautions."""
    values = tags.texts("PatientAge")
    days = (tags.text(keyword) for keyword in ("StudyDate", "AcquisitionDate", "ContentDate"))
    study = next((day for day in days if dicom_day(day) is not None), None)
    return _age(values, tags.text("PatientBirthDate"), study)


def exam_age(
    images: Iterable[tuple[ImageRef, SourceHeader]],
) -> tuple[float | None, Caution | None]:
    """Choose one age for the images of an exam.

    If the ages agree, it is the first. If they disagree, the age is computed from birth date and
    study date, or unknown if the images disagree on that too; both cases are a doubt.

    Parameters
    ----------
    images
        References with their ages, and headers. The header of a PNG, JPEG, PGM or TIFF is empty.

    Returns
    -------
    The age in years, ``None`` if unknown, and the doubt if there is one.
    """
    members = list(images)
    stated = (ref.age_years for ref, _ in members if ref.age_years is not None)
    ages = [years for years in stated if _possible(years) is not None]
    if not ages or _agree(ages):
        return next(iter(ages), None), None
    computed = [
        years
        for ref, header in members
        if (years := _computed(header.patient_birth_date, _day(ref, header))) is not None
    ]
    if computed and _agree(computed):
        text = "the images have several ages; the age was computed from birth date and study date"
        return computed[0], Caution("age_disagrees", text, doubt=True)
    text = "the images have several ages; the age is treated as unknown"
    return None, Caution("age_disagrees", text, doubt=True)


def _day(ref: ImageRef, header: SourceHeader) -> str | None:
    """The first readable date of study, acquisition or content."""
    days = (header.study_date, ref.acquisition_date, header.content_date)
    return next((day for day in days if dicom_day(day) is not None), None)


def _age(
    values: tuple[str, ...], birth: str | None, study: str | None
) -> tuple[float | None, tuple[Caution, ...]]:
    """Use PatientAge if it agrees with birth date and study date, otherwise the dates."""
    stated = {years for value in values if (years := read_age(value)) is not None}
    computed = _computed(birth, study)
    fault = ""
    if values and not stated:
        fault = "is not a possible age"
    elif len(stated) > 1 and not _agree(stated):
        fault = "has several ages"
    elif computed is not None and stated and not _agree((*stated, computed)):
        text = "PatientAge disagrees with birth date and study date; the dates were used"
        return computed, (Caution("age_disagrees", text, doubt=True),)
    if not fault and stated:
        return min(stated), ()
    if computed is not None:
        cause = f"PatientAge {fault or 'is missing'}"
        text = f"{cause}; the age was computed from birth date and study date"
        return computed, (Caution("age_from_birth_date", text),)
    return None, (Caution("age_unusable", f"PatientAge {fault}"),) if fault else ()


def _computed(birth: str | None, study: str | None) -> float | None:
    """Age in years from birth date and study date; ``None`` if a date is missing or impossible."""
    born, studied = dicom_day(birth), dicom_day(study)
    if born is None or studied is None:
        return None
    return _possible((studied - born).days / DAYS_PER_YEAR)


def dicom_day(text: str | None) -> date | None:
    """Read a date of DICOM, also in the form of ACR-NEMA; ``None`` if it is not one."""
    match = _DATE.match(text or "")
    try:
        return date(*map(int, match.groups())) if match is not None else None
    except ValueError:
        return None


def _possible(years: float) -> float | None:
    youngest, oldest = AGE_LIMITS
    return years if youngest <= years <= oldest else None


def _agree(ages: Iterable[float]) -> bool:
    years = list(ages)
    return max(years) - min(years) <= TOLERANCE_YEARS
