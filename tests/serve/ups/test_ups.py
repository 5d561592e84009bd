"""Procedure steps, over DIMSE and over HTTP, against a strict server of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role
from pynetdicom.sop_class import UnifiedProcedureStepEvent, UnifiedProcedureStepPush

from mammolens.errors import ConfigError, DeliveryError, StorageError
from mammolens.serve.delivery import deliver
from mammolens.serve.dimse import listening
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.record import AUDIT, STEPS
from mammolens.serve.record import steps as step_rows
from mammolens.serve.settings import NodeSettings
from mammolens.serve.ups import performing
from mammolens.serve.ups.performer import perform_steps

from ..conftest import wait_for
from ..image_peer import Peer, running
from ..in_process import work_once
from .step_book import StepBook, code, dimse_peer, web_peer

STUDY = "1.2.840.77"
MG = "1.2.840.10008.5.1.4.1.1.1.2"


@pytest.fixture
def book() -> StepBook:
    return StepBook()


@pytest.fixture(params=["dimse", "web"])
def server(request, book) -> Iterator[str]:
    with {"dimse": dimse_peer, "web": web_peer}[request.param](book) as address:
        yield address


@pytest.fixture
def values(tmp_path, package, server):
    (tmp_path / "out").mkdir()
    return {
        "data": str(tmp_path / "node"),
        "model": str(package),
        "intake": {"min_free_mb": 0},
        "exams": {"quiet_time_s": 0.01},
        "jobs": {"backoff_s": 0.01, "lease_s": 5},
        "web": {"enabled": False},
        "ups": {"server": server, "poll_s": 0.01},
        "sinks": ["dicom-sc"],
        "routes": [{"name": "out", "to": str(tmp_path / "out"), "sinks": ["dicom-sc"]}],
    }


@pytest.fixture
def state(values) -> Iterator[NodeState]:
    with open_state(NodeSettings(**values)) as opened:
        yield opened


@pytest.fixture
def send(state, send_views):
    tags = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1"}
    return lambda *numbers, **changes: send_views(state, numbers, **{**tags, **changes})


def inputs(*numbers: int, study: str = STUDY, kind: str = MG) -> dict[str, object]:
    item = Dataset()
    item.TypeOfInstances, item.StudyInstanceUID, item.SeriesInstanceUID = "DICOM", study, "1.2.5"
    item.ReferencedSOPSequence = []
    for number in numbers:
        reference = Dataset()
        reference.ReferencedSOPClassUID = kind
        reference.ReferencedSOPInstanceUID = f"1.2.3.4.{number}"
        item.ReferencedSOPSequence.append(reference)
    return {"InputInformationSequence": [item]}


def work_through(state: NodeState, rounds: int = 8) -> int:
    ended, stop = 0, threading.Event()
    for _ in range(rounds):
        ended += perform_steps(state)
        if ended:
            return ended
        work_once(state)
        deliver(state, stop, once=True)
        stop.wait(0.03)
    return ended


def reason(book: StepBook, uid: str) -> str:
    (told,) = book.steps[uid].ProcedureStepProgressInformationSequence
    (item,) = told.ProcedureStepDiscontinuationReasonCodeSequence
    return str(item.CodeValue)


def steps(state: NodeState) -> list[sa.Row]:
    with state.database.read() as connection:
        return list(connection.execute(sa.select(STEPS).order_by(STEPS.c.id)))


def test_a_step_is_claimed_performed_and_completed(state, book, send):
    book.schedule("1.2.1", **inputs(0, 1, 2, 3))
    assert perform_steps(state) == 0
    assert book.state("1.2.1") == "IN PROGRESS"
    assert book.subscribed == {"1.2.1"}
    send(0, 1, 2, 3)
    assert work_through(state) == 1
    assert book.done == [("1.2.1", "IN PROGRESS"), ("1.2.1", "COMPLETED")]
    (performed,) = book.steps["1.2.1"].UnifiedProcedureStepPerformedProcedureSequence
    assert performed.PerformedWorkitemCodeSequence[0].CodeValue == "110004"
    outputs = performed.OutputInformationSequence
    assert {item.StudyInstanceUID for item in outputs} == {STUDY}
    sent = [r.ReferencedSOPInstanceUID for item in outputs for r in item.ReferencedSOPSequence]
    delivered = list((state.settings.data.parent / "out").rglob("*.dcm"))
    assert len(sent) == len(delivered) > 0
    (row,) = steps(state)
    assert (row.phase, row.state, row.token) == ("completed", "done", None)
    assert perform_steps(state) == 0
    assert len(book.done) == 2


def test_a_step_waits_for_all_its_images_and_for_delivery(state, book, send):
    book.schedule("1.2.1", **inputs(0, 1))
    perform_steps(state)
    send(0)
    assert work_through(state, 4) == 0
    send(1)
    stop = threading.Event()
    perform_steps(state)
    stop.wait(0.03)
    work_once(state)
    stop.wait(0.03)
    assert perform_steps(state) == 0
    deliver(state, stop, once=True)
    stop.wait(0.03)
    assert perform_steps(state) == 1
    assert book.state("1.2.1") == "COMPLETED"


@pytest.mark.slow
def test_a_step_of_another_is_left(state, book):
    book.schedule("1.2.1", **inputs(0))
    book.before = lambda name: (
        book.change("1.2.1", "9.9", "IN PROGRESS") if name == "change IN PROGRESS" else None
    )
    perform_steps(state)
    assert book.transactions == {"1.2.1": "9.9"}
    (row,) = steps(state)
    assert (row.phase, row.state) == ("lost", "done")
    with state.database.read() as connection:
        actions = connection.execute(sa.select(AUDIT.c.action)).scalars().all()
    assert "step_lost" in actions
    assert "step_claimed" not in actions


def test_two_nodes_never_share_a_step(state, book, values, tmp_path):
    for number in range(6):
        book.schedule(f"1.2.{number}", **inputs(0))
    other = values | {"data": str(tmp_path / "other"), "ups": values["ups"] | {"most": 6}}
    with open_state(NodeSettings(**other)) as second:
        both = [threading.Thread(target=perform_steps, args=(s,)) for s in (state, second)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        claimed = [*steps(state), *steps(second)]
    ours = [r.sop_instance_uid for r in claimed if r.phase == "waiting"]
    assert sorted(ours) == sorted(u for u in book.steps if book.state(u) == "IN PROGRESS")
    assert len({*ours}) == len(ours) == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"ScheduledStationNameCodeSequence": [code("OTHER", "99TEST")]},
        {"ScheduledStationNameCodeSequence": []},
        {"ScheduledWorkitemCodeSequence": [code("110005", "DCM")]},
        {"InputReadinessState": "INCOMPLETE"},
    ],
)
def test_steps_that_are_not_ours_are_not_claimed(state, book, changes):
    book.schedule("1.2.1", **inputs(0), **changes)
    perform_steps(state)
    assert book.done == []
    assert steps(state) == []


def test_the_urgent_come_first_and_only_so_many(state, book):
    for number, priority in enumerate(("LOW", "MEDIUM", "HIGH", "MEDIUM", "HIGH")):
        book.schedule(f"1.2.{number}", ScheduledProcedureStepPriority=priority, **inputs(0))
    perform_steps(state)
    assert [uid for uid, _ in book.done] == ["1.2.2", "1.2.4", "1.2.1", "1.2.3"]


def test_a_failed_exam_cancels_the_step_and_names_what_came_of_it(state, book, send):
    book.schedule("1.2.1", **inputs(0))
    send(0, PresentationIntentType="FOR PROCESSING")
    assert work_through(state) == 1
    assert book.state("1.2.1") == "CANCELED"
    assert reason(book, "1.2.1") == "110521"


def test_a_step_without_mammograms_is_canceled(state, book):
    report = "1.2.840.10008.5.1.4.1.1.88.50"
    book.schedule("1.2.1", **inputs(0, kind=report))
    book.schedule("1.2.2")
    assert perform_steps(state) == 2
    assert [reason(book, uid) for uid in ("1.2.1", "1.2.2")] == ["110522", "110523"]


def test_a_step_that_takes_too_long_is_canceled(state, book):
    book.schedule("1.2.1", **inputs(0))
    perform_steps(state)
    with state.database.write() as connection:
        old = datetime.now(UTC) - timedelta(hours=2)
        connection.execute(STEPS.update().values(created_at=old))
    assert work_through(state, 3) == 1
    assert reason(book, "1.2.1") == "110523"


def test_a_result_that_is_not_delivered_cancels_the_step(values, book, send_views):
    route = {"name": "out", "to": "stow+http://127.0.0.1:1/x", "sinks": ["dicom-sc"]}
    changed = values | {"routes": [route | {"max_attempts": 1}]}
    book.schedule("1.2.1", **inputs(0))
    with open_state(NodeSettings(**changed)) as state:
        send_views(state, [0], StudyInstanceUID=STUDY)
        assert work_through(state, 12) == 1
    assert reason(book, "1.2.1") == "110501"


def test_a_server_that_is_away_stops_nothing(state, book, send):
    def away(name: str) -> None:
        if name == "update":
            raise RuntimeError

    book.schedule("1.2.1", **inputs(0))
    send(0)
    book.before = away
    with contextlib.suppress(DeliveryError):
        perform_steps(state)
    book.before = None
    threading.Event().wait(0.05)
    assert work_through(state) == 1
    assert [change for _, change in book.done] == ["IN PROGRESS", "COMPLETED"]


def place(url: str) -> Dataset:
    item = Dataset()
    item.RetrieveURL = url
    return item


def test_images_are_fetched_from_where_the_step_says(values, book, mammogram):
    peer = Peer([mammogram(n, StudyInstanceUID=STUDY, SeriesInstanceUID="1.2.5") for n in range(4)])
    asked = inputs(0, 1)
    with running(peer) as address:
        (item,) = asked["InputInformationSequence"]
        item.WADORSRetrievalSequence = [place(f"{address}/studies/{STUDY}")]
        book.schedule("1.2.1", **asked)
        changed = values | {"web": {"enabled": False, "peers": {"pacs": address}}}
        with open_state(NodeSettings(**changed)) as state:
            assert work_through(state) == 1
    assert book.state("1.2.1") == "COMPLETED"
    fetched = [path.rpartition("/")[2] for path, _ in peer.asked if "/series/" in path]
    assert sorted(fetched) == ["1.2.3.4.0", "1.2.3.4.1"]


def test_nothing_is_fetched_from_a_server_that_a_step_alone_names(values, book, mammogram):
    peer = Peer([mammogram(0, StudyInstanceUID=STUDY)])
    asked = inputs(0)
    with running(peer) as address:
        (item,) = asked["InputInformationSequence"]
        item.WADORSRetrievalSequence = [place(f"{address}/studies/{STUDY}")]
        book.schedule("1.2.1", **asked)
        with open_state(NodeSettings(**values)) as state:
            assert work_through(state, 3) == 0
    assert peer.asked == []


@pytest.mark.slow
def test_images_that_nobody_places_come_from_the_source(values, book, mammogram):
    peer = Peer([mammogram(n, StudyInstanceUID=STUDY) for n in range(4)])
    book.schedule("1.2.1", StudyInstanceUID=STUDY)
    with running(peer) as address:
        changed = values | {"web": {"enabled": False, "peers": {"pacs": address}}}
        changed["ups"] = values["ups"] | {"source": "pacs"}
        with open_state(NodeSettings(**changed)) as state:
            assert work_through(state) == 1
    assert book.state("1.2.1") == "COMPLETED"


def test_a_step_is_found_again_where_identity_is_taken_off(values, book, send_views, tmp_path):
    hidden = {"key": "k" * 32, "scratch": str(tmp_path / "scratch")}
    changed = values | {"intake": {"min_free_mb": 0, "deidentify": hidden}}
    (tmp_path / "scratch").mkdir()
    book.schedule("1.2.1", **inputs(0))
    book.schedule("1.2.2", StudyInstanceUID=STUDY)
    with open_state(NodeSettings(**changed)) as state:
        send_views(state, [0], StudyInstanceUID=STUDY, BurnedInAnnotation="NO")
        assert work_through(state) == 2
    (performed,) = book.steps["1.2.1"].UnifiedProcedureStepPerformedProcedureSequence
    assert {i.StudyInstanceUID for i in performed.OutputInformationSequence} == {STUDY}
    kept = b"".join(p.read_bytes() for p in (tmp_path / "node").rglob("*") if p.is_file())
    assert STUDY.encode() not in kept
    assert b"1.2.3.4.0" not in kept


@pytest.mark.slow
def test_images_are_fetched_where_identity_is_taken_off(values, book, mammogram, tmp_path):
    hidden = {"key": "k" * 32, "scratch": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    told = {"StudyInstanceUID": STUDY, "BurnedInAnnotation": "NO"}
    peer = Peer([mammogram(n, **told) for n in range(4)])
    book.schedule("1.2.1", **inputs(0, 1))
    book.schedule("1.2.2", StudyInstanceUID=STUDY)
    with running(peer) as address:
        changed = values | {
            "intake": {"min_free_mb": 0, "deidentify": hidden},
            "web": {"enabled": False, "peers": {"pacs": address}},
            "ups": values["ups"] | {"source": "pacs"},
        }
        with open_state(NodeSettings(**changed)) as state:
            assert work_through(state) == 2
    assert [book.state(f"1.2.{n}") for n in (1, 2)] == ["COMPLETED"] * 2


@pytest.mark.pacs
def test_steps_are_kept_in_postgresql_too(values, book, cluster, send_views):
    book.schedule("1.2.1", **inputs(0))
    with open_state(NodeSettings(**values | {"database": cluster.new_database()})) as state:
        send_views(state, [0], StudyInstanceUID=STUDY)
        assert work_through(state) == 1
    assert book.state("1.2.1") == "COMPLETED"


def test_a_server_that_is_not_known_is_named(values):
    with (
        open_state(NodeSettings(**values | {"ups": {"server": "nobody"}})) as state,
        pytest.raises(ConfigError, match="nobody"),
        performing(state),
    ):
        pass


def event_report(uid: str, kind: int) -> dict[str, object]:
    """As in PS3.18 11.13."""
    return {
        "00000002": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.34.6.4"]},
        "00001000": {"vr": "UI", "Value": [uid]},
        "00001002": {"vr": "US", "Value": [kind]},
    }


@pytest.mark.parametrize("server", ["web"], indirect=True)
def test_a_cancel_request_comes_over_the_event_channel(values, book):
    book.schedule("1.2.1", **inputs(0))
    with open_state(NodeSettings(**values)) as state:
        with performing(state):
            wait_for(lambda: book.listeners and book.state("1.2.1") == "IN PROGRESS")
            for told in (event_report("1.2.1", 1), {"00001002": 2}, [], event_report("1.2.99", 2)):
                book.events.put(told)
            book.events.put(event_report("1.2.1", 2))
            wait_for(lambda: book.state("1.2.1") == "CANCELED")
        with state.database.read() as connection:
            asked = sa.select(AUDIT.c.actor).where(AUDIT.c.action == "step_cancel_asked")
            actors = connection.execute(asked).scalars().all()
    assert book.listeners == ["MAMMOLENS"]
    assert reason(book, "1.2.1") == "110513"
    assert actors == [f"web:{values['ups']['server']}"]


@pytest.mark.parametrize("server", ["web"], indirect=True)
def test_the_event_channel_is_opened_again(values, book):
    with open_state(NodeSettings(**values)) as state, performing(state):
        wait_for(lambda: len(book.listeners) == 1)
        book.events.put(None)
        wait_for(lambda: len(book.listeners) == 2)


@pytest.mark.parametrize("server", ["web"], indirect=True)
def test_a_cancel_that_is_asked_while_the_database_is_away_is_kept(values, book, monkeypatch):
    real, failures = step_rows.ask_cancel, [StorageError("away")] * 2

    def sometimes(*given):
        if failures:
            raise failures.pop()
        return real(*given)

    monkeypatch.setattr(step_rows, "ask_cancel", sometimes)
    monkeypatch.setattr("mammolens.serve.ups.cancels.LOOK_S", 0.01)
    book.schedule("1.2.1", **inputs(0))
    with open_state(NodeSettings(**values)) as state, performing(state):
        wait_for(lambda: book.listeners and book.state("1.2.1") == "IN PROGRESS")
        book.events.put(event_report("1.2.1", 2))
        wait_for(lambda: book.state("1.2.1") == "CANCELED")


def test_a_cancel_request_comes_to_the_listener(values, book):
    values |= {"dimse": {"port": 0}}
    book.schedule("1.2.1", **inputs(0))
    with open_state(NodeSettings(**values)) as state, listening(state) as listener:
        perform_steps(state)
        assert event(listener.port, "1.2.1", 1) == 0
        assert event(listener.port, "1.2.99", 2) == 0x0112
        assert event(listener.port, "1.2.1", 2) == 0
        threading.Event().wait(0.03)
        assert perform_steps(state) == 1
    assert book.state("1.2.1") == "CANCELED"
    assert reason(book, "1.2.1") == "110513"


def event(port: int, uid: str, kind: int) -> int:
    ae = AE("STEPS")
    ae.add_requested_context(UnifiedProcedureStepEvent)
    role = build_role(UnifiedProcedureStepEvent, scp_role=True)
    association = ae.associate("127.0.0.1", port, ae_title="MAMMOLENS", ext_neg=[role])
    assert association.is_established
    told = Dataset()
    told.ReasonForCancellation = "no longer needed"
    status, _ = association.send_n_event_report(
        told, kind, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepEvent
    )
    association.release()
    return int(status.Status)


CHILD = """
import json, os, signal, sys, threading
from mammolens.serve.record import steps
from mammolens.serve.ups import performer
from mammolens.serve.settings import NodeSettings
from mammolens.serve.holdings import open_state

point = sys.argv[1]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(name):
    real = getattr(steps, name)
    setattr(steps, name, lambda *a: (real(*a), die()))

if point == "claimed":
    steps.save = die
elif point == "saved":
    die_after("save")
elif point == "ended":
    steps.end = die
with open_state(NodeSettings(**json.loads(sys.argv[2]))) as state:
    for _ in range(200):  # until it is killed: a busy machine may need more than a few looks
        performer.perform_steps(state)
        threading.Event().wait(0.05)
"""


@pytest.mark.slow
@pytest.mark.longest
@pytest.mark.parametrize("point", ["claimed", "saved", "ended"])
def test_killed_at_any_point_a_step_goes_on(values, book, send, state, point):
    values |= {"jobs": {"backoff_s": 0.01, "lease_s": 0.5}}
    book.schedule("1.2.1", **inputs(0))
    send(0)
    if point == "ended":
        stop, out = threading.Event(), state.settings.data.parent / "out"
        while not list(out.rglob("*.dcm")):  # the exam is analysed when no more images come
            work_once(state)
            deliver(state, stop, once=True)
            stop.wait(0.03)
    child = [sys.executable, "-c", CHILD, point, json.dumps(values)]
    done = subprocess.run(child, timeout=60, check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert book.done[0] == ("1.2.1", "IN PROGRESS")
    threading.Event().wait(0.6)
    with open_state(NodeSettings(**values)) as again:
        assert work_through(again) == 1
        (row,) = steps(again)
    assert row.phase == "completed"
    assert [change for _, change in book.done] == ["IN PROGRESS", "COMPLETED"]
