"""Forms of exams: rows of the worklist, one exam, its files."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from mammolens.core import MarkKind, Standing
from mammolens.serve.portal.forms import MOST_ID, Form
from mammolens.serve.worklist import ExamRow, ExamStatus

__all__ = [
    "AiSummaryView",
    "ArtefactView",
    "CategoryName",
    "ExamList",
    "ExamRowView",
    "ExamView",
    "NewSite",
    "QualityView",
    "view_row",
]

CategoryName = Literal["high", "failed", "withheld", "intermediate", "low"]


class PatientView(BaseModel):
    """The patient of an exam; `key` finds their exams at the same site."""

    id: str | None
    name: str | None
    key: str | None
    birth_date: str | None
    age_years: int | None
    sex: str | None


class NamedView(BaseModel):
    """A site or a person by number and name."""

    id: int
    name: str


class AiSummaryView(BaseModel):
    """What the AI says in short; a failure has no score, and in triage alone none is shown."""

    category: CategoryName
    score: float | None
    score_text: str | None
    prevalence: float | None
    doubts: list[str]
    failure: str | None
    model: str
    from_photograph: bool = Field(description="an image is a photograph of a film: never low")
    notice: str


class ExamRowView(BaseModel):
    """One exam in a list."""

    id: int
    study_instance_uid: str
    accession_number: str | None
    patient: PatientView
    site: NamedView | None
    received_at: datetime
    study_date: str | None
    views: list[str]
    complete: bool
    refused: int
    ai: AiSummaryView | None
    ai_hidden: bool
    status: ExamStatus
    reader: NamedView | None
    has_priors: bool
    version: int
    revision: int | None
    banner: str | None = Field(description="must be visible wherever the exam is")


class ExamList(BaseModel):
    """One page; `next` is the cursor of the next, `total` how many fit in all."""

    items: list[ExamRowView]
    next: str | None
    total: int


class ExamView(ExamRowView):
    """One exam; `viewer_url` is where the viewer reads it."""

    mode: str
    viewer_url: str
    priors: list[ExamRowView]


class ArtefactView(BaseModel):
    """A file that a sink made of the newest result."""

    sink: str
    name: str
    media_type: str
    size: int
    revision: int
    created_at: datetime
    url: str


class MarkView(BaseModel):
    """A place that shows a criterion: points (row, column) in pixels of the stored image."""

    kind: MarkKind
    points: list[tuple[float, float]]


class CriterionView(BaseModel):
    """One criterion of quality; `doubt` says that it withholds `low`."""

    name: str
    standing: Standing
    reason: str
    value: float | None
    limit: float | None
    unit: str
    doubt: bool
    marks: list[MarkView]


class ImageQualityView(BaseModel):
    """The criteria of one picture; null: it has no verdict."""

    sop_instance_uid: str
    laterality: str | None
    view_position: str | None
    rows: int | None
    columns: int | None
    criteria: list[CriterionView] | None


class QualityView(BaseModel):
    """The quality of an exam; `ready`: no picture waits for its verdict."""

    ready: bool
    exam: list[CriterionView]
    images: list[ImageQualityView]


class NewSite(Form):
    """The site of an exam; `before` is the one that was seen."""

    site_id: int | None = Field(ge=1, le=MOST_ID)
    before: int | None = Field(None, ge=1, le=MOST_ID)


def view_row(row: ExamRow) -> ExamRowView:
    """Make the JSON of an exam in a list."""
    site = row.site_id is not None and NamedView(id=row.site_id, name=row.site_name or "")
    reader = row.reader_id is not None and NamedView(id=row.reader_id, name=row.reader_name or "")
    return ExamRowView(
        id=row.id,
        study_instance_uid=row.study_instance_uid,
        accession_number=row.accession_number,
        patient=PatientView(
            id=row.patient_id,
            name=row.patient_name,
            key=row.patient_key,
            birth_date=row.birth_date,
            age_years=row.age_years,
            sex=row.sex,
        ),
        site=site or None,
        received_at=row.received_at,
        study_date=row.study_date,
        views=list(row.views),
        complete=row.complete,
        refused=row.refused,
        ai=AiSummaryView(**vars(row.ai)) if row.ai else None,
        ai_hidden=row.ai_hidden,
        status=row.status,
        reader=reader or None,
        has_priors=row.has_priors,
        version=row.version,
        revision=row.revision,
        banner=row.banner,
    )
