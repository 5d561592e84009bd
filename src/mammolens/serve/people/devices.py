"""Devices of a person that keep exams and answers, encrypted, while there is no line.

The node keeps the key of that data, itself encrypted with a key that only the device has, and gives
it to the person who is signed in. Whoever looks after the person can have a device wiped: its key
is deleted here at once, and the device deletes what it keeps when it hears of it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from mammolens.serve.people.person import Person, managed_person
from mammolens.serve.people.refusals import Refusal, Refused, one_row
from mammolens.serve.record import DEVICES, PEOPLE, Database, audit, from_row
from mammolens.serve.settings import PeopleSettings

__all__ = [
    "Device",
    "add_device",
    "list_devices",
    "release_key",
    "take_keys",
    "wipe_device",
    "wipe_devices_of",
]


@dataclass(frozen=True)
class Device:
    """One device of a person, which keeps data of theirs."""

    id: str
    agent: str
    created_at: datetime
    seen_at: datetime


def add_device(
    database: Database, settings: PeopleSettings, person: Person, wrapped_key: str, agent: str
) -> Device:
    """Enter a device with the key of its data, which only the device can decrypt.

    Raises
    ------
    Refused
        The person has as many as may be.
    """
    device_id = secrets.token_urlsafe(32)
    with database.write() as connection:
        connection.execute(sa.select(PEOPLE.c.id).where(PEOPLE.c.id == person.id).with_for_update())
        mine = DEVICES.c.person_id == person.id, DEVICES.c.wiped_at.is_(None)
        counted = sa.select(sa.func.count()).select_from(DEVICES).where(*mine)
        if connection.execute(counted).scalar_one() >= settings.max_devices:
            raise Refused(Refusal.TOO_MUCH)
        now = database.now(connection)
        row = {"id": device_id, "agent": agent[:200], "created_at": now, "seen_at": now}
        values = row | {"person_id": person.id, "wrapped_key": wrapped_key}
        connection.execute(DEVICES.insert().values(values))
        audit.append(database, connection, person.actor, "device_added", device=device_id[:8])
    return Device(device_id, agent[:200], now, now)


def list_devices(database: Database, person: Person) -> list[Device]:
    """List the devices of a person that keep data, the newest first."""
    asked = (
        sa.select(DEVICES)
        .where(DEVICES.c.person_id == person.id, DEVICES.c.wiped_at.is_(None))
        .order_by(DEVICES.c.created_at.desc(), DEVICES.c.id)
    )
    with database.read() as connection:
        return [from_row(Device, row) for row in connection.execute(asked)]


def release_key(database: Database, person: Person, device_id: str) -> str:
    """Give the encrypted key of a device to the person whose device it is.

    Raises
    ------
    Refused
        The person has no such device, or it must be wiped.
    """
    with database.write() as connection:
        this = sa.and_(DEVICES.c.id == device_id, DEVICES.c.person_id == person.id)
        row = one_row(connection, sa.select(DEVICES).where(this))
        if row.wrapped_key is None:
            raise Refused(Refusal.WIPED)
        seen = database.now(connection)
        connection.execute(DEVICES.update().where(this).values(seen_at=seen))
        audit.append(database, connection, person.actor, "device_unlocked", device=device_id[:8])
    return str(row.wrapped_key)


def wipe_device(database: Database, person: Person, device_id: str) -> None:
    """Delete the key of a device of one's own.

    Raises
    ------
    Refused
        No device has this name, or it is already wiped.
    """
    with database.write() as connection:
        this = sa.and_(DEVICES.c.id == device_id, DEVICES.c.person_id == person.id)
        if not take_keys(connection, database.now(connection), this):
            raise Refused(Refusal.UNKNOWN)
        audit.append(database, connection, person.actor, "device_wiped", device=device_id[:8])


def wipe_devices_of(database: Database, asking: Person, person_id: int) -> int:
    """Delete the keys of all devices of a person whom another looks after; gives how many.

    Raises
    ------
    Refused
    """
    with database.write() as connection:
        person = managed_person(connection, asking, person_id)
        wiped = take_keys(connection, database.now(connection), DEVICES.c.person_id == person_id)
        detail: audit.Detail = {"person": person.name, "count": wiped}
        audit.append(database, connection, asking.actor, "devices_wiped", None, detail)
    return wiped


def take_keys(connection: sa.Connection, now: datetime, which: sa.ColumnElement[bool]) -> int:
    """Delete the keys of some devices; gives how many had one."""
    values = {"wiped_at": now, "wrapped_key": None}
    wiping = DEVICES.update().where(which, DEVICES.c.wiped_at.is_(None)).values(values)
    return connection.execute(wiping).rowcount
