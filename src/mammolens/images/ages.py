"""How old a patient was: PatientAge in its many spellings, held against birth date and study date.

The study's own arithmetic decides where the two disagree, and within an exam whose images name
several ages; where it cannot, the age is unknown. Nothing here raises: an age that cannot be is no
age. Cautions name no age, so that they may stand beside a pseudonym.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Final

from mammolens.core import Caution, ImageRef, SourceHeader
from mammolens.images.dicom_values import Tags

__all__ = ["AGE_LIMITS", "CHILD_YEARS", "age_of", "exam_age", "read_age"]

AGE_LIMITS: Final = 1.0, 115.0
"""Years. Below lies the 000Y of an empty field, above no patient; 999Y is unknown, not old."""
CHILD_YEARS: Final = 15.0
"""The model was trained on adults; mammography below this age is exceptional."""
TOLERANCE_YEARS: Final = 2.0
"""Ages are whole years, and may be those of the day of the order."""
DAYS_PER_YEAR: Final = 365.25
_DAYS: Final = {"Y": DAYS_PER_YEAR, "M": DAYS_PER_YEAR / 12, "W": 7.0, "D": 1.0}
_AGE: Final = re.compile(
    r"(?P<over>[>≥]?)\s*(?P<number>\d{1,3}(?:[.,]\d{1,2})?)\s*(?P<more>\+?)\s*"
    r"(?P<unit>Y|YRS?|YEARS?|YO|A|ANS?|AÑOS|ANNI|ANOS|J|JAHRE?|JAAR|M|MONTHS?|W|WEEKS?|D|DAYS?)?\s*\+?",
    re.IGNORECASE,
)
_DATE: Final = re.compile(r"\s*(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})")
"""A date, also as ACR-NEMA wrote it."""
_UNITS: Final = {"A": "Y", "J": "Y"}


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
    """Find the age of a patient at a study, in years, and what had to be tolerated for it."""
    values = tags.texts("PatientAge")
    days = (tags.text(keyword) for keyword in ("StudyDate", "AcquisitionDate", "ContentDate"))
    study = next((day for day in days if _date(day) is not None), None)
    return _age(values, tags.text("PatientBirthDate"), study)


def exam_age(
    images: Iterable[tuple[ImageRef, SourceHeader]],
) -> tuple[float | None, Caution | None]:
    """Choose one age for the images of an exam.

    Ages that agree are one: the first. Of several, the one that follows from birth date and study
    date is taken if the images agree on that; else the age is unknown. Either is a doubt.

    Parameters
    ----------
    images
        References, with their ages, and headers; pictures without a header have an empty one.
    """
    members = list(images)
    stated = (ref.age_years for ref, _ in members if ref.age_years is not None)
    ages = [years for years in stated if _possible(years) is not None]
    if not ages or _agree(ages):
        return next(iter(ages), None), None
    reckoned = [
        years
        for ref, header in members
        if (years := _reckoned(header.patient_birth_date, _day(ref, header))) is not None
    ]
    if reckoned and _agree(reckoned):
        text = "the images name several ages; birth date and study date decided"
        return reckoned[0], Caution("age_disagrees", text, doubt=True)
    text = "the images name several ages; the age counts as unknown"
    return None, Caution("age_disagrees", text, doubt=True)


def _day(ref: ImageRef, header: SourceHeader) -> str | None:
    days = (header.study_date, ref.acquisition_date, header.content_date)
    return next((day for day in days if _date(day) is not None), None)


def _age(
    values: tuple[str, ...], birth: str | None, study: str | None
) -> tuple[float | None, tuple[Caution, ...]]:
    stated = {years for value in values if (years := read_age(value)) is not None}
    reckoned = _reckoned(birth, study)
    if values and not stated:
        source = "is no possible age"
    elif len(stated) > 1 and not _agree(stated):
        source = "names several ages"
    elif reckoned is None or not stated or _agree((*stated, reckoned)):
        source = ""
    else:
        text = "PatientAge disagrees with birth date and study date, which were taken"
        return reckoned, (Caution("age_disagrees", text, doubt=True),)
    if not source and stated:
        return min(stated), ()
    if reckoned is not None:
        why = f"PatientAge {source}" if source else "PatientAge is absent"
        text = f"{why}; the age follows from birth date and study date"
        return reckoned, (Caution("age_from_birth_date", text),)
    return None, (Caution("age_unusable", f"PatientAge {source}"),) if source else ()


def _reckoned(birth: str | None, study: str | None) -> float | None:
    born, studied = _date(birth), _date(study)
    if born is None or studied is None:
        return None
    return _possible((studied - born).days / DAYS_PER_YEAR)


def _date(text: str | None) -> date | None:
    match = _DATE.match(text or "")
    try:
        return date(*map(int, match.groups())) if match is not None else None
    except ValueError:
        return None


def _possible(years: float) -> float | None:
    youngest, oldest = AGE_LIMITS
    return years if youngest <= years <= oldest else None


def _agree(ages: Iterable[float]) -> bool:
    known = list(ages)
    return max(known) - min(known) <= TOLERANCE_YEARS
