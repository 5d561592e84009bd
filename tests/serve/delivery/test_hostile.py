"""Destinations that mean harm: answers that drip or never end, whatever the protocol."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from mammolens.serve.delivery import deliver, delivering

from ..hostile import (
    Hostile,
    Script,
    accept,
    accepting,
    drip,
    flood,
    nothing,
    silent_handshake,
)

pytestmark = pytest.mark.slow

TIMEOUT_S = 0.5
ENDS_S = 30.0
"""Far more than a delivery with such a time limit takes; without a limit it never ends."""
MEMORY = 64 << 20
SLOW = {"backoff_s": 60, "backoff_max_s": 60}
MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ORU^R01|17|P|2.5.1\r"
BUNDLE = b'{"resourceType": "Bundle", "type": "transaction", "entry": []}'

OK = b"HTTP/1.1 200 OK\r\n"
HTTP = {
    "a status that drips": drip(),
    "headers that drip": drip(OK),
    "a body that drips": drip(OK + b"Content-Length: 100000\r\n\r\n"),
    "chunks that drip": drip(OK + b"Transfer-Encoding: chunked\r\n\r\n186a0\r\n"),
    "headers without end": flood(OK, b"X-A: " + b"b" * 60_000 + b"\r\n"),
    "a header without end": flood(OK, b"b" * 60_000),
    "continue without end": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "a body without end": flood(OK + b"\r\n", b"b" * 65536),
    "a body of a tebibyte": flood(OK + b"Content-Length: 1099511627776\r\n\r\n", b"b" * 65536),
    "chunks without end": flood(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"FFFF\r\n" + b"b" * 65535 + b"\r\n"
    ),
    "extensions of chunks without end": flood(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 60_000 + b"\r\nb\r\n"
    ),
    "trailers without end": flood(
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: " + b"b" * 60_000 + b"\r\n"
    ),
    "nothing is read": nothing,
}
MLLP = {
    "an answer that drips": drip(b"\x0b"),
    "an answer without end": flood(b"\x0b", b"b" * 65536),
    "answers to others without end": flood(b"", b"\x0bMSH|^~\\&|\rMSA|AA|1\r\x1c\r" * 2000),
    "nothing is read": nothing,
}
DIMSE = {
    "an acceptance that drips": drip(struct.pack(">BxL", 2, 60_000)),
    "an acceptance of 4 GiB": flood(struct.pack(">BxL", 2, 2**32 - 1), bytes(65536)),
    "a PDU of 4 GiB": accepting(flood(struct.pack(">BxL", 4, 2**32 - 1), bytes(65536))),
    "a response that drips": accepting(drip(struct.pack(">BxL", 4, 60_000))),
    "a response in fragments without end": accepting(
        flood(b"", struct.pack(">BxLLBB", 4, 16006, 16002, 1, 1) + bytes(16000))
    ),
    "data without end": accepting(
        flood(b"", struct.pack(">BxLLBB", 4, 16006, 16002, 1, 0) + bytes(16000))
    ),
    "PDUs of 7 bytes are taken": accepting(nothing, longest=7),
    "contexts that were not asked for": lambda connection: (
        connection.recv(65536),
        connection.sendall(
            accept(
                struct.pack(">BxLHH16s16s32x", 1, 0, 1, 0, b"A", b"B")
                + struct.pack(">BxHBxxx", 0x20, 4 + 21, 99)
                + struct.pack(">BxH", 0x40, 17)
                + b"1.2.840.10008.1.2"
            )
        ),
        time.sleep(60),
    ),
    "nothing is said": nothing,
}
CASES = [
    *(("fhir+http", what) for what in HTTP),
    ("stow+http", "a body that drips"),
    *(("mllp", what) for what in MLLP),
    *(("dicom", what) for what in DIMSE),
]
SCRIPTS = {"fhir+http": HTTP, "stow+http": HTTP, "mllp": MLLP, "dicom": DIMSE}
SINKS = {"fhir+http": "fhir", "stow+http": "dicom-sc", "mllp": "hl7", "dicom": "dicom-sc"}


@pytest.fixture
def hostile(make_node, mammogram) -> Iterator[Callable[..., object]]:
    """Give a function that starts a bad destination and a node that has something for it."""
    with contextlib.ExitStack() as stack:

        def make(scheme: str, script: Script, timeout_s: float = TIMEOUT_S, **more: object):
            server = Hostile(script)
            stack.callback(server.stop)
            sink = SINKS[scheme.replace("https", "http").replace("mllps", "mllp")]
            title = "PACS@" if scheme.startswith("dicom") else ""
            to = f"{scheme}://{title}127.0.0.1:{server.port}"
            route = {"name": "bad", "to": to, "sinks": [sink], "timeout_s": timeout_s}
            node = make_node(route, jobs=SLOW, **more)
            content = {"fhir": BUNDLE, "hl7": MESSAGE, "dicom-sc": mammogram(0)}[sink]
            node.enter({(sink, "file"): content})
            return node

        yield make


@pytest.mark.parametrize(("scheme", "what"), CASES)
def test_a_bad_destination_is_let_go_in_time_and_takes_no_memory(
    hostile, scheme, what, monkeypatch
):
    # What is sent buys time at this rate: the object of the test must not buy ten seconds.
    monkeypatch.setattr("mammolens.serve.exchange.bounds.MINIMUM_RATE", 1 << 16, raising=False)
    node = hostile(scheme, SCRIPTS[scheme][what])
    threads = threading.active_count()
    tracemalloc.start()
    try:
        began = time.monotonic()
        done = deliver(node.state, threading.Event(), once=True)
        took = time.monotonic() - began
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (done, node.states()) == (0, ["queued"])
    assert took < ENDS_S
    assert peak < MEMORY
    until = time.monotonic() + ENDS_S
    while named := [t.name for t in threading.enumerate() if t.name.startswith("Requestor")]:
        assert time.monotonic() < until, named
        time.sleep(0.1)
    assert threading.active_count() <= threads + 8


@pytest.mark.parametrize("scheme", ["fhir+https", "mllps"])
def test_a_handshake_that_drips_is_let_go(hostile, scheme):
    node = hostile(scheme, silent_handshake)
    began = time.monotonic()
    assert deliver(node.state, threading.Event(), once=True) == 0
    assert time.monotonic() - began < ENDS_S
    assert node.states() == ["queued"]


def full(listener: socket.socket) -> list[socket.socket]:
    """Fill the queue of a listener that accepts nobody, so that a connection waits."""
    held = []
    for _ in range(4):
        held.append(socket.socket())
        held[-1].setblocking(False)
        held[-1].connect_ex(listener.getsockname())
    return held


STOPPED = [
    ("fhir+http", HTTP["headers that drip"]),
    ("fhir+http", HTTP["nothing is read"]),
    ("fhir+https", silent_handshake),
    ("mllp", MLLP["an answer that drips"]),
    ("dicom", DIMSE["an acceptance that drips"]),
    ("dicom", DIMSE["a response that drips"]),
    ("dicom", DIMSE["nothing is said"]),
]


@pytest.mark.parametrize(("scheme", "script"), STOPPED)
def test_the_node_stops_in_time_whatever_a_destination_does(hostile, scheme, script):
    """The destination has a minute by its own time limit; the stop gives it one second."""
    reached = threading.Event()

    def noted(connection: socket.socket) -> None:
        reached.set()
        script(connection)

    node = hostile(scheme, noted, 60.0, dimse={"ae_title": "MAMMOLENS", "stop_s": 1.0})
    with delivering(node.state):
        assert reached.wait(ENDS_S)
        time.sleep(0.5)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    assert node.states() == ["queued"]


def test_the_node_stops_in_time_while_a_connection_is_not_taken(hostile):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = full(listener)
        try:
            node = hostile("mllp", nothing, 60.0, dimse={"ae_title": "MAMMOLENS", "stop_s": 1.0})
            route = node.state.settings.routes[0]
            to = f"mllp://127.0.0.1:{listener.getsockname()[1]}"
            object.__setattr__(route, "to", to)
            with delivering(node.state):
                time.sleep(1.0)
                began = time.monotonic()
            assert time.monotonic() - began < 15
        finally:
            for one in held:
                one.close()


def test_a_slow_but_steady_answer_is_taken(hostile, monkeypatch):
    """All of it takes longer than the time limit for silence, and comes at a fair rate."""
    monkeypatch.setattr("mammolens.serve.exchange.bounds.MINIMUM_RATE", 200)
    answer = b'{"resourceType": "Bundle", "type": "transaction-response", "entry": []}'
    answer = answer.ljust(2000)

    def script(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK + b"Content-Length: 2000\r\n\r\n")
        for at in range(0, 2000, 200):
            connection.sendall(answer[at : at + 200])
            time.sleep(0.4)

    node = hostile("fhir+http", script, 1.5)
    assert deliver(node.state, threading.Event(), once=True) == 1


def test_the_certificate_is_still_checked(hostile, tmp_path):
    """The handshake is ours now: a certificate of nobody is refused as before."""
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    kind = ["-x509", "-nodes", "-subj", "/CN=localhost", "-newkey", "rsa:2048"]
    made = subprocess.run(["openssl", "req", *kind, *files], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    heard = []

    def script(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            heard.append(wrapped.recv(10))

    node = hostile("fhir+https", script)
    assert deliver(node.state, threading.Event(), once=True) == 0
    assert heard in ([], [b""])
