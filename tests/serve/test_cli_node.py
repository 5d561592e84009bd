"""The doors: ``mammolens worker`` and ``mammolens node``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from mammolens.cli import app
from mammolens.errors import ConfigError
from mammolens.extras import need_extra
from mammolens.serve.settings import load_settings


@pytest.fixture
def config(tmp_path, package):
    path = tmp_path / "node.toml"
    path.write_text(
        f'data = "{tmp_path / "data"}"\nmodel = "{package}"\n'
        "[intake]\nmin_free_mb = 0\n[exams]\nquiet_time_s = 0.01\n",
        "utf-8",
    )
    return path


@pytest.fixture
def views(tmp_path, mammogram):
    folder = tmp_path / "views"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.dcm").write_bytes(mammogram(number, PatientName="Secret^Person"))
    return folder


@pytest.fixture
def call(config, kept_logging):  # noqa: ARG001
    def call(*words: str, code: int = 0):
        done = CliRunner().invoke(app, [*words, "--config", str(config)])
        assert done.exit_code == code, done.output
        return done

    return call


def test_from_files_to_results(call, views):
    call("node", "add", str(views))
    call("worker", "--once")
    found = json.loads(call("node", "status", "--json").stdout)
    assert found["received"]["input"] == 4
    assert found["jobs"] == {"queued": 0, "running": 0, "done": 1, "dead": 0}
    assert sum(found["results"].values()) == 1
    assert (found["waiting"], found["oldest_job_s"]) == (0, None)
    assert "received before" in call("node", "add", str(views)).stdout


def test_status_says_what_waits(call, views):
    call("node", "add", str(views))
    said = call("node", "status").stdout
    assert "received    4 input" in said
    assert re.search(r"exams +1, 1 waiting; the oldest waits for \d+ s", said)


def test_files_that_are_not_dicom_are_named(call, views):
    (views / "note.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    done = call("node", "add", str(views), code=3)
    assert "note.png: NotAnImage" in done.stderr
    assert done.stdout.count(": input") == 4


def test_a_broken_trail_is_found(call, views, tmp_path):
    call("node", "add", str(views))
    whole = call("node", "verify").stdout.strip().rpartition(" ")[2]
    call("node", "verify", "--head", whole)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'node.sqlite'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE number = 2")
    engine.dispose()
    assert "broken at row 2: the row was changed" in call("node", "verify", code=1).stderr


@pytest.mark.slow
def test_where_an_exam_is_and_what_became_of_it(call, views):
    call("node", "add", str(views))
    call("worker", "--once")
    (exam,) = json.loads(call("node", "exams", "--json").stdout)["exams"]
    asked = ("--patient", exam["patient_id"], "--study", exam["study_instance_uid"])
    table = call("node", "exams", *asked, "--state", "done").stdout.splitlines()
    assert len(table) == 2
    assert table[1].split()[:2] == [str(exam["id"]), "done"]
    assert "no exam fits" in call("node", "exams", "--accession", "none", code=1).stdout
    said = call("node", "show", str(exam["id"])).stdout
    for part in ("came:", "analyses:", "results:", "audit trail:"):
        assert part in said
    told = json.loads(call("node", "show", str(exam["id"]), "--json").stdout)
    assert len(told["instances"]) == 4


def test_an_empty_node_has_no_exams_and_that_is_no_fault(call):
    assert "0 jobs" in call("node", "retry").stdout
    assert call("node", "exams").stdout.strip() == "no exam fits"


QUESTIONS = [
    ("exams",),
    ("show", "1"),
    ("status",),
    ("verify",),
    ("dead",),
    ("expire", "--dry-run"),
]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_questions_write_nothing(config, call, words):
    """A node that was never started is named, not made: a wrong path is no empty answer."""
    done = CliRunner().invoke(app, ["node", *words, "--config", str(config)])
    assert isinstance(done.exception, ConfigError)
    assert "no database yet" in str(done.exception)
    data = load_settings(config).data
    assert not data.exists()
    call("node", "retry")

    def state_of() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in data.rglob("*")
            if path.is_file() and path.suffix not in (".sqlite-shm",)
        }

    before = state_of()
    CliRunner().invoke(app, ["node", *words, "--config", str(config)])
    assert state_of() == before


def test_what_a_command_writes_is_closed_to_others(config, call, views):
    before = os.umask(0o022)
    try:
        call("node", "add", str(views))
        call("node", "backup", str(config.with_name("kept")))
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    data = load_settings(config).data
    made = [data, config.with_name("kept"), *data.rglob("*"), *config.with_name("kept").rglob("*")]
    assert len(made) > 10
    assert {path.name for path in made if path.lstat().st_mode & 0o077} == set()


def test_what_was_open_to_others_is_closed_or_named(config, call, views):
    call("node", "add", str(views))
    data = load_settings(config).data
    ours = [data / "received", data / "node.sqlite"]
    for path in ours:
        path.chmod(0o755)
    found = call("node", "check", code=1).stdout
    assert found.count("others can read it") == 2
    call("node", "add", str(views))
    assert {path.stat().st_mode & 0o077 for path in (data / "received", data / "node.sqlite")} == {
        0
    }
    assert "others" not in call("node", "check").stdout


def test_a_group_may_share_where_the_settings_say_so(config, call, views):
    config.write_text("share_with_group = true\n" + config.read_text("utf-8"), "utf-8")
    call("node", "add", str(views))
    data = load_settings(config).data
    modes = {path.stat().st_mode & 0o777 for path in data.rglob("*") if path.is_file()}
    assert modes == {0o640}


def test_a_new_file_of_settings_is_written_once(tmp_path):
    path = tmp_path / "new.toml"
    done = CliRunner().invoke(app, ["node", "init", str(path)])
    assert done.exit_code == 0
    assert f"mammolens node check --config {path}" in done.stdout
    assert "[model]" in path.read_text("utf-8")
    again = CliRunner().invoke(app, ["node", "init", str(path)])
    assert isinstance(again.exception, ConfigError)


def test_retry_says_how_many(call):
    assert "0 jobs, 0 deliveries" in call("node", "retry").stdout


def test_the_extra_is_named_where_it_lacks(monkeypatch):
    monkeypatch.setattr("mammolens.extras.find_spec", lambda name: name == "alembic" or None)
    with pytest.raises(ConfigError, match=r"needs sqlalchemy, pydantic_settings.*\[serve\]"):
        need_extra("serve")


@pytest.mark.slow
def test_a_worker_ends_when_it_is_told_to_and_tells_no_name(config, views):
    program = Path(sys.executable).with_name("mammolens")
    subprocess.run([program, "node", "add", views, "--config", config], check=True)
    process = subprocess.Popen(
        [program, "worker", "--config", config], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    told = []
    while "job_done" not in (line := process.stderr.readline()):
        assert line, told
        told.append(line)
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert json.loads(rest.splitlines()[-1])["event"] == "ended"
    everything = "".join(told) + line + rest
    assert not re.search(r"(?i)secret|P1\b|1\.2\.3|views", everything)


def test_a_new_key_is_given_at_the_door(call, config, views):
    hidden = f'[intake.deidentify]\nscratch = "{config.parent}"\nclean_models = ["Drawn"]\n'
    with config.open("a", encoding="utf-8") as file:
        file.write(hidden + f'key = "{"o" * 32}"\n')
    for path in views.iterdir():
        data = pydicom.dcmread(path)
        data.BurnedInAnnotation = "NO"
        data.save_as(path)
    call("node", "add", str(views))
    said = config.read_text("utf-8")
    both = said.replace("o" * 32, "n" * 32) + f'old_keys = ["{"o" * 32}"]\n'
    config.write_text(both, "utf-8")
    assert "4 identities" in call("node", "rekey").stdout
    config.write_text(said.replace("o" * 32, "n" * 32), "utf-8")
    assert "received before" in call("node", "add", str(views)).stdout


@pytest.mark.slow
def test_expiry_refuses_a_clock_that_runs_ahead(config, call, views):
    config.write_text(config.read_text("utf-8") + "[retention]\nexams_days = 90\n", "utf-8")
    call("node", "add", str(views))
    call("worker", "--once")
    database = sa.create_engine(f"sqlite:///{load_settings(config).data / 'node.sqlite'}")
    with database.begin() as connection:
        for table, column in (("exams", "last_received_at"), ("instances", "received_at")):
            old = f"UPDATE {table} SET {column} = datetime('now', '-200 days') || '.000000'"
            connection.exec_driver_sql(old)
    database.dispose()
    assert "1 exams" in call("node", "expire", "--dry-run").stdout
    for words in ((), ("--yes",)):
        done = CliRunner().invoke(app, ["node", "expire", *words, "--config", str(config)])
        assert isinstance(done.exception, ConfigError)
        assert "nothing was received for 200 days" in str(done.exception)
        assert "(1 exams are due)" in str(done.exception)
    assert "1 exams" in call("node", "expire", "--clock-is-right").stdout
