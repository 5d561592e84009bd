"""Limits on exchanges with others: time, rate and size; and their end when the node stops.

A socket has a limit for each wait, and a sender of one byte per wait never reaches it. Therefore an
exchange has a limit as a whole: a fixed time, and one more second for every `MINIMUM_RATE` bytes
that were transferred. The answer of the other side has a limit in bytes. When the node stops,
exchanges may go on for `stop_s` and are then cut; exchanges without an answer are repeated later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = [
    "LOOK_S",
    "MINIMUM_RATE",
    "Connection",
    "HandshakeError",
    "Pace",
    "connect",
    "encrypt",
    "handshake",
    "obeying",
]

MINIMUM_RATE: Final = 2048
"""Bytes per second of a slow but honest line: a quarter of an ISDN channel."""
GRACE_IN_TIMEOUTS: Final = 2
"""An exchange may take so many time limits in all, and more for the transferred bytes."""
LOOK_S: Final = 0.25
"""Seconds between two checks of the clock and of the stop of the node, during a wait."""
PIECE_BYTES: Final = 1 << 16


@dataclass
class _Stop:
    """The event that stops the node, and how long exchanges may go on after it."""

    event: threading.Event
    patience_s: float
    since: float | None = None

    def is_over(self) -> bool:
        if not self.event.is_set():
            return False
        if self.since is None:
            self.since = time.monotonic()
        return time.monotonic() - self.since >= self.patience_s


_STOP: ContextVar[_Stop | None] = ContextVar("stop", default=None)


@contextlib.contextmanager
def obeying(stop: threading.Event, patience_s: float) -> Iterator[None]:
    """Cut the exchanges of this thread `patience_s` after `stop` is set."""
    token = _STOP.set(_Stop(stop, patience_s))
    try:
        yield
    finally:
        _STOP.reset(token)


@dataclass
class Pace:
    """The limits of an exchange: how long it may take, and how much the other side may send.

    Parameters
    ----------
    timeout_s
        Longest silence. The whole exchange may take `GRACE_IN_TIMEOUTS` times as long, and one
        second more for every `MINIMUM_RATE` transferred bytes.
    most_bytes
        Most bytes that the other side may send.
    """

    timeout_s: float
    most_bytes: int
    moved: int = 0
    heard: int = 0
    began: float = field(default_factory=time.monotonic)
    stop: _Stop | None = field(default_factory=_STOP.get)

    def begin(self, most_bytes: int | None = None) -> None:
        """Begin another exchange over the same connection."""
        self.moved, self.heard, self.began = 0, 0, time.monotonic()
        self.most_bytes = self.most_bytes if most_bytes is None else most_bytes

    def check(self) -> None:
        """Raise if the exchange must end now.

        Raises
        ------
        TimeoutError
            It is too slow as a whole, or the node stops.
        """
        allowed = GRACE_IN_TIMEOUTS * self.timeout_s + self.moved / MINIMUM_RATE
        if time.monotonic() - self.began > allowed:
            raise TimeoutError("the exchange is too slow")
        self.check_stop()

    def check_stop(self) -> None:
        """Raise if the node stops and has waited long enough.

        Raises
        ------
        TimeoutError
        """
        if self.is_stopped:
            raise TimeoutError("the node stops")

    @property
    def is_stopped(self) -> bool:
        """Whether the node stops and has waited long enough."""
        return self.stop is not None and self.stop.is_over()

    def sent(self, count: int) -> None:
        """Count bytes that were sent."""
        self.moved += count

    def received(self, count: int) -> None:
        """Count bytes that were received.

        Raises
        ------
        OSError
            They are more than allowed.
        """
        self.moved += count
        self.heard += count
        if self.heard > self.most_bytes:
            raise OSError("the answer is longer than is read")


class HandshakeError(OSError):
    """The connection was made, but the TLS handshake failed; see its cause."""


class Connection:
    """A connected socket; every wait keeps the limits of a `Pace`.

    Attributes
    ----------
    raw
        The socket itself.
    """

    def __init__(self, raw: socket.socket, pace: Pace) -> None:
        self.raw, self.pace = raw, pace

    def recv(self, count: int) -> bytes:
        """Read up to `count` bytes; none at the end.

        Raises
        ------
        OSError
            The other side is silent, too slow, sends too much, or hung up; or the node stops.
        """
        silent_at = time.monotonic() + self.pace.timeout_s
        while True:
            self._prepare()
            try:
                read = self.raw.recv(count)
            except TimeoutError:
                if time.monotonic() > silent_at:
                    raise
                continue
            self.pace.received(len(read))
            return read

    def sendall(self, data: bytes) -> None:
        """Send everything.

        Raises
        ------
        OSError
            The other side does not read, reads too slowly, or hung up; or the node stops.
        """
        rest = memoryview(data).cast("B")
        silent_at = time.monotonic() + self.pace.timeout_s
        while rest:
            self._prepare()
            try:
                count = self.raw.send(rest[:PIECE_BYTES])
            except TimeoutError:
                if time.monotonic() > silent_at:
                    raise
                continue
            self.pace.sent(count)
            rest, silent_at = rest[count:], time.monotonic() + self.pace.timeout_s

    def has_news(self) -> bool:
        """Whether bytes can be read, or the other side hung up."""
        poll = select.poll()
        poll.register(self.raw, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Hang up."""
        self.raw.close()

    def _prepare(self) -> None:
        self.pace.check()
        self.raw.settimeout(min(LOOK_S, self.pace.timeout_s))


def connect(
    host: str, port: int, pace: Pace, tls: ssl.SSLContext | None = None, tls_name: str = ""
) -> socket.socket:
    """Connect, with a handshake if there is TLS, within the limits of `pace`.

    Raises
    ------
    OSError
        The other side is away or too slow; or the node stops.
    HandshakeError
        Its certificate is wrong, or it does not speak TLS.
    """
    failed: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        try:
            raw = socket.socket(family, kind, protocol)
        except OSError as error:
            failed = error
            continue
        try:
            _reach(raw, address, pace)
            break
        except OSError as error:
            failed = error
            raw.close()
            pace.check_stop()
        except BaseException:
            raw.close()
            raise
    else:
        raise failed
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw if tls is None else encrypt(raw, tls, tls_name, pace)


def encrypt(raw: socket.socket, tls: ssl.SSLContext, tls_name: str, pace: Pace) -> socket.socket:
    """Do the TLS handshake over a connection; if it fails, the connection is closed.

    Raises
    ------
    HandshakeError
        The other side is too slow, has a wrong certificate, or does not speak TLS; or the node
        stops.
    """
    connection = raw
    try:
        connection = wrapped = tls.wrap_socket(
            raw, server_hostname=tls_name, do_handshake_on_connect=False
        )
        handshake(wrapped, pace.timeout_s, pace)
    except (OSError, ValueError) as error:
        connection.close()
        raise HandshakeError("TLS fails") from error
    except BaseException:
        connection.close()
        raise
    return wrapped


def handshake(connection: ssl.SSLSocket, timeout_s: float, pace: Pace | None = None) -> None:
    """Do the TLS handshake within `timeout_s` in all, even if the bytes arrive slowly.

    Raises
    ------
    OSError
        It takes too long or fails; or the node stops.
    """
    until = time.monotonic() + timeout_s
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the handshake takes too long")
        if pace is not None:
            pace.check_stop()
        connection.settimeout(min(LOOK_S, left))
        try:
            connection.do_handshake()
            return
        except TimeoutError:
            continue


def _reach(raw: socket.socket, address: Any, pace: Pace) -> None:
    until = time.monotonic() + pace.timeout_s
    raw.setblocking(False)
    number = raw.connect_ex(address)
    if number not in (0, errno.EINPROGRESS):
        raise OSError(number, os.strerror(number))
    poll = select.poll()
    poll.register(raw, select.POLLOUT)
    while not poll.poll(LOOK_S * 1000):
        pace.check_stop()
        if time.monotonic() > until:
            raise TimeoutError("the connection takes too long")
    number = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
    raw.settimeout(pace.timeout_s)
