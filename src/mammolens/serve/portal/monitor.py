"""The drift monitor, for administrators of a site and of the installation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, Field

from mammolens.monitor import LEAST, MEASURES, Condition, Partition
from mammolens.serve import monitoring
from mammolens.serve.monitoring import AlarmNote, MonitorNote
from mammolens.serve.people import Person, Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow, SessionNow
from mammolens.serve.portal.forms import Before, Form, Id, Limit
from mammolens.serve.reading import ai_is_visible
from mammolens.serve.record import PersonRole

__all__ = ["router"]

router = APIRouter(prefix="/monitor", tags=["monitor"])
Measure = Annotated[str, Path(max_length=32, pattern=r"^[a-z_]+$")]
Open = Annotated[bool, Query(alias="open", description="only those that nobody has ended")]


class MeasureView(BaseModel):
    """The condition of one measure, and how many exams it has."""

    name: str
    condition: Condition
    exams: int


class MonitorView(BaseModel):
    """One group of exams: a site (`name` is empty), a machine or a software version."""

    id: int
    site_id: int | None
    partition: Partition
    name: str
    muted_until: datetime | None
    changed_at: datetime
    measures: list[MeasureView]


class MonitorPage(BaseModel):
    """Monitors, the newest first, and what their budget is."""

    items: list[MonitorView]
    next: int | None
    run_length: int = Field(description="exams of the node for each false alarm, on average")
    least: int = Field(description="exams that a monitor needs before it says anything")


class AlarmView(BaseModel):
    """A change that was found; means before it, and from it on."""

    id: int
    monitor_id: int
    site_id: int | None
    partition: Partition
    name: str
    measure: str
    direction: str = Field(description="lower, higher, wider or narrower")
    since: int = Field(description="number of the value with which the change began, as estimated")
    since_at: datetime | None
    n_before: int
    n_after: int
    mean_before: float
    mean_after: float
    raised_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None


class AlarmPage(BaseModel):
    """Alarms, the newest first."""

    items: list[AlarmView]
    next: int | None


class PointView(BaseModel):
    """One value; `exam_id` is there for an exam that the caller may open and whose AI they see."""

    number: int
    at: datetime
    value: float
    exam_id: int | None


class MeasurePoints(BaseModel):
    """The newest values of a measure in their order, its alarms, and example exams."""

    label: str
    is_share: bool
    points: list[PointView]
    alarms: list[AlarmView]
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
    found, following = monitoring.list_monitors(portal.state.database, caller.person, before, limit)
    return MonitorPage(
        items=[_monitor(one) for one in found],
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
    found, following = monitoring.list_alarms(
        portal.state.database, caller.person, open_only=open_only, before=before, limit=limit
    )
    return AlarmPage(items=[AlarmView(**vars(one)) for one in found], next=following)


@router.post("/alarms/{alarm_id}/acknowledgement")
def acknowledge_alarm(alarm_id: Id, caller: SessionNow, portal: PortalNow) -> AlarmView:
    """Say that an alarm is known; the first counts."""
    _check(caller.person)
    return _alarm(monitoring.acknowledge_alarm(portal.state.database, caller.person, alarm_id))


@router.get("/{monitor_id}")
def show_monitor(monitor_id: Id, caller: CallerNow, portal: PortalNow) -> MonitorView:
    """Show one monitor."""
    _check(caller.person)
    return _monitor(monitoring.read_monitor(portal.state.database, caller.person, monitor_id))


@router.get("/{monitor_id}/measures/{measure}")
def show_measure(
    monitor_id: Id, measure: Measure, caller: CallerNow, portal: PortalNow
) -> MeasurePoints:
    """Show the newest values of a measure, its alarms, and example exams of the newest alarm."""
    _check(caller.person)
    points, alarms, examples = monitoring.measure_points(
        portal.state.database, caller.person, monitor_id, measure, ai_is_visible(caller.person)
    )
    known = next(one for one in MEASURES if one.name == measure)
    return MeasurePoints(
        label=known.label,
        is_share=known.is_share,
        points=[PointView(**vars(point)) for point in points],
        alarms=[_alarm(one) for one in alarms],
        examples=examples,
    )


@router.put("/{monitor_id}/mute")
def mute_monitor(monitor_id: Id, form: Mute, caller: SessionNow, portal: PortalNow) -> MonitorView:
    """Send no messages about a monitor until a time."""
    _check(caller.person)
    database = portal.state.database
    return _monitor(monitoring.mute_monitor(database, caller.person, monitor_id, form.until))


@router.post("/{monitor_id}/restart")
def restart_monitor(
    monitor_id: Id, form: Restart, caller: SessionNow, portal: PortalNow
) -> MonitorView:
    """Let measures learn their reference again, and end their alarms."""
    _check(caller.person)
    database = portal.state.database
    return _monitor(monitoring.restart_monitor(database, caller.person, monitor_id, form.measures))


def _check(person: Person) -> None:
    if not person.is_administrator and not person.sites_as(PersonRole.ADMINISTRATOR):
        raise Refused(Refusal.NOT_ALLOWED)


def _monitor(note: MonitorNote) -> MonitorView:
    measures = [
        MeasureView(name=name, condition=condition, exams=exams)
        for name, condition, exams in note.measures
    ]
    return MonitorView(
        measures=measures, **{k: v for k, v in vars(note).items() if k != "measures"}
    )


def _alarm(note: AlarmNote) -> AlarmView:
    return AlarmView(**vars(note))
