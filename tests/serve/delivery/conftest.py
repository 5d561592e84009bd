"""Destinations that look closely at what they get, and a node that has results to send."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa

from mammolens.core import ModelId, TriageCategory
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.record import (
    AUDIT,
    DELIVERIES,
    EXAMS,
    JOBS,
    Database,
    Lease,
    WorkState,
    open_database,
)
from mammolens.serve.settings import NodeSettings
from mammolens.serve.work.queue import Job
from mammolens.serve.work.results import Outcome, ResultFile, commit_result

from ..conftest import free_port, wait_for

QUICK = {"lease_s": 5, "backoff_s": 0.02, "backoff_max_s": 0.1, "poll_s": 0.02}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class HttpPeer:
    """An HTTP server on loopback; `orders` are answers that it gives first, each once."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.orders: list[int | Callable[[BaseHTTPRequestHandler], None]] = []
        self.requests: list[dict[str, str]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                peer.requests.append({**self.headers, "path": self.path})
                order = peer.orders.pop(0) if peer.orders else None
                if callable(order):
                    order(self)
                elif order is not None:
                    self.give(order, b"")
                else:
                    status, kind, answer = peer.take(self, body)
                    self.give(status, json.dumps(answer).encode(), kind)

            def give(self, status: int, body: bytes, kind: str = "text/plain") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Be quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, Any]:
        raise NotImplementedError

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class FhirPeer(HttpPeer):
    """Keeps resources by their URL, makes what is conditional once, and counts what it makes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[str, Any]] = []
        self.made = 0
        HttpPeer.__init__(self, *arguments, **named)

    def take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, Any]:
        assert request.path == "/fhir"
        assert request.headers["Content-Type"] == "application/fhir+json; charset=utf-8"
        bundle = json.loads(body)
        assert bundle["type"] == "transaction"
        entries = [self._entry(**entry["request"], said=entry) for entry in bundle["entry"]]
        answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
        return 200, "application/fhir+json", answer

    def _entry(
        self, method: str, url: str, said: dict[str, Any], ifNoneExist: str = ""
    ) -> dict[str, Any]:
        resource = said["resource"]
        if method == "PUT":
            status = "200 OK" if url in self.resources else "201 Created"
            self.resources[url] = resource
            self.history.append((url, resource.get("conclusion")))
            return {"response": {"status": status}}
        (wanted,) = parse_qs(ifNoneExist)["identifier"]
        there = any(
            f"{i.get('system')}|{i['value']}" == wanted
            for r in self.resources.values()
            if r["resourceType"] == url
            for i in r.get("identifier", ())
        )
        if not there:
            self.made += 1
            self.resources[f"{url}/{self.made}"] = resource
        return {"response": {"status": "200 OK" if there else "201 Created"}}


class StowPeer(HttpPeer):
    """Takes a multipart body apart, reads what is in it, and answers for each instance."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.held: dict[str, list[str]] = {}
        self.reasons: dict[str, int] = {}
        self.warnings: dict[str, int] = {}
        self.silent = False
        HttpPeer.__init__(self, *arguments, **named)

    def take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, Any]:
        import pydicom

        assert request.path == "/dicom-web/studies"
        kind, *parameters = request.headers["Content-Type"].split("; ")
        named = dict(parameter.split("=", 1) for parameter in parameters)
        assert (kind, named["type"]) == ("multipart/related", '"application/dicom"')
        before, *parts, after = body.split(b"--" + named["boundary"].encode())
        assert (before, after) == (b"", b"--\r\n")
        stored, failed = [], []
        for part in parts:
            head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            assert head == b"Content-Type: application/dicom"
            content = content.removesuffix(b"\r\n")
            dataset = pydicom.dcmread(BytesIO(content))
            uid = dataset.SOPInstanceUID
            item = {"00081155": {"vr": "UI", "Value": [uid]}}
            if uid in self.reasons:
                failed.append(item | {"00081197": {"vr": "US", "Value": [self.reasons[uid]]}})
                continue
            self.held.setdefault(uid, []).append(sha(content))
            if uid in self.warnings:
                item |= {"00081196": {"vr": "US", "Value": [self.warnings[uid]]}}
            stored.append(item)
        answer = {}
        if stored and not self.silent:
            answer["00081199"] = {"vr": "SQ", "Value": stored}
        if failed:
            answer["00081198"] = {"vr": "SQ", "Value": failed}
        status = 200 if not failed else 202 if stored else 409
        return status, "application/dicom+json", answer


class MllpPeer:
    """A listener of the package `hl7`, strict as `hl7apy` is, that knows a repeat by MSH-10."""

    def __init__(self, port: int = 0) -> None:
        import hl7.mllp

        self.mllp = hl7.mllp
        self.received: list[str] = []
        self.refused: list[str] = []
        self.held: dict[str, str] = {}
        self.answers: list[Callable[[Any], str | None]] = []
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(port,))
        self.thread.start()
        assert self.ready.wait(10)

    def _run(self, port: int) -> None:
        async def main() -> None:
            server = await self.mllp.start_hl7_server(
                self._serve, "127.0.0.1", port, encoding="utf-8"
            )
            self.port = server.sockets[0].getsockname()[1]
            self.stopped, self.open = asyncio.Event(), set()
            self.ready.set()
            await self.stopped.wait()
            server.close()
            for writer in self.open:
                writer.close()
            await asyncio.sleep(0.02)

        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(main())
        self.loop.close()

    async def _serve(self, reader: Any, writer: Any) -> None:
        self.open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await reader.readmessage()
                answer = self.answers.pop(0)(message) if self.answers else self.take(message)
                if answer is None:
                    writer.close()
                    return
                writer.writeblock(answer.encode())
                await writer.drain()

    def take(self, message: Any) -> str:
        from hl7apy.consts import VALIDATION_LEVEL
        from hl7apy.parser import parse_message

        text = str(message)
        try:
            assert parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()
        except Exception as error:
            self.refused.append(repr(error))
            return str(message.create_ack("AE"))
        name = str(message.segment("MSH")[10])
        self.received.append(name)
        self.held.setdefault(name, text)
        return str(message.create_ack("AA"))

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join()


class StorePeer:
    """A storage SCP of pynetdicom; `answer` may say another status for an event."""

    def __init__(self, port: int = 0, syntaxes: tuple[str, ...] = (), **handlers: Any) -> None:
        from pynetdicom import AE, AllStoragePresentationContexts, evt
        from pynetdicom.sop_class import Verification

        self.held: dict[str, list[str]] = {}
        self.order: list[str] = []
        self.associations = 0
        self.answer: Callable[[Any], int] = lambda _: 0x0000
        self.port = port or free_port()
        ae = AE("PACS")
        ae.require_called_aet = True
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(
                context.abstract_syntax, list(syntaxes) or context.transfer_syntax
            )
        ae.add_supported_context(Verification)
        for change in handlers.get("change", ()):
            change(ae)

        def store(event: Any) -> int:
            status = self.answer(event)
            if status == 0 or (status >= 0xB000 and status < 0xC000):
                uid = event.request.AffectedSOPInstanceUID
                self.held.setdefault(uid, []).append(sha(event.encoded_dataset()))
                self.order.append(uid)
            return status

        def established(_: Any) -> None:
            self.associations += 1

        self.server = ae.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_ESTABLISHED, established)],
        )

    def stop(self) -> None:
        self.server.shutdown()


@dataclass
class Node:
    """A node with results to send."""

    state: NodeState
    cleanup: list[Callable[[], None]] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.state.database

    def enter(
        self,
        files: dict[tuple[str, str], bytes],
        exam: int = 1,
        category: TriageCategory = TriageCategory.HIGH,
    ) -> int:
        """Enter a result as a worker does; give its number."""
        now, token = self._now(), "0" * 36
        with self.database.write() as connection:
            if connection.execute(sa.select(EXAMS.c.id).where(EXAMS.c.id == exam)).first() is None:
                times = {"first_received_at": now, "last_received_at": now}
                versions = {"version": 1, "queued_version": 1, "four_views": True}
                whose = {"study_instance_uid": f"1.2.{exam}", "identity": "i", "patient_id": "P"}
                connection.execute(EXAMS.insert().values(id=exam, **times, **versions, **whose))
            version = (
                1
                + connection.execute(
                    sa.select(sa.func.count()).where(JOBS.c.exam_id == exam)
                ).scalar_one()
            )
            held = {"state": "running", "token": token, "lease_until": now, "attempts": 1}
            job = connection.execute(
                JOBS.insert()
                .values(exam_id=exam, version=version, not_before=now, created_at=now, **held)
                .returning(JOBS.c.id)
            ).scalar_one()
        failed = category is TriageCategory.FAILED
        scores = (None, None) if failed else (0.5, 0.6)
        model = ModelId("m", "1", "d")
        result = commit_result(
            self.database,
            Job(Lease(job, token), exam, 1, "test", version, False, now),
            Outcome(category, *scores, 4, 0, (), model, now),
            [self._file(sink, name, content) for (sink, name), content in files.items()],
            self.state.settings.routes,
            self.state.results,
        )
        assert result is not None
        return result

    def deliveries(self, *columns: str) -> list[Any]:
        with self.database.read() as connection:
            rows = list(connection.execute(sa.select(DELIVERIES).order_by(DELIVERIES.c.id)))
        return [tuple(getattr(r, c) for c in columns) if columns else r for r in rows]

    def states(self) -> list[str]:
        return [row.state for row in self.deliveries()]

    def finished(self) -> bool:
        ended = {WorkState.DONE.value, WorkState.DEAD.value}
        return {*self.states()} <= ended

    def trail(self, action: str) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(AUDIT.c.detail).where(AUDIT.c.action == action).order_by(AUDIT.c.number)
            )
            return [json.loads(detail) for detail in rows.scalars()]

    def _now(self) -> Any:
        with self.database.read() as connection:
            return self.database.now(connection)

    def _file(self, sink: str, name: str, content: bytes) -> ResultFile:
        stored = self.state.results.put(content)
        if not sink.startswith("dicom"):
            return ResultFile(sink, name, stored)
        import pydicom

        head = pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
        return ResultFile(sink, name, stored, str(head.SOPClassUID), str(head.SOPInstanceUID))


@pytest.fixture
def make_node(tmp_path, url) -> Iterator[Callable[..., Node]]:
    """Give a function that makes a node with routes."""
    opened: list[Database] = []

    def make(*routes: dict[str, Any], jobs: dict[str, Any] | None = None, **more: Any) -> Node:
        database = open_database(url)
        opened.append(database)
        settings = NodeSettings(
            data=tmp_path / "node",
            database=url,
            routes=routes,
            jobs={**QUICK, **(jobs or {})},
            **{"dimse": {"ae_title": "MAMMOLENS"}, **more},
        )
        stores = (Store(settings.data / name) for name in ("received", "results"))
        return Node(NodeState(settings, database, *stores))

    yield make
    for database in opened:
        database.close()


@pytest.fixture
def peer() -> Iterator[Callable[..., Any]]:
    """Give a function that starts a destination, to be stopped in the end."""
    started: list[Any] = []

    def start(kind: type, *arguments: Any, **named: Any) -> Any:
        started.append(kind(*arguments, **named))
        return started[-1]

    yield start
    for one in started:
        with contextlib.suppress(Exception):
            one.stop()


@pytest.fixture
def peers():
    """The destinations by name: tests import nothing from each other."""
    return {"fhir": FhirPeer, "stow": StowPeer, "mllp": MllpPeer, "dimse": StorePeer}


@pytest.fixture
def until():
    return wait_for


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def bundle() -> Callable[..., bytes]:
    """Give a function that makes a small transaction."""

    def make(report: str = "r1", conclusion: str = "first", study: str = "1.2.3") -> bytes:
        entries = [
            {
                "resource": {
                    "resourceType": "DiagnosticReport",
                    "id": report,
                    "conclusion": conclusion,
                },
                "request": {"method": "PUT", "url": f"DiagnosticReport/{report}"},
            },
            {
                "resource": {
                    "resourceType": "ImagingStudy",
                    "identifier": [{"system": "urn:dicom:uid", "value": study}],
                },
                "request": {
                    "method": "POST",
                    "url": "ImagingStudy",
                    "ifNoneExist": f"identifier=urn:dicom:uid|{study}",
                },
            },
        ]
        said = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        return json.dumps(said).encode()

    return make


@pytest.fixture
def message() -> Callable[..., bytes]:
    """Give a function that makes a small ORU^R01."""

    def make(name: str = "m1", value: str = "12") -> bytes:
        rows = [
            f"MSH|^~\\&|MAMMOLENS||||20260301||ORU^R01^ORU_R01|{name}|P|2.5.1",
            "PID|1||P1^^^^MR||Sample^Ann",
            "OBR|1|A1|A1|18748-4^Study^LN",
            f"OBX|1|NM|111047^Probability^DCM||{value}|%|||||P",
        ]
        return ("\r".join(rows) + "\r").encode()

    return make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Path:
    """A certificate of "pacs.test" that vouches for itself, with its key, in one PEM file."""
    folder = tmp_path_factory.mktemp("tls")
    key, pem = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=pacs.test", "-addext", "subjectAltName=DNS:pacs.test"]
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *made, *subject, "-keyout", str(key), "-out", str(pem)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    pem.write_text(pem.read_text() + key.read_text())
    return pem
