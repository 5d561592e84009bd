"""Pathology reports and outcomes: reports come in, the queue, an exam's outcomes, the audit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from mammolens.core import Laterality
from mammolens.errors import ConfigError, UnreadableReport
from mammolens.outcomes import AXES, EDITIONS, Finding, Settings
from mammolens.serve import outcomes
from mammolens.serve.outcomes import (
    ExamOutcomes,
    OutcomeDetail,
    OutcomeRow,
    OutcomesPage,
    Receipt,
)
from mammolens.serve.people import Refusal, Refused, read_site
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id, PagingNow, download, file_of
from mammolens.serve.portal.problems import make_problem
from mammolens.serve.reading import ReaderKind
from mammolens.serve.record import Form, Number, OutcomeState, PersonRole

__all__ = ["router"]

router = APIRouter(tags=["outcomes"])
ReportState = Annotated[OutcomeState | None, Query(alias="state")]


class NewDecision(Form):
    """What stands from now on; `version` is that of the outcome that was seen."""

    version: Number
    exam_id: Number | None
    outcome: Finding | Literal["not_breast"]
    laterality: Laterality | None
    size_mm: float | None = Field(None, gt=0, lt=500)
    nodes_positive: int | None = Field(None, ge=0, le=200)
    nodes_examined: int | None = Field(None, ge=0, le=200)
    finding: tuple[str, int] | None = Field(
        None, description="image and number of the AI's finding that was sampled"
    )


@router.post("/pathology", status_code=201)
async def receive(
    request: Request,
    caller: CallerNow,
    portal: PortalNow,
    site: Number | None = None,
    patient: Annotated[str | None, Query(max_length=64)] = None,
) -> Receipt:
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
    if site not in may and not person.is_administrator:
        raise Refused(Refusal.NOT_ALLOWED)
    if site is not None:
        await run_in_threadpool(read_site, portal.state.database, person, site)
    content = await request.body()
    try:
        reports = await run_in_threadpool(
            outcomes.given_reports, content, "request", datetime.now(UTC), patient
        )
    except UnreadableReport as error:
        words = " ".join(filter(None, (f"{error.message}.", error.remedy)))
        return make_problem(422, words, "report_unreadable")  # type: ignore[return-value]
    return await run_in_threadpool(
        outcomes.receive_reports, portal.state, reports, person.actor, site
    )


@router.get("/outcomes")
def list_outcomes(
    caller: CallerNow, portal: PortalNow, page: PagingNow, state: ReportState = None
) -> OutcomesPage:
    """List outcomes at the sites where the caller reads, arbitrates or administers."""
    return outcomes.list_outcomes(portal.state.database, caller.person, state=state, **page)


@router.get("/outcomes/{outcome_id}")
def show_outcome(outcome_id: Id, caller: CallerNow, portal: PortalNow) -> OutcomeDetail:
    """Show an outcome with the text of its report and the sentences that prove it."""
    return outcomes.show_outcome(portal.state, caller.person, outcome_id)


@router.put("/outcomes/{outcome_id}")
def decide(outcome_id: Id, form: NewDecision, caller: SessionNow, portal: PortalNow) -> OutcomeRow:
    """Confirm or correct an outcome; both versions are kept."""
    values = form.model_dump(mode="json", exclude={"version", "exam_id"})
    return outcomes.decide_outcome(
        portal.state, caller.person, outcome_id, form.version, form.exam_id, values
    )


@router.get("/exams/{exam_id}/outcomes")
def show_exam_outcomes(exam_id: Id, caller: CallerNow, portal: PortalNow) -> ExamOutcomes:
    """Show what became of the patient of an exam, as far as the caller may see it now."""
    return outcomes.exam_outcomes(portal.state, caller.person, exam_id)


MEDIA: Final = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "fairness": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
}
AUDIT: Final = file_of(*(kind.partition(";")[0] for kind in MEDIA.values()))


@router.get("/sites/{site_id}/audit", response_class=Response, responses=AUDIT)
def audit_site(
    site_id: Id,
    caller: CallerNow,
    portal: PortalNow,
    format: Literal["json", "csv", "fairness", "pdf"] = "json",
    edition: Literal["5th", "4th"] = "5th",
    readers: ReaderKind = ReaderKind.STANDING,
    ai_positive: Literal["high", "intermediate"] = "high",
    since: Annotated[date | None, Query(alias="from")] = None,
    until: Annotated[date | None, Query(alias="to")] = None,
    complete_until: date | None = None,
) -> Response:
    """Give the BI-RADS audit of a site, for those who look after it.

    `csv` is the table of its figures, `fairness` that of subgroups over time.
    """
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
    if format == "json":
        return Response(made, media_type=MEDIA[format])
    name = f"fairness-{site_id}.csv" if format == "fairness" else f"audit-{site_id}.{format}"
    return download(made, MEDIA[format], name)
