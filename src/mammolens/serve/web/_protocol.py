"""The HTTP/1.1 protocol of uvicorn, with a limit and a deadline for everything that a client sends.

uvicorn and h11 get one request at a time: a head when it is complete and checked, then its body. If
a client sends another request before the answer, it gets this answer, and the connection is closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mammolens.serve.portal import make_problem
from mammolens.serve.web._connections import MIN_BYTES_PER_S, UNREAD_S, WAIT_S, Connections
from mammolens.serve.web._framing import (
    METHODS,
    BadFraming,
    ChunkScanner,
    check_head,
    check_partial_head,
)

__all__ = ["GuardedProtocol"]

LINGER_S: Final = 2.0
"""Seconds in which a refused client can read its answer. If the connection were closed at once, the
client would see a reset instead."""
ALLOWED: Final = ", ".join(sorted(method.decode() for method in METHODS))


class GuardedProtocol(H11Protocol):
    """One connection.

    Parameters
    ----------
    connections
        All connections of the server.
    headers
        Headers of the answers that are sent here, without the application.
    options
        The arguments that uvicorn gives to its protocols.
    """

    def __init__(
        self, connections: Connections, headers: Mapping[str, str], **options: Any
    ) -> None:
        super().__init__(**options)
        self._connections, self._headers = connections, headers
        self._pending = bytearray()  # Received, but not given to h11 yet.
        self._searched = 0  # Bytes of it without the end of a head.
        self._scanner: ChunkScanner | None = None
        self._left = 0  # Bytes of a body of known length that are still to come.
        self._received = 0
        self._since = time.monotonic()
        self._unread: tuple[float, int] | None = None  # Since when, and bytes, of an unread answer.
        self._is_refused = self._expects = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._since = time.monotonic()
        self._connections.attend(transport.get_extra_info("socket").fileno(), self)

    def data_received(self, data: bytes) -> None:
        """Take received bytes, up to the end of the current request."""
        self._unset_keepalive_if_required()
        if self._is_refused or self.transport.is_closing():
            return
        self._received += len(data)
        if self._left > len(data) and not self._pending:
            # A body of known length: nearly all received bytes.
            self._left -= len(data)
            self._give_h11(data)
            return
        self._pending += data
        self._pump()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if self._expects and not self._received and self.conn.their_state is h11.SEND_BODY:
            # Answered without "100 Continue": the client may or may not still send the body.
            self.transport.close()
        super().on_response_complete()
        self._since, self._received = time.monotonic(), 0
        self._pump()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that h11 cannot read."""
        self._refuse(BadFraming(400, msg))

    def waits_since(self, now: float) -> float | None:
        """Give the time since which the connection waits for its client; ``None`` if it does not.

        For a body, the time that its received bytes may take is added.
        """
        if self._unread is not None:
            return self._unread[0]
        if self._is_between() or self._is_refused:
            return self._since
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            since = self._since + self._received / MIN_BYTES_PER_S
            return since if since < now else None
        return None

    def look(self, now: float) -> None:
        """End the connection if its client does not read, or sends no request."""
        size = self.transport.get_write_buffer_size()
        if not size:
            self._unread = None
        elif self._unread is None or size > self._unread[1]:
            self._unread = now, size
        elif now - self._unread[0] > UNREAD_S:
            if self._unread[1] - size < MIN_BYTES_PER_S * (now - self._unread[0]):
                self.abort()
            else:
                self._unread = now, size
        is_waiting = self._is_between() or self.transport.is_closing()
        if is_waiting and not size and now - self._since > WAIT_S:
            self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def _should_upgrade(self) -> bool:
        return False

    def _is_between(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _pump(self) -> None:
        """Give h11 the pending bytes: a complete head, or a part of a body."""
        try:
            while self._pending and not self._is_refused and not self.transport.is_closing():
                if self.conn.their_state is h11.IDLE:
                    if not self._take_head():
                        return
                elif self.conn.their_state is h11.SEND_BODY:
                    self._take_body()
                else:
                    # Pipelined requests: our clients do not send them, and one packet with many of
                    # them would be work for minutes. A client may send them again.
                    self._pending.clear()
                    self.cycle.keep_alive = False
        except BadFraming as refused:
            self._refuse(refused)

    def _take_head(self) -> bool:
        while self._pending.startswith(b"\r\n"):
            del self._pending[:2]
        end = self._pending.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            check_partial_head(self._pending, self._searched)
            self._searched = len(self._pending)
            return False
        head = bytes(self._pending[: end + 4])
        check_head(head)
        del self._pending[: end + 4]
        self._searched, self._received, self._since = 0, len(self._pending), time.monotonic()
        self._scanner, self._left, self._expects = None, 0, False
        self._give_h11(head)
        if self._is_refused or self.transport.is_closing():
            return False
        for name, value in self.headers:
            if name == b"transfer-encoding":
                self._scanner = ChunkScanner()
            elif name == b"content-length":
                self._left = int(value)
            elif name == b"expect":
                self._expects = True
        return True

    def _take_body(self) -> None:
        if self._scanner is not None:
            end = self._scanner.scan(self._pending)
        else:
            end = min(self._left, len(self._pending))
            self._left -= end
        if not end:
            raise BadFraming(400, "the body does not end where it should")
        body = bytes(self._pending[:end])
        del self._pending[:end]
        self._give_h11(body)

    def _give_h11(self, data: bytes) -> None:
        self.conn.receive_data(data)
        self.handle_events()

    def _refuse(self, refused: BadFraming) -> None:
        """Answer without the application, and close."""
        self._is_refused, self._since = True, time.monotonic()
        self._pending.clear()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            begun = cycle.response_started
            cycle.disconnected = True
            cycle.message_event.set()
            if begun:
                self.abort()
                return
        status = HTTPStatus(refused.status)
        body = bytes(make_problem(refused.status, refused.reason).body)
        headers = {
            **self._headers,
            "content-type": "application/problem+json",
            **({"allow": ALLOWED} if refused.status == HTTPStatus.METHOD_NOT_ALLOWED else {}),
            "content-length": str(len(body)),
            "connection": "close",
        }
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
