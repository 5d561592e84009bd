"""Logs: one JSON line each, and no identifier in any of them."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import warnings

import pytest

from mammolens.serve import logs


@pytest.fixture
def lines(kept_logging):  # noqa: ARG001
    """Give a function that reads what was logged."""
    stream = io.StringIO()
    logs.configure("info", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_a_line(lines):
    logs.event("worker", "job_done", exam=3, seconds=1.5, category="low")
    (line,) = lines()
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "mammolens.worker",
        "event": "job_done",
        "exam": 3,
        "seconds": 1.5,
        "category": "low",
    }


def test_fields_that_are_not_on_the_list_are_left_out(lines):
    logs.event("worker", "job_done", exam="Doe^Jane", patient="Doe^Jane", error=3)
    assert {*lines()[0]} == {"at", "level", "logger", "event"}


def test_an_exception_is_told_by_type_and_place(lines):
    try:
        raise ValueError("Doe^Jane")
    except ValueError:
        logs.event("worker", "job_failed", logging.ERROR)
    (line,) = lines()
    assert line["exception"] == "ValueError"
    assert "test_logs.py" in line["trace"][-1]
    assert "Doe" not in json.dumps(line)


def test_what_other_packages_say_is_told_by_place(lines):
    foreign = logging.getLogger("pynetdicom")
    foreign.warning("Doe^Jane %s", "P1")
    foreign.info("Doe^Jane")
    try:
        raise ValueError("Doe^Jane")
    except ValueError:
        foreign.exception("Doe^Jane")
    said = lines()
    assert [line["event"] for line in said] == ["foreign"] * 2
    assert "Doe" not in json.dumps(said)
    assert "P1" not in json.dumps(said)


def test_the_level_is_kept(lines):
    logs.event("worker", "detail", logging.DEBUG)
    assert lines() == []


def test_warnings_of_libraries_are_told_by_place(lines):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Doe^Jane 1.2.3", stacklevel=1)
    (line,) = lines()
    assert (line["logger"], line["event"]) == ("py.warnings", "foreign")
    assert "Doe" not in json.dumps(line)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_ends_a_thread_is_told_by_type_and_place(lines, capfd):
    def fail():
        raise ValueError("Doe^Jane 1.2.3")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    (line,) = lines()
    assert (line["event"], line["exception"]) == ("thread_failed", "ValueError")
    assert line["trace"][-1].endswith("fail")
    assert "Doe" not in json.dumps(line) + "".join(capfd.readouterr())


def test_what_ends_the_process_is_told_by_type_and_place(tmp_path):
    program = (
        "from mammolens.serve import logs\n"
        "import warnings\n"
        "logs.configure('info')\n"
        "warnings.warn('Doe^Jane')\n"
        "raise ValueError('Doe^Jane 1.2.3')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    assert events == ["foreign", "process_failed"]
    assert "Doe" not in done.stderr
