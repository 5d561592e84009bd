"""The drift monitor, for administrators of a site and of the installation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from mammolens.monitor import LEAST, MEASURES
from mammolens.serve import alarms
from mammolens.serve.alarms import AlarmNote, MonitorNote, Point
from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Before, Form, Id, Limit
from mammolens.serve.reading import ai_is_visible
from mammolens.serve.record import PersonRole

__all__ = ["router"]

router = APIRouter(prefix="/monitor", tags=["monitor"])
Measure = Annotated[str, Path(max_length=32, pattern=r"^[a-z_]+$")]
Open = Annotated[bool, Query(alias="open", description="only those that nobody has ended")]


class MonitorPage(BaseModel):
    """Monitors, the newest first, and what their budget is."""

    items: list[MonitorNote]
    next: int | None
    run_length: int = Field(description="exams of the node for each false alarm, on average")
    least: int = Field(description="exams that a monitor needs before it says anything")


class AlarmPage(BaseModel):
    """Alarms, the newest first."""

    items: list[AlarmNote]
    next: int | None


class MeasurePoints(BaseModel):
    """The newest values of a measure in their order, its alarms, and example exams."""

    is_share: bool
    points: list[Point]
    alarms: list[AlarmNote]
    examples: list[int]


class Mute(Form):
    """Until when no messages are sent about a monitor; `null`: they are sent."""

    until: AwareDatetime | None


class Restart(Form):
    """Which measures learn their reference again."""

    measures: list[str] = Field(min_length=1, max_length=len(MEASURES))


@router.get("")
def list_monitors(
    caller: CallerNow, portal: PortalNow, before: Before = None, limit: Limit = 50
) -> MonitorPage:
    """List the monitors of the sites that the caller looks after."""
    _check(caller.person)
    found, following = alarms.list_monitors(portal.state.database, caller.person, before, limit)
    return MonitorPage(
        items=found,
        next=following,
        run_length=portal.state.settings.monitor.run_length,
        least=LEAST,
    )


@router.get("/alarms")
def list_alarms(
    caller: CallerNow,
    portal: PortalNow,
    open_only: Open = True,
    before: Before = None,
    limit: Limit = 50,
) -> AlarmPage:
    """List the alarms of the sites that the caller looks after."""
    _check(caller.person)
    found, following = alarms.list_alarms(
        portal.state.database, caller.person, open_only=open_only, before=before, limit=limit
    )
    return AlarmPage(items=found, next=following)


@router.post("/alarms/{alarm_id}/acknowledgement")
def acknowledge_alarm(alarm_id: Id, caller: SessionNow, portal: PortalNow) -> AlarmNote:
    """Say that an alarm is known; the first counts."""
    _check(caller.person)
    return alarms.acknowledge_alarm(portal.state.database, caller.person, alarm_id)


@router.get("/{monitor_id}")
def show_monitor(monitor_id: Id, caller: CallerNow, portal: PortalNow) -> MonitorNote:
    """Show one monitor."""
    _check(caller.person)
    return alarms.read_monitor(portal.state.database, caller.person, monitor_id)


@router.get("/{monitor_id}/measures/{measure}")
def show_measure(
    monitor_id: Id, measure: Measure, caller: CallerNow, portal: PortalNow
) -> MeasurePoints:
    """Show the newest values of a measure, its alarms, and example exams of the newest alarm."""
    _check(caller.person)
    points, found, examples = alarms.measure_points(
        portal.state.database, caller.person, monitor_id, measure, ai_is_visible(caller.person)
    )
    is_share = next(one.is_share for one in MEASURES if one.name == measure)
    return MeasurePoints(is_share=is_share, points=points, alarms=found, examples=examples)


@router.put("/{monitor_id}/mute")
def mute_monitor(monitor_id: Id, form: Mute, caller: SessionNow, portal: PortalNow) -> MonitorNote:
    """Send no messages about a monitor until a time."""
    _check(caller.person)
    database = portal.state.database
    return alarms.mute_monitor(database, caller.person, monitor_id, form.until)


@router.post("/{monitor_id}/restart")
def restart_monitor(
    monitor_id: Id, form: Restart, caller: SessionNow, portal: PortalNow
) -> MonitorNote:
    """Let measures learn their reference again, and end their alarms."""
    _check(caller.person)
    database = portal.state.database
    return alarms.restart_monitor(database, caller.person, monitor_id, form.measures)


def _check(person: Person) -> None:
    if not person.is_administrator and not person.sites_as(PersonRole.ADMINISTRATOR):
        raise Refused(Refusal.NOT_ALLOWED)
