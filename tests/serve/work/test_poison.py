"""Objects that kill or hold whoever opens them: one attempt each, then a failed result."""

from __future__ import annotations

import importlib
import json
import signal
import sys
import threading
import time
from io import BytesIO

import pytest
import sqlalchemy as sa
from pydicom import dcmread

from mammolens.serve.holdings import open_state
from mammolens.serve.intake import receive
from mammolens.serve.record import AUDIT, EXAMS, FILES, JOBS, RESULTS
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web.health import check_health
from mammolens.serve.work import isolation, performance, work
from mammolens.serve.work.isolation import Child, JobFailed
from mammolens.serve.work.queue import LAST_CHANCES, claim_job, queue_due

from ..in_process import work_once

POISONED = '''
"""Stands in for the child of a worker: identifying a poisoned object ends or holds it."""

import json, os, signal
from pathlib import Path

from mammolens.serve.work import isolation, performance

real = performance.identify
ENDS = {
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(0),
}

def identify(file):
    poison = json.loads(Path(__file__).with_name("poison.json").read_text())
    how = poison.get(file.path.name)
    if how == "loop":
        while True:
            pass
    if how is not None:
        ENDS[how]()
    return real(file)

def serve(*arguments):
    performance.identify = identify
    isolation._serve(*arguments)
'''
QUICK = {
    "exams": {"quiet_time_s": 0.01},
    "jobs": {
        "lease_s": 60,
        "backoff_s": 0.01,
        "backoff_max_s": 0.02,
        "max_attempts": 2,
        "poll_s": 0.05,
    },
    "intake": {"min_free_mb": 0},
    "sinks": ["json", "dicom-cad-sr", "fhir"],
}


@pytest.fixture
def poison(tmp_path, monkeypatch):
    """Give a function that says which objects do what to the child that identifies them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "poisoned_child.py").write_text(POISONED, "utf-8")
    told: dict[str, str] = {}

    def poison(digest: str, how: str) -> None:
        told[digest] = how
        (tmp_path / "poison.json").write_text(json.dumps(told), "utf-8")

    (tmp_path / "poison.json").write_text("{}", "utf-8")
    monkeypatch.setattr(isolation, "_serve", importlib.import_module("poisoned_child").serve)
    yield poison
    del sys.modules["poisoned_child"]


@pytest.fixture
def node(tmp_path, package):
    settings = NodeSettings(data=tmp_path / "node", model=str(package), **QUICK)
    with open_state(settings) as state:
        yield state


@pytest.fixture
def send(node, mammogram):
    def send(study: str) -> list[str]:
        return [
            receive(
                node,
                mammogram(number, StudyInstanceUID=study, SOPInstanceUID=f"{study}.{number}"),
                "dimse:X",
            ).digest
            for number in range(4)
        ]

    return send


def read(state, table):
    with state.database.read() as connection:
        return connection.execute(sa.select(table).order_by(table.c.id)).all()


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGKILL", "exit", "loop"])
def test_a_child_that_dies_or_stands_still_costs_one_attempt(node, send, poison, how):
    first = send("1.2.1")
    poison(first[2], how)
    send("1.2.2")
    queue_due(node.database, node.settings.exams)
    child = Child(node.settings)
    try:
        child.start()
        job = claim_job(node.database, "w", node.settings.jobs)
        with pytest.raises(JobFailed, match="stood still" if how == "loop" else "died"):
            child.perform(job, 3.0 if how == "loop" else 120.0)
        child.start()
        outcome, files = child.perform(claim_job(node.database, "w", node.settings.jobs), 120.0)
        assert (outcome.n_images, len(files)) == (4, 3)
    finally:
        child.end()


def test_a_poisoned_exam_fails_and_the_one_beside_it_is_not_hurt(node, send, poison):
    poison(send("1.2.1")[0], "SIGSEGV")
    send("1.2.2")
    stop = threading.Event()
    working = threading.Thread(target=work, args=(node, 2, stop))
    working.start()
    seen = set()
    try:
        until = time.monotonic() + 240
        while len(read(node, RESULTS)) < 2 and time.monotonic() < until:
            seen |= {*check_health(node).notices}
            time.sleep(0.05)
    finally:
        stop.set()
        working.join(60)
    (poisoned, innocent), (first, second) = read(node, RESULTS), read(node, JOBS)
    if poisoned.exam_id != first.exam_id:
        poisoned, innocent = innocent, poisoned
    assert (poisoned.category, poisoned.n_unreadable, first.attempts) == ("failed", 4, 3)
    assert "job_given_up" in poisoned.cautions
    assert (innocent.n_images, second.attempts) == (4, 1)
    said = [json.loads(r.detail) for r in read_audit(node) if r.action == "attempt_failed"]
    died = f"the process that analysed died (signal {signal.SIGSEGV.value})"
    assert [detail["error"] for detail in said] == [died] * 2
    assert any("killed their worker" in notice for notice in seen)
    health = check_health(node)
    assert any("given up" in notice for notice in health.notices)


def read_audit(state):
    with state.database.read() as connection:
        return connection.execute(sa.select(AUDIT).order_by(AUDIT.c.number)).all()


def test_the_failed_result_touches_no_object_and_names_them_all(node, send, monkeypatch):
    digests = send("1.2.840.7")
    with node.database.write() as connection:
        connection.execute(EXAMS.update().values(accession_number="ACC7"))
    time.sleep(0.05)

    def die(*_):
        raise SystemError("the object was opened")

    for name in ("identify", "load_exam"):
        monkeypatch.setattr(performance, name, die)
    until = time.monotonic() + 60
    while not read(node, RESULTS) and time.monotonic() < until:
        work_once(node)
        time.sleep(0.05)
    (result,) = read(node, RESULTS)
    assert (result.category, result.n_images, result.n_unreadable) == ("failed", 0, 4)
    files = {file.sink: node.results.read(file.digest) for file in read(node, FILES)}
    (exam,) = json.loads(files["json"])["exams"]
    assert exam["study_instance_uid"] == "1.2.840.7"
    assert {item["path"] for item in exam["unreadable"]} == {*digests}
    report = dcmread(BytesIO(files["dicom-cad-sr"]))
    assert (report.StudyInstanceUID, report.PatientID) == ("1.2.840.7", result_patient(node))
    assert report.AccessionNumber == "ACC7"
    assert "1.2.840.7" in files["fhir"].decode()


def result_patient(state) -> str:
    (exam,) = read(state, EXAMS)
    return exam.patient_id


def test_an_expired_lease_has_a_ceiling(node, send):
    send("1.2.1")
    time.sleep(0.05)
    queue_due(node.database, node.settings.exams)
    jobs = node.settings.jobs.model_copy(update={"lease_s": 0.01})
    taken = []
    for _ in range(20):
        job = claim_job(node.database, "w", jobs)
        taken += [job.last] if job else []
        time.sleep(0.03)
    assert taken == [False] * 2 + [True] * LAST_CHANCES
    (row,) = read(node, JOBS)
    assert row.state == "dead"
    assert any("no result" in notice for notice in check_health(node).notices)
