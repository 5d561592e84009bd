"""Receive requests to cancel a step over the event channel of UPS-RS.

The channel is opened before the node subscribes to steps, and again after a break. Requests during
a break are lost, unless the server keeps them. DIMSE servers send them to the listener instead.

Source: PS3.18 11.12 (Open Event Channel), 11.13 (Workitem Event Reports); PS3.4 table CC.2.4-1.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.exchange import Endpoint, obeying
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import attempts, steps
from mammolens.serve.web import find_web_peer, is_web_peer, open_channel

__all__ = ["hearing_cancels"]

ROOM: Final = "ups"
LOOK_S: Final = 1.0
JOIN_S: Final = 3.0
"""Seconds to wait until the channel is closed when the node stops."""
SOP_INSTANCE: Final = "00001000"
EVENT_TYPE: Final = "00001002"
CANCEL_REQUESTED: Final = 2
LONGEST_UID: Final = 64


@contextlib.contextmanager
def hearing_cancels(state: NodeState) -> Iterator[None]:
    """Listen to the server of steps, if it is an HTTP server, until the block ends."""
    name, stop = state.settings.ups.server, threading.Event()
    if not is_web_peer(name, state.settings):
        yield
        return
    peer = find_web_peer(name, state.settings)
    # A daemon thread, because a silent server must not keep the node from stopping.
    thread = threading.Thread(
        target=_listen, args=(state, peer, stop), name="ups-events", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_S)


def _listen(state: NodeState, peer: Endpoint, stop: threading.Event) -> None:
    away = 0
    path = f"/subscribers/{quote(state.settings.dimse.ae_title.strip(), safe='')}"
    with obeying(stop, 0.0):  # the channel is cut as soon as the node stops
        while not stop.is_set():
            try:
                with open_channel(peer, path) as channel:
                    logs.event(ROOM, "event_channel", reason="open")
                    away = 0
                    while not stop.is_set():
                        text = channel.read(LOOK_S)
                        if text is not None:
                            _take(state, peer, text, stop)
            except Exception as error:
                away += 1
                logs.event(ROOM, "event_channel", logging.WARNING, error=type(error).__name__)
                stop.wait(attempts.wait_after(away, state.settings.jobs))


def _take(state: NodeState, peer: Endpoint, text: str, stop: threading.Event) -> None:
    """Enter a request to cancel; other events are ignored."""
    try:
        event = json.loads(text)
        kind, uid = _value(event, EVENT_TYPE), _value(event, SOP_INSTANCE)
    except (ValueError, AttributeError, TypeError, LookupError, RecursionError):
        logs.event(ROOM, "event_unreadable", logging.WARNING)
        return
    if kind != CANCEL_REQUESTED or not isinstance(uid, str) or len(uid) > LONGEST_UID:
        return
    while not stop.is_set():
        # The server sends it only once, so it is kept here while the database is away.
        try:
            steps.ask_cancel(state.database, uid, f"web:{peer.name}")
            return
        except StorageError as error:
            logs.event(ROOM, "database_away", logging.ERROR, error=type(error).__name__)
            stop.wait(LOOK_S)


def _value(event: dict[str, Any], tag: str) -> Any:
    return event[tag]["Value"][0]
