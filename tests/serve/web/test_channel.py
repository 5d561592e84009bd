"""The event channel against another implementation of RFC 6455 (websockets)."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from mammolens.errors import DeliveryError
from mammolens.serve.web import WebPeer, channel, open_channel

PATH = "/subscribers/MAMMOLENS"


@contextlib.contextmanager
def running(handler: Callable[[ServerConnection], None], **options: object) -> Iterator[WebPeer]:
    with serve(handler, "127.0.0.1", 0, compression=None, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        try:
            yield WebPeer("ris", "127.0.0.1", port, "/rs", 5.0, authorization="Bearer abc")
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
    monkeypatch.setattr(channel, "SILENCE_S", 0.2)

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
        pytest.raises(DeliveryError, match="hung up"),
    ):
        opened.read(5)


@pytest.mark.parametrize("what", [b"HTTP/1.1 404 Not Found\r\n\r\n", b"\x00" * 20_000, b""])
def test_who_opens_no_channel_is_told(what):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(what)

        thread = threading.Thread(target=answer)
        thread.start()
        peer = WebPeer("ris", "127.0.0.1", listener.getsockname()[1], "/rs", 5.0)
        with pytest.raises(DeliveryError, match="no event channel"), open_channel(peer, PATH):
            pass
        thread.join()
    with pytest.raises(DeliveryError, match="no event channel"), open_channel(peer, PATH):
        pass


@pytest.mark.parametrize(
    "frames",
    [
        b"\x81\x7f" + (1 << 40).to_bytes(8, "big"),
        b"\x01\x7f" + (1 << 20).to_bytes(8, "big") + b"x" * (1 << 20) + b"\x80\x01x",
        b"\x81\x81abcd1",
        b"\xc1\x01x",
        b"\x83\x00",
    ],
    ids=["long", "long in parts", "masked", "extended", "unknown"],
)
def test_what_breaks_the_protocol_ends_the_channel(frames):
    here, there = socket.socketpair()
    with here, there:
        opened = channel.Channel(WebPeer("ris", "h", 1, ""), here)
        sender = threading.Thread(target=there.sendall, args=(frames,))
        sender.start()
        with pytest.raises(DeliveryError):
            read_on(opened, 5)
        sender.join()


def read_on(opened: channel.Channel, patience_s: float) -> None:
    for _ in range(100):
        assert opened.read(patience_s) is None


def test_a_dead_connection_is_found_out(monkeypatch):
    monkeypatch.setattr(channel, "SILENCE_S", 0.05)
    here, there = socket.socketpair()
    with here, there:
        opened = channel.Channel(WebPeer("ris", "h", 1, ""), here)
        with pytest.raises(DeliveryError, match="silent"):
            read_on(opened, 0.02)
        assert there.recv(100)[:2] == b"\x89\x80"
