"""DICOMweb servers that mean harm: pages, objects and event channels that never end."""

from __future__ import annotations

import contextlib
import itertools
import json
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from mammolens.errors import DeliveryError
from mammolens.serve.dimse import StudyQuery
from mammolens.serve.exchange import Endpoint
from mammolens.serve.holdings import open_state
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web import find_web_studies, open_channel, pull, pull_instances

from ..hostile import Hostile, Script, drip, flood, silent_handshake

ENDS_S = 30.0
MEMORY = 64 << 20
OK = b"HTTP/1.1 200 OK\r\n"
QUERY = StudyQuery(patient_id="P1")


@pytest.fixture
def calls() -> Iterator[Callable[..., Endpoint]]:
    """Give a function that starts a bad server."""
    with contextlib.ExitStack() as stack:

        def start(script: Script, tls: ssl.SSLContext | None = None) -> Endpoint:
            server = Hostile(script)
            stack.callback(server.stop)
            return Endpoint("bad", "127.0.0.1", server.port, "/rs", 0.5, tls)

        yield start


def pages(connection) -> None:
    """Answer every search with a study that was not there before."""
    for number in itertools.count():
        if number > 500 or not connection.recv(65536):
            return
        study = {"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}}
        said = json.dumps([study]).encode()
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(said) + said)


def test_pages_without_end_are_given_up(calls, monkeypatch):
    monkeypatch.setattr(pull, "MOST_PAGES", 20, raising=False)
    with pytest.raises(DeliveryError, match="no end"):
        find_web_studies(calls(pages), QUERY)


SEARCHES = {
    "a page that drips": drip(OK + b"Content-Length: 100000\r\n\r\n["),
    "headers that drip": drip(OK),
    "a page without end": flood(OK + b"\r\n[", b" " * 65536),
    "headers without end": flood(OK, b"b" * 60_000),
}


@pytest.mark.parametrize("what", SEARCHES)
def test_a_search_is_let_go_in_time(calls, what):
    began = time.monotonic()
    with pytest.raises(DeliveryError):
        find_web_studies(calls(SEARCHES[what]), QUERY)
    assert time.monotonic() - began < ENDS_S


PART = OK + b"Content-Type: multipart/related; type=application/dicom; boundary=b\r\n\r\n"
HEAD = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
OBJECTS = {
    "an object that drips": drip(PART + HEAD),
    "an object without end": flood(PART + HEAD, b"a" * 65536),
}


@pytest.mark.parametrize("what", OBJECTS)
def test_an_object_is_let_go_in_time_and_leaves_no_draft(calls, tmp_path, what):
    settings = NodeSettings(data=tmp_path / "node", intake={"min_free_mb": 0, "max_mb": 2})
    began = time.monotonic()
    with open_state(settings) as state:
        wanted = [pull.Instance("1.2", "1.2.3", "1.2.3.4")]
        tracemalloc.start()
        with contextlib.suppress(DeliveryError):
            assert pull_instances(state, calls(OBJECTS[what]), "1.2", wanted).completed == 0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert list((state.received.folder / "partial").glob("*")) == []
    assert time.monotonic() - began < ENDS_S
    assert peak < MEMORY


def opened(then: Script) -> Script:
    """Open an event channel, and go on as `then` does."""

    def script(connection) -> None:
        head = connection.recv(65536).decode()
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode()
        )
        then(connection)
        time.sleep(60)

    return script


def fragments(connection) -> None:
    first = Frame(Opcode.TEXT, b"", fin=False).serialize(mask=False)
    more = Frame(Opcode.CONT, b"", fin=False).serialize(mask=False)
    connection.sendall(first)
    for _ in range(2000):
        connection.sendall(more * 10_000)


def long_frame(connection) -> None:
    connection.sendall(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"))
    for _ in range(1500):
        connection.sendall(bytes(65536))


CHANNELS = {
    "fragments without end": opened(fragments),
    "a frame of a tebibyte": opened(long_frame),
    "text that is no UTF-8": opened(lambda c: c.sendall(b"\x81\x04\xff\xfe\xfd\xfc")),
}


@pytest.mark.parametrize("what", CHANNELS)
def test_a_channel_that_breaks_the_protocol_is_let_go(calls, what):
    began = time.monotonic()
    tracemalloc.start()
    peer = calls(CHANNELS[what])
    with pytest.raises(DeliveryError), open_channel(peer, "/e") as channel:
        list(iter(lambda: channel.read(1.0), "never"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began < ENDS_S
    assert peak < MEMORY


def test_a_handshake_that_drips_is_let_go(calls):
    began = time.monotonic()
    peer = calls(silent_handshake, ssl.create_default_context())
    with pytest.raises(DeliveryError), open_channel(peer, "/e"):
        pass
    assert time.monotonic() - began < ENDS_S
