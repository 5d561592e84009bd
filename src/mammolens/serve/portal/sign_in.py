"""What a stranger may call: which ways of signing in there are, and each of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field, SecretStr, StringConstraints
from starlette.concurrency import run_in_threadpool

from mammolens.serve.people import FLOW_S, Origin, Refusal, Refused, Session
from mammolens.serve.portal.caller import FLOW_COOKIE, Portal, PortalNow
from mammolens.serve.portal.forms import Form
from mammolens.serve.portal.session import SessionView, view_session

__all__ = ["OPEN_TO_STRANGERS", "router"]

router = APIRouter(tags=["sign-in"])
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


@router.get(PLACE, openapi_extra=OPEN)
async def show_ways(request: Request, portal: PortalNow) -> Ways:
    """Say which ways of signing in there are, and whether that is still to be done.

    The page asks here first: a stranger who asks for the session is refused, which is audited.
    """
    settings = portal.state.settings.oidc
    known = await portal.find_caller(request) is not None
    return Ways(provider=settings.label if settings is not None else None, signed_in=known)


@router.post(PLACE, openapi_extra=OPEN)
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


@router.get(f"{PLACE}/oidc", openapi_extra=OPEN, **AWAY)
def go_to_provider(portal: PortalNow) -> Response:
    """Send the browser to the OpenID Connect provider."""
    if portal.provider is None:
        raise Refused(Refusal.UNKNOWN)
    address, sealed = portal.provider.begin(_now(portal))
    response = RedirectResponse(address, 303)
    portal.keep_flow(response, sealed, FLOW_S)
    return response


@router.get(f"{PLACE}/oidc/callback", openapi_extra=OPEN, **AWAY)
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
    portal.sign_ins.attempts.spend_provider(origin.address)
    answer, flow = dict(request.query_params), portal.flow(request)
    vouched = portal.provider.finish(answer, flow, _now(portal))
    portal.sign_ins.attempts.give_back_provider(origin.address)
    return portal.sign_ins.come_by_provider(vouched.subject, vouched.claimed, origin)


def _now(portal: Portal) -> datetime:
    with portal.state.database.read() as connection:
        return portal.state.database.now(connection)
