"""Pathology reports and outcomes: reports come in, the queue, an exam's outcomes, the audit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from mammolens.core import Laterality
from mammolens.errors import ConfigError, UnreadableReport
from mammolens.outcomes import AXES, EDITIONS, Finding, Settings
from mammolens.serve import outcomes
from mammolens.serve.outcomes import OutcomeDetail, OutcomeRow, ViewPlace
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import MOST_ID, Before, Form, Id, Limit
from mammolens.serve.portal.problems import make_problem
from mammolens.serve.reading import ReaderKind
from mammolens.serve.record import OutcomeState, PersonRole

__all__ = ["router"]

router = APIRouter(tags=["outcomes"])
ReportState = Annotated[OutcomeState | None, Query(alias="state")]
SiteNumber = Annotated[int | None, Query(ge=1, le=MOST_ID)]
PatientId = Annotated[str | None, Query(max_length=64)]
Day = Annotated[date | None, Query()]


class ReceiptView(BaseModel):
    """What became of the reports of a request."""

    new: int
    repeated: int = Field(description="reports that were received before")
    waiting: int = Field(description="outcomes that newly wait for a person")


class PlaceView(BaseModel):
    """Where a biopsy lies in an image, and the findings of the AI there by their numbers."""

    sop_instance_uid: str
    view: str
    region: tuple[float, float, float, float] = Field(description="row0, col0, row1, col1")
    findings: list[int]


class OutcomeView(BaseModel):
    """An outcome without text of its report."""

    id: int
    version: int
    state: OutcomeState
    site_id: int | None
    exam_id: int | None
    taken: str | None
    proposed: dict[str, Any]
    decided: dict[str, Any] | None
    reasons: list[list[str]] = Field(description="code, and words of the grammar in English")
    changed_at: datetime


class OutcomeList(BaseModel):
    """Outcomes, the newest first."""

    items: list[OutcomeView]
    next: int | None


class ChoiceView(BaseModel):
    """An exam that may be meant."""

    id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None
    birth_date: str | None
    study_date: str | None


class DecisionView(BaseModel):
    """What somebody decided, and what was proposed then."""

    person: str
    at: datetime
    exam_id: int | None
    proposed: dict[str, Any]
    decided: dict[str, Any]


class OutcomeDetailView(OutcomeView):
    """An outcome with its report."""

    text: str
    evidence: list[tuple[str, int, int]] = Field(description="field, start and end in the text")
    candidates: list[ChoiceView]
    places: list[PlaceView]
    decisions: list[DecisionView]


class NewDecision(Form):
    """What stands from now on; `version` is that of the outcome that was seen."""

    version: int = Field(ge=1, le=MOST_ID)
    exam_id: int | None = Field(ge=1, le=MOST_ID)
    outcome: Finding | Literal["not_breast"]
    laterality: Laterality | None
    size_mm: float | None = Field(None, gt=0, lt=500)
    nodes_positive: int | None = Field(None, ge=0, le=200)
    nodes_examined: int | None = Field(None, ge=0, le=200)
    finding: tuple[str, int] | None = Field(
        None, description="image and number of the AI's finding that was sampled"
    )


class ExamOutcome(OutcomeView):
    """An outcome of an exam, with where it lies."""

    places: list[PlaceView]


class ExamOutcomes(BaseModel):
    """The outcomes of an exam; hidden until the person's own first answer is locked."""

    hidden: bool
    items: list[ExamOutcome]


@router.post("/pathology", status_code=201)
async def receive(
    request: Request,
    caller: CallerNow,
    portal: PortalNow,
    site: SiteNumber = None,
    patient: PatientId = None,
) -> ReceiptView:
    """Receive pathology reports: HL7 v2, FHIR R4 in JSON, or text; all of them or none.

    `patient` is the patient's identifier for a text that has none. Uploaders and administrators of
    the site may send; sent again, a report counts once.
    """
    person = caller.person
    may = {*person.sites_as(PersonRole.UPLOADER), *person.sites_as(PersonRole.ADMINISTRATOR)}
    if site is None and len(may) == 1:
        (site,) = may
    if site is None and may:
        raise Refused(Refusal.SITE)
    if site not in may and not (person.is_administrator and site is None):
        raise Refused(Refusal.NOT_ALLOWED)
    content = await request.body()
    try:
        reports = await run_in_threadpool(
            outcomes.given_reports, content, "request", datetime.now(UTC), patient
        )
    except UnreadableReport as error:
        words = " ".join(filter(None, (f"{error.message}.", error.remedy)))
        return make_problem(422, words, "report_unreadable")  # type: ignore[return-value]
    made = await run_in_threadpool(
        outcomes.receive_reports, portal.state, reports, person.actor, site
    )
    return ReceiptView(**vars(made))


@router.get("/outcomes")
def list_outcomes(
    caller: CallerNow,
    portal: PortalNow,
    state: ReportState = None,
    before: Before = None,
    limit: Limit = 50,
) -> OutcomeList:
    """List outcomes at the sites where the caller reads, arbitrates or administers."""
    page = outcomes.list_outcomes(
        portal.state.database, caller.person, state=state, before=before, limit=limit
    )
    return OutcomeList(items=[_view(one) for one in page.items], next=page.next)


@router.get("/outcomes/{outcome_id}")
def show_outcome(outcome_id: Id, caller: CallerNow, portal: PortalNow) -> OutcomeDetailView:
    """Show an outcome with the text of its report and the sentences that prove it."""
    return _detail(outcomes.show_outcome(portal.state, caller.person, outcome_id))


@router.put("/outcomes/{outcome_id}")
def decide(outcome_id: Id, form: NewDecision, caller: SessionNow, portal: PortalNow) -> OutcomeView:
    """Confirm or correct an outcome; both versions are kept."""
    values = form.model_dump(mode="json", exclude={"version", "exam_id"})
    row = outcomes.decide_outcome(
        portal.state, caller.person, outcome_id, form.version, form.exam_id, values
    )
    return _view(row)


@router.get("/exams/{exam_id}/outcomes")
def show_exam_outcomes(exam_id: Id, caller: CallerNow, portal: PortalNow) -> ExamOutcomes:
    """Show what became of the patient of an exam, as far as the caller may see it now."""
    hidden, found = outcomes.exam_outcomes(portal.state, caller.person, exam_id)
    items = [
        ExamOutcome(**_view(row).model_dump(), places=[_place(one) for one in places])
        for row, places in found
    ]
    return ExamOutcomes(hidden=hidden, items=items)


MEDIA: Final = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
}
AUDIT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {kind.partition(";")[0]: {} for kind in MEDIA.values()}}
}


@router.get("/sites/{site_id}/audit", response_class=Response, responses=AUDIT)
def audit_site(
    site_id: Id,
    caller: CallerNow,
    portal: PortalNow,
    format: Literal["json", "csv", "pdf"] = "json",
    edition: Literal["5th", "4th"] = "5th",
    readers: ReaderKind = ReaderKind.STANDING,
    ai_positive: Literal["high", "intermediate"] = "high",
    since: Annotated[date | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
    complete_until: Day = None,
) -> Response:
    """Give the BI-RADS audit of a site, for those who look after it."""
    assert edition in EDITIONS
    by = tuple(axis for axis in AXES if axis != "site")
    asked = Settings(edition, None, by, ai_positive, complete_until, since=since, until=until)
    state = portal.state
    try:
        made = outcomes.site_audit(state, caller.person, site_id, asked, format, readers)
    except ConfigError as error:
        if error.keyword == "--complete-until":
            raise HTTPException(422, "complete_until_in_future") from error
        raise HTTPException(501, "extra_report_needed") from error
    outcomes.note_audit(state, caller.person, site_id, format)
    headers = {"Content-Disposition": f'attachment; filename="audit-{site_id}.{format}"'}
    shown = {} if format == "json" else headers
    return Response(made, media_type=MEDIA[format], headers=shown)


def _view(row: OutcomeRow) -> OutcomeView:
    return OutcomeView(**vars(row))


def _place(one: ViewPlace) -> PlaceView:
    return PlaceView(
        sop_instance_uid=one.sop_instance_uid,
        view=one.view,
        region=one.region_source_px,
        findings=list(one.findings),
    )


def _detail(one: OutcomeDetail) -> OutcomeDetailView:
    return OutcomeDetailView(
        **_view(one.row).model_dump(),
        text=one.text,
        evidence=one.evidence,
        candidates=[ChoiceView(**vars(choice)) for choice in one.candidates],
        places=[_place(place) for place in one.places],
        decisions=[DecisionView(**vars(decision)) for decision in one.decisions],
    )
