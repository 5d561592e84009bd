"""A WebSocket to a DICOMweb server, as far as a listener needs one.

Text comes in; nothing is sent but the handshake and control frames. A server that falls silent is
asked for a sign of life, and let go without one.

Source: RFC 6455; PS3.18 8.10.4 (Open Notification Connection), 8.10.5 (Send Event Report).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mammolens import __version__
from mammolens.errors import DeliveryError
from mammolens.serve.web.peers import WebPeer

__all__ = ["Channel", "open_channel"]

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LONGEST_HEAD: Final = 1 << 14
LONGEST_MESSAGE: Final = 1 << 20
SILENCE_S: Final = 30.0
"""After so long without a byte a ping is sent; after twice that the connection counts as dead."""
CONTINUATION, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
SWITCHING: Final = b"101"


@dataclass
class Channel:
    """An open connection; `read` gives what the server says."""

    peer: WebPeer
    socket: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    message: bytearray = field(default_factory=bytearray)
    heard: float = field(default_factory=time.monotonic)
    pinged: bool = False

    def read(self, patience_s: float) -> str | None:
        """Wait for a message; ``None`` if none came whole in time.

        Raises
        ------
        DeliveryError
            The server hung up, broke the protocol, or gives no sign of life.
        """
        until = time.monotonic() + patience_s
        while True:
            frame = self._frame()
            if frame is None:
                if not self._receive(until - time.monotonic()):
                    self._look_for_life()
                    return None
                continue
            text = self._take(*frame)
            if text is not None:
                return text

    def _take(self, opcode: int, final: bool, payload: bytes) -> str | None:
        if opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            with contextlib.suppress(DeliveryError):
                self._send(CLOSE, payload[:2])
            raise _broken(self.peer, "it hung up")
        elif opcode in (TEXT, CONTINUATION):
            self.message += payload
            if len(self.message) > LONGEST_MESSAGE:
                raise _broken(self.peer, "a message is too long")
            if final:
                whole = bytes(self.message)
                self.message.clear()
                return whole.decode("utf-8", "replace")
        elif opcode != PONG:
            raise _broken(self.peer, f"a frame of kind {opcode}")
        return None

    def _frame(self) -> tuple[int, bool, bytes] | None:
        """Take a frame off the buffer, if it holds a whole one."""
        head = bytes(self.buffer[:10])
        if len(head) < 2:
            return None
        opcode, final, length, start = head[0] & 15, bool(head[0] & 128), head[1] & 127, 2
        if head[1] & 128 or head[0] & 112:
            raise _broken(self.peer, "a masked or extended frame")
        if length > 125:
            start += 2 if length == 126 else 8
            if len(head) < start:
                return None
            length = int.from_bytes(head[2:start], "big")
        if length > LONGEST_MESSAGE:
            raise _broken(self.peer, "a frame is too long")
        if len(self.buffer) < start + length:
            return None
        payload = bytes(self.buffer[start : start + length])
        del self.buffer[: start + length]
        return opcode, final, payload

    def _receive(self, patience_s: float) -> bool:
        """Wait for bytes; ``False`` if none came in time."""
        self.socket.settimeout(max(patience_s, 0.001))
        try:
            piece = self.socket.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError as error:
            raise _broken(self.peer, type(error).__name__) from error
        if not piece:
            raise _broken(self.peer, "it hung up")
        self.buffer += piece
        self.heard, self.pinged = time.monotonic(), False
        return True

    def _look_for_life(self) -> None:
        silent_s = time.monotonic() - self.heard
        if silent_s > 2 * SILENCE_S:
            raise _broken(self.peer, "it is silent")
        if silent_s > SILENCE_S and not self.pinged:
            self._send(PING, b"")
            self.pinged = True

    def _send(self, opcode: int, payload: bytes) -> None:
        """Send a control frame, masked as a client must."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self.socket.settimeout(self.peer.timeout_s)
        try:
            self.socket.sendall(bytes([128 | opcode, 128 | len(payload)]) + mask + masked)
        except OSError as error:
            raise _broken(self.peer, type(error).__name__) from error


@contextlib.contextmanager
def open_channel(peer: WebPeer, path: str) -> Iterator[Channel]:
    """Give a connection to a path below the base of a server; it is closed in the end.

    Raises
    ------
    DeliveryError
        The server is away, or opens no such connection.
    """
    with contextlib.ExitStack() as stack:
        try:
            connected = socket.create_connection((peer.host, peer.port), peer.timeout_s)
            stack.enter_context(connected)
            if peer.tls is not None:
                connected = peer.tls.wrap_socket(connected, server_hostname=peer.host)
                stack.enter_context(connected)
            rest = _shake_hands(connected, peer, path)
        except OSError as error:
            raise _broken(peer, type(error).__name__) from error
        channel = Channel(peer, connected, bytearray(rest))
        yield channel
        with contextlib.suppress(DeliveryError):
            channel._send(CLOSE, b"\x03\xe8")


def _shake_hands(connected: socket.socket, peer: WebPeer, path: str) -> bytes:
    """Ask for the connection; gives what came behind the answer already."""
    key = base64.b64encode(os.urandom(16))
    lines = [
        f"GET {peer.path}{path} HTTP/1.1",
        f"Host: {peer.host}:{peer.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key.decode()}",
        f"User-Agent: mammolens/{__version__}",
        *([f"Authorization: {peer.authorization}"] if peer.authorization else []),
    ]
    connected.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connected.recv(1 << 12)
        answer += piece
        if not piece or len(answer) > LONGEST_HEAD:
            raise _broken(peer, "no answer to the handshake")
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *told = head.split(b"\r\n")
    named = (line.partition(b":") for line in told)
    headers = {name.strip().lower(): value.strip() for name, _, value in named}
    wanted = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    if status.split(b" ")[1:2] != [SWITCHING] or headers.get(b"sec-websocket-accept") != wanted:
        code = status.split(b" ")[1:2] or [b"?"]
        raise _broken(peer, f"HTTP {code[0].decode('latin-1')[:3]}")
    return rest


def _broken(peer: WebPeer, why: str) -> DeliveryError:
    return DeliveryError(
        f"there is no event channel ({why})",
        source=f"web peer {peer.name}",
        remedy="Check that the server offers PS3.18 8.10.4; a cancel cannot come without it",
    )
