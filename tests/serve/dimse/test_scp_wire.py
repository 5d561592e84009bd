"""The listener against raw bytes: crowds, noise, senders that stop in the middle."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest
import sqlalchemy as sa

from mammolens.serve.record import INSTANCES

from .wire import (
    closed_within,
    connect,
    echo_bytes,
    echoes,
    read_pdu,
    release_bytes,
    request_bytes,
    store_bytes,
)

pytestmark = pytest.mark.slow

CROWD = 200
NOISE = 120


def test_two_hundred_associations_at_once_are_served(listen, mammogram):
    listener = listen()
    crowd = [connect(listener) for _ in range(CROWD)]
    try:
        for connection in crowd:
            connection.sendall(request_bytes())
        assert {read_pdu(connection)[0] for connection in crowd} == {0x02}
        assert len(listener.running()) == CROWD
        images = [mammogram(n, StudyInstanceUID=f"1.2.{n}", picture=0) for n in range(CROWD)]
        for connection, image in zip(crowd, images, strict=True):
            connection.sendall(store_bytes(image))
        for connection in crowd:
            assert read_pdu(connection)[0] == 0x04
            connection.sendall(release_bytes())
        assert {read_pdu(connection)[0] for connection in crowd} == {0x06}
    finally:
        for connection in crowd:
            connection.close()
    with listener.state.database.read() as connection:
        count = sa.select(sa.func.count()).select_from(INSTANCES)
        assert connection.execute(count).scalar_one() == CROWD


def noises(mammogram):
    """Bytes that are nearly right, and bytes that are not; the same on every run."""
    rng = random.Random(20260301)
    request, echo = request_bytes(), echo_bytes()
    store = store_bytes(mammogram())
    sound = [request, request + echo, request + store, request + echo + release_bytes()]
    yield from (
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x04\x00\xff\xff\xff\xff" + bytes(1000),
        b"\x01\x00\xff\xff\xff\xff",
        echo,
        release_bytes(),
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        request + b"\x04\x00\x00\x00\x00\x08\xff\xff\xff\xff\x01\x03\x00\x00",
        request + b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        request + P_DATA + (b"\x01" + b"\x01" + bytes(4000)) * 1,
        request + request,
        request + b"\x02" + request[1:],
    )
    for number in range(NOISE):
        noise = bytearray(rng.choice(sound))
        for _ in range(rng.randint(1, 12)):
            place = rng.randrange(min(len(noise), rng.choice((12, 300, len(noise)))))
            noise[place] = rng.randrange(256)
        if number % 3 == 0:
            del noise[rng.randrange(1, len(noise)) :]
        if number % 5 == 0:
            noise = bytearray(rng.randbytes(rng.randrange(1, 400)))
        yield bytes(noise)


P_DATA = b"\x04\x00\x00\x00\x0f\xa6\x00\x00\x0f\xa2"


def test_noise_never_stops_the_node(listen, mammogram):
    listener = listen(acse_timeout_s=1.0, network_timeout_s=1.0, dimse_timeout_s=1.0)
    before = threading.active_count()
    held = []
    for noise in noises(mammogram):
        connection = connect(listener)
        held.append(connection)
        try:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            continue
    assert echoes(listener)
    for connection in held:
        assert closed_within(connection, 20)
        connection.close()
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert threading.active_count() <= before
    assert echoes(listener)
    assert list((listener.state.received.folder / "partial").glob("*")) == []


@pytest.mark.parametrize("said", ["nothing", "half a request", "half a message", "hello only"])
def test_who_falls_silent_is_let_go(listen, said):
    listener = listen(acse_timeout_s=0.5, network_timeout_s=0.5)
    with connect(listener) as connection:
        spoken = {
            "nothing": b"",
            "half a request": request_bytes()[:50],
            "half a message": request_bytes() + echo_bytes()[:20],
            "hello only": request_bytes(),
        }[said]
        connection.sendall(spoken)
        assert closed_within(connection, 15)
    assert echoes(listener)


def trickle(connection: socket.socket) -> None:
    for byte in request_bytes():
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def test_who_trickles_is_let_go(listen):
    listener = listen(acse_timeout_s=0.5, network_timeout_s=0.5)
    with connect(listener) as connection:
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            trickle(connection)
        assert time.monotonic() - began < 15


def test_more_connections_than_there_is_room_for_are_closed(listen, monkeypatch):
    monkeypatch.setattr("mammolens.serve.dimse.upper_layer.acceptor.SPARE_CONNECTIONS", 3)
    listener = listen(max_associations=1)
    held = [connect(listener) for _ in range(4)]
    with connect(listener) as another:
        assert closed_within(another, 10)
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert echoes(listener)
            return
        except (OSError, AssertionError):
            time.sleep(0.1)
    raise AssertionError("the room was not given back")
