"""The DICOM listener: it receives objects, acknowledges stored ones, and confirms commitments.

Nothing is analysed here. All storage classes are accepted, also private ones, in the transfer
syntax that the sender proposes first, because some PACS stop a whole send job if one class is
refused. An object that is not a mammogram is entered but not stored. Callers are checked before the
negotiation, and a refusal is written to the audit trail.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any, Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from mammolens import __version__
from mammolens.errors import ConfigError, InputError, StorageError
from mammolens.serve import logs
from mammolens.serve.dimse.commitment import CONTEXT, take_report
from mammolens.serve.dimse.commitment_scp import answer_request
from mammolens.serve.dimse.data_sets import data_set
from mammolens.serve.dimse.step_events import STEP_EVENTS, is_step_event, take_step_event
from mammolens.serve.dimse.upper_layer import FAREWELL_S, AcceptorServer, ReceivedData, end
from mammolens.serve.exchange import listener_context
from mammolens.serve.holdings import Draft, NodeState, Store
from mammolens.serve.intake import receive, too_large
from mammolens.serve.record import Database, audit
from mammolens.status import status_of

__all__ = ["Listener", "begin_draft", "listening", "store_object"]

ROOM: Final = "scp"
SUCCESS: Final = 0x0000
LONGEST_COMMENT: Final = 64
PREAMBLE: Final = b"\0" * 128 + b"DICM"
REPORTERS: Final = 4


class _Rejection(NamedTuple):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21), and its name here."""

    result: int
    source: int
    diagnostic: int
    word: str


HOST: Final = _Rejection(1, 1, 1, "host")
CALLING: Final = _Rejection(1, 1, 3, "calling_ae")
CALLED: Final = _Rejection(1, 1, 7, "called_ae")
STOPPING: Final = _Rejection(2, 3, 1, "stopping")
TOO_MANY: Final = _Rejection(2, 3, 2, "too_many")
FAILED: Final = _Rejection(2, 1, 1, "failed")


@dataclass
class Listener:
    """A running listener with its associations."""

    state: NodeState
    stopping: threading.Event = field(default_factory=threading.Event)
    admitted: set[Association] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    reporters: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(REPORTERS, "reporter")
    )
    port: int = 0

    def running(self) -> list[Association]:
        """The associations that have not ended."""
        with self.lock:
            self.admitted = {a for a in self.admitted if a.is_alive()}
            return list(self.admitted)

    def admit(self, association: Association) -> bool:
        """Add an association if there is a free place."""
        self.running()
        with self.lock:
            if len(self.admitted) >= self.state.settings.dimse.max_associations:
                return False
            self.admitted.add(association)
        return True


@contextmanager
def listening(state: NodeState) -> Iterator[Listener]:
    """Listen until the block ends; running associations then get time to end.

    Raises
    ------
    ConfigError
        The address cannot be used, or a certificate is wrong.
    """
    dimse = state.settings.dimse
    listener = Listener(state)
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_REQUESTED, _admit, [listener]),
        (evt.EVT_C_ECHO, lambda _: SUCCESS),
        (evt.EVT_C_STORE, _store, [listener]),
        (evt.EVT_N_ACTION, answer_request, [state, listener.reporters, listener.stopping]),
        (evt.EVT_N_EVENT_REPORT, _reported, [state.database]),
    ]
    with _unrestricted_storage():
        server = _open(listener, handlers)
        listener.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="listener")
        thread.start()
        logs.event(ROOM, "listening", port=listener.port)
        try:
            yield listener
        finally:
            _end(listener, dimse.stop_s)
            server.close()
            thread.join()
            logs.event(ROOM, "stopped")


def store_object(state: NodeState, event: evt.Event, sender: str) -> Dataset:
    """Receive the object of a C-STORE; give the status for the sender."""
    request: Any = event.request
    data = request.DataSet
    try:
        content = _content(event, data, state.settings.intake.max_mb << 20)
        receive(state, content, sender)
    except InputError as error:
        comment = f"{type(error).__name__} {error.keyword or ''}".strip()
        return _status(status_of(error).dimse, comment)
    except Exception as error:
        logs.event(ROOM, "not_stored", logging.ERROR, error=type(error).__name__)
        return _status(status_of(error).dimse, type(error).__name__)
    finally:
        if isinstance(data, ReceivedData):
            data.discard()
    return _status(SUCCESS)


def _open(listener: Listener, handlers: list[evt.EventHandlerType]) -> AcceptorServer:
    dimse = listener.state.settings.dimse
    ae = AE(dimse.ae_title)
    ae.maximum_pdu_size = dimse.max_pdu
    ae.maximum_associations = 1 << 16
    ae.acse_timeout, ae.dimse_timeout = dimse.acse_timeout_s, dimse.dimse_timeout_s
    ae.network_timeout = dimse.network_timeout_s
    ae.add_supported_context(Verification)
    for abstract, transfer in (CONTEXT, STEP_EVENTS):
        ae.add_supported_context(abstract, list(transfer), scu_role=True, scp_role=True)

    def refused(host: str, reason: str) -> None:
        _note_refusal(listener, "dimse", {"host": host, "reason": reason})

    try:
        server = ae.make_server(
            (dimse.host, dimse.port),
            evt_handlers=handlers,
            server_class=AcceptorServer,
            tls=listener_context(dimse),
            begin=partial(begin_draft, listener.state.received),
            max_bytes=listener.state.settings.intake.max_mb << 20,
            max_connections=dimse.max_associations,
            refused=refused,
        )
    except OSError as error:
        raise ConfigError(
            f"the node cannot listen ({error.strerror})",
            source=f"{dimse.host}:{dimse.port}",
            keyword="dimse.port",
            remedy="Choose a free port and an address of this host",
        ) from error
    assert isinstance(server, AcceptorServer)
    return server


def _end(listener: Listener, patience_s: float) -> None:
    """Refuse new associations, let the others end, then abort the rest."""
    listener.stopping.set()
    until = time.monotonic() + patience_s
    while listener.running() and time.monotonic() < until:
        time.sleep(0.05)
    for association in listener.running():
        with suppress(Exception):
            association.abort(block=False)
    until = time.monotonic() + FAREWELL_S
    while listener.running() and time.monotonic() < until:
        time.sleep(0.05)
    for association in listener.running():
        end(association, 0.0)
    listener.reporters.shutdown(wait=True, cancel_futures=True)


def _admit(event: evt.Event, listener: Listener) -> None:
    """Reject an association that is not allowed, or if the check fails."""
    association = event.assoc
    rejection: _Rejection | None = FAILED
    try:
        rejection = _judge(listener, association)
        if rejection is not None:
            request: Any = association.requestor.primitive
            actor = f"dimse:{request.calling_ae_title.strip()}"
            called, host = request.called_ae_title.strip(), association.requestor.address
            detail = {"called": called, "host": host, "reason": rejection.word}
            _note_refusal(listener, actor, detail)
    finally:
        if rejection is not None:
            association.acse.send_reject(*rejection[:3])
            association.kill()


def _judge(listener: Listener, association: Association) -> _Rejection | None:
    dimse = listener.state.settings.dimse
    request: Any = association.requestor.primitive
    address = ipaddress.ip_address(association.requestor.address.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if listener.stopping.is_set():
        return STOPPING
    if dimse.hosts and not any(address in network for network in dimse.hosts):
        return HOST
    if request.called_ae_title.strip() != dimse.ae_title.strip():
        return CALLED
    if dimse.calling and request.calling_ae_title.strip() not in dimse.calling:
        return CALLING
    return None if listener.admit(association) else TOO_MANY


def _note_refusal(listener: Listener, actor: str, detail: audit.Detail) -> None:
    logs.event(ROOM, "association_refused", logging.WARNING, reason=str(detail["reason"]))
    try:
        audit.note_refusal(listener.state.database, actor, "refused_association", detail)
    except StorageError:
        logs.event(ROOM, "not_audited", logging.ERROR)


def _reported(event: evt.Event, database: Database) -> tuple[int, None]:
    take = take_step_event if is_step_event(event) else take_report
    return take(event, database)


def _store(event: evt.Event, listener: Listener) -> Dataset:
    calling = str(event.assoc.requestor.ae_title).strip()
    return store_object(listener.state, event, f"dimse:{calling}")


def begin_draft(store: Store, association: Association, message: DIMSEMessage) -> Draft | None:
    """Open the draft for a received object, and write the head of its file."""
    if not isinstance(message, C_STORE_RQ):
        return None
    accepted = {context.context_id: context for context in association.accepted_contexts}
    context, command = accepted[message.context_id], message.command_set
    draft = store.draft()
    draft.write(
        _head(
            command.AffectedSOPClassUID,
            command.AffectedSOPInstanceUID,
            context.transfer_syntax[0],
        )
    )
    return draft


def _content(event: evt.Event, data: BytesIO, max_bytes: int) -> bytes | Draft:
    """Give the DICOM file of an object; the bytes of its data set are unchanged."""
    if isinstance(data, ReceivedData):
        if data.error is not None:
            raise data.error
        if data.is_too_long:
            raise too_large(max_bytes)
        if data.draft is not None:
            return data.draft
    request: Any = event.request
    return (
        _head(
            request.AffectedSOPClassUID,
            request.AffectedSOPInstanceUID,
            UID(event.context.transfer_syntax),
        )
        + data.getvalue()
    )


def _head(sop_class: UID, sop_instance: UID, transfer_syntax: UID) -> bytes:
    """Give preamble and meta information; they do not depend on the sender."""
    meta = create_file_meta(
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        transfer_syntax=transfer_syntax,
        implementation_uid=PYDICOM_IMPLEMENTATION_UID,
        implementation_version=f"MAMMOLENS {__version__}"[:16],
    )
    return PREAMBLE + encode_file_meta(meta)


def _status(code: int, comment: str | None = None) -> Dataset:
    more = {"ErrorComment": comment[:LONGEST_COMMENT]} if comment else {}
    return data_set(Status=code, **more)


@contextmanager
def _unrestricted_storage() -> Iterator[None]:
    """Let pynetdicom accept storage classes that it does not know, and log nothing."""
    before = _config.UNRESTRICTED_STORAGE_SERVICE, _config.LOG_HANDLER_LEVEL
    _config.UNRESTRICTED_STORAGE_SERVICE, _config.LOG_HANDLER_LEVEL = True, "none"
    try:
        yield
    finally:
        _config.UNRESTRICTED_STORAGE_SERVICE, _config.LOG_HANDLER_LEVEL = before
