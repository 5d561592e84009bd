"""Answering for what the node holds (PS3.4 Annex J, push model).

A sender may delete what the node says it holds. So it looks for every object in the database *and*
on the disk, whole and with its digest, before it says so.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final

import sqlalchemy as sa
from pynetdicom import build_role, evt
from pynetdicom.association import Association

from mammolens.errors import DeliveryError, InputError, NotAnImage
from mammolens.serve import logs
from mammolens.serve.dimse._commitment_data import (
    CONTEXT,
    INVALID_ARGUMENT,
    MODEL,
    MODEL_INSTANCE,
    PROCESSING_FAILURE,
    REQUEST,
    SUCCESS,
    CommitmentReport,
    Reference,
    decoded,
    listed,
    listed_failures,
    read_references,
    read_transaction,
)
from mammolens.serve.dimse.peers import associated, peer_titled
from mammolens.serve.exchange import obeying
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.record import INSTANCES, Database, Role, audit
from mammolens.serve.settings import DimseSettings

__all__ = ["answer_request", "check_references"]

ROOM: Final = "scp"
ALL_KEPT: Final = 1
SOME_FAILED: Final = 2
NO_SUCH_OBJECT: Final = 0x0112
CLASS_CONFLICT: Final = 0x0119
AGAIN_AFTER_S: Final = (5.0, 30.0)


def answer_request(
    event: evt.Event, state: NodeState, reporters: Executor, stopping: threading.Event
) -> tuple[int, None]:
    """Take an N-ACTION; the report follows when the answer to it is out.

    Parameters
    ----------
    reporters
        Runs the look for the objects and the report.
    stopping
        Once set, a report that was not taken is not sent again.
    """
    try:
        if event.action_type != REQUEST:
            raise NotAnImage("the action is not a request for commitment", keyword="ActionTypeID")
        data = decoded(lambda: event.action_information)
        transaction_uid = read_transaction(data)
        references = read_references(data, "ReferencedSOPSequence")
    except InputError:
        return INVALID_ARGUMENT, None
    association = event.assoc
    calling = str(association.requestor.ae_title).strip()

    def report() -> None:
        try:
            found = check_references(state.database, state.received, transaction_uid, references)
            with obeying(stopping, state.settings.dimse.stop_s):
                sent = _deliver(state.settings.dimse, association, calling, found, stopping)
            _note(state.database, calling, "committed" if sent else "commitment_unsent", found)
        except Exception as error:
            logs.event(ROOM, "report_failed", logging.ERROR, error=type(error).__name__)

    def answered(_event: evt.Event) -> None:
        association.unbind(evt.EVT_PDU_SENT, answered)
        with suppress(RuntimeError):
            reporters.submit(report)

    association.bind(evt.EVT_PDU_SENT, answered)
    return SUCCESS, None


def check_references(
    database: Database, store: Store, transaction_uid: str, references: Sequence[Reference]
) -> CommitmentReport:
    """Say of each object whether it is in the database and whole on the disk.

    Raises
    ------
    StorageError
        The database cannot be used: nothing can be said.
    """
    kept, failed = [], {}
    for reference in dict.fromkeys(references):
        reason = _missing(database, store, *reference)
        if reason is None:
            kept.append(reference)
        else:
            failed[reference] = reason
    return CommitmentReport(transaction_uid, tuple(kept), failed)


def _deliver(
    dimse: DimseSettings,
    association: Association,
    calling: str,
    report: CommitmentReport,
    stopping: threading.Event,
) -> bool:
    """Report over an association of our own if we know where, else over the one that asked."""
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
    return association.is_established and _send(association, report)


def _send(association: Association, report: CommitmentReport) -> bool:
    """Send an N-EVENT-REPORT; say whether the other side took it."""
    data = listed(report.transaction_uid, report.kept)
    if report.failed:
        data.FailedSOPSequence = listed_failures(report.failed)
    kind = SOME_FAILED if report.failed else ALL_KEPT
    answer, _ = association.send_n_event_report(data, kind, MODEL, MODEL_INSTANCE)
    return bool(answer.get("Status") == SUCCESS)


def _note(database: Database, calling: str, action: str, report: CommitmentReport) -> None:
    detail: audit.Detail = {
        "failed": len(report.failed),
        "kept": len(report.kept),
        "transaction_uid": report.transaction_uid,
    }
    with database.write() as connection:
        audit.append(database, connection, f"dimse:{calling}", action, None, detail)


def _missing(database: Database, store: Store, sop_class: str, sop_instance: str) -> int | None:
    """Why an object cannot be committed to, or ``None``."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(INSTANCES.c.digest, INSTANCES.c.sop_class_uid).where(
                INSTANCES.c.sop_instance_uid == sop_instance,
                INSTANCES.c.role != Role.IGNORED.value,
            )
        ).all()
    if not rows:
        return NO_SUCH_OBJECT
    if all(row.sop_class_uid != sop_class for row in rows):
        return CLASS_CONFLICT
    return None if all(_is_whole(store, row.digest) for row in rows) else PROCESSING_FAILURE


def _is_whole(store: Store, digest: str) -> bool:
    try:
        with store.path(digest).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
