"""Consents of patients: how a device sends one, and what a person sees of those of an exam."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, ValidationError

from mammolens.serve import uploads
from mammolens.serve.portal.caller import CallerNow, PortalNow
from mammolens.serve.portal.forms import Form, Id, Line
from mammolens.serve.uploads import Consent

__all__ = ["ConsentForm", "read_consent", "router"]

router = APIRouter(tags=["exams"])


class ConsentForm(Form):
    """What a patient agreed to; `text_digest` is the SHA-256 of the text that was shown."""

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")
    text_version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,16}$")]
    text_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    language: str = Field(pattern=r"^[a-z]{2,8}$")
    name: Line
    patient_id: Annotated[Line, StringConstraints(max_length=64)]
    birth_year: int = Field(ge=1900, le=2100)
    given_at: AwareDatetime


class ConsentView(BaseModel):
    """A consent of a patient, and who asked for it."""

    name: str
    patient_id: str
    birth_year: int
    text_version: str
    text_digest: str
    language: str
    given_at: datetime
    asked_by: str
    received_at: datetime


@router.get("/exams/{exam_id}/consents")
def list_consents(exam_id: Id, caller: CallerNow, portal: PortalNow) -> list[ConsentView]:
    """List the consents that came with the images of an exam."""
    found = uploads.list_consents(portal.state, caller.person, exam_id)
    return [
        ConsentView(**vars(one.consent), asked_by=one.person_name, received_at=one.created_at)
        for one in found
    ]


def read_consent(text: str) -> Consent:
    """Read the consent in the metadata of an upload.

    Raises
    ------
    HTTPException
        It cannot be understood; nothing of it is repeated, as it names a patient.
    """
    try:
        form = ConsentForm.model_validate_json(text)
    except ValidationError as error:
        raise HTTPException(422, "invalid") from error
    return Consent(**{**form.model_dump(), "given_at": form.given_at.astimezone(UTC)})
