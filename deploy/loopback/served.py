"""The web application on loopback, with the demonstration in it, and people who sign in by HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyotp
from peers import Program, free_port

__all__ = ["Member", "Served", "run_mammolens", "wait_for"]

START_S = 90.0
STEP_S = 30
"""A code of the second factor counts once, so that a person waits so long for the next."""
RUN = "from mammolens.cli import main; main()"
QUICK = {
    "intake": {"film": True, "min_free_mb": 0},
    "exams": {"quiet_time_s": 2.0},
    "jobs": {"lease_s": 10.0, "backoff_s": 0.5, "backoff_max_s": 3.0, "poll_s": 0.2},
    "dimse": {"port": 0, "stop_s": 5.0},
    "web": {"stop_s": 5.0},
}


def run_mammolens(*arguments: object) -> list[str]:
    """Give the command line that runs mammolens with this Python."""
    return [sys.executable, "-c", RUN, *map(str, arguments)]


@dataclass
class Served:
    """The demonstration in a folder of its own, served by a process that may be killed.

    `one_time` are the one-time passwords by account. With ``apart`` the worker is a process of its
    own, so that it can be killed by itself. `host` is the name by which it answers.
    """

    folder: Path
    database: str = ""
    apart: bool = False
    host: str = ""
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    one_time: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "node.toml"
        self.config.write_text(self._settings(), "utf-8")
        done = subprocess.run(
            run_mammolens("node", "demo", self.folder), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        self.one_time |= dict(re.findall(r"one-time password of (\S+): (\S+)", done.stdout))
        settings = ("--config", self.config)
        workers = 0 if self.apart else 1
        serve = run_mammolens("serve", *settings, "--port", self.port, "--workers", workers)
        self.programs = {"serve": Program(serve, self.folder / "serve.log")}
        if self.apart:
            worker = run_mammolens("worker", *settings)
            self.programs["worker"] = Program(worker, self.folder / "worker.log")

    @property
    def address(self) -> str:
        """Where people find it."""
        return f"http://127.0.0.1:{self.port}"

    def _settings(self) -> str:
        lines = [
            f"data = {json.dumps(str(self.folder / 'data'))}",
            f"database = {json.dumps(self.database)}",
            'sinks = ["json", "html", "overlay"]',
        ]
        for name in {*QUICK, *self.sections}:
            values = {**QUICK.get(name, {}), **self.sections.get(name, {})}
            lines += [f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in values.items())]
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        """Start it and wait until it answers."""
        for program in self.programs.values():
            program.start()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            self.programs["serve"].check()
            with contextlib.suppress(httpx.HTTPError):
                headers = {"host": self.host} if self.host else {}
                live = httpx.get(f"{self.address}/health/live", headers=headers, timeout=2.0)
                live.raise_for_status()
                return
            time.sleep(0.1)
        raise RuntimeError("the application did not answer in time")

    def end(self) -> None:
        """End all of it."""
        for program in self.programs.values():
            program.end()


class Member:
    """A person who signs in by HTTP, as a browser does, and acts within a session."""

    def __init__(self, address: str, name: str, password: str) -> None:
        self.name, self.password, self.secret, self.last_step = name, password, "", 0
        self.client = httpx.Client(base_url=f"{address}/api/v1", timeout=30.0)
        self.csrf = ""

    def sign_in(self) -> None:
        """Go through all that is asked for: a new password, a second factor."""
        stage = self._keep(self.call("POST", "/sign-in", name=self.name, password=self.password))
        if stage == "password":
            self.password = "a quiet river, seven bridges"
            stage = self._keep(self.call("POST", "/session/password", new=self.password))
        if stage == "second_factor":
            self.secret = self.call("POST", "/session/second-factor")["secret"]
            stage = self._keep(self.call("POST", "/session/code", code=self._code()))
        elif stage == "code":
            stage = self._keep(self.call("POST", "/session/code", code=self._code()))
        if stage != "open":
            raise RuntimeError(f"{self.name} is asked for {stage}")

    def call(self, method: str, path: str, /, headers: Mapping[str, str] = {}, **body: Any) -> Any:
        """Make a request, and read the JSON that comes back."""
        answer = self.ask(method, path, headers, body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: Any = None
    ) -> httpx.Response:
        """Make a request, whatever the answer."""
        sent = {"x-csrf-token": self.csrf, **headers}
        return self.client.request(method, path, json=body or None, headers=sent)

    def _keep(self, session: Mapping[str, Any]) -> str:
        self.csrf = session["csrf_token"]
        return str(session["stage"])

    def _code(self) -> str:
        while (step := int(time.time()) // STEP_S) <= self.last_step:
            time.sleep(0.5)
        self.last_step = step
        return pyotp.TOTP(self.secret).at(step * STEP_S)


def wait_for(condition: Callable[[], Any], seconds: float = 60.0, every_s: float = 0.3) -> Any:
    """Give the first true answer of `condition`.

    Raises
    ------
    RuntimeError
        None came in time.
    """
    until = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > until:
            raise RuntimeError("it did not happen in time")
        time.sleep(every_s)
    return found
