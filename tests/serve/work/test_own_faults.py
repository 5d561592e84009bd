"""Faults of our own disk are no sink faults and no attempts: work waits, and goes on."""

from __future__ import annotations

import errno
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.holdings import store as store_module
from mammolens.serve.intake import receive
from mammolens.serve.record import AUDIT, FILES, INSTANCES, JOBS, RESULTS
from mammolens.serve.web.health import check_health
from mammolens.serve.work import performance, worker

from ..in_process import work_once

SINKS = ("json", "csv", "dicom-cad-sr", "fhir", "hl7")


@pytest.fixture
def made(state) -> NodeState:
    settings = state.settings.model_copy(update={"sinks": SINKS})
    return replace(state, settings=settings)


@pytest.fixture(autouse=True)
def received(state, mammogram):
    for number in range(4):
        data = mammogram(number)
        receive(state, data, "dimse:X")


@pytest.fixture
def run(made, clock):
    def run() -> int:
        clock.turn(61)
        return work_once(made)

    return run


def failing(error: int):
    def fail(*_, **__):
        raise OSError(error, os.strerror(error))

    return fail


def opening(part: str, instead):
    """Give a `Path.open` that does something else for the files under a folder of ours."""
    real = Path.open

    def open_file(path, *arguments, **named):
        if f"/node/{part}/" in str(path):
            return instead(real, *arguments, **named)
        return real(path, *arguments, **named)

    return open_file


PLACES = {
    "in the sinks": (performance, "exam_artefacts", failing(errno.ENOSPC)),
    "when results are put": (store_module.os, "fsync", failing(errno.EDQUOT)),
    "when folders are made": (Path, "mkdir", failing(errno.EROFS)),
    "when objects are read": (Path, "open", opening("received", failing(errno.EIO))),
    "when headers are read": (Path, "open", opening("received", failing(errno.EMFILE))),
    "when results are stored": (Store, "put", failing(errno.EACCES)),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_fault_of_our_disk_is_waited_out(place, run, rows, monkeypatch):
    with monkeypatch.context() as patch:
        target, name, instead = PLACES[place]
        patch.setattr(target, name, instead)
        for _ in range(10):
            assert run() == 0
    (job,) = rows(JOBS)
    assert (job.state, job.attempts, rows(RESULTS)) == ("queued", 0, [])
    assert run() == 1
    (result,) = rows(RESULTS)
    assert (result.n_images, result.n_unreadable) == (4, 0)
    assert "sink" not in result.cautions
    assert {file.sink for file in rows(FILES)} == {*SINKS}
    told = [row for row in rows(AUDIT) if row.action == "postponed"]
    assert len(told) <= 1


def test_no_job_is_taken_while_results_cannot_be_written(made, run, rows):
    made.results.folder.parent.mkdir(exist_ok=True)
    made.results.folder.write_text("a file where the folder should be")
    for _ in range(3):
        assert run() == 0
    assert rows(JOBS)[0].attempts == 0
    health = check_health(made)
    assert (health.disk, health.is_ready) == ("results_cannot_be_written", False)
    assert any(notice.startswith("results: cannot be written") for notice in health.notices)
    made.results.folder.unlink()
    assert run() == 1
    assert check_health(made).disk == "ok"
    assert check_health(made).notices == ()


def test_one_object_on_a_bad_sector_fails_after_an_hour(made, run, rows, clock, monkeypatch):
    whole = Path.open
    bad = rows_digest(rows)

    def opened(path: Path, *given, **named):
        return failing(errno.EIO)() if path.name == bad else whole(path, *given, **named)

    monkeypatch.setattr(Path, "open", opened)
    for _ in range(5):
        assert run() == 0
    assert rows(JOBS)[0].attempts == 0
    clock.turn(3600)
    for _ in range(made.settings.jobs.max_attempts):
        assert run() == 0
        clock.turn(600)
    assert run() == 1
    (result,) = rows(RESULTS)
    assert (result.category, "job_given_up" in result.cautions) == ("failed", True)


def rows_digest(rows) -> str:
    return rows(INSTANCES)[1].digest


def test_an_object_that_changed_in_the_store_is_not_scored(made, run, rows, clock):
    path = made.received.path(rows_digest(rows))
    content = bytearray(path.read_bytes())
    content[-1000] ^= 0xFF
    path.write_bytes(content)
    for _ in range(made.settings.jobs.max_attempts):
        assert run() == 0
        clock.turn(600)
    assert run() == 1
    assert rows(RESULTS)[0].category == "failed"


def test_a_database_that_goes_away_at_the_end_costs_no_attempt(run, rows, monkeypatch):
    with monkeypatch.context() as patch:

        def away(*_):
            raise StorageError("the database cannot be used") from sa.exc.OperationalError(
                "insert", {}, Exception("read-only")
            )

        patch.setattr(worker, "commit_result", away)
        for _ in range(6):
            assert run() == 0
    assert rows(JOBS)[0].attempts == 0
    assert run() == 1


@pytest.mark.pacs
@pytest.mark.parametrize("sink", ["json", "dicom-cad-sr"])
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_disk_that_is_really_full(tmp_path, state, sink, clock, rows):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        settings = state.settings.model_copy(update={"sinks": (sink,)})
        here = replace(state, settings=settings, results=Store(disk / "results"))
        with (disk / "filling").open("wb", buffering=0) as filling:
            try:
                while True:
                    filling.write(bytes(512))
            except OSError:
                pass
        for _ in range(10):
            clock.turn(61)
            assert work_once(here) == 0
        assert (rows(JOBS)[0].state, rows(JOBS)[0].attempts) == ("queued", 0)
        assert check_health(here).disk == "results_cannot_be_written"
        (disk / "filling").unlink()
        clock.turn(61)
        assert work_once(here) == 1
        assert [file.sink for file in rows(FILES)] == [sink]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
