"""Delivery to a DICOM archive: C-STORE over one association for the files of a batch.

For each file, its own transfer syntax is proposed. If it is not compressed, implicit VR is proposed
too, for peers that know only the default of DICOM. Verification is proposed as well: a peer that
accepts none of the storage classes then still accepts the association, and each file is refused by
itself. Storage Commitment is proposed to learn whether the peer offers it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association

from mammolens.errors import DeliveryError, StorageError
from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports import Answer, Parcel, Send, Verdict, judge_status
from mammolens.serve.delivery.transports._target import Target
from mammolens.serve.dimse import CONTEXT, associated

__all__ = ["store_session"]

_VERIFICATION: Final = "1.2.840.10008.1.1"


@contextlib.contextmanager
def store_session(target: Target, parcels: Sequence[Parcel]) -> Iterator[Send]:
    """Open a session for these files; it calls the peer with the first."""
    contexts = [(_VERIFICATION, [ImplicitVRLittleEndian]), CONTEXT, *_contexts(parcels)]
    with contextlib.ExitStack() as stack:
        yield _Session(target, contexts, stack).send


@dataclass
class _Session:
    """An association with one archive; after a break, it is made again."""

    target: Target
    contexts: Sequence[tuple[str, Sequence[str]]]
    stack: contextlib.ExitStack
    _association: Association | None = field(default=None)

    def send(self, delivery: Delivery, content: bytes) -> Answer:  # noqa: ARG002
        """Store one object."""
        try:
            dataset = dcmread(BytesIO(content))
        except (InvalidDicomError, EOFError, ValueError, AttributeError):
            return Answer(Verdict.NEVER, "the file is not a DICOM object")
        try:
            association = self._established()
        except (DeliveryError, OSError) as error:
            reason = error.message if isinstance(error, DeliveryError) else type(error).__name__
            return Answer(Verdict.AWAY, reason)
        try:
            answered = association.send_c_store(dataset)
        except ValueError:
            return Answer(Verdict.NEVER, "the peer does not take this SOP class")
        except (AttributeError, RuntimeError) as error:
            self._drop()
            is_broken = isinstance(error, RuntimeError)  # Else the object lacks an attribute.
            verdict = Verdict.BROKEN if is_broken else Verdict.NEVER
            return Answer(verdict, f"cannot be sent: {type(error).__name__}")
        status = answered.get("Status")
        if status is None:
            self._drop()
            return Answer(Verdict.BROKEN, "no answer to C-STORE")
        # `CONTEXT` is that of Storage Commitment.
        commits = any(c.abstract_syntax == CONTEXT[0] for c in association.accepted_contexts)
        return Answer(judge_status(status), f"C-STORE 0x{status:04X}", commits=commits)

    def _established(self) -> Association:
        if self._association is None or not self._association.is_established:
            self._drop()
            assert self.target.peer is not None
            assert self.target.dimse is not None
            calling = associated(self.target.peer, self.target.dimse, self.contexts)
            self._association = self.stack.enter_context(calling)
        return self._association

    def _drop(self) -> None:
        self.stack.close()
        self._association = None


def _contexts(parcels: Sequence[Parcel]) -> list[tuple[str, list[str]]]:
    """Presentation contexts for the files, one for each syntax, so that several may be accepted."""
    found: dict[tuple[str, str], None] = {}
    for parcel in parcels:
        sop_class, syntax = parcel.delivery.sop_class_uid, _syntax(parcel)
        if sop_class is None or syntax is None:
            continue
        found[sop_class, syntax] = None
        if syntax == ExplicitVRLittleEndian:
            found[sop_class, ImplicitVRLittleEndian] = None
    return [(sop_class, [syntax]) for sop_class, syntax in found]


def _syntax(parcel: Parcel) -> str | None:
    try:
        content = parcel.read() or b""
        return str(dcmread(BytesIO(content), stop_before_pixels=True).file_meta.TransferSyntaxUID)
    except (OSError, StorageError, InvalidDicomError, EOFError, ValueError, AttributeError):
        return None
