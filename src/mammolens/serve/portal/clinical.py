"""Clinical data of an exam: stated by those who send or read it, or by FHIR and HL7 messages."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from mammolens import DISCLAIMER
from mammolens.clinical import ITEMS, show_value
from mammolens.clinical.items import Kind
from mammolens.core import ClinicalItem, DensityCategory, Laterality
from mammolens.serve import clinical, worklist
from mammolens.serve.portal.caller import CallerNow, PortalNow
from mammolens.serve.portal.forms import Id
from mammolens.serve.record import Form

__all__ = ["router"]

router = APIRouter(tags=["clinical data"])
FLAGS: Final = ("yes", "no")
SIDES: Final = ("R", "L", "both", "no")
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/fhir+json", "x-application/hl7-v2+er7")
        },
    }
}


class NewItems(Form):
    """Everything that people state; it replaces what they stated before."""

    items: list[clinical.Statement] = Field(max_length=100)


class ItemView(BaseModel):
    """One statement, and whether it counts."""

    name: str
    title: str
    value: bool | float | str
    shown: str = Field(description="the value with its unit, in English")
    laterality: Laterality | None
    source: str
    date: datetime.date | None
    is_used: bool


class ContributionView(BaseModel):
    """What an input added to the log-odds of malignancy."""

    name: str
    laterality: Laterality | None
    log_odds: float


class FusionView(BaseModel):
    """How clinical data changed the score of the newest result."""

    images_malignancy: float | None
    contributions: list[ContributionView]
    missing: list[str]


class BreastDensityView(BaseModel):
    """Density of a breast by the AI; null if it is not sure."""

    laterality: Laterality
    category: DensityCategory | None


class DensityView(BaseModel):
    """BI-RADS density by the AI in the newest result; the exam has that of the denser breast."""

    category: DensityCategory | None
    source: str
    breasts: list[BreastDensityView]


class FieldView(BaseModel):
    """An item that can be stated: `choices` are its possible words, none for a number."""

    name: str
    unit: str | None
    choices: list[str]
    stated: str | None = Field(description="what people stated, to be changed")


class ClinicalView(BaseModel):
    """What is known of the patient beside the images; `unknown` names what is not."""

    items: list[ItemView]
    unknown: list[str]
    fields: list[FieldView]
    cautions: list[str]
    fusion: FusionView | None = Field(description="null where the AI is hidden, or has no fusion")
    density: DensityView | None = Field(description="null where the AI is hidden, or it is unknown")
    notice: str


class ReceivedView(BaseModel):
    """The exams that a message was about."""

    exams: list[int]


@router.get("/exams/{exam_id}/clinical")
def show_clinical(exam_id: Id, caller: CallerNow, portal: PortalNow) -> ClinicalView:
    """Show what is known of the patient, with source and date; the view is audited."""
    return _view(exam_id, caller, portal)


@router.put("/exams/{exam_id}/clinical")
def state_clinical(
    exam_id: Id, form: NewItems, caller: CallerNow, portal: PortalNow
) -> ClinicalView:
    """Replace what people stated of the patient; for those who send or read exams of the site."""
    clinical.state_items(portal.state, caller.person, exam_id, form.items)
    return _view(exam_id, caller, portal)


@router.post("/clinical", openapi_extra=BODY)
async def receive_clinical(request: Request, caller: CallerNow, portal: PortalNow) -> ReceivedView:
    """Take a FHIR R4 Bundle (JSON) or an HL7 v2 message (ADT, ORU) for the exams of its patients.

    Each item that it states replaces what earlier messages stated of it. The caller must send or
    read exams.
    """
    data = await request.body()
    found = await run_in_threadpool(clinical.receive_message, portal.state, caller.person, data)
    return ReceivedView(exams=found)


def _view(exam_id: int, caller: CallerNow, portal: PortalNow) -> ClinicalView:
    known = clinical.read_known(portal.state, caller.person, exam_id)
    ai = worklist.read_ai_beside(portal.state, caller.person, exam_id)
    used = {item.name for item in known.items if item.is_used}
    return ClinicalView(
        items=[
            ItemView(
                **vars(item),
                title=ITEMS[item.name].title,
                shown=show_value(item.name, item.value),
            )
            for item in known.items
        ],
        unknown=[name for name in ITEMS if name not in used],
        fields=[_field(name, known.stated) for name in ITEMS],
        cautions=[caution.message for caution in known.cautions],
        fusion=ai.get("fusion"),
        density=ai.get("density"),
        notice=DISCLAIMER,
    )


def _field(name: str, stated: Sequence[ClinicalItem]) -> FieldView:
    item = ITEMS[name]
    choices = {Kind.FLAG: FLAGS, Kind.SIDE: SIDES, Kind.NUMBER: ()}.get(item.kind, item.scale)
    own = [one for one in stated if one.name == name]
    value = own[0].value if own else None
    text = show_value(name, value).partition(" ")[0] if isinstance(value, bool | float) else value
    if own and value is True and own[0].laterality:  # A SIDE; each breast has a statement.
        text = "both" if len(own) > 1 else own[0].laterality.value
    unit = item.units[0] if item.units else None
    return FieldView(name=name, unit=unit, choices=list(choices), stated=text)
