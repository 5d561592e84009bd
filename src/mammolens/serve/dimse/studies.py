"""Queries for studies, and the studies in the answers of a PACS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from mammolens.errors import ConfigError
from mammolens.serve.dimse.data_sets import data_set

__all__ = ["FoundStudy", "StudyQuery", "read_study"]

ASKED: Final = (
    "AccessionNumber",
    "ModalitiesInStudy",
    "PatientBirthDate",
    "PatientID",
    "StudyDate",
    "StudyInstanceUID",
)


@dataclass(frozen=True)
class StudyQuery:
    """A query for studies; ``None`` matches any value, but not all values may be ``None``.

    Raises
    ------
    ConfigError
        Nothing is given, or a value has a wildcard.
    """

    study_instance_uid: str | None = None
    accession_number: str | None = None
    patient_id: str | None = None
    first_date: date | None = None
    last_date: date | None = None
    modality: str | None = None

    def __post_init__(self) -> None:
        given = (self.study_instance_uid, self.accession_number, self.patient_id)
        if not any((*given, self.first_date, self.last_date)):
            raise ConfigError(
                "a query for everything",
                remedy="Give a study, an accession number, a patient or dates",
            )
        if any(set(value) & {*"*?\\"} for value in given if value):
            raise ConfigError("wildcards are not looked for", remedy="Give the value as it is")

    def identifier(self) -> Dataset:
        """Make the identifier of a C-FIND at the study level."""
        data = data_set(QueryRetrieveLevel="STUDY", **dict.fromkeys(ASKED, ""))
        data.StudyInstanceUID = self.study_instance_uid or ""
        data.AccessionNumber = self.accession_number or ""
        data.PatientID = self.patient_id or ""
        data.ModalitiesInStudy = self.modality or ""
        if self.first_date or self.last_date:
            days = (self.first_date, self.last_date)
            ends = (day.strftime("%Y%m%d") if day else "" for day in days)
            data.StudyDate = "-".join(ends)
        return data

    def fits(self, study: FoundStudy) -> bool:
        """Whether a study matches the query; a missing value does not match.

        Examples
        --------
        >>> study = FoundStudy("1.2", "P1", "A1", date(2024, 5, 1), None, ("MG",))
        >>> StudyQuery(patient_id="P1").fits(study), StudyQuery(patient_id="P2").fits(study)
        (True, False)
        """
        first, last = self.first_date, self.last_date
        when = study.study_date
        return (
            self.study_instance_uid in (None, study.study_instance_uid)
            and self.accession_number in (None, study.accession_number)
            and self.patient_id in (None, study.patient_id)
            and (first is None or (when is not None and when >= first))
            and (last is None or (when is not None and when <= last))
            and (self.modality is None or self.modality in study.modalities)
        )


@dataclass(frozen=True)
class FoundStudy:
    """A study in the answer of a PACS."""

    study_instance_uid: str
    patient_id: str | None
    accession_number: str | None
    study_date: date | None
    patient_birth_date: str | None
    modalities: tuple[str, ...]


def read_study(data: Dataset) -> FoundStudy | None:
    """Read an answer to a C-FIND; ``None`` if it has no study UID or cannot be read."""
    try:
        values = {keyword: _text(data, keyword) for keyword in ASKED}
    except Exception:
        # pydicom decodes a value when it is read, and may raise any exception.
        return None
    uid = values["StudyInstanceUID"]
    if not uid:
        return None
    return FoundStudy(
        study_instance_uid=uid,
        patient_id=values["PatientID"],
        accession_number=values["AccessionNumber"],
        study_date=_date(values["StudyDate"]),
        patient_birth_date=values["PatientBirthDate"],
        modalities=tuple((values["ModalitiesInStudy"] or "").split("\\")),
    )


def _text(data: Dataset, keyword: str) -> str | None:
    value = data.get(keyword)
    values = value if isinstance(value, MultiValue) else [value]
    return "\\".join(str(part).strip() for part in values if part) or None


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
