"""The drift monitor, for administrators of a site and of the installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, Field

from mammolens.monitor import LEAST, MEASURES
from mammolens.serve import alarms
from mammolens.serve.alarms import AlarmNote, MeasurePoints, MonitorNote
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Id, PagingNow
from mammolens.serve.reading import ai_is_visible
from mammolens.serve.record import Form, Page, PersonRole

__all__ = ["router"]


def _check(caller: CallerNow) -> None:
    """Refuse who looks after neither a site nor the installation."""
    person = caller.person
    if not person.is_administrator and not person.sites_as(PersonRole.ADMINISTRATOR):
        raise Refused(Refusal.NOT_ALLOWED)


router = APIRouter(prefix="/monitor", tags=["monitor"], dependencies=[Depends(_check)])
Measure = Annotated[str, Path(max_length=32, pattern=r"^[a-z_]+$")]
Open = Annotated[bool, Query(alias="open", description="only those that nobody has ended")]


@dataclass(frozen=True)
class MonitorPage:
    """Monitors, the newest first, and what their budget is."""

    items: tuple[MonitorNote, ...]
    next: int | None
    run_length: Annotated[
        int, Field(description="exams of the node for each false alarm, on average")
    ]
    least: Annotated[int, Field(description="exams that a monitor needs before it says anything")]


class Mute(Form):
    """Until when no messages are sent about a monitor; `null`: they are sent."""

    until: AwareDatetime | None


class Restart(Form):
    """Which measures learn their reference again."""

    measures: list[str] = Field(min_length=1, max_length=len(MEASURES))


@router.get("")
def list_monitors(caller: CallerNow, portal: PortalNow, page: PagingNow) -> MonitorPage:
    """List the monitors of the sites that the caller looks after."""
    found = alarms.list_monitors(portal.state.database, caller.person, **page)
    run_length = portal.state.settings.monitor.run_length
    return MonitorPage(found.items, found.next, run_length, LEAST)


@router.get("/alarms")
def list_alarms(
    caller: CallerNow, portal: PortalNow, page: PagingNow, open_only: Open = True
) -> Page[AlarmNote]:
    """List the alarms of the sites that the caller looks after, the newest first."""
    database = portal.state.database
    return alarms.list_alarms(database, caller.person, open_only=open_only, **page)


@router.post("/alarms/{alarm_id}/acknowledgement")
def acknowledge_alarm(alarm_id: Id, caller: SessionNow, portal: PortalNow) -> AlarmNote:
    """Say that an alarm is known; the first counts."""
    return alarms.acknowledge_alarm(portal.state.database, caller.person, alarm_id)


@router.get("/{monitor_id}")
def show_monitor(monitor_id: Id, caller: CallerNow, portal: PortalNow) -> MonitorNote:
    """Show one monitor."""
    return alarms.read_monitor(portal.state.database, caller.person, monitor_id)


@router.get("/{monitor_id}/measures/{measure}")
def show_measure(
    monitor_id: Id, measure: Measure, caller: CallerNow, portal: PortalNow
) -> MeasurePoints:
    """Show the newest values of a measure, its alarms, and example exams of the newest alarm."""
    shown = ai_is_visible(caller.person)
    return alarms.measure_points(portal.state.database, caller.person, monitor_id, measure, shown)


@router.put("/{monitor_id}/mute")
def mute_monitor(monitor_id: Id, form: Mute, caller: SessionNow, portal: PortalNow) -> MonitorNote:
    """Send no messages about a monitor until a time."""
    database = portal.state.database
    return alarms.mute_monitor(database, caller.person, monitor_id, form.until)


@router.post("/{monitor_id}/restart")
def restart_monitor(
    monitor_id: Id, form: Restart, caller: SessionNow, portal: PortalNow
) -> MonitorNote:
    """Let measures learn their reference again, and end their alarms."""
    database = portal.state.database
    return alarms.restart_monitor(database, caller.person, monitor_id, form.measures)
