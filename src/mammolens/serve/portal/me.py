"""What belongs to the caller alone: settings of the page, an address, API tokens, devices.

Tokens are made and shown once. Devices (phones) keep data of a person for use without a network:
they are entered, unlocked and wiped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field, StringConstraints

from mammolens.serve import people
from mammolens.serve.people import ApiToken, Device
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id
from mammolens.serve.record import Form, Line
from mammolens.serve.worklist import Preference, read_preference, save_preference

__all__ = ["devices", "router", "tokens"]

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


tokens = APIRouter(prefix="/tokens", tags=["tokens"])


class NewToken(Form):
    """What a token is for, and how long it holds."""

    name: Annotated[Line, StringConstraints(max_length=64)]
    days: int = Field(90, ge=1, le=3650)


@dataclass(frozen=True, kw_only=True)
class MadeToken(ApiToken):
    """A new token, shown this once."""

    token: str


@tokens.get("")
def list_tokens(caller: SessionNow, portal: PortalNow) -> list[ApiToken]:
    """List the tokens of the caller."""
    return people.list_tokens(portal.state.database, caller.person)


@tokens.post("", status_code=201)
def make_token(form: NewToken, caller: SessionNow, portal: PortalNow) -> MadeToken:
    """Make a token; it is shown in this answer and never again."""
    state = portal.state
    made, secret = people.make_token(
        state.database, state.settings.people, caller.person, form.name, form.days
    )
    return MadeToken(**vars(made), token=secret)


@tokens.delete("/{token_id}", status_code=204)
def revoke_token(token_id: Id, caller: SessionNow, portal: PortalNow) -> None:
    """Revoke a token at once."""
    people.revoke_token(portal.state.database, caller.person, token_id)


devices = APIRouter(tags=["devices"])
DeviceId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{43}$")]


class NewDevice(Form):
    """The key of the device's data, encrypted with a key that only the device has (Base64)."""

    wrapped_key: str = Field(pattern=r"^[A-Za-z0-9+/]{40,200}={0,2}$")


class OfflineRules(BaseModel):
    """How a device may open without a line."""

    offline_hours: float = Field(description="hours after a sign-in in which a PIN opens it")
    pin_attempts: int = Field(description="wrong PINs after which it deletes what it keeps")


class AddedDevice(OfflineRules):
    """A device that was entered."""

    device: Device


class KeyView(OfflineRules):
    """The encrypted key of a device."""

    wrapped_key: str


class Wiped(BaseModel):
    """How many devices were wiped."""

    wiped: int


@devices.get("/devices")
def list_devices(caller: SessionNow, portal: PortalNow) -> list[Device]:
    """List the devices that keep data of the caller."""
    return people.list_devices(portal.state.database, caller.person)


@devices.post("/devices", status_code=201)
def add_device(
    form: NewDevice, caller: SessionNow, portal: PortalNow, request: Request
) -> AddedDevice:
    """Enter the device that calls."""
    settings = portal.state.settings.people
    agent = portal.origin(request).agent
    made = people.add_device(
        portal.state.database, settings, caller.person, form.wrapped_key, agent
    )
    return AddedDevice(device=made, **vars(settings))


@devices.get("/devices/{device_id}/key")
def release_key(device_id: DeviceId, caller: SessionNow, portal: PortalNow) -> KeyView:
    """Give the encrypted key of a device of the caller; 410: the device must be wiped."""
    key = people.release_key(portal.state.database, caller.person, device_id)
    return KeyView(wrapped_key=key, **vars(portal.state.settings.people))


@devices.delete("/devices/{device_id}", status_code=204)
def wipe_device(device_id: DeviceId, caller: SessionNow, portal: PortalNow) -> None:
    """Delete the key of a device of the caller: what it keeps cannot be read again."""
    people.wipe_device(portal.state.database, caller.person, device_id)


@devices.delete("/people/{person_id}/devices")
def wipe_devices(person_id: Id, caller: SessionNow, portal: PortalNow) -> Wiped:
    """Wipe all devices of a person."""
    return Wiped(wiped=people.wipe_devices_of(portal.state.database, caller.person, person_id))
