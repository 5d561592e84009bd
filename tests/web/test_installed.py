"""Who installs the wheel has the page, and needs no Node and no repository."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import ROOT, loopback

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_an_installed_wheel_serves_the_page(built_page, tmp_path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    locked = ROOT / "constraints-node.txt"
    install = (binaries / "python", "-m", "pip", "install", "--quiet", "--constraint", locked)
    run(*install, f"{wheel}[serve]", cwd=tmp_path)
    peers = loopback("peers")
    port = peers.free_port()
    (tmp_path / "node.toml").write_text(f'data = "{tmp_path}/data"\n[dimse]\nport = 0\n')
    # env: what this Python finds must not be found there.
    command = ["env", "-u", "PYTHONPATH", str(binaries / "mammolens"), "serve"]
    command += ["--port", str(port), "--workers", "0"]
    program = peers.Program(command, tmp_path / "serve.log")
    program.start()
    try:
        page = _wait(f"http://127.0.0.1:{port}/", program)
        assert page == (built_page / "index.html").read_text("utf-8")
        said = _wait_for("one-time password: ", tmp_path / "serve.log")
        assert f"mammolens serves people at http://127.0.0.1:{port}/" in said
        assert "first administrator: admin" in said
    finally:
        program.end()


def _wait_for(words: str, log: Path) -> str:
    """Give what was said, once it has some words; the password comes after the first page."""
    until = time.monotonic() + 60
    while words not in (said := log.read_text("utf-8")):
        assert time.monotonic() < until, said
        time.sleep(0.1)
    return said


def _wait(address: str, program: Any) -> str:
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        program.check()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(address).text
        time.sleep(0.2)
    raise AssertionError("it did not answer in time")
