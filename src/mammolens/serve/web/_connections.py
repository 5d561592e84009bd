"""Limits on connections of the HTTP server: how many, and for how long.

Every connection that waits for its client has a deadline, from its first byte (or its TLS
handshake) to the last byte of the last answer. A server that is full closes the connection that has
waited longest for its client, so that a thousand silent ones keep nobody out. There is no limit for
each address: behind a proxy all clients have the same one.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

__all__ = [
    "MIN_BYTES_PER_S",
    "TLS_BUFFER_BYTES",
    "UNREAD_S",
    "WAIT_S",
    "Connections",
    "Listener",
]

MOST_CONNECTIONS: Final = 256
"""Half of the 1024 file handles that a process may have by default stay for the rest."""
CLOSING_CONNECTIONS: Final = 16
"""Connections that were asked to end and have not yet. Few: each pass of the event loop takes in as
many, and a pass that is short lets an honest handshake overtake a flood of silent ones."""
WAIT_S: Final = 20.0
"""A TLS handshake, and the headers of each request, must be whole within this time. Four round
trips over a bad line take 4 s."""
UNREAD_S: Final = 20.0
"""Time in which a client may read nothing of its answer."""
MIN_BYTES_PER_S: Final = 4096
"""Slowest client, in either direction, after a time of grace. An eighth of a clinic's line of
256 kbit/s, over which a view of 27 MB takes a quarter of an hour."""
SWEEP_S: Final = 1.0
LOST_HANDSHAKES: Final = 1024
"""After so many, garbage is collected. asyncio leaves each behind with its buffer, in a cycle that
the collector would not look at before there are many thousands."""
TLS_BUFFER_BYTES: Final = 32 << 10
"""Two records of TLS. asyncio reserves 256 KiB for each connection when it comes."""


class Attended(Protocol):
    """A connection whose protocol has begun."""

    def waits_since(self, now: float) -> float | None:
        """Say since when it has waited for its client; ``None``: its client waits for us."""

    def look(self, now: float) -> None:
        """End it if a deadline has passed."""

    def abort(self) -> None:
        """End it now."""


@dataclass(eq=False)
class _Held:
    socket: socket.socket
    since: float
    protocol: Attended | None = None
    is_ended: bool = False

    def waits_since(self, now: float) -> float | None:
        return self.since if self.protocol is None else self.protocol.waits_since(now)

    def end(self) -> None:
        self.is_ended = True
        if self.protocol is not None:
            self.protocol.abort()
            return
        with suppress(OSError):
            # The event loop holds this socket in a handshake; it closes it when it sees the end.
            self.socket.shutdown(socket.SHUT_RDWR)


@dataclass
class Connections:
    """All connections of a server, those in a TLS handshake among them.

    Parameters
    ----------
    most
        So many are held at a time.
    """

    most: int = MOST_CONNECTIONS
    _held: dict[int, _Held] = field(default_factory=dict)
    _lost: int = 0
    _is_sweeping: bool = False

    def __len__(self) -> int:
        return len(self._open())

    def is_crowded(self) -> bool:
        """Whether connections that were asked to end must go before another can come."""
        most = self.most + CLOSING_CONNECTIONS
        return len(self._held) >= most and len(self._open()) >= most

    def admit(self, connection: socket.socket) -> bool:
        """Take a connection in; where all places are taken, one that waits for its client goes."""
        now = time.monotonic()
        held = [] if len(self._held) < self.most else [h for h in self._open() if not h.is_ended]
        if len(held) >= self.most:
            waiting = [(s, n) for n, h in enumerate(held) if (s := h.waits_since(now)) is not None]
            if not waiting:
                return False
            held[min(waiting)[1]].end()
        self._held[connection.fileno()] = _Held(connection, now)
        if not self._is_sweeping:
            self._is_sweeping = True
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        return True

    def attend(self, number: int, protocol: Attended) -> None:
        """Take note that the connection of this file handle has its protocol."""
        if number in self._held:
            self._held[number].protocol = protocol

    def _open(self) -> list[_Held]:
        for number in [n for n, one in self._held.items() if one.socket.fileno() != n]:
            self._lost += self._held.pop(number).protocol is None
        if self._lost >= LOST_HANDSHAKES:
            self._lost = 0
            gc.collect()
        return list(self._held.values())

    def _sweep(self) -> None:
        now, held = time.monotonic(), self._open()
        for one in held:
            if one.protocol is not None:
                one.protocol.look(now)
            elif now - one.since > WAIT_S:
                one.end()
        self._is_sweeping = bool(held)
        if held:
            asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)


class Listener(socket.socket):
    """A listening socket that takes in no more connections than there are places for."""

    connections: Connections

    def accept(self) -> tuple[socket.socket, Any]:
        """Take the next connection; raises what an event loop knows where there is none."""
        if self.connections.is_crowded():
            raise BlockingIOError
        connection, address = super().accept()
        if not self.connections.admit(connection):
            connection.close()
            raise ConnectionAbortedError
        return connection, address
