"""Storage commitment as SCP: confirm the objects that the node stores (PS3.4 Annex J, push model).

A sender may delete the objects that the node confirms. Therefore the node checks first that each
object is in the database *and* on the disk, complete and with its digest.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from pynetdicom import build_role, evt
from pynetdicom.association import Association

from mammolens.errors import DeliveryError, InputError, NotAnImage
from mammolens.serve import logs
from mammolens.serve.dimse._commitment_data import (
    CONTEXT,
    MODEL,
    MODEL_INSTANCE,
    PROCESSING_FAILURE,
    REQUEST,
    RESOURCE_LIMITATION,
    SUCCESS,
    CommitmentReport,
    Reference,
    decode_message,
    failure_items,
    read_references,
    read_transaction,
    references_of,
    refusal_status,
)
from mammolens.serve.dimse.peers import associated, peer_titled
from mammolens.serve.exchange import obeying
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.record import INSTANCES, Database, Role, audit, batches
from mammolens.serve.settings import DimseSettings

__all__ = ["answer_request", "check_references"]

ROOM: Final = "scp"
ALL_KEPT: Final = 1
SOME_FAILED: Final = 2
NO_SUCH_OBJECT: Final = 0x0112
CLASS_CONFLICT: Final = 0x0119
AGAIN_AFTER_S: Final = (5.0, 30.0)
LOOK_S: Final = 300.0
"""Seconds to check the objects of one request: 2,000 mammograms at 200 MB per second."""
ANSWER_S: Final = 60.0
"""Seconds in which a request is answered, unless its connection breaks."""
MOST_WAITING: Final = 64
"""Most requests whose report is not sent yet; more are refused (resource limitation)."""
MOST_OF_HOST: Final = 16
"""Most of them from one host, so that one host cannot block the others."""


def answer_request(
    event: evt.Event, state: NodeState, reporters: Executor, stopping: threading.Event
) -> tuple[int, None]:
    """Answer an N-ACTION; the report is sent after the answer.

    Parameters
    ----------
    reporters
        Runs the check of the objects and the report.
    stopping
        Once set, a failed report is not sent again.
    """
    try:
        if event.action_type != REQUEST:
            raise NotAnImage("the action is not a request for commitment", keyword="ActionTypeID")
        request: Any = event.request
        data = decode_message(request.ActionInformation, event.context.transfer_syntax)
        transaction_uid = read_transaction(data)
        references = read_references(data, "ReferencedSOPSequence")
    except InputError as error:
        return refusal_status(error), None
    association = event.assoc
    calling = str(association.requestor.ae_title).strip()
    place = _places.take(str(association.requestor.address))
    if place is None:
        logs.event(ROOM, "commitment_refused", logging.WARNING, reason="too_many")
        return RESOURCE_LIMITATION, None

    def report() -> None:
        try:
            found = check_references(
                state.database, state.received, transaction_uid, references, stopping
            )
            with obeying(stopping, state.settings.dimse.stop_s):
                sent = _deliver(state.settings.dimse, association, calling, found, stopping)
            _note(state.database, calling, "committed" if sent else "commitment_unsent", found)
        except Exception as error:
            logs.event(ROOM, "report_failed", logging.ERROR, error=type(error).__name__)

    def answered(_event: evt.Event) -> None:
        association.unbind(evt.EVT_PDU_SENT, answered)
        place.is_submitted = True
        try:
            reporters.submit(report).add_done_callback(lambda _: _places.free(place))
        except RuntimeError:
            _places.free(place)

    association.bind(evt.EVT_PDU_SENT, answered)
    return SUCCESS, None


def check_references(
    database: Database,
    store: Store,
    transaction_uid: str,
    references: Sequence[Reference],
    stopping: threading.Event | None = None,
) -> CommitmentReport:
    """Check whether each object is in the database and complete on the disk.

    An object that is not checked within `LOOK_S` is reported as failed; its sender asks again.

    Parameters
    ----------
    stopping
        Once set, no more objects are checked.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    kept, failed = [], {}
    until = time.monotonic() + LOOK_S
    asked = list(dict.fromkeys(references))
    for batch in batches(asked):
        held = _held(database, [instance for _, instance in batch])
        for sop_class, instance in batch:
            is_late = time.monotonic() > until or (stopping is not None and stopping.is_set())
            reason = _missing(store, sop_class, held.get(instance, ()), is_late)
            if reason is None:
                kept.append((sop_class, instance))
            else:
                failed[sop_class, instance] = reason
    return CommitmentReport(transaction_uid, tuple(kept), failed)


def _held(database: Database, instances: Sequence[str]) -> dict[str, list[Any]]:
    """Give the rows of objects, by their SOP instance UIDs."""
    columns = INSTANCES.c.sop_instance_uid, INSTANCES.c.digest, INSTANCES.c.sop_class_uid
    wanted = INSTANCES.c.sop_instance_uid.in_(instances), INSTANCES.c.role != Role.IGNORED.value
    found: dict[str, list[Any]] = {}
    with database.read() as connection:
        for row in connection.execute(sa.select(*columns).where(*wanted)):
            found.setdefault(row.sop_instance_uid, []).append(row)
    return found


def _deliver(
    dimse: DimseSettings,
    association: Association,
    calling: str,
    report: CommitmentReport,
    stopping: threading.Event,
) -> bool:
    """Report over a new association if the peer is known, else over that of the request."""
    peer = peer_titled(calling, dimse)
    role = build_role(MODEL, scu_role=False, scp_role=True)
    for again_after_s in (*AGAIN_AFTER_S, None):
        if peer is None:
            break
        refusals = (DeliveryError, RuntimeError, ValueError)
        with suppress(*refusals), associated(peer, dimse, [CONTEXT], [role]) as own:
            if _send(own, report):
                return True
        if again_after_s is None or stopping.wait(again_after_s):
            break
    with _one_at_a_time(association):
        return association.is_established and _send(association, report)


def _one_at_a_time(association: Association) -> threading.Lock:
    """Give the lock of an association, because parts of two messages must not mix."""
    with _guard:
        return _sending.setdefault(association, threading.Lock())


def _send(association: Association, report: CommitmentReport) -> bool:
    """Send an N-EVENT-REPORT; return whether the other side accepted it."""
    data = references_of(report.transaction_uid, report.kept)
    if report.failed:
        data.FailedSOPSequence = failure_items(report.failed)
    kind = SOME_FAILED if report.failed else ALL_KEPT
    answer, _ = association.send_n_event_report(data, kind, MODEL, MODEL_INSTANCE)
    return bool(answer.get("Status") == SUCCESS)


def _note(database: Database, calling: str, action: str, report: CommitmentReport) -> None:
    with database.write() as connection:
        audit.append(database, connection, f"dimse:{calling}", action, None, report.counts)


def _missing(store: Store, sop_class: str, rows: Sequence[Any], is_late: bool) -> int | None:
    """Give the reason why an object cannot be confirmed, or ``None``."""
    if not rows:
        return NO_SUCH_OBJECT
    if all(row.sop_class_uid != sop_class for row in rows):
        return CLASS_CONFLICT
    if is_late:
        return PROCESSING_FAILURE
    return None if all(_is_whole(store, row.digest) for row in rows) else PROCESSING_FAILURE


def _is_whole(store: Store, digest: str) -> bool:
    try:
        with store.path(digest).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


@dataclass(eq=False)
class _Place:
    """The place of one request that waits for its report."""

    host: str
    since: float
    is_submitted: bool = False


class _Places:
    """The places of all requests whose report is not sent yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[_Place] = set()

    def take(self, host: str) -> _Place | None:
        """Give a place, or ``None`` if too many wait."""
        place = _Place(host, time.monotonic())
        with self._lock:
            # Drop old requests that were never answered: their connections broke before that.
            old = place.since - ANSWER_S
            self._taken = {p for p in self._taken if p.is_submitted or p.since > old}
            own = sum(p.host == host for p in self._taken)
            if own >= MOST_OF_HOST or len(self._taken) >= MOST_WAITING:
                return None
            self._taken.add(place)
        return place

    def free(self, place: _Place) -> None:
        """Give a place back."""
        with self._lock:
            self._taken.discard(place)


_places: Final = _Places()
_guard: Final = threading.Lock()
_sending: Final[WeakKeyDictionary[Association, threading.Lock]] = WeakKeyDictionary()
