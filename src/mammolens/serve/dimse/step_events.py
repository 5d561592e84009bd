"""Events of procedure steps over DIMSE: requests to cancel a step."""

from __future__ import annotations

from typing import Any, Final

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPush,
)

from mammolens.errors import StorageError
from mammolens.serve.record import Database, steps
from mammolens.status import status_of

__all__ = ["STEP_EVENTS", "is_step_event", "take_step_event"]

STEP_EVENTS: Final = (
    str(UnifiedProcedureStepEvent),
    (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)),
)
CANCEL_REQUESTED: Final = 2
"""Event type of PS3.4 table CC.2.4-1; other types are ignored."""
SUCCESS: Final = 0x0000
NO_SUCH_OBJECT: Final = 0x0112


def is_step_event(event: evt.Event) -> bool:
    """Whether an N-EVENT-REPORT is about a step."""
    request: Any = event.request
    return str(request.AffectedSOPClassUID) == str(UnifiedProcedureStepPush)


def take_step_event(event: evt.Event, database: Database) -> tuple[int, None]:
    """Enter an event of a step from any association; give the status for the answer."""
    request: Any = event.request
    if request.EventTypeID != CANCEL_REQUESTED:
        return SUCCESS, None
    actor = f"dimse:{str(event.assoc.remote['ae_title']).strip()}"
    try:
        known = steps.ask_cancel(database, str(request.AffectedSOPInstanceUID), actor)
    except StorageError as error:
        return status_of(error).dimse, None
    return (SUCCESS if known else NO_SUCH_OBJECT), None
