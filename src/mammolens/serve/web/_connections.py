"""Limits on the connections of the HTTP server: their number and their time.

A connection that waits for its client has a deadline, from its first byte (or its TLS handshake) to
the last byte of the last answer. If all places are taken, the connection that has waited longest
for its client is closed, so that a thousand silent connections block nobody. There is no limit for
each address, because all clients behind a proxy have the same one.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mammolens.serve.web._protocol import GuardedProtocol

__all__ = [
    "MIN_BYTES_PER_S",
    "TLS_BUFFER_BYTES",
    "UNREAD_S",
    "WAIT_S",
    "Connections",
    "Listener",
]

MOST_CONNECTIONS: Final = 256
"""Most connections: other parts of the process need half of its 1024 file handles (default)."""
CLOSING_CONNECTIONS: Final = 16
"""Most connections that are being closed. The number is small because each pass of the event loop
accepts so many; in short passes, an honest handshake can overtake a flood of silent ones."""
WAIT_S: Final = 20.0
"""Most seconds for a TLS handshake, and for the headers of each request; four round trips over a
bad line take 4 s."""
UNREAD_S: Final = 20.0
"""Most seconds in which a client reads nothing of its answer."""
MIN_BYTES_PER_S: Final = 4096
"""Rate of the slowest client in both directions, after an initial time: an eighth of the line of a
clinic with 256 kbit/s, over which a view of 27 MB takes a quarter of an hour."""
SWEEP_S: Final = 1.0
LOST_HANDSHAKES: Final = 1024
"""After so many failed handshakes, garbage is collected. asyncio leaves each with its buffer in a
reference cycle, which Python would collect only after many thousands."""
TLS_BUFFER_BYTES: Final = 32 << 10
"""Two TLS records; the default of asyncio is 256 KiB for each new connection."""


@dataclass(eq=False)
class _Held:
    socket: socket.socket
    since: float
    protocol: GuardedProtocol | None = None
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
    """All connections of a server, also those in a TLS handshake.

    Parameters
    ----------
    most
        Largest number of connections.
    """

    most: int = MOST_CONNECTIONS
    _held: dict[int, _Held] = field(default_factory=dict)
    _lost: int = 0
    _is_sweeping: bool = False

    def __len__(self) -> int:
        return len(self._open())

    def is_crowded(self) -> bool:
        """Whether closing connections must end before another one can be accepted."""
        most = self.most + CLOSING_CONNECTIONS
        return len(self._held) >= most and len(self._open()) >= most

    def admit(self, connection: socket.socket) -> bool:
        """Add a connection; if all places are taken, one that waits for its client is closed."""
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

    def attend(self, number: int, protocol: GuardedProtocol) -> None:
        """Set the protocol of the connection with this file handle."""
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
    """A listening socket that accepts no more connections than there are places."""

    connections: Connections

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection; the raised errors are those that an event loop expects."""
        if self.connections.is_crowded():
            raise BlockingIOError
        connection, address = super().accept()
        if not self.connections.admit(connection):
            connection.close()
            raise ConnectionAbortedError
        return connection, address
