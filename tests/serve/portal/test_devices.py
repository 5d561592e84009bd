"""Devices that keep data: whose key is given to whom, what a wipe leaves, and who may wipe."""

from __future__ import annotations

import sqlalchemy as sa

from mammolens.serve.record import DEVICES

KEY = "k" * 60


def added(stage, who: str = "north-reader") -> str:
    done = stage.ask(who, "POST", "/devices", {"wrapped_key": KEY})
    assert done.status_code == 201, done.text
    assert done.json()["offline_hours"] == 12.0
    assert done.json()["pin_attempts"] == 5
    return done.json()["device"]["id"]


def trail(stage) -> list[str]:
    with stage.database.read() as connection:
        return [row.action for row in connection.execute(sa.text("SELECT action FROM audit"))]


def test_the_key_is_given_to_the_same_person_alone(stage):
    device = added(stage)
    mine = stage.ask("north-reader", "GET", f"/devices/{device}/key")
    assert mine.json()["wrapped_key"] == KEY
    for other in ("south-reader", "north-head", "admin"):
        found = stage.ask(other, "GET", f"/devices/{device}/key")
        assert (found.status_code, found.json()["code"]) == (404, "unknown")
    by_program = stage.ask("north-reader by token", "GET", f"/devices/{device}/key")
    assert by_program.status_code == 403
    assert trail(stage).count("device_unlocked") == 1


def test_a_wipe_takes_the_key_at_once_and_is_audited(stage):
    device = added(stage)
    reader = stage.cast.people["north-reader"]
    refused = stage.ask("south-head", "DELETE", f"/people/{reader}/devices")
    assert refused.status_code == 404
    wiped = stage.ask("north-head", "DELETE", f"/people/{reader}/devices")
    assert wiped.json() == {"wiped": 1}
    found = stage.ask("north-reader", "GET", f"/devices/{device}/key")
    assert (found.status_code, found.json()["code"]) == (410, "wiped")
    with stage.database.read() as connection:
        assert connection.execute(sa.select(DEVICES.c.wrapped_key)).scalars().all() == [None]
    assert "devices_wiped" in trail(stage)
    assert stage.ask("north-reader", "GET", "/devices").json() == []


def test_ones_own_device_can_be_wiped_once(stage):
    device = added(stage)
    assert stage.ask("south-reader", "DELETE", f"/devices/{device}").status_code == 404
    assert stage.ask("north-reader", "DELETE", f"/devices/{device}").status_code == 204
    assert stage.ask("north-reader", "DELETE", f"/devices/{device}").status_code == 404


def test_a_person_has_so_many_devices(make_stage):
    stage = make_stage(people={"max_devices": 1})
    added(stage)
    more = stage.ask("north-reader", "POST", "/devices", {"wrapped_key": KEY})
    assert (more.status_code, more.json()["code"]) == (422, "too_much")


def test_what_is_no_key_is_refused(stage):
    for body in ({"wrapped_key": "<script>"}, {"wrapped_key": "k" * 300}, {}):
        assert stage.ask("north-reader", "POST", "/devices", body).status_code == 422


def test_closing_an_account_takes_its_keys(stage):
    device = added(stage)
    reader = stage.cast.people["north-reader"]
    closed = stage.ask("north-head", "PUT", f"/people/{reader}/active", {"active": False})
    assert closed.status_code == 200
    kept = sa.select(DEVICES.c.wrapped_key).where(DEVICES.c.id == device)
    with stage.database.read() as connection:
        assert connection.execute(kept).scalar_one() is None
