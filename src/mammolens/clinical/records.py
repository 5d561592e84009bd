"""What is known of one patient, and what of it counts for one exam.

The newest statement counts. Statements that contradict each other stay visible and give a caution.
If none of them is the newest, the item is unknown. What was stated after the exam does not count:
it may be known because of the exam.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mammolens.clinical.items import AGE_LIMITS, BIRTH_DATE, ITEMS, Value, show_value
from mammolens.core import Caution, ClinicalItem, Laterality
from mammolens.errors import InvalidManifest
from mammolens.pathology.reports import day_of
from mammolens.wording import printable

__all__ = [
    "AGREEING_YEARS",
    "ClinicalData",
    "ClinicalRecord",
    "choose_items",
    "item_words",
    "known_value",
    "last_day",
    "read_day",
]

AGREEING_YEARS: Final = 2.0
"""Ages within this difference agree, as in `mammolens.images.ages`: a stated age is in whole years.
A larger difference is a doubt about the identity of the patient, so the exam is never low."""
_DAYS_PER_YEAR: Final = 365.25


@dataclass(frozen=True)
class ClinicalRecord:
    """Items of one patient from one place; with a study, they are about that exam alone."""

    patient_id: str
    items: tuple[ClinicalItem, ...]
    study_instance_uid: str | None = None


@dataclass(frozen=True)
class ClinicalData:
    """What some files say of patients, to be looked up for an exam."""

    records: Sequence[ClinicalRecord]
    _of_patient: dict[str, list[ClinicalRecord]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found: dict[str, list[ClinicalRecord]] = {}
        for record in self.records:
            found.setdefault(record.patient_id, []).append(record)
        object.__setattr__(self, "_of_patient", found)

    def of_exam(
        self, patient_id: str | None, study_instance_uid: str | None
    ) -> tuple[ClinicalItem, ...] | None:
        """Give the items of the patient of an exam; ``None`` if the files do not name the patient.

        A record with a study is about that exam alone.
        """
        records = self._of_patient.get(patient_id or "")
        if records is None:
            return None
        studies = (None, study_instance_uid)
        return tuple(i for r in records if r.study_instance_uid in studies for i in r.items)


def choose_items(
    items: Iterable[ClinicalItem], exam_day: date | None
) -> tuple[tuple[ClinicalItem, ...], tuple[Caution, ...]]:
    """Decide which items count for an exam.

    Parameters
    ----------
    items
        All statements about the patient.
    exam_day
        The day of the exam; ``None`` if unknown. Then every date counts.

    Returns
    -------
    All items in the order of `ITEMS`, the newest first, with `is_used` set, and the cautions. Birth
    dates are replaced by the age on the day of the exam. A date that gives an impossible age may be
    that of another patient: it is a doubt, and the age is not used.
    """
    known: dict[tuple[str, Laterality | None], list[ClinicalItem]] = {}
    late: list[ClinicalItem] = []
    cautions: list[Caution] = []
    for item in _with_ages(items, exam_day, cautions):
        if _is_late(item, exam_day):
            late.append(replace(item, is_used=False))
        else:
            known.setdefault((item.name, item.laterality), []).append(item)
    kept: list[ClinicalItem] = []
    for (name, _), group in known.items():
        group.sort(key=lambda item: item.date or date.min, reverse=True)
        rivals = [item for item in group if not _agree(item, group[0])]
        tied = any(item.date == group[0].date for item in rivals)
        kept += [
            replace(item, is_used=not tied and number == 0) for number, item in enumerate(group)
        ]
        if rivals:
            cautions.append(_contradiction(name, group[0], rivals, tied))
    order = [*ITEMS]
    kept = sorted([*kept, *late], key=lambda item: order.index(item.name))
    if late:
        names = ", ".join(dict.fromkeys(item.name for item in late))
        text = f"stated after the exam, so it is not used: {names}"
        cautions.append(Caution("clinical_after_exam", text))
    return tuple(kept), tuple(cautions)


def known_value(
    items: Sequence[ClinicalItem], name: str, side: Laterality | None = None
) -> Value | None:
    """Give the value of an item that counts for a breast; ``None`` if it is unknown.

    What is stated without a side counts for both breasts if it is "no". A "yes" without a side
    counts for neither: it is unknown which breast is meant.
    """
    used = {item.laterality: item.value for item in items if item.is_used and item.name == name}
    if side is not None and side in used:
        return used[side]
    value = used.get(None)
    if side is not None and value is True and ITEMS[name].kind.value == "side":
        return None
    return value


def _with_ages(
    items: Iterable[ClinicalItem], exam_day: date | None, cautions: list[Caution]
) -> Iterator[ClinicalItem]:
    """Give items with the age on the day of the exam; add cautions about impossible ages."""
    for item in items:
        if item.name not in (BIRTH_DATE, "age"):
            yield item
            continue
        day = exam_day or item.date
        if item.name == "age" and (day is None or day == item.date or item.date is None):
            yield item
            continue
        if day is None:
            continue
        if item.name == BIRTH_DATE:
            years = (day - date.fromisoformat(str(item.value))).days / _DAYS_PER_YEAR
            made = ClinicalItem("age", years, f"{item.source}, from the birth date", day)
        else:
            years = float(item.value) + (day - (item.date or day)).days / _DAYS_PER_YEAR
            made = replace(item, value=years)
        if AGE_LIMITS[0] <= years <= AGE_LIMITS[1]:
            yield made
        else:
            text = f"{item.source} gives an impossible age on the day of the exam; it is not used"
            cautions.append(Caution("clinical_impossible", text, doubt=True))


def _is_late(item: ClinicalItem, exam_day: date | None) -> bool:
    if exam_day is None or item.date is None or ITEMS[item.name].lasting:
        return False
    return item.date > exam_day


def _agree(one: ClinicalItem, other: ClinicalItem) -> bool:
    if one.name == "age":
        return abs(float(one.value) - float(other.value)) <= AGREEING_YEARS
    return one.value == other.value


def _contradiction(
    name: str, newest: ClinicalItem, rivals: Sequence[ClinicalItem], tied: bool
) -> Caution:
    """Name the sources, but not the values: a caution may be written beside a pseudonym."""
    sources = " and ".join(dict.fromkeys(item.source for item in (newest, *rivals)))
    outcome = "none is the newest, so it is unknown" if tied else f"{newest.source} is the newest"
    text = f"{ITEMS[name].title}: {sources} contradict each other; {outcome}"
    return Caution("clinical_contradiction", text, doubt=name == "age")


def last_day(now: datetime | None = None) -> date:
    """Give the latest day that it is anywhere: a day after it is in the future everywhere."""
    return ((now or datetime.now(UTC)).astimezone(UTC) + timedelta(hours=14)).date()


def read_day(text: str, source: str, keyword: str, today: date) -> date | None:
    """Read a day; an empty text gives ``None``.

    Raises
    ------
    InvalidManifest
        It is not a date, its day and month cannot be told apart, or it lies after `today`.
    """
    if not text.strip():
        return None
    found = day_of(text)
    if found is None:
        raise InvalidManifest(
            f"{printable(text[:30])!r} is not a date",
            source=source,
            keyword=keyword,
            remedy="Write dates as YYYY-MM-DD",
        )
    if found > today:
        raise InvalidManifest(
            f"{found} is in the future",
            source=source,
            keyword=keyword,
            remedy="Correct the date in the source, or the clock of this machine",
        )
    return found


def item_words(item: ClinicalItem) -> str:
    """Write an item in words: title, side, value, source and date."""
    side = f" {item.laterality.value}" if item.laterality else ""
    day = item.date.isoformat() if item.date else "no date"
    used = "" if item.is_used else ", not used"
    shown = show_value(item.name, item.value)
    return f"{ITEMS[item.name].title}{side}: {shown} ({item.source}, {day}{used})"
