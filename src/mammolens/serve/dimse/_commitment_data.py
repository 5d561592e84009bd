"""Data sets of the messages of storage commitment (PS3.4 Annex J)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.images.dicom.bounded_header import wanted_of
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.dicom.scan import Wanted, scan
from mammolens.images.dicom.streams import Plain
from mammolens.images.dicom.walk import Walk
from mammolens.serve.dimse.data_sets import data_set

__all__ = [
    "CONTEXT",
    "INVALID_ARGUMENT",
    "MODEL",
    "MODEL_INSTANCE",
    "PROCESSING_FAILURE",
    "REQUEST",
    "RESOURCE_LIMITATION",
    "SUCCESS",
    "CommitmentReport",
    "Reference",
    "decode_message",
    "failure_items",
    "read_references",
    "read_report",
    "read_transaction",
    "references_of",
    "refusal_status",
]

MODEL: Final = StorageCommitmentPushModel
MODEL_INSTANCE: Final = StorageCommitmentPushModelInstance
CONTEXT: Final = (str(MODEL), (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)))
REQUEST: Final = 1
SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
INVALID_ARGUMENT: Final = 0x0115
RESOURCE_LIMITATION: Final = 0x0213
SOURCE: Final = "received message"
LONGEST_UID: Final = 64
MOST_REFERENCES: Final = 10_000
"""Most objects in a request or an answer; the largest studies have some thousands of images."""
MOST_STEPS: Final = 4 * MOST_REFERENCES
"""Each object has an item, a class, an instance, and perhaps a reason."""
LONGEST_MESSAGE: Final = 4 << 20
"""So many references take 2 MiB."""
SEQUENCES: Final = ("ReferencedSOPSequence", "FailedSOPSequence")
READ: Final = frozenset({"TransactionUID", *SEQUENCES})

Reference = tuple[str, str]
"""SOP class UID and SOP instance UID."""


@dataclass(frozen=True)
class CommitmentReport:
    """The objects that are stored safely, and the others with the reason (Failure Reason)."""

    transaction_uid: str
    kept: tuple[Reference, ...]
    failed: Mapping[Reference, int]

    @property
    def counts(self) -> dict[str, str | int | None]:
        """Details for the audit trail."""
        uid = self.transaction_uid
        return {"failed": len(self.failed), "kept": len(self.kept), "transaction_uid": uid}


def references_of(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """Make the data set that names objects of a transaction."""
    items = [_item(*reference) for reference in references]
    return data_set(TransactionUID=transaction_uid, ReferencedSOPSequence=items)


def failure_items(failed: Mapping[Reference, int]) -> list[Dataset]:
    """Make the items that name objects, each with its failure reason."""
    return [_item(*reference, FailureReason=reason) for reference, reason in failed.items()]


def read_report(data: Dataset) -> CommitmentReport:
    """Read the information of an N-EVENT-REPORT.

    Raises
    ------
    NotAnImage
        It has no transaction UID.
    """
    failures = data.get("FailedSOPSequence") or ()
    try:
        reasons = [int(item.get("FailureReason") or PROCESSING_FAILURE) for item in failures]
    except (TypeError, ValueError) as error:
        raise NotAnImage(
            "a reason is not a number", source=SOURCE, keyword="FailureReason"
        ) from error
    failed = zip(read_references(data, "FailedSOPSequence"), reasons, strict=True)
    kept = read_references(data, "ReferencedSOPSequence")
    return CommitmentReport(read_transaction(data), kept, dict(failed))


def read_transaction(data: Dataset) -> str:
    """Give the transaction UID.

    Raises
    ------
    NotAnImage
        It is missing or too long.
    """
    uid = str(data.get("TransactionUID") or "")
    if not uid or len(uid) > LONGEST_UID:
        raise NotAnImage("the message names no transaction", keyword="TransactionUID")
    return uid


def read_references(data: Dataset, keyword: str) -> tuple[Reference, ...]:
    """Give the objects in a sequence."""
    return tuple(
        (str(item.get("ReferencedSOPClassUID")), str(item.get("ReferencedSOPInstanceUID")))
        for item in data.get(keyword) or ()
    )


def decode_message(data: BytesIO | None, transfer_syntax: str) -> Dataset:
    """Decode the needed elements of a message, after a check of its limits.

    Raises
    ------
    NotAnImage
        It cannot be read.
    UnsupportedImage
        It is too long, or names too many objects.
    """
    if data is None:
        raise NotAnImage("the message has no data set", source=SOURCE)
    size = data.seek(0, os.SEEK_END)
    if size > LONGEST_MESSAGE:
        raise UnsupportedImage(
            f"a message of {size:,} bytes is too long",
            source=SOURCE,
            remedy=f"Ask for at most {MOST_REFERENCES:,} objects at once",
        )
    data.seek(0)
    syntax = UID(transfer_syntax)
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    found = scan(Walk(Plain(data), implicit, little, SOURCE, MOST_STEPS), _wanted())
    if found.excess is not None:
        raise found.excess
    try:
        with quiet_pydicom():
            dataset = read_dataset(BytesIO(found.data), implicit, little)
            dataset.walk(lambda *_: None)  # pydicom decodes late: let it fail here.
    except Exception as error:
        raise NotAnImage("the message cannot be read", source=SOURCE) from error
    named = sum(len(dataset.get(keyword) or ()) for keyword in SEQUENCES)
    if named > MOST_REFERENCES:
        raise UnsupportedImage(
            f"a message names {named:,} objects",
            source=SOURCE,
            remedy=f"Ask for at most {MOST_REFERENCES:,} objects at once",
        )
    return dataset


@cache
def _wanted() -> Wanted:
    return wanted_of(READ)._replace(longest=LONGEST_MESSAGE)


def refusal_status(error: InputError) -> int:
    """Give the status for a message that is refused (PS3.7 10.1.4.1.10)."""
    return RESOURCE_LIMITATION if isinstance(error, UnsupportedImage) else INVALID_ARGUMENT


def _item(sop_class: str, sop_instance: str, **more: int) -> Dataset:
    return data_set(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=sop_instance, **more)
