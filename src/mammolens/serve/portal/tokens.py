"""API tokens of the caller: made and shown once, listed, revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from mammolens.serve import people
from mammolens.serve.people import ApiToken
from mammolens.serve.portal.caller import PortalNow, SessionNow
from mammolens.serve.portal.forms import Form, Id, Line

__all__ = ["router"]

router = APIRouter(prefix="/tokens", tags=["tokens"])


class TokenView(BaseModel):
    """A token in the list; it cannot be shown again."""

    id: int
    name: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


class NewToken(Form):
    """What a token is for, and how long it holds."""

    name: Annotated[Line, StringConstraints(max_length=64)]
    days: int = Field(90, ge=1, le=3650)


class MadeToken(TokenView):
    """A new token, shown this once."""

    token: str


@router.get("")
def list_tokens(caller: SessionNow, portal: PortalNow) -> list[TokenView]:
    """List the tokens of the caller."""
    return [_view(token) for token in people.list_tokens(portal.state.database, caller.person)]


@router.post("", status_code=201)
def make_token(form: NewToken, caller: SessionNow, portal: PortalNow) -> MadeToken:
    """Make a token; it is shown in this answer and never again."""
    state = portal.state
    made, secret = people.make_token(
        state.database, state.settings.people, caller.person, form.name, form.days
    )
    return MadeToken(**vars(made), token=secret)


@router.delete("/{token_id}", status_code=204)
def revoke_token(token_id: Id, caller: SessionNow, portal: PortalNow) -> None:
    """Revoke a token at once."""
    people.revoke_token(portal.state.database, caller.person, token_id)


def _view(token: ApiToken) -> TokenView:
    return TokenView(**vars(token))
