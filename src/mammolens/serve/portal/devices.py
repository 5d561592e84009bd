"""Devices that keep data of a person while there is no line: entered, unlocked, wiped."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from mammolens.serve import people
from mammolens.serve.people import Device
from mammolens.serve.portal.caller import PortalNow, SessionNow
from mammolens.serve.portal.forms import Form, Id
from mammolens.serve.settings import PeopleSettings

__all__ = ["router"]

router = APIRouter(tags=["devices"])
DeviceId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{43}$")]


class NewDevice(Form):
    """The key of the device's data, encrypted with a key that only the device has (Base64)."""

    wrapped_key: str = Field(pattern=r"^[A-Za-z0-9+/]{40,200}={0,2}$")


class DeviceView(BaseModel):
    """A device of the caller."""

    id: str
    agent: str
    created_at: datetime
    seen_at: datetime


class Rules(BaseModel):
    """How a device may open without a line."""

    offline_hours: float = Field(description="hours after a sign-in in which a PIN opens it")
    pin_attempts: int = Field(description="wrong PINs after which it deletes what it keeps")


class AddedDevice(Rules):
    """A device that was entered."""

    device: DeviceView


class KeyView(Rules):
    """The encrypted key of a device."""

    wrapped_key: str


class Wiped(BaseModel):
    """How many devices were wiped."""

    wiped: int


@router.get("/devices")
def list_devices(caller: SessionNow, portal: PortalNow) -> list[DeviceView]:
    """List the devices that keep data of the caller."""
    return [_view(one) for one in people.list_devices(portal.state.database, caller.person)]


@router.post("/devices", status_code=201)
def add_device(
    form: NewDevice, caller: SessionNow, portal: PortalNow, request: Request
) -> AddedDevice:
    """Enter the device that calls."""
    settings = portal.state.settings.people
    agent = portal.origin(request).agent
    made = people.add_device(
        portal.state.database, settings, caller.person, form.wrapped_key, agent
    )
    return AddedDevice(device=_view(made), **_rules(settings))


@router.get("/devices/{device_id}/key")
def release_key(device_id: DeviceId, caller: SessionNow, portal: PortalNow) -> KeyView:
    """Give the encrypted key of a device of the caller; 410: the device must be wiped."""
    key = people.release_key(portal.state.database, caller.person, device_id)
    return KeyView(wrapped_key=key, **_rules(portal.state.settings.people))


@router.delete("/devices/{device_id}", status_code=204)
def wipe_device(device_id: DeviceId, caller: SessionNow, portal: PortalNow) -> None:
    """Delete the key of a device of the caller: what it keeps cannot be read again."""
    people.wipe_device(portal.state.database, caller.person, device_id)


@router.delete("/people/{person_id}/devices")
def wipe_devices(person_id: Id, caller: SessionNow, portal: PortalNow) -> Wiped:
    """Wipe all devices of a person."""
    return Wiped(wiped=people.wipe_devices_of(portal.state.database, caller.person, person_id))


def _view(device: Device) -> DeviceView:
    return DeviceView(
        id=device.id, agent=device.agent, created_at=device.created_at, seen_at=device.seen_at
    )


def _rules(settings: PeopleSettings) -> dict[str, float]:
    return {"offline_hours": settings.offline_hours, "pin_attempts": settings.pin_attempts}
