"""Servers of procedure steps, over DIMSE and over HTTP.

Both give the statuses of PS3.4 table CC.2.1-3. Over HTTP, several of them have the same HTTP status
(PS3.18), so they are found from the state of the step.

Source: PS3.4 annex CC (UPS Push, Pull, Watch), PS3.18 chapter 11 (worklist service).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote, urlencode

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)

from mammolens.errors import DeliveryError
from mammolens.serve.dimse import associated, bounded, data_set, find_peer, status_code
from mammolens.serve.exchange import HttpClient
from mammolens.serve.settings import NodeSettings
from mammolens.serve.web import ask_dicom, calling, find_web_peer, is_web_peer, read_readable

__all__ = [
    "ALREADY",
    "CANCELED",
    "COMPLETED",
    "IN_PROGRESS",
    "NOT_OURS",
    "SCHEDULED",
    "StepServer",
    "is_success",
    "open_server",
]

OK: Final = 0x0000
FINAL: Final = 0xC300
WRONG_TRANSACTION: Final = 0xC301
ALREADY_IN_PROGRESS: Final = 0xC302
NO_SUCH_STEP: Final = 0xC307
ALREADY_CANCELED: Final = 0xB304
ALREADY_COMPLETED: Final = 0xB306
ALREADY: Final = (ALREADY_CANCELED, ALREADY_COMPLETED)
NOT_OURS: Final = (FINAL, WRONG_TRANSACTION, NO_SUCH_STEP, 0x0112)  # 0x0112: no such instance.
"""Statuses if a step has ended, or belongs to another performer."""
WARNINGS: Final = (0x0001, 0x0107, 0x0116)  # Attributes are missing or were changed.
PENDING: Final = (0xFF00, 0xFF01)
SCHEDULED: Final = "SCHEDULED"
IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
CANCELED: Final = "CANCELED"
CHANGE_STATE: Final = 1
SUBSCRIBE: Final = 3
LONGEST_SEARCH: Final = 1000
LONGEST_SEARCH_S: Final = 120.0
"""Few steps wait. A longer search would delay the steps that are already claimed."""
ASKED: Final = (
    "InputReadinessState",
    "ProcedureStepState",
    "SOPInstanceUID",
    "ScheduledProcedureStepPriority",
    "ScheduledProcedureStepStartDateTime",
    "ScheduledStationNameCodeSequence",
    "ScheduledWorkitemCodeSequence",
)
READ: Final = ("InputInformationSequence", "ProcedureStepState", "StudyInstanceUID")
SYNTAXES: Final = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


class StepServer(Protocol):
    """A connection to a server of steps; every method may raise `DeliveryError`."""

    def find(self) -> list[Dataset]:
        """List the steps that the server calls scheduled."""

    def read(self, uid: str) -> Dataset | None:
        """Read a step; ``None`` if it does not exist."""

    def change(self, uid: str, transaction: str, state: str) -> int:
        """Change the state of a step; gives the status."""

    def update(self, uid: str, transaction: str, data: Dataset) -> int:
        """Change attributes of a step; gives the status."""

    def subscribe(self, uid: str) -> None:
        """Ask for events of a step, if the server offers that."""


@contextlib.contextmanager
def open_server(settings: NodeSettings) -> Iterator[StepServer]:
    """Give a connection to the server of the settings.

    Raises
    ------
    ConfigError
        There is no such peer.
    DeliveryError
        It is away or refuses.
    """
    name = settings.ups.server
    if is_web_peer(name, settings):
        with calling(find_web_peer(name, settings)) as client:
            yield _Web(client, settings.dimse.ae_title)
        return
    classes = (UnifiedProcedureStepPull, UnifiedProcedureStepWatch)
    contexts = [(str(uid), SYNTAXES) for uid in classes]
    peer = find_peer(name, settings.dimse)
    with associated(peer, settings.dimse, contexts) as association:
        yield _Dimse(association, settings.dimse.ae_title)


def is_success(code: int) -> bool:
    """Whether a status means success, also with a warning.

    Examples
    --------
    >>> [is_success(code) for code in (0x0000, 0xB300, 0x0116, 0xC301)]
    [True, True, True, False]
    """
    return code == OK or code in WARNINGS or code >> 12 == 0xB


@dataclass(frozen=True)
class _Dimse:
    # Requests name the class UPS Push; `meta_uid` is the class that was negotiated (PS3.4 CC.3.1).
    association: Association
    ae_title: str

    def find(self) -> list[Dataset]:
        keys = {keyword: [] if keyword.endswith("Sequence") else "" for keyword in ASKED}
        asked = data_set(**{**keys, "ProcedureStepState": SCHEDULED})
        found = []
        answers = self.association.send_c_find(asked, UnifiedProcedureStepPull)
        for status, data in bounded(answers, LONGEST_SEARCH_S):
            code = status_code(status)
            if code in PENDING and data is not None:
                found.append(data)
            elif code != OK:
                raise DeliveryError(f"the search for steps was given up (0x{code:04X})")
        return found

    def read(self, uid: str) -> Dataset | None:
        status, data = self.association.send_n_get(
            [Tag(keyword) for keyword in READ],
            UnifiedProcedureStepPush,
            uid,
            meta_uid=UnifiedProcedureStepPull,
        )
        code = status_code(status)
        if code in (NO_SUCH_STEP, 0x0112):
            return None
        if data is None or code not in (OK, 0x0001):
            raise DeliveryError(f"a step cannot be read (0x{code:04X})")
        return data

    def change(self, uid: str, transaction: str, state: str) -> int:
        asked = data_set(ProcedureStepState=state, TransactionUID=transaction)
        status, _ = self.association.send_n_action(
            asked, CHANGE_STATE, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepPull
        )
        return status_code(status)

    def update(self, uid: str, transaction: str, data: Dataset) -> int:
        asked = Dataset({**data, **data_set(TransactionUID=transaction)})
        status, _ = self.association.send_n_set(
            asked, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepPull
        )
        return status_code(status)

    def subscribe(self, uid: str) -> None:
        watch = UnifiedProcedureStepWatch
        if not any(c.abstract_syntax == watch for c in self.association.accepted_contexts):
            return
        asked = data_set(ReceivingAE=self.ae_title, DeletionLock="FALSE")
        self.association.send_n_action(
            asked, SUBSCRIBE, UnifiedProcedureStepPush, uid, meta_uid=watch
        )


@dataclass(frozen=True)
class _Web:
    client: HttpClient
    ae_title: str

    def find(self) -> list[Dataset]:
        keys = {"ProcedureStepState": SCHEDULED, "limit": str(LONGEST_SEARCH)}
        asked = urlencode({**keys, "includefield": ",".join(ASKED)})
        status, found = ask_dicom(self.client, "GET", f"/workitems?{asked}", read=read_readable)
        if status not in (200, 204, 206):
            raise DeliveryError(f"the search for steps was given up (HTTP {status})")
        return found

    def read(self, uid: str) -> Dataset | None:
        status, found = ask_dicom(self.client, "GET", f"/workitems/{quote(uid)}")
        if status in (404, 410):
            return None
        if status != 200 or len(found) != 1:
            raise DeliveryError(f"a step cannot be read (HTTP {status})")
        return found[0]

    def change(self, uid: str, transaction: str, state: str) -> int:
        asked = data_set(ProcedureStepState=state, TransactionUID=transaction)
        path = f"/workitems/{quote(uid)}/state"
        status, _ = ask_dicom(self.client, "PUT", path, asked.to_json_dict())
        return self._dimse_status(status, uid, state)

    def update(self, uid: str, transaction: str, data: Dataset) -> int:
        asked = Dataset({**data, **data_set(TransactionUID=transaction)})
        path = f"/workitems/{quote(uid)}?{quote(transaction)}"
        status, _ = ask_dicom(self.client, "POST", path, asked.to_json_dict())
        return self._dimse_status(status, uid, None)

    def subscribe(self, uid: str) -> None:
        path = f"/workitems/{quote(uid)}/subscribers/{quote(self.ae_title)}"
        ask_dicom(self.client, "POST", f"{path}?deletionlock=false")

    def _dimse_status(self, status: int, uid: str, wanted: str | None) -> int:
        """Give the status of PS3.4 for an HTTP status; of 400 and 409, the step's state decides."""
        if 200 <= status < 300:
            return OK
        if status in (404, 410):
            return NO_SUCH_STEP
        if status not in (400, 409):
            raise DeliveryError(f"the server of steps does not answer (HTTP {status})")
        step = self.read(uid)
        state = step.get("ProcedureStepState") if step is not None else None
        if state == wanted and state in (COMPLETED, CANCELED):
            return ALREADY_COMPLETED if state == COMPLETED else ALREADY_CANCELED
        if state == IN_PROGRESS:
            return ALREADY_IN_PROGRESS if wanted == IN_PROGRESS else WRONG_TRANSACTION
        return FINAL if state in (COMPLETED, CANCELED) else NO_SUCH_STEP
