"""A strict server of procedure steps for tests: the state machine of PS3.4 CC.1.1, on two wires."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from urllib.parse import parse_qs, urlsplit

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

COMPLETING = (
    "PerformedStationNameCodeSequence",
    "PerformedProcedureStepStartDateTime",
    "PerformedProcedureStepEndDateTime",
    "PerformedWorkitemCodeSequence",
    "OutputInformationSequence",
)
HTTP = {0x0000: 200, 0xC307: 404, 0xC301: 400, 0xC304: 409}
WARNINGS = {0xB304, 0xB306}


@dataclass
class StepBook:
    """Steps, and what was done to them."""

    steps: dict[str, Dataset] = field(default_factory=dict)
    transactions: dict[str, str] = field(default_factory=dict)
    done: list[tuple[str, ...]] = field(default_factory=list)
    subscribed: set[str] = field(default_factory=set)
    before: object = None
    listeners: list[str] = field(default_factory=list)
    events: SimpleQueue[object] = field(default_factory=SimpleQueue)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def schedule(self, uid: str, **changes: object) -> Dataset:
        step = Dataset()
        step.SOPClassUID, step.SOPInstanceUID = UnifiedProcedureStepPush, uid
        step.ProcedureStepState, step.InputReadinessState = "SCHEDULED", "READY"
        step.ScheduledProcedureStepPriority = "MEDIUM"
        step.ScheduledProcedureStepStartDateTime = "20260301120000"
        step.ScheduledStationNameCodeSequence = [code("MAMMOLENS", "99TEST")]
        step.ScheduledWorkitemCodeSequence = [code("110004", "DCM")]
        for keyword, value in changes.items():
            setattr(step, keyword, value)
        self.steps[uid] = step
        return step

    def state(self, uid: str) -> str:
        return str(self.steps[uid].ProcedureStepState)

    def find(self, state: str) -> list[Dataset]:
        return [step for step in self.steps.values() if step.ProcedureStepState == state]

    def change(self, uid: str, transaction: str, wanted: str) -> int:
        with self.lock:
            if uid not in self.steps:
                return 0xC307
            if wanted == "SCHEDULED":
                return 0xC303
            match self.state(uid), wanted:
                case ("SCHEDULED", "IN PROGRESS"):
                    if not transaction:
                        return 0xC301
                    self.transactions[uid] = transaction
                case ("SCHEDULED", _):
                    return 0xC310
                case ("IN PROGRESS", "IN PROGRESS"):
                    return 0xC302
                case ("IN PROGRESS", _):
                    if transaction != self.transactions[uid]:
                        return 0xC301
                    if not self.is_final(uid, wanted):
                        return 0xC304
                case ("COMPLETED", "COMPLETED"):
                    return 0xB306
                case ("CANCELED", "CANCELED"):
                    return 0xB304
                case _:
                    return 0xC300
            self.steps[uid].ProcedureStepState = wanted
            self.done.append((uid, wanted))
            return 0

    def update(self, uid: str, transaction: str, data: Dataset) -> int:
        with self.lock:
            if uid not in self.steps:
                return 0xC307
            if self.state(uid) in ("COMPLETED", "CANCELED"):
                return 0xC300
            if transaction != self.transactions.get(uid, ""):
                return 0xC301
            if "ProcedureStepState" in data or "SOPInstanceUID" in data:
                return 0x0105
            data.pop("TransactionUID", None)
            self.steps[uid].update(data)
            return 0

    def is_final(self, uid: str, wanted: str) -> bool:
        """Final state requirements of PS3.4 table CC.2.5-3."""
        step = self.steps[uid]
        if wanted == "COMPLETED":
            (performed,) = step.get("UnifiedProcedureStepPerformedProcedureSequence") or [Dataset()]
            return all(keyword in performed for keyword in COMPLETING)
        (told,) = step.get("ProcedureStepProgressInformationSequence") or [Dataset()]
        return bool(
            told.get("ProcedureStepCancellationDateTime")
            and told.get("ProcedureStepDiscontinuationReasonCodeSequence")
        )

    def call(self, name: str) -> None:
        if self.before is not None:
            self.before(name)


def code(value: str, scheme: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, value
    return item


def answer(status: int) -> Dataset:
    data = Dataset()
    data.Status = status
    return data


@contextlib.contextmanager
def dimse_peer(book: StepBook) -> Iterator[str]:
    def find(event):
        book.call("find")
        for step in book.find(str(event.identifier.get("ProcedureStepState"))):
            yield 0xFF00, step

    def get(event):
        step = book.steps.get(event.request.RequestedSOPInstanceUID)
        return (0xC307, None) if step is None else (0, step)

    def act(event):
        uid, asked = event.request.RequestedSOPInstanceUID, event.action_information
        if event.action_type == 3:
            book.subscribed.add(uid)
            return answer(0), None
        book.call(f"change {asked.ProcedureStepState}")
        return answer(
            book.change(uid, asked.get("TransactionUID", ""), asked.ProcedureStepState)
        ), None

    def change(event):
        book.call("update")
        asked = event.modification_list
        uid = event.request.RequestedSOPInstanceUID
        return answer(book.update(uid, asked.get("TransactionUID", ""), asked)), None

    ae = AE("STEPS")
    for context in (UnifiedProcedureStepPull, UnifiedProcedureStepWatch):
        ae.add_supported_context(context)
    handlers = [
        (evt.EVT_C_FIND, find),
        (evt.EVT_N_GET, get),
        (evt.EVT_N_ACTION, act),
        (evt.EVT_N_SET, change),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield f"dicom://STEPS@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


@contextlib.contextmanager
def web_peer(book: StepBook) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def keep_open(self, subscriber: str) -> None:
            """Be an event channel: what the book has to tell is sent, until it is closed."""
            accept = accept_key(self.headers["Sec-WebSocket-Key"])
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", accept)
            self.end_headers()
            self.close_connection = True
            book.listeners.append(subscriber)
            while (told := book.events.get()) is not None:
                frame = Frame(Opcode.TEXT, json.dumps(told).encode())
                self.wfile.write(frame.serialize(mask=False))

        def read_asked(self) -> Dataset:
            assert self.headers["Content-Type"] == "application/dicom+json"
            content = self.rfile.read(int(self.headers["Content-Length"]))
            return Dataset.from_json(json.loads(content))

        def tell(self, status: int, body: object = None) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path.startswith("/rs/subscribers/"):
                return self.keep_open(url.path.rpartition("/")[2])
            if url.path == "/rs/workitems":
                book.call("find")
                (state,) = parse_qs(url.query)["ProcedureStepState"]
                return self.tell(200, [step.to_json_dict() for step in book.find(state)])
            step = book.steps.get(url.path.removeprefix("/rs/workitems/"))
            return self.tell(404) if step is None else self.tell(200, [step.to_json_dict()])

        def do_PUT(self) -> None:
            uid, end = self.path.removeprefix("/rs/workitems/").split("/")
            assert end == "state"
            asked = self.read_asked()
            assert len(asked) == 2
            book.call(f"change {asked.ProcedureStepState}")
            status = book.change(uid, asked.TransactionUID, asked.ProcedureStepState)
            self.tell(HTTP.get(status, 409))

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            uid, _, rest = url.path.removeprefix("/rs/workitems/").partition("/")
            if rest:
                book.subscribed.add(uid)
                return self.tell(201)
            book.call("update")
            return self.tell(HTTP.get(book.update(uid, url.query, self.read_asked()), 409))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/rs"
    finally:
        book.events.put(None)
        server.shutdown()
        server.server_close()
        thread.join()
