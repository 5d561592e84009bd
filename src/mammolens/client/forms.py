"""What the application answers, typed; fields that a newer application adds are kept as they come.

Unknown is ``None``: never a zero, and never a no.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = [
    "AiSummary",
    "Artefact",
    "Exam",
    "ExamPage",
    "Member",
    "Named",
    "Patient",
    "Reading",
    "Upload",
    "UploadResult",
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Named(_Answer):
    """A site or a person."""

    id: int
    name: str


class Patient(_Answer):
    """The patient of an exam; `key` finds their exams at the same site."""

    id: str | None
    name: str | None
    key: str | None = None
    birth_date: str | None
    age_years: int | None
    sex: str | None


class AiSummary(_Answer):
    """What the AI says of an exam in short; a failure has no score."""

    category: str
    score: float | None
    score_text: str | None
    prevalence: float | None
    doubts: list[str]
    failure: str | None
    model: str
    notice: str


class Exam(_Answer):
    """One exam. `ai` is ``None`` if there is no result yet, and also if `ai_hidden`."""

    id: int
    study_instance_uid: str
    accession_number: str | None
    patient: Patient
    site: Named | None
    received_at: datetime
    views: list[str]
    complete: bool
    ai: AiSummary | None
    ai_hidden: bool
    status: str
    reader: Named | None
    has_priors: bool
    revision: int | None

    @property
    def is_analysed(self) -> bool:
        """Whether the analysis of what has come so far is done, also if it failed."""
        return self.status not in ("waiting", "analysing")


class ExamPage(_Answer):
    """One page of a list; `next` is the cursor of the following page."""

    items: list[Exam]
    next: str | None
    total: int


class Artefact(_Answer):
    """A file that a sink made of the newest result."""

    sink: str
    name: str
    media_type: str
    size: int
    revision: int
    url: str


class Upload(_Answer):
    """A file on its way; `received` of `length` bytes have come."""

    id: str
    name: str
    site_id: int
    length: int
    received: int
    state: str
    problem: str | None


class Member(_Answer):
    """What became of one file of an upload."""

    name: str
    outcome: str
    reason: str | None
    exam_id: int | None


class UploadResult(Upload):
    """What became of an upload, and of each file in it."""

    members: list[Member]

    @property
    def exam_ids(self) -> list[int]:
        """The exams that files of the upload belong to."""
        found = {member.exam_id for member in self.members if member.exam_id is not None}
        return sorted(found)


class Reading(_Answer):
    """What a person answers to an exam, as far as the caller may see it."""

    id: int
    exam_id: int
    person: Named
    role: str
    state: str
    recall: bool | None = None
    findings: list[dict[str, Any]] = []
    comment: str | None = None
    signed_at: datetime | None
    etag: str
