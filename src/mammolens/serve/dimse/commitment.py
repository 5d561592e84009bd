"""Storage commitment as SCU: ask an archive to confirm that it stores objects (PS3.4 Annex J).

The request is written to the database first. The answer may arrive over the same association, or at
the listener, which is another process. The receiver writes the answer to the database, and the
requester reads it there.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from pynetdicom import evt

from mammolens.errors import DeliveryError, InputError, StorageError
from mammolens.serve.dimse._commitment_data import (
    CONTEXT,
    INVALID_ARGUMENT,
    MODEL,
    MODEL_INSTANCE,
    REQUEST,
    SUCCESS,
    CommitmentReport,
    Reference,
    decode_message,
    read_report,
    references_of,
    refusal_status,
)
from mammolens.serve.dimse.peers import Peer, associated, find_peer
from mammolens.serve.exchange import Pace
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import COMMITMENTS, Database, audit
from mammolens.status import status_of

__all__ = ["CONTEXT", "CommitmentOutcome", "enter_report", "request_commitment", "take_report"]

LOOK_S: Final = 0.2


@dataclass(frozen=True)
class CommitmentOutcome:
    """The answer of an archive; if it has not `answered` in time, the others are empty.

    `kept` and the keys of `failed` are SOP instance UIDs.
    """

    transaction_uid: str
    answered: bool
    kept: frozenset[str]
    failed: Mapping[str, int]


def request_commitment(
    state: NodeState,
    destination: Peer | str,
    references: Sequence[Reference],
    timeout_s: float = 60.0,
) -> CommitmentOutcome:
    """Ask an archive for storage commitment of objects, and wait for its answer.

    Parameters
    ----------
    destination
        A peer, its name in the settings, or ``dicom://AE@HOST:PORT``.
    references
        SOP class UID and SOP instance UID of each object.
    timeout_s
        How long to wait for the report after the request was accepted.

    Raises
    ------
    ConfigError
        There is no such peer.
    DeliveryError
        The archive is away or refuses the request.
    StorageError
        The database cannot be used.
    """
    dimse = state.settings.dimse
    peer = find_peer(destination, dimse) if isinstance(destination, str) else destination
    transaction_uid = f"2.25.{uuid.uuid4().int}"
    _enter_request(state.database, peer, transaction_uid, len(references))
    handlers: list[evt.EventHandlerType] = [(evt.EVT_N_EVENT_REPORT, take_report, [state.database])]
    with associated(peer, dimse, [CONTEXT], handlers=handlers) as association:
        asked, _ = association.send_n_action(
            references_of(transaction_uid, references), REQUEST, MODEL, MODEL_INSTANCE
        )
        status = asked.get("Status")
        if status != SUCCESS:
            said = "nothing" if status is None else f"0x{status:04X}"
            raise DeliveryError(
                f"the archive refuses the request for commitment ({said})",
                remedy="Ask whether it offers storage commitment to this AE title",
            )
        return _wait(state.database, transaction_uid, timeout_s)


def take_report(event: evt.Event, database: Database) -> tuple[int, None]:
    """Enter an N-EVENT-REPORT from any association; give the status for the answer."""
    actor = f"dimse:{event.assoc.remote['ae_title'].strip()}"
    try:
        request: Any = event.request
        data = decode_message(request.EventInformation, event.context.transfer_syntax)
        known = enter_report(database, read_report(data), actor)
    except InputError as error:
        return refusal_status(error), None
    except StorageError as error:
        return status_of(error).dimse, None
    return (SUCCESS if known else INVALID_ARGUMENT), None


def enter_report(database: Database, report: CommitmentReport, actor: str) -> bool:
    """Enter an archive's answer once; ``False`` if there was no such request.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    answer = {
        "kept": [instance for _, instance in report.kept],
        "failed": {instance: reason for (_, instance), reason in report.failed.items()},
    }
    asked = COMMITMENTS.c.transaction_uid == report.transaction_uid
    with database.write() as connection:
        new = connection.execute(
            COMMITMENTS.update()
            .where(asked, COMMITMENTS.c.answered_at.is_(None))
            .values(answered_at=database.now(connection), answer=json.dumps(answer))
        )
        if new.rowcount:
            audit.append(database, connection, actor, "commitment_answered", None, report.counts)
            return True
        return connection.execute(sa.select(COMMITMENTS.c.id).where(asked)).first() is not None


def _enter_request(database: Database, peer: Peer, transaction_uid: str, count: int) -> None:
    with database.write() as connection:
        connection.execute(
            COMMITMENTS.insert().values(
                transaction_uid=transaction_uid,
                peer=peer.ae_title,
                asked_at=database.now(connection),
            )
        )
        detail: audit.Detail = {"objects": count, "transaction_uid": transaction_uid}
        audit.append(
            database, connection, f"peer:{peer.ae_title}", "commitment_asked", None, detail
        )


def _wait(database: Database, transaction_uid: str, timeout_s: float) -> CommitmentOutcome:
    until, pace = time.monotonic() + timeout_s, Pace(timeout_s, 0)
    asked = sa.select(COMMITMENTS.c.answer).where(COMMITMENTS.c.transaction_uid == transaction_uid)
    while True:
        with database.read() as connection:
            text = connection.execute(asked).scalar_one()
        if text is not None:
            answer = json.loads(text)
            return CommitmentOutcome(
                transaction_uid, True, frozenset(answer["kept"]), answer["failed"]
            )
        if time.monotonic() > until or pace.is_stopped:
            return CommitmentOutcome(transaction_uid, False, frozenset(), {})
        time.sleep(LOOK_S)
