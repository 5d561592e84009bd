"""Server-sent events: what happens to the exams that a person may know of, while a page is open.

`Last-Event-ID` goes on where a stream was cut off. A stream ends when its session does, and never
keeps one alive.

Source: HTML standard, section 9.2.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from mammolens.errors import StorageError
from mammolens.serve.people import find_by_token, find_person, session_holds
from mammolens.serve.portal.caller import Caller, CallerNow, Portal, PortalNow
from mammolens.serve.uploads import list_progress
from mammolens.serve.worklist import Event, EventReader, Happening

__all__ = ["router"]

router = APIRouter(tags=["events"])
POLL_S: Final = 1.0
ALIVE_S: Final = 15.0
"""After so long without an event a comment is sent, so that a proxy does not end the stream, and
it is asked whether the session still holds."""
LONGEST_S: Final = 600.0
"""Then the browser comes again by itself, with new rights if they have changed."""
RETRY_MS: Final = 3000
STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
_NUMBER: Final = re.compile(r"[0-9]{1,10}")


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def stream_events(
    caller: CallerNow,
    portal: PortalNow,
    last_event_id: Annotated[str | None, Header(max_length=32)] = None,
) -> StreamingResponse:
    """Stream events: `exam.received`, `exam.analysed`, `exam.revised`, `exam.changed`,
    `exam.removed`, `reading.changed`, `upload.progress`, and `reload` where too much was missed.
    """
    given = (last_event_id or "").strip()
    after = int(given) if _NUMBER.fullmatch(given) else None
    reader = await run_in_threadpool(_begin, portal, after)
    places = ExitStack()  # Taken here, so that a refusal is an answer and not a broken stream.
    places.enter_context(portal.feed.place(caller.person.id))
    stream = _stream(portal, caller, reader, places)
    return StreamingResponse(stream, media_type="text/event-stream")


def _begin(portal: Portal, after: int | None) -> EventReader:
    with portal.state.database.read() as connection:
        return EventReader(connection, after)


async def _stream(
    portal: Portal, caller: Caller, reader: EventReader, places: ExitStack
) -> AsyncIterator[bytes]:
    with places:
        began = last_sent = time.monotonic()
        uploads: dict[str, tuple[Any, ...]] = {}
        yield f"retry: {RETRY_MS}\nid: {reader.after}\n\n".encode()
        while time.monotonic() - began < LONGEST_S and not portal.feed.stopped.is_set():
            try:
                length = await portal.feed.length(portal.state.database)
                news = length > reader.after or reader.missed
                events = await run_in_threadpool(
                    _read, portal, caller, reader if news else None, uploads
                )
                is_due = time.monotonic() - last_sent >= ALIVE_S
                if (events or is_due) and not await run_in_threadpool(_holds, portal, caller):
                    return
            except StorageError:
                news, events = False, []
                is_due = time.monotonic() - last_sent >= ALIVE_S
            text = "".join(map(_frame, events))
            if news and not events:
                text = f"id: {reader.after}\n\n"
            if text or is_due:
                last_sent = time.monotonic()
                yield (text or ": alive\n\n").encode()
            await asyncio.sleep(POLL_S)


def _read(
    portal: Portal,
    caller: Caller,
    reader: EventReader | None,
    uploads: dict[str, tuple[Any, ...]],
) -> list[Event]:
    """Read the news as the person may know of them at this moment."""
    with portal.state.database.read() as connection:
        person = find_person(connection, caller.person.id)
        if person is None or not person.is_active:
            return []
        events = reader.read(connection, person) if reader is not None else []
        for progress in list_progress(connection, person):
            progress_now = (progress.received, progress.state)
            if uploads.get(progress.id) != progress_now:
                uploads[progress.id] = progress_now
                events.append(Event(Happening.UPLOAD, None, vars(progress)))
    return events


def _holds(portal: Portal, caller: Caller) -> bool:
    database, settings = portal.state.database, portal.state.settings.people
    if caller.session is None:
        return find_by_token(database, caller.secret) is not None
    with database.read() as connection:
        person = find_person(connection, caller.person.id)
    if person is None or not person.is_active:
        return False
    return session_holds(database, settings, caller.session.id)


def _frame(event: Event) -> str:
    """Write one event; JSON has no line breaks of its own."""
    number = "" if event.number is None else f"id: {event.number}\n"
    data = json.dumps(event.data, default=_plain)
    return f"{number}event: {event.kind.value}\ndata: {data}\n\n"


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(getattr(value, "value", value))
