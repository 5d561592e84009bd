"""``mammolens serve``: everything in one process, from the first password to the end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mammolens import cli

from ..conftest import free_port

pytestmark = [pytest.mark.slow, pytest.mark.longest]
COMMAND = (sys.executable, "-c", "from mammolens.cli import main; main()", "serve")


@pytest.fixture
def config(tmp_path, package) -> Path:
    file = tmp_path / "node.toml"
    data = json.dumps(str(tmp_path / "node"))
    model = json.dumps(str(package))
    file.write_text(
        f"data = {data}\n[model]\nname = {model}\n[intake]\nmin_free_mb = 0\n"
        "[exams]\nquiet_time_s = 0.2\n[jobs]\npoll_s = 0.1\n[dimse]\nport = 0\n"
    )
    return file


@contextmanager
def served(config: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """Start the service; gives the process, and the lines that it says within a few seconds."""
    process = subprocess.Popen(
        [*COMMAND, "--config", str(config), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        lines, until = [], time.monotonic() + 90
        while time.monotonic() < until and process.poll() is None:
            ready, _, _ = select.select([process.stdout], [], [], 3.0 if lines else 60.0)
            if not ready:
                break
            lines.append(process.stdout.readline().decode().strip())
        yield process, lines
    finally:
        process.kill()
        process.communicate()


def get(port: int, path: str) -> tuple[int, dict]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    with connection.getresponse() as answer:
        status, told = answer.status, json.loads(answer.read())
    connection.close()
    return status, told


def test_the_first_start_shows_a_password_and_the_next_does_not(config):
    port = free_port()
    with served(config, "--port", str(port)) as (process, lines):
        assert lines[0] == f"mammolens serves people at http://127.0.0.1:{port}/"
        assert lines[1] == "first administrator: admin"
        password = re.fullmatch("one-time password: ([a-z0-9-]{23})", lines[2])
        assert password is not None
        assert get(port, "/api/v1/sign-in")[1]["password"] is True
        until = time.monotonic() + 60
        while get(port, "/health/ready")[0] != 200 and time.monotonic() < until:
            time.sleep(0.2)
        assert get(port, "/health/ready") == (
            200,
            {"status": "ready", "database": "ok", "disk": "ok", "worker": "ok"},
        )
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        assert password[1].encode() not in errors
    with served(config, "--port", str(port), "--workers", "0") as (process, lines):
        assert len([line for line in lines if line]) == 1
        assert get(port, "/health/ready")[1]["worker"] == "silent"


def test_a_worker_that_cannot_work_ends_everything(config):
    config.write_text(re.sub('name = ".*"', 'name = "no-such-model"', config.read_text()))
    with served(config, "--port", "0") as (process, _):
        _, errors = process.communicate(timeout=60)
        assert process.returncode not in (0, None)
        assert b"no-such-model" in errors


def test_people_come_by_http(config):
    config.write_text(config.read_text() + "[web]\nenabled = false\n")
    done = CliRunner().invoke(cli.app, ["serve", "--config", str(config)])
    assert done.exit_code != 0
    assert "web.enabled" in str(done.exception) + done.output


def test_an_administrator_is_let_in_again(config):
    runner = CliRunner()
    for name, word in (("admin", "one-time password: "), ("x", "")):
        done = runner.invoke(cli.app, ["node", "administrator", name, "--config", str(config)])
        assert done.output.startswith(word)
        assert (done.exit_code == 0) is bool(word)
