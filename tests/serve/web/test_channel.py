"""The event channel against a server of RFC 6455, and against what breaks it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.utils import accept_key

from mammolens.errors import DeliveryError
from mammolens.serve.exchange import Endpoint
from mammolens.serve.web import open_channel, peers

PATH = "/subscribers/MAMMOLENS"


@contextlib.contextmanager
def running(handler: Callable[[ServerConnection], None], **options: object) -> Iterator[Endpoint]:
    with serve(handler, "127.0.0.1", 0, compression=None, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        try:
            yield Endpoint("ris", "127.0.0.1", port, "/rs", 5.0, authorization="Bearer abc")
        finally:
            server.shutdown()
            thread.join()


def test_messages_come_as_they_were_sent():
    said, seen = ["", "one", "é" * 300, "x" * 70_000], []

    def handler(connection):
        seen.append((connection.request.path, connection.request.headers["Authorization"]))
        for text in said:
            connection.send(text)
        connection.send(iter(["in ", "three ", "parts"]))
        with contextlib.suppress(ConnectionClosed):
            connection.recv()

    with running(handler) as peer, open_channel(peer, PATH) as opened:
        assert [opened.read(5) for _ in range(5)] == [*said, "in three parts"]
        assert opened.read(0.05) is None
    assert seen == [("/rs/subscribers/MAMMOLENS", "Bearer abc")]


def test_pings_are_answered_and_sent(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(peers, "SILENCE_S", 0.2)

    def handler(connection):
        assert connection.ping(b"are you there").wait(5)
        answered.set()
        with contextlib.suppress(ConnectionClosed):
            connection.recv()

    with running(handler) as peer, open_channel(peer, PATH) as opened:
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert opened.read(0.1) is None
    assert answered.is_set()


def test_a_server_that_closes_is_told():
    with (
        running(lambda connection: connection.close(1001, "going")) as peer,
        open_channel(peer, PATH) as opened,
        pytest.raises(DeliveryError, match=r"1001.*going"),
    ):
        opened.read(5)


@contextlib.contextmanager
def answering(*said: bytes) -> Iterator[Endpoint]:
    """A server of one connection that says what it is told to, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                asked = connection.recv(4096)
                key = re.search(rb"Sec-WebSocket-Key: (\S+)", asked).group(1).decode()
                for piece in said:
                    connection.sendall(piece.replace(b"ACCEPT", accept_key(key).encode()))
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield Endpoint("ris", "127.0.0.1", listener.getsockname()[1], "/rs", 1.0)
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("what", "named"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", ""),
        (b"\x00" * 20_000, ""),
        (b"", ""),
    ],
    ids=["absent", "elsewhere", "no HTTP", "silent"],
)
def test_who_opens_no_channel_is_told(what, named):
    with (
        answering(what) as peer,
        pytest.raises(DeliveryError, match=f"no event channel.*{named}"),
        open_channel(peer, PATH),
    ):
        pass
    with pytest.raises(DeliveryError, match="no event channel"), open_channel(peer, PATH):
        pass


SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: ACCEPT\r\n\r\n"
)


@pytest.mark.parametrize(
    "frames",
    [
        b"\x81\x7f" + (1 << 40).to_bytes(8, "big"),
        b"\x01\x7f" + (1 << 20).to_bytes(8, "big") + b"x" * (1 << 20) + b"\x80\x01x",
        b"\x81\x81abcd1",
        b"\xc1\x01x",
        b"\x83\x00",
        b"\x81\x01\xff",
    ],
    ids=["long", "long in parts", "masked", "extended", "unknown", "no text"],
)
def test_what_breaks_the_protocol_ends_the_channel(frames):
    with (
        answering(SWITCHED, frames) as peer,
        open_channel(peer, PATH) as opened,
        pytest.raises(DeliveryError, match="no event channel"),
    ):
        read_on(opened)


def read_on(opened: peers.Channel) -> None:
    for _ in range(50):
        assert opened.read(0.1) is None


def test_a_dead_connection_is_found_out(monkeypatch):
    monkeypatch.setattr(peers, "SILENCE_S", 0.05)
    with (
        answering(SWITCHED) as peer,
        open_channel(peer, PATH) as opened,
        pytest.raises(DeliveryError, match="keepalive"),
    ):
        opened.read(5)
