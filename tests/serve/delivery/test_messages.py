"""FHIR over REST and HL7 over MLLP: what counts as an answer, and that a repeat doubles nothing."""

from __future__ import annotations

import json
import threading
import time

import pytest

from mammolens.serve.checks import check_destinations
from mammolens.serve.delivery import deliver, delivering
from mammolens.serve.settings import NodeSettings

SLOW = {"backoff_s": 60, "backoff_max_s": 60}
"""What is put off stays so until the end of the test."""


@pytest.fixture
def now():
    return lambda node: deliver(node.state, threading.Event(), once=True)


@pytest.fixture
def fhir(make_node, peer, peers):
    def make(jobs=SLOW, **route):
        server = peer(peers["fhir"])
        to = f"fhir+http://127.0.0.1:{server.port}/fhir"
        said = {"name": "ehr", "to": to, "sinks": ["fhir"], "timeout_s": 1, **route}
        secrets = {"secrets": {"ehr": "t0ken"}}
        return make_node(said, jobs=jobs, **secrets), server

    return make


@pytest.fixture
def mllp(make_node, peer, peers):
    def make(jobs=SLOW, **route):
        listener = peer(peers["mllp"])
        to = f"mllp://127.0.0.1:{listener.port}"
        said = {"name": "ris", "to": to, "sinks": ["hl7"], "timeout_s": 1, **route}
        return make_node(said, jobs=jobs), listener

    return make


def test_a_bundle_is_posted_with_its_token_and_a_repeat_doubles_nothing(fhir, bundle, until):
    node, server = fhir(jobs=None)
    server.orders = [lambda handler: handler.connection.close()]
    node.enter({("fhir", "P.json"): bundle()})
    node.enter({("fhir", "P.json"): bundle(conclusion="second")})
    with delivering(node.state):
        until(node.finished)
    assert len(server.requests) == 3
    assert {r["Authorization"] for r in server.requests} == {"Bearer t0ken"}
    assert server.requests[0]["Idempotency-Key"] == server.requests[1]["Idempotency-Key"]
    assert sorted(server.resources) == ["DiagnosticReport/r1", "ImagingStudy/1"]
    assert [said for _, said in server.history] == ["first", "second"]


def test_a_server_that_answered_after_we_had_gone_holds_one(fhir, bundle, until):
    node, server = fhir(jobs=None, timeout_s=0.3)

    def late(handler) -> None:
        server.take(handler, bundle())
        time.sleep(0.6)

    server.orders = [late]
    node.enter({("fhir", "P.json"): bundle()})
    with delivering(node.state):
        until(node.finished)
    assert node.trail("put_off")[0]["error"] == "no answer: TimeoutError"
    assert sorted(server.resources) == ["DiagnosticReport/r1", "ImagingStudy/1"]


def test_a_status_says_whether_it_is_tried_again(fhir, bundle, now):
    node, server = fhir()
    again = [408, 409, 429, 500, 502, 503, 301, 401, 403, 404]
    never = [400, 410, 412, 413, 415, 422]
    for exam, status in enumerate([*again, *never], start=1):
        server.orders = [status]
        node.enter({("fhir", "P.json"): bundle()}, exam=exam)
        assert now(node) == 0
    assert node.deliveries("state", "error") == [
        *[("queued", f"HTTP {status}") for status in again],
        *[("dead", f"HTTP {status}") for status in never],
    ]


def test_a_success_counts_only_if_every_entry_worked(fhir, bundle, now):
    node, server = fhir()
    answers = {
        b"<html>log in</html>": "queued",
        b'{"resourceType": "Bundle", "type": "transaction-response", "entry": []}': "queued",
        b'{"type": "transaction-response", "entry": [{"response": {}}, {}]}': "queued",
        b'{"type": "transaction-response", "entry": [{"response": {"status": "201"}},'
        b' {"response": {"status": "412 Precondition Failed"}}]}': "dead",
    }
    for exam, answer in enumerate(answers, start=1):
        server.orders = [lambda handler, answer=answer: handler.give(200, answer)]
        node.enter({("fhir", "P.json"): bundle()}, exam=exam)
        assert now(node) == 0
    assert node.states() == [*answers.values()]


def test_what_is_no_bundle_is_dead_and_others_go_on(fhir, bundle, now):
    node, server = fhir()
    node.enter({("fhir", "P.json"): b"{}"})
    node.enter({("fhir", "P.json"): bundle()}, exam=2)
    assert now(node) == 1
    assert node.states() == ["dead", "done"]
    assert len(server.requests) == 1


def test_a_server_that_asks_for_time_gets_it(fhir, bundle, until):
    node, server = fhir(jobs={"backoff_s": 0.02, "backoff_max_s": 0.6})

    def busy(handler) -> None:
        handler.send_response(429)
        handler.send_header("Retry-After", "1")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.orders = [busy]
    node.enter({("fhir", "P.json"): bundle()})
    began = time.monotonic()
    with delivering(node.state):
        until(node.finished)
    assert time.monotonic() - began >= 0.6


def test_a_certificate_must_be_vouched_for_and_bear_the_name(
    make_node, peer, peers, bundle, certificate, now
):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = peer(peers["fhir"], 0, context)
    said = {"to": f"fhir+https://127.0.0.1:{server.port}/fhir", "sinks": ["fhir"], "timeout_s": 5}
    node = make_node(
        {"name": "unknown", **said},
        {"name": "misnamed", **said, "ca": certificate},
        {"name": "right", **said, "ca": certificate, "tls_name": "pacs.test"},
    )
    node.enter({("fhir", "P.json"): bundle()})
    assert now(node) == 1
    refused = "cannot be reached: SSLCertVerificationError"
    assert {*node.deliveries("route", "state", "error")} == {
        ("unknown", "queued", refused),
        ("misnamed", "queued", refused),
        ("right", "done", None),
    }


def test_certificates_are_checked_before_anything_is_sent(peer, peers, certificate):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = peer(peers["fhir"], 0, context)
    said = {"to": f"mllps://127.0.0.1:{server.port}", "sinks": ["hl7"], "timeout_s": 5}
    web = {"to": f"fhir+https://127.0.0.1:{server.port}/fhir", "sinks": ["fhir"], "timeout_s": 5}
    settings = NodeSettings(
        routes=[
            {"name": "unknown", **said},
            {"name": "misnamed", **said, "ca": certificate},
            {"name": "right", **said, "ca": certificate, "tls_name": "pacs.test"},
            {"name": "web", **web, "ca": certificate, "tls_name": "pacs.test"},
        ]
    )
    found = {reached.what: reached for reached in check_destinations(settings)}
    assert "TLS fails (self-signed certificate)" in found["route unknown"].said
    assert "TLS fails (IP address mismatch" in found["route misnamed"].said
    assert found["route right"].sound
    assert "HTTP 501" in found["route web"].said
    assert server.requests == []


def test_a_message_is_framed_and_acknowledged_by_its_id(mllp, message, now):
    node, listener = mllp()
    node.enter({("hl7", "P.hl7"): message()})
    assert (now(node), now(node)) == (1, 0)
    assert listener.received == ["m1"]
    assert listener.held["m1"].encode() == message()
    assert node.trail("delivered")[0]["receipt"] == "MSA AA"


def test_an_acknowledgement_is_judged(mllp, message, now):
    node, listener = mllp()
    judged = {
        ("CA", ""): ("done", None),
        ("AE", ""): ("dead", "MSA AE"),
        ("AE", "101"): ("dead", "MSA AE 101"),
        ("AE", "207"): ("queued", "MSA AE 207"),
        ("AR", ""): ("queued", "MSA AR"),
        ("AR", "200"): ("dead", "MSA AR 200"),
        ("CR", "206"): ("queued", "MSA CR 206"),
        ("??", ""): ("queued", "MSA ?"),
    }
    for exam, (code, error) in enumerate(judged, start=1):
        err = f"\rERR||PID^1^5|{error}^Sample^HL70357|E" if error else ""
        said = f"MSH|^~\\&|RIS||||2026||ACK|9|P|2.5.1\rMSA|{code}|m1{err}\r"
        listener.answers = [lambda _, said=said: said]
        node.enter({("hl7", "P.hl7"): message()}, exam=exam)
        now(node)
    assert node.deliveries("state", "error") == [*judged.values()]


def test_the_answer_to_another_message_does_not_count(mllp, message, until):
    node, listener = mllp(jobs=None, timeout_s=0.4)
    other = "MSH|^~\\&|RIS||||2026||ACK|9|P|2.5.1\rMSA|AA|m0\r"
    late = lambda m: other + "\x1c\r\x0b" + listener.take(m)  # noqa: E731
    listener.answers = [lambda _: other, late]
    node.enter({("hl7", "P.hl7"): message()})
    with delivering(node.state):
        until(node.finished)
    assert [row["error"] for row in node.trail("put_off")] == ["no acknowledgement: TimeoutError"]


def test_a_listener_that_hangs_up_gets_the_same_message_again(mllp, message, until):
    node, listener = mllp(jobs=None)

    def take_and_hang_up(said) -> None:
        listener.take(said)

    listener.answers = [take_and_hang_up]
    for exam in (1, 2):
        node.enter({("hl7", "P.hl7"): message(f"m{exam}")}, exam=exam)
    with delivering(node.state):
        until(node.finished)
    assert sorted(listener.received) == ["m1", "m1", "m2"]
    assert sorted(listener.held) == ["m1", "m2"]


@pytest.mark.parametrize("content", [b"", b"MSH|^~\\&|x\r", b"PID|1\r", b"\x0bMSH"])
def test_what_is_no_message_is_dead(mllp, message, now, content):
    node, listener = mllp()
    node.enter({("hl7", "P.hl7"): content})
    node.enter({("hl7", "P.hl7"): message()}, exam=2)
    assert now(node) == 1
    assert node.states() == ["dead", "done"]
    assert listener.received == ["m1"]


@pytest.mark.slow
def test_results_of_a_real_exam_are_taken_by_every_kind_of_destination(
    make_node, peer, peers, mammogram, package, tmp_path, now
):
    """Images in, the worker, then all five ways out; a late view corrects what was said."""
    from mammolens.serve.intake import receive

    from ..in_process import work_once

    started = {kind: peer(made) for kind, made in peers.items()}
    (tmp_path / "share").mkdir()
    ports = {kind: one.port for kind, one in started.items()}
    dicom = ["dicom-cad-sr", "dicom-sc"]
    node = make_node(
        {"name": "d", "to": f"dicom://PACS@127.0.0.1:{ports['dimse']}", "sinks": dicom},
        {"name": "s", "to": f"stow+http://127.0.0.1:{ports['stow']}/dicom-web", "sinks": dicom},
        {"name": "f", "to": f"fhir+http://127.0.0.1:{ports['fhir']}/fhir", "sinks": ["fhir"]},
        {"name": "h", "to": f"mllp://127.0.0.1:{ports['mllp']}", "sinks": ["hl7"]},
        {"name": "o", "to": str(tmp_path / "share"), "sinks": ["json"]},
        model=str(package),
        intake={"min_free_mb": 0},
        exams={"quiet_time_s": 0.01},
    )
    for numbers in ((0, 1, 2), (3,)):
        for number in numbers:
            content = mammogram(number)
            receive(node.state, content, "x")
        time.sleep(0.05)
        assert work_once(node.state) == 1
        now(node)
    assert [row for row in node.deliveries() if row.state != "done"] == []
    assert sorted(started["dimse"].held) == sorted(started["stow"].held)
    assert {len(held) for held in started["dimse"].held.values()} == {1}
    first, second = started["mllp"].held.values()
    assert [first.count("|||||P|"), second.count("|||||P|")] == [
        first.count("OBX|"),
        second.count("OBX|"),
    ]
    assert "|REVISION^Number of this result of the exam" in second
    reports = [
        r for r in started["fhir"].resources.values() if r["resourceType"] == "DiagnosticReport"
    ]
    assert [report["status"] for report in reports] == ["preliminary"]
    said = sorted((tmp_path / "share").rglob("results.json"))
    assert [p.relative_to(tmp_path / "share").parts[1] for p in said] == [
        "result-001",
        "result-002",
    ]
    assert json.loads(said[0].read_bytes())
