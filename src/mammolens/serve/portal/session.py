"""The session of the caller: what it waits for, its end, and the other sessions they have."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, SecretStr, StringConstraints

from mammolens.serve import people
from mammolens.serve.people import LEAST_CHARS, Session, Stage
from mammolens.serve.portal.caller import PortalNow, SessionNow
from mammolens.serve.portal.forms import Form, Id, PersonView, view_person
from mammolens.serve.record import SignInMethod

__all__ = ["SessionView", "router", "view_session"]

router = APIRouter(tags=["session"])


class SessionView(BaseModel):
    """A session; requests that change something need its `csrf_token` as header X-CSRF-Token."""

    id: int
    stage: Stage = Field(description="what the sign-in waits for; open: nothing")
    csrf_token: str
    expires_at: datetime
    person: PersonView


class SessionNoteView(BaseModel):
    """A line of the list of sessions."""

    id: int
    is_this: bool
    method: SignInMethod
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    agent: str


class Code(Form):
    """A code of the second factor."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9 ]{6,12}$")]


class NewPassword(Form):
    """A new password, and the present one where the person is signed in already."""

    new: SecretStr = Field(max_length=1024, description=f"at least {LEAST_CHARS} characters")
    present: SecretStr | None = Field(None, max_length=1024)


class OfferView(BaseModel):
    """A second factor to set up; its first code puts it in force."""

    secret: str
    uri: str


class Ended(BaseModel):
    """How many sessions ended."""

    ended: int


def view_session(session: Session) -> SessionView:
    """Make the JSON of a session for its browser."""
    return SessionView(
        id=session.id,
        stage=session.stage,
        csrf_token=session.csrf_token,
        expires_at=session.expires_at,
        person=view_person(session.person),
    )


@router.get("/session")
def show_session(caller: SessionNow) -> SessionView:
    """Say who is signed in, and what else is asked for."""
    return view_session(caller.session)


@router.delete("/session", status_code=204)
def sign_out(caller: SessionNow, response: Response, portal: PortalNow) -> None:
    """Sign out."""
    portal.sign_ins.sign_out(caller.session)
    portal.forget(response)


@router.post("/session/code")
def give_code(form: Code, caller: SessionNow, response: Response, portal: PortalNow) -> SessionView:
    """Give a code of the second factor, or the first one of a new factor."""
    secret, session = portal.sign_ins.give_code(
        caller.session, caller.secret, form.code, caller.origin
    )
    portal.keep_signed_in(response, secret)
    return view_session(session)


@router.post("/session/password")
def change_password(
    form: NewPassword, caller: SessionNow, response: Response, portal: PortalNow
) -> SessionView:
    """Change the password, or replace the one-time password."""
    present = form.present.get_secret_value() if form.present is not None else None
    secret, session = portal.sign_ins.change_password(
        caller.session, caller.secret, present, form.new.get_secret_value(), caller.origin
    )
    portal.keep_signed_in(response, secret)
    return view_session(session)


@router.post("/session/second-factor")
def offer_second_factor(caller: SessionNow, portal: PortalNow) -> OfferView:
    """Make a second factor for an account that has none; its secret is shown this once."""
    offer = people.offer_second_factor(portal.state.database, caller.session)
    return OfferView(secret=offer.secret, uri=offer.uri)


@router.get("/sessions")
def list_sessions(caller: SessionNow, portal: PortalNow) -> list[SessionNoteView]:
    """List the sessions of the caller."""
    state = portal.state
    found = people.list_sessions(state.database, state.settings.people, caller.person.id)
    return [SessionNoteView(is_this=note.id == caller.session.id, **vars(note)) for note in found]


@router.delete("/sessions")
def end_other_sessions(caller: SessionNow, portal: PortalNow) -> Ended:
    """End all sessions of the caller, except this one."""
    database, kept = portal.state.database, caller.session.id
    return Ended(ended=people.end_other_sessions(database, caller.person, kept))


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(session_id: Id, caller: SessionNow, portal: PortalNow) -> None:
    """End one session of the caller."""
    people.end_session(portal.state.database, caller.person, session_id)
