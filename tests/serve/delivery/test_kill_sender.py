"""``kill -9`` of the sender between a send and its acknowledgement: the receiver holds one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from mammolens.serve.delivery import deliver, delivering

pytestmark = pytest.mark.slow

CHILD = """
import json, sys, threading
from mammolens.serve.delivery import deliver
from mammolens.serve.settings import NodeSettings
from mammolens.serve.holdings import open_state

with open_state(NodeSettings(**json.loads(sys.argv[1]))) as state:
    deliver(state, threading.Event())
"""


@pytest.fixture
def sender():
    """Give a function that runs `mammolens deliver` of a node in a process of its own."""
    started = []

    def start(node):
        settings = node.state.settings.model_dump_json()
        command = [sys.executable, "-c", CHILD, settings]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


class Gate:
    """Holds a destination between taking and answering, the first time only."""

    def __init__(self) -> None:
        self.taken, self.go_on = threading.Event(), threading.Event()
        self.first = True

    def wait(self) -> None:
        if self.first:
            self.first = False
            self.taken.set()
            self.go_on.wait(20)


@pytest.fixture
def held(peer, peers, mammogram, bundle, message):
    """Give a function that makes a destination, its route, a file, and how to look what it has."""

    def make(kind: str, gate: Gate):
        one = peer(peers[kind])
        at = f"127.0.0.1:{one.port}"
        if kind == "dimse":

            def answer(event) -> int:
                uid = event.request.AffectedSOPInstanceUID
                one.held.setdefault(uid, [])
                gate.wait()
                return 0

            one.answer = answer
            files = {("dicom-sc", "0.dcm"): mammogram(0)}
            return f"dicom://PACS@{at}", files, lambda: sorted(one.held)
        if kind == "mllp":
            take = one.take

            def slow(said):
                answered = take(said)
                gate.wait()
                return answered

            one.take = slow
            return f"mllp://{at}", {("hl7", "P.hl7"): message()}, lambda: sorted(one.held)
        take = one.take

        def slow_http(handler, body):
            answered = take(handler, body)
            gate.wait()
            return answered

        one.take = slow_http
        if kind == "stow":
            files = {("dicom-sc", "0.dcm"): mammogram(0)}
            return f"stow+http://{at}/dicom-web", files, lambda: sorted(one.held)
        files = {("fhir", "P.json"): bundle()}
        return f"fhir+http://{at}/fhir", files, lambda: sorted(one.resources)

    return make


EXPECTED = {
    "dimse": ["1.2.3.4.0"],
    "stow": ["1.2.3.4.0"],
    "mllp": ["m1"],
    "fhir": ["DiagnosticReport/r1", "ImagingStudy/1"],
}


@pytest.mark.parametrize(
    "kind",
    ["dimse", "mllp", *(pytest.param(k, marks=pytest.mark.longest) for k in ("stow", "fhir"))],
)
def test_a_sender_killed_before_the_answer_sends_again_and_there_is_one(
    make_node, sender, held, until, kind
):
    gate = Gate()
    to, files, look = held(kind, gate)
    (sink, _), *_ = files
    route = {"name": "a", "to": to, "sinks": [sink], "timeout_s": 10}
    node = make_node(route, jobs={"lease_s": 1.0})
    node.enter(files)
    process = sender(node)
    until(gate.taken.is_set, 30)
    assert node.states() == ["running"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    gate.go_on.set()
    with delivering(node.state):
        until(node.finished)
    assert node.deliveries("state", "attempts") == [("done", 2)]
    assert look() == EXPECTED[kind]
    assert len(node.trail("lease_lost")) == 1
    assert len(node.trail("delivered")) == 1


def test_two_senders_share_a_route(make_node, peer, peers, mammogram, until):
    archive = peer(peers["dimse"])
    to = f"dicom://PACS@127.0.0.1:{archive.port}"
    node = make_node({"name": "a", "to": to, "sinks": ["dicom-sc"]})
    for exam in range(1, 7):
        node.enter(
            {("dicom-sc", f"{n}"): mammogram(n, SOPInstanceUID=f"1.2.{exam}.{n}") for n in (1, 2)},
            exam=exam,
        )
    stop = threading.Event()
    senders = [threading.Thread(target=deliver, args=(node.state, stop)) for _ in range(2)]
    for one in senders:
        one.start()
    until(node.finished)
    stop.set()
    for one in senders:
        one.join()
    assert len(archive.held) == 12
    assert {len(times) for times in archive.held.values()} == {1}


def test_a_sender_that_is_asked_to_end_ends_when_its_file_has_arrived(make_node, held, until):
    gate = Gate()
    to, files, _ = held("fhir", gate)
    node = make_node({"name": "a", "to": to, "sinks": ["fhir"], "timeout_s": 10})
    node.enter(files)
    script = CHILD.replace(
        "import deliver\n", "import deliver\nfrom mammolens.serve import commands\n"
    )
    script = script.split("with open_state")[0] + (
        "commands.run_deliveries(NodeSettings(**json.loads(sys.argv[1])), False)"
    )
    settings = node.state.settings.model_dump_json()
    process = subprocess.Popen([sys.executable, "-c", script, settings], stderr=subprocess.PIPE)
    try:
        until(gate.taken.is_set, 30)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert process.poll() is None
        gate.go_on.set()
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert node.states() == ["done"]
    events = [json.loads(line)["event"] for line in told.decode().splitlines()]
    assert events == ["started", "delivered", "ended"]
