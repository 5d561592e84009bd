"""Reception of a DICOM object from a stream: it is written to a draft piece by piece."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Final

from mammolens.errors import InputError, NotAnImage, StorageError
from mammolens.images.dicom.bounded_header import read_bounded, wanted_of
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.serve import logs
from mammolens.serve.holdings import SOURCE, Draft, NodeState
from mammolens.serve.intake.reception import receive, too_large

__all__ = ["Identifiers", "PartialObject", "read_identifiers"]

ROOM: Final = "web"
HEAD_BYTES: Final = 1 << 14  # First bytes of an object that hold its identifiers.
MOST_INFLATED_BYTES: Final = 1 << 17
"""Limit for inflating the first bytes of a deflated object, to read its identifiers."""
_NAMES: Final = frozenset({"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"})
_UID: Final = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True)
class Identifiers:
    """The identifiers in the header of an object; the study may be unknown."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str | None


def read_identifiers(stream: BinaryIO) -> Identifiers | None:
    """Read the identifiers of an object, also of a truncated one; ``None`` if it has none."""
    try:
        with quiet_pydicom():
            data = read_bounded(
                stream, SOURCE, wanted_of(_NAMES, True), MOST_INFLATED_BYTES
            ).dataset()
            uids = [str(data.get(k) or "") for k in ("SOPClassUID", "SOPInstanceUID")]
            study = str(data.get("StudyInstanceUID") or "")
    except Exception:
        return None
    if not all(map(_UID.fullmatch, uids)):
        return None
    return Identifiers(uids[0], uids[1], study if _UID.fullmatch(study) else None)


@dataclass
class PartialObject:
    """One object that is being written to a draft. `error` is the first error that occurred."""

    state: NodeState
    max_bytes: int
    error: Exception | None = None
    head: bytearray = field(default_factory=bytearray)
    draft: Draft | None = None

    def write(self, piece: bytes) -> None:
        """Write a piece; after an error, only the first bytes are kept, for the identifiers."""
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        if self.error is not None:
            return
        try:
            if self.draft is None:
                self.draft = self.state.received.draft()
            self.draft.write(piece)
        except StorageError as error:
            self.refuse(error)
            return
        if self.draft.size > self.max_bytes:
            self.refuse(too_large(self.max_bytes))

    def refuse(self, error: Exception) -> None:
        """Refuse the object, and delete its draft."""
        self.error = self.error or error
        self.discard()

    def discard(self) -> None:
        """Delete the draft; after `receive`, this does nothing."""
        if self.draft is not None:
            self.draft.discard()
            self.draft = None

    def identifiers(self) -> Identifiers | None:
        """Read the identifiers from the first bytes of the object."""
        return read_identifiers(BytesIO(bytes(self.head)))

    def receive(self, sender: str) -> None:
        """Receive the object; if that fails, `error` is the exception.

        It is an `InputError`, a `StorageError`, or an unexpected exception.
        """
        draft, self.draft = self.draft, None
        try:
            if self.error is None and draft is None:
                raise NotAnImage("the part is empty", source=SOURCE)
            if self.error is None and draft is not None:
                receive(self.state, draft, sender)
        except Exception as error:
            self.error = error
            if not isinstance(error, InputError):
                logs.event(ROOM, "not_stored", logging.ERROR, error=type(error).__name__)
        finally:
            if draft is not None:
                draft.discard()
