"""Servers of procedure steps that mean harm, or are broken: they stop neither us nor others."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset

from mammolens.errors import DeliveryError
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.record import AUDIT, STEPS
from mammolens.serve.record import steps as step_rows
from mammolens.serve.settings import NodeSettings
from mammolens.serve.ups import cancels, performing
from mammolens.serve.ups.performer import perform_steps

from ..hostile import Hostile, accepting, drip, flood, nothing
from .step_book import StepBook, dimse_peer, web_peer

STUDY = "1.2.840.77"
MG = "1.2.840.10008.5.1.4.1.1.1.2"
ENDS_S = 30.0
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n"


@pytest.fixture
def book() -> StepBook:
    return StepBook()


@pytest.fixture
def node(tmp_path, package) -> Iterator[object]:
    """Give a function that opens the state of a node with this server of steps."""
    with contextlib.ExitStack() as stack:

        def start(server: str, timeout_s: float = 1.0) -> NodeState:
            settings = NodeSettings(
                data=tmp_path / "node",
                model=str(package),
                intake={"min_free_mb": 0},
                jobs={"backoff_s": 0.01, "lease_s": 5},
                web={"enabled": False, "timeout_s": timeout_s},
                dimse={
                    "stop_s": 0.5,
                    "acse_timeout_s": timeout_s,
                    "dimse_timeout_s": timeout_s,
                    "network_timeout_s": timeout_s,
                },
                ups={"server": server, "poll_s": 0.01},
            )
            return stack.enter_context(open_state(settings))

        yield start


def inputs(count: int) -> dict[str, object]:
    item = Dataset()
    item.TypeOfInstances, item.StudyInstanceUID, item.SeriesInstanceUID = "DICOM", STUDY, "1.2.5"
    item.ReferencedSOPSequence = []
    for number in range(count):
        reference = Dataset()
        reference.ReferencedSOPClassUID = MG
        reference.ReferencedSOPInstanceUID = f"1.2.3.4.{number}"
        item.ReferencedSOPSequence.append(reference)
    return {"InputInformationSequence": [item]}


NONSENSE = (
    "text",
    None,
    {"00080018": {"vr": "UI", "Value": [{"a": 1}]}},
    {"00404018": {"vr": "LO", "Value": ["no sequence"]}, "00741000": {"vr": "CS"}},
    {"00404025": {"vr": "SQ", "Value": ["no item"]}},
    {"00741000": {"vr": "CS", "Value": ["SCHEDULED"]}, "00404025": {"vr": "PN", "Value": [7]}},
    {"no tag": {"vr": "XX"}},
)


def test_a_step_made_of_nonsense_stops_no_other(node, book, monkeypatch):
    book.schedule("1.2.1", **inputs(4))

    class Nonsense:
        """What the server finds besides, as it writes it."""

        def __init__(self, said: object) -> None:
            self.said = said

        def to_json_dict(self) -> object:
            return self.said

    found = [*map(Nonsense, NONSENSE), book.steps["1.2.1"]]
    monkeypatch.setattr(book, "find", lambda _: found)
    with web_peer(book) as server:
        perform_steps(node(server))
    assert book.state("1.2.1") == "IN PROGRESS"


def test_a_step_that_cannot_be_read_is_put_off_alone(node, book, monkeypatch):
    book.schedule("1.2.1", **inputs(4), ScheduledProcedureStepStartDateTime="20260101")
    book.schedule("1.2.2", **inputs(4), ScheduledProcedureStepStartDateTime="20260102")

    def fail(step, _classes):
        if step.get("SOPInstanceUID", "1.2.1") == "1.2.1":
            raise AttributeError("a text where a sequence belongs")
        return []

    monkeypatch.setattr("mammolens.serve.ups.performer.read_inputs", fail)
    with dimse_peer(book) as server:
        perform_steps(node(server))
    assert [book.state(uid) for uid in ("1.2.1", "1.2.2")] != ["SCHEDULED", "SCHEDULED"]
    assert book.state("1.2.2") in ("IN PROGRESS", "CANCELED")


# The server of pynetdicom forgets to close a socket whose other side has gone.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_search_without_end_is_given_up(node, book, monkeypatch):
    monkeypatch.setattr("mammolens.serve.dimse.pull.MOST_FOUND", 20)
    for number in range(60):
        book.schedule(f"1.2.{number}")
    with dimse_peer(book) as server, pytest.raises(DeliveryError, match="no end"):
        perform_steps(node(server))
    gc.collect()


def test_a_step_that_lists_more_than_an_exam_is_not_begun(node, book, monkeypatch):
    monkeypatch.setattr("mammolens.serve.ups.data.MOST_REFERENCES", 10)
    book.schedule("1.2.1", **inputs(11))
    with dimse_peer(book) as server:
        assert perform_steps(node(server)) == 1
    assert book.state("1.2.1") == "CANCELED"


def test_a_cancel_that_is_repeated_is_one_row_of_the_trail(node, book):
    book.schedule("1.2.1", **inputs(4))
    with dimse_peer(book) as server:
        state = node(server)
        perform_steps(state)
        for _ in range(50):
            assert step_rows.ask_cancel(state.database, "1.2.1", "dimse:RIS")
    with state.database.read() as connection:
        asked = AUDIT.c.action == "step_cancel_asked"
        found = connection.execute(sa.select(sa.func.count()).where(asked)).scalar_one()
        (row,) = connection.execute(sa.select(STEPS)).all()
    assert (found, row.cancel_asked) == (1, True)


EVENTS = (
    "[" * 100_000,
    "{}",
    "null",
    '{"00001002": 2, "00001000": 3}',
    '{"00001002": {"Value": [2]}, "00001000": {"Value": [{"a": 1}]}}',
    '{"00001002": {"Value": [2]}, "00001000": {"Value": ["%s"]}}' % ("1" * 1_000_000),
    '{"00001002": {"Value": {"0": 2}}, "00001000": {"Value": "1"}}',
    '{"00001002": {"Value": [%s]}}' % ("9" * 10_000),
)


@pytest.mark.parametrize("number", range(len(EVENTS)))
def test_an_event_made_of_nonsense_asks_for_nothing(node, number):
    state = node("http://127.0.0.1:9/rs")
    peer = type("Peer", (), {"name": "ris"})()
    cancels._take(state, peer, EVENTS[number], threading.Event())


DRIPS = {
    "http": drip(OK + b"Content-Length: 100000\r\n\r\n["),
    "http headers": drip(OK),
    "http silence": nothing,
    "dicom": drip(b"\x02\x00\x00\x00\xea\x60"),
    "dicom answer": accepting(drip(b"\x04\x00\x00\x00\xea\x60")),
}


@pytest.mark.parametrize("what", DRIPS)
def test_the_node_stops_in_time_whatever_a_server_of_steps_does(node, what, monkeypatch):
    monkeypatch.setattr(cancels, "JOIN_S", 0.5, raising=False)
    hostile = Hostile(DRIPS[what])
    web = f"http://127.0.0.1:{hostile.port}/rs"
    server = web if what.startswith("http") else f"dicom://STEPS@127.0.0.1:{hostile.port}"
    try:
        with performing(node(server, 60.0)):
            time.sleep(0.5)
            began = time.monotonic()
        assert time.monotonic() - began < 15
    finally:
        hostile.stop()


FLOODS = {
    "an array of small things": flood(OK + b"\r\n[", b"{}," * 20_000),
    "arrays in arrays": flood(OK + b"\r\n", b"[" * 65536),
    "a text": flood(OK + b'\r\n["', b"a" * 65536),
}


@pytest.mark.parametrize("what", FLOODS)
def test_an_answer_without_end_is_let_go(node, what):
    hostile = Hostile(FLOODS[what])
    try:
        began = time.monotonic()
        with pytest.raises(DeliveryError):
            perform_steps(node(f"http://127.0.0.1:{hostile.port}/rs"))
        assert time.monotonic() - began < ENDS_S
    finally:
        hostile.stop()


def test_an_answer_of_many_small_things_is_not_made_into_data_sets(node):
    """3 bytes of JSON become a kilobyte of memory."""
    body = b"[" + b"{}," * 300_000 + b"{}]"
    said = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def script(connection):
        connection.recv(65536)
        connection.sendall(said)

    hostile = Hostile(script)
    try:
        with pytest.raises(DeliveryError, match="not DICOM JSON"):
            perform_steps(node(f"http://127.0.0.1:{hostile.port}/rs"))
    finally:
        hostile.stop()
