"""What a person saves for themselves: filters of the worklist, settings of the page, an address."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field

from mammolens.serve import people
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Form
from mammolens.serve.worklist import Preference, read_preference, save_preference

__all__ = ["router"]

router = APIRouter(prefix="/me", tags=["me"])
ADDRESS = r"^[^\s@<>,;:\"\\()\[\]\x00-\x1f\x7f]+@[A-Za-z0-9.-]+$"
Saved = Annotated[dict[str, Any] | list[Any], Body()]


@router.get("/filters")
def show_filters(caller: CallerNow, portal: PortalNow) -> Any:
    """Give the saved filters; `null`: there are none."""
    return read_preference(portal.state.database, caller.person, Preference.FILTERS)


@router.put("/filters", status_code=204)
def save_filters(content: Saved, caller: SessionNow, portal: PortalNow) -> None:
    """Save filters in the place of those before."""
    save_preference(portal.state.database, caller.person, Preference.FILTERS, content)


@router.get("/settings")
def show_settings(caller: CallerNow, portal: PortalNow) -> Any:
    """Give the settings of the page; `null`: there are none."""
    return read_preference(portal.state.database, caller.person, Preference.SETTINGS)


@router.put("/settings", status_code=204)
def save_settings(content: Saved, caller: SessionNow, portal: PortalNow) -> None:
    """Save settings in the place of those before."""
    save_preference(portal.state.database, caller.person, Preference.SETTINGS, content)


class EmailForm(Form):
    """The address for messages of the application; they never hold anything of a patient."""

    email: Annotated[str, Field(max_length=254, pattern=ADDRESS)] | None


class EmailView(BaseModel):
    """Where messages go; `can_send` says whether the settings name a mail server."""

    email: str | None
    can_send: bool


@router.get("/email")
def show_email(caller: SessionNow, portal: PortalNow) -> EmailView:
    """Give the caller's own address for messages."""
    return _email(caller, portal)


@router.put("/email")
def save_email(form: EmailForm, caller: SessionNow, portal: PortalNow) -> EmailView:
    """Save an address for messages in the place of the one before; `null`: no messages."""
    people.set_email(portal.state.database, caller.person, form.email)
    return _email(caller, portal)


def _email(caller: SessionNow, portal: PortalNow) -> EmailView:
    state = portal.state
    email = people.read_email(state.database, caller.person)
    return EmailView(email=email, can_send=state.settings.alerts.mail is not None)
