"""The MLLP door: real sockets, every acknowledgement, bad frames, TLS, and kill -9."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from mammolens.errors import StorageError
from mammolens.serve import logs
from mammolens.serve.outcomes import listener as mllp
from mammolens.serve.outcomes import receiving_reports
from mammolens.serve.record import AUDIT, OUTCOMES, REPORTS
from mammolens.serve.settings import NodeSettings, PathologySettings

from ..conftest import wait_for
from .conftest import message


def framed(text, codec="utf-8"):
    return b"\x0b" + text.encode(codec) + b"\x1c\r"


@pytest.fixture
def door(state):
    """Give a function that opens the door with these settings; gives its port."""
    with contextlib.ExitStack() as stack:

        def start(**settings):
            chosen = PathologySettings(mllp_port=0, site="north", **{"timeout_s": 5} | settings)
            changed = state.settings.model_copy(update={"pathology": chosen})
            object.__setattr__(state, "settings", changed)
            return stack.enter_context(receiving_reports(state))

        yield start


@pytest.fixture
def logged():
    """Everything that is logged, as the node writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


@contextlib.contextmanager
def caller(port):
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        yield raw


def answer(raw):
    got = b""
    while not got.endswith(b"\x1c\r"):
        piece = raw.recv(4096)
        if not piece:
            return got
        got += piece
    return got


def said(got):
    """The code and the control id of an acknowledgement, and the error."""
    segments = {s[:3]: s.split("|") for s in got.decode().strip("\x0b\x1c\r").split("\r")}
    error = segments.get("ERR", [""] * 9)
    return segments["MSA"][1], segments["MSA"][2], error[3].partition("^")[0]


def test_messages_of_one_connection_are_acknowledged_in_turn(door, add_exam, rows):
    add_exam()
    with caller(door()) as raw:
        raw.sendall(framed(message()) + framed(message(control="C2", report="PATH-2")))
        assert said(answer(raw)) == ("AA", "C1", "")
        assert said(answer(raw)) == ("AA", "C2", "")
        raw.sendall(framed(message(control="C3")))
        assert said(answer(raw)) == ("AA", "C3", "")
    assert len(rows(REPORTS)) == 2
    assert {row.control_id for row in rows(REPORTS)} == {"C1", "C2"}
    assert [row.state for row in rows(OUTCOMES)] == ["settled", "settled"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (framed(message(kind="ADT^A01")), ("AR", "C1", "200")),
        (framed(message(charset="KLINGON")), ("AR", "C1", "103")),
        (framed(message("Größe: Mammakarzinom", charset=""), "latin-1"), ("AR", "C1", "103")),
        (framed(message(issued="20990101")), ("AE", "C1", "102")),
        (framed("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a/>"), ("AR", "", "100")),
        (framed("MSH"), ("AR", "", "100")),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_code(door, rows, sent, expected):
    with caller(door()) as raw:
        raw.sendall(sent)
        assert said(answer(raw)) == expected
    assert rows(REPORTS) == []
    wait_for(lambda: [row for row in rows(AUDIT) if row.action == "pathology_refused"])


@pytest.mark.parametrize("charset", ["UNICODE UTF-8", "8859/1"])
def test_the_character_set_of_msh_18_is_obeyed(door, add_exam, rows, charset):
    add_exam()
    codec = "utf-8" if charset.startswith("U") else "latin-1"
    with caller(door()) as raw:
        text = message("Right breast: fibroadenoma, 5 µm", charset=charset)
        raw.sendall(framed(text, codec))
        assert said(answer(raw))[0] == "AA"
    assert "5 µm" in json.loads(rows(REPORTS)[0].body)["text"]


def test_no_text_of_the_report_is_in_an_answer(door):
    with caller(door()) as raw:
        raw.sendall(framed(message("Left breast: carcinoma", issued="20990101")))
        assert b"carcinoma" not in answer(raw)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "framing"),
        (b"\x0b" + b"x" * (2 << 20), "too_large"),
    ],
)
def test_a_sender_that_breaks_the_frame_is_cut(door, rows, sent, reason):
    with caller(door(max_mb=1)) as raw:
        with contextlib.suppress(OSError):
            raw.sendall(sent)
        with contextlib.suppress(OSError):
            assert answer(raw) == b""
    found = wait_for(lambda: [r for r in rows(AUDIT) if r.action == "pathology_refused"])
    assert json.loads(found[0].detail)["reason"] == reason


def test_a_slow_sender_is_cut_and_others_are_served(door, add_exam, rows):
    add_exam()
    port = door(timeout_s=0.4)
    with caller(port) as slow, caller(port) as quick:
        slow.sendall(b"\x0bMSH|")
        quick.sendall(framed(message()))
        assert said(answer(quick))[0] == "AA"
        assert answer(slow) == b""
    found = wait_for(lambda: [r for r in rows(AUDIT) if r.action == "pathology_refused"])
    assert json.loads(found[0].detail)["reason"] == "too_slow"


def test_hosts_and_the_number_of_connections_are_limited(door):
    with caller(door(hosts=["10.0.0.0/8"])) as raw:
        assert raw.recv(1) == b""
    port = door(max_connections=1)
    with caller(port) as first:
        first.sendall(framed(message()))
        assert said(answer(first))[0] == "AA"
        with caller(port) as second:
            assert second.recv(1) == b""


def test_an_absent_database_lets_the_sender_send_again(door, monkeypatch):
    def away(*_args, **_more):
        raise StorageError("away")

    monkeypatch.setattr(mllp, "receive_reports", away)
    with caller(door()) as raw:
        raw.sendall(framed(message()))
        assert said(answer(raw)) == ("AE", "C1", "207")


@pytest.mark.parametrize("step", ["is_hl7", "given_reports", "receive_reports"])
def test_an_unexpected_fault_is_answered_and_the_next_message_is_taken(
    door, add_exam, rows, monkeypatch, logged, step
):
    """The text of the report is in the fault, and must be in no log."""
    add_exam()
    right, faults = (
        getattr(mllp, step),
        iter([RuntimeError("carcinoma of Doe^Jane"), MemoryError()]),
    )

    def broken(*args, **more):
        if (fault := next(faults, None)) is not None:
            raise fault
        return right(*args, **more)

    monkeypatch.setattr(mllp, step, broken)
    port = door()
    with caller(port) as raw:
        for control in ("C1", "C2"):
            raw.sendall(framed(message("Left breast: carcinoma.", control=control)))
            assert said(answer(raw)) == ("AE", control, "207")
        raw.sendall(framed(message(control="C3")))
        assert said(answer(raw)) == ("AA", "C3", "")
    with caller(port) as raw:
        raw.sendall(framed(message(control="C4")))
        assert said(answer(raw)) == ("AA", "C4", "")
    assert len(rows(REPORTS)) == 1
    words = logged.getvalue()
    assert "RuntimeError" in words
    assert "carcinoma" not in words.lower()
    assert "Doe" not in words


def test_a_caller_that_cannot_be_served_does_not_end_the_listener(door, monkeypatch):
    right, faults = mllp._serve, iter([RuntimeError("can't start new thread")])

    def start(self):
        if self._target is right and (fault := next(faults, None)) is not None:
            raise fault
        return original(self)

    original = mllp.threading.Thread.start
    port = door()
    monkeypatch.setattr(mllp.threading.Thread, "start", start)
    with caller(port) as raw:
        assert raw.recv(1) == b""
    with caller(port) as raw:
        raw.sendall(framed(message()))
        assert said(answer(raw))[0] == "AA"


def test_beyond_loopback_the_door_needs_tls_and_known_senders():
    with pytest.raises(ValueError, match="TLS is needed"):
        PathologySettings(mllp_port=2576, mllp_host="0.0.0.0")
    with pytest.raises(ValueError, match="who may send"):
        PathologySettings(mllp_port=2576, mllp_host="0.0.0.0", certificate="a.pem", key="a.key")


CHILD = """
import json, os, signal, sys, threading
from mammolens.serve.holdings import open_state
from mammolens.serve.outcomes import listener, receiving, receiving_reports
from mammolens.serve.settings import NodeSettings

point, settings = sys.argv[1], NodeSettings(**json.loads(sys.argv[2]))

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if point == "in the transaction":
    receiving.audit.append = die
elif point == "committed":
    listener._acknowledge = die
with open_state(settings) as state, receiving_reports(state) as port:
    print(port, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # the transaction is the same
@pytest.mark.slow
def test_kill_between_receipt_and_answer_loses_nothing_and_doubles_nothing(tmp_path, add_exam, url):
    exam = add_exam()
    settings = {
        "data": str(tmp_path / "node"),
        "database": url,
        "pathology": {"mllp_port": 0, "site": "north"},
    }
    got = {}
    for point in ("in the transaction", "committed", "nowhere"):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, point, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with child, caller(int(child.stdout.readline())) as raw:
            raw.sendall(framed(message()))
            got[point] = answer(raw)
            child.stdin.close()
            code = child.wait(30)
        assert code == (0 if point == "nowhere" else -signal.SIGKILL)
    assert got["in the transaction"] == got["committed"] == b""
    assert said(got["nowhere"])[0] == "AA"
    from mammolens.serve.record import look_into

    database = look_into(url)
    with database.read() as connection:
        assert len(connection.execute(REPORTS.select()).all()) == 1
        (row,) = connection.execute(OUTCOMES.select()).all()
    database.close()
    assert (row.exam_id, row.state) == (exam, "settled")


def test_the_door_is_off_by_default(state):
    assert NodeSettings().pathology.mllp_port is None
    with receiving_reports(state) as port:
        assert port == 0


def test_an_open_connection_does_not_delay_the_stop(state):
    chosen = PathologySettings(mllp_port=0, site="north")
    changed = state.settings.model_copy(update={"pathology": chosen})
    object.__setattr__(state, "settings", changed)
    with contextlib.ExitStack() as opened:
        door = contextlib.ExitStack()
        raw = opened.enter_context(caller(door.enter_context(receiving_reports(state))))
        raw.sendall(framed(message()))
        answer(raw)
        began = time.monotonic()
        door.close()
        assert time.monotonic() - began < 5
        assert raw.recv(1) == b""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate of this host that is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "node.pem", folder / "node.key"
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", *made, "-subj", "/CN=node"]
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    subprocess.run([*command, "-keyout", key, "-out", pem], check=True, capture_output=True)
    return pem, key


def test_tls_asks_senders_for_a_certificate(door, certificate, rows):
    pem, key = certificate
    port = door(certificate=pem, key=key, authority=pem)
    context = ssl.create_default_context(cafile=pem)
    with (
        contextlib.suppress(OSError),
        caller(port) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as stranger,
    ):
        stranger.sendall(framed(message()))
        assert answer(stranger) == b""
    assert rows(REPORTS) == []
    context.load_cert_chain(pem, key)
    with caller(port) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as known:
        for control in ("C1", "C2"):
            known.sendall(framed(message(control=control)))
            assert said(answer(known))[:2] == ("AA", control)
