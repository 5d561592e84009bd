"""Servers that mean harm: what they say drips, or has no end, or is not what was asked."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable

FLOOD = 96 << 20

Script = Callable[[socket.socket], None]


class Hostile:
    """A server whose every connection is answered by `script`, for as long as it likes."""

    def __init__(self, script: Script) -> None:
        self.script, self.ended = script, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            self.script(connection)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def drip(*first: bytes, reads: bool = True, every_s: float = 0.2) -> Script:
    """Say `first` at once and then a byte at a time, for ever."""

    def script(connection: socket.socket) -> None:
        if reads:
            connection.recv(65536)
        connection.sendall(b"".join(first))
        for _ in range(int(120 / every_s)):
            connection.sendall(b"a")
            time.sleep(every_s)

    return script


def flood(first: bytes, piece: bytes) -> Script:
    """Say `first`, and then the same again and again, as fast as it goes."""

    def script(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(first)
        for _ in range(FLOOD // len(piece)):
            connection.sendall(piece)
        time.sleep(60)

    return script


def accept(request: bytes, longest: int = 16384) -> bytes:
    """Accept every context of an A-ASSOCIATE-RQ in its first transfer syntax."""
    items, at = b"", 74
    while at < len(request):
        kind, length = struct.unpack_from(">BxH", request, at)
        value = request[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 0x10:
            items += request[at - 4 - length : at]
        if kind == 0x20:
            inner = value[4:]
            while inner[0] != 0x40:
                inner = inner[4 + struct.unpack_from(">H", inner, 2)[0] :]
            syntax = inner[: 4 + struct.unpack_from(">H", inner, 2)[0]]
            items += struct.pack(">BxHBxBx", 0x21, 4 + len(syntax), value[0], 0) + syntax
    user = struct.pack(">BxHL", 0x51, 4, longest) + struct.pack(">BxH", 0x52, 7) + b"1.2.3.4"
    items += struct.pack(">BxH", 0x50, len(user)) + user
    body = request[6:10] + request[10:74] + items
    return struct.pack(">BxL", 2, len(body)) + body


def accepting(then: Script, longest: int = 16384) -> Script:
    """Accept an association, read a message, and go on as `then` does."""

    def script(connection: socket.socket) -> None:
        connection.sendall(accept(connection.recv(65536), longest))
        then(connection)

    return script


def nothing(connection: socket.socket) -> None:
    connection.recv(1)
    time.sleep(120)


def silent_handshake(connection: socket.socket) -> None:
    """A handshake record that announces 16 kB and comes a byte at a time."""
    connection.recv(65536)
    connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
    for _ in itertools.repeat(0, 600):
        connection.sendall(b"\x00")
        time.sleep(0.2)
