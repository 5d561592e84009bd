"""The session of the caller, and how it begins.

What a stranger may call: which ways of signing in there are, and each of them. Then what a session
waits for, its end, and the other sessions of the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, SecretStr, StringConstraints
from starlette.concurrency import run_in_threadpool

from mammolens.serve import people
from mammolens.serve.people import (
    FLOW_S,
    LEAST_CHARS,
    Offer,
    Origin,
    Refusal,
    Refused,
    Session,
    SessionNote,
    Stage,
    of_provider,
)
from mammolens.serve.portal.caller import FLOW_COOKIE, Portal, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id, PersonView, view_person
from mammolens.serve.record import Form

__all__ = ["OPEN_TO_STRANGERS", "Ended", "router", "strangers"]

router = APIRouter(tags=["session"])


class SessionView(BaseModel):
    """A session; requests that change something need its `csrf_token` as header X-CSRF-Token."""

    id: int
    stage: Stage = Field(description="what the sign-in waits for; open: nothing")
    csrf_token: str
    expires_at: datetime
    person: PersonView


@dataclass(frozen=True, kw_only=True)
class SessionNoteView(SessionNote):
    """A line of the list of sessions."""

    is_this: bool


class Code(Form):
    """A code of the second factor."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9 ]{6,12}$")]


class NewPassword(Form):
    """A new password, and the present one where the person is signed in already."""

    new: SecretStr = Field(max_length=1024, description=f"at least {LEAST_CHARS} characters")
    present: SecretStr | None = Field(None, max_length=1024)


class Ended(BaseModel):
    """How many sessions ended."""

    ended: int


def view_session(session: Session) -> SessionView:
    """Make the JSON of a session for its browser."""
    return SessionView(**{**vars(session), "person": view_person(session.person)})


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
def offer_second_factor(caller: SessionNow, portal: PortalNow) -> Offer:
    """Make a second factor for an account that has none; its secret is shown this once."""
    return people.offer_second_factor(portal.state.database, caller.session)


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


strangers = APIRouter(tags=["sign-in"])
PLACE: Final = "/sign-in"
OPEN_TO_STRANGERS: Final = {
    PLACE: frozenset(("GET", "POST")),
    f"{PLACE}/oidc": frozenset(("GET",)),
    f"{PLACE}/oidc/callback": frozenset(("GET",)),
}
"""Path below the API → methods."""
OPEN: Final[dict[str, Any]] = {"security": []}
AWAY: Final[dict[str, Any]] = {"status_code": 303, "response_class": RedirectResponse}
PAGE: Final = "/"
REFUSED_PAGE: Final = "/?refused=provider"


class Ways(BaseModel):
    """How somebody may sign in here."""

    password: bool = True
    provider: str | None = Field(description="what to call the OpenID Connect provider, if any")
    signed_in: bool = Field(description="whether whoever asks is known already")


class Credentials(Form):
    """A name and a password."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    password: SecretStr = Field(min_length=1, max_length=1024)


@strangers.get(PLACE, openapi_extra=OPEN)
async def show_ways(request: Request, portal: PortalNow) -> Ways:
    """Say which ways of signing in there are, and whether that is still to be done.

    The page asks here first: a stranger who asks for the session is refused, which is audited.
    """
    settings = portal.state.settings.oidc
    known = await portal.find_caller(request) is not None
    return Ways(provider=settings.label if settings is not None else None, signed_in=known)


@strangers.post(PLACE, openapi_extra=OPEN)
async def sign_in(
    form: Credentials, request: Request, response: Response, portal: PortalNow
) -> SessionView:
    """Give name and password; the answer says what else is asked for."""
    origin = portal.origin(request)
    try:
        portal.sign_ins.spend_attempt(form.name, origin)
    except Refused:
        await run_in_threadpool(portal.sign_ins.note_failure, origin, "too_many")
        raise
    secret, session = await run_in_threadpool(
        portal.sign_ins.give_password, form.name, form.password.get_secret_value(), origin
    )
    portal.keep_signed_in(response, secret)
    return view_session(session)


@strangers.get(f"{PLACE}/oidc", openapi_extra=OPEN, **AWAY)
def go_to_provider(portal: PortalNow) -> Response:
    """Send the browser to the OpenID Connect provider."""
    if portal.provider is None:
        raise Refused(Refusal.UNKNOWN)
    address, sealed = portal.provider.begin(_now(portal))
    response = RedirectResponse(address, 303)
    portal.keep_flow(response, sealed, FLOW_S)
    return response


@strangers.get(f"{PLACE}/oidc/callback", openapi_extra=OPEN, **AWAY)
def come_from_provider(request: Request, portal: PortalNow) -> Response:
    """Take a browser back from the OpenID Connect provider."""
    if portal.provider is None:
        raise Refused(Refusal.UNKNOWN)
    origin = portal.origin(request)
    try:
        secret, _ = _vouched(portal, request, origin)
    except Refused as refused:
        if refused.why is not Refusal.SIGN_IN:  # that one was noted where it was found
            portal.sign_ins.note_failure(origin, f"provider_{refused.why.value}")
        response = RedirectResponse(REFUSED_PAGE, 303)
    else:
        response = RedirectResponse(PAGE, 303)
        portal.keep_signed_in(response, secret)
    portal.forget(response, FLOW_COOKIE)
    return response


def _vouched(portal: Portal, request: Request, origin: Origin) -> tuple[str, Session]:
    assert portal.provider is not None
    portal.sign_ins.attempts.spend(of_provider(origin.address))
    answer, flow = dict(request.query_params), portal.flow(request)
    vouched = portal.provider.finish(answer, flow, _now(portal))
    portal.sign_ins.attempts.give_back(of_provider(origin.address))  # Only failures count.
    return portal.sign_ins.come_by_provider(vouched.subject, vouched.claimed, origin)


def _now(portal: Portal) -> datetime:
    with portal.state.database.read() as connection:
        return portal.state.database.now(connection)
