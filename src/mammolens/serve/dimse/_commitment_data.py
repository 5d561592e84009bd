"""What the messages of storage commitment carry (PS3.4 Annex J)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from mammolens.errors import NotAnImage

__all__ = [
    "CONTEXT",
    "INVALID_ARGUMENT",
    "MODEL",
    "MODEL_INSTANCE",
    "PROCESSING_FAILURE",
    "REQUEST",
    "SUCCESS",
    "CommitmentReport",
    "Reference",
    "decoded",
    "listed",
    "listed_failures",
    "read_references",
    "read_report",
    "read_transaction",
]

MODEL: Final = StorageCommitmentPushModel
MODEL_INSTANCE: Final = StorageCommitmentPushModelInstance
CONTEXT: Final = (str(MODEL), (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)))
REQUEST: Final = 1
SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
INVALID_ARGUMENT: Final = 0x0115
LONGEST_UID: Final = 64

Reference = tuple[str, str]
"""SOP class UID and SOP instance UID."""


@dataclass(frozen=True)
class CommitmentReport:
    """Which objects are kept safe, and which are not and why (Failure Reason)."""

    transaction_uid: str
    kept: tuple[Reference, ...]
    failed: Mapping[Reference, int]


def listed(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """Name objects under a transaction."""
    data = Dataset()
    data.TransactionUID = transaction_uid
    data.ReferencedSOPSequence = [_item(*reference) for reference in references]
    return data


def listed_failures(failed: Mapping[Reference, int]) -> list[Dataset]:
    """Name objects, each with its reason."""
    items = []
    for reference, reason in failed.items():
        item = _item(*reference)
        item.FailureReason = reason
        items.append(item)
    return items


def read_report(data: Dataset) -> CommitmentReport:
    """Read the information of an N-EVENT-REPORT.

    Raises
    ------
    NotAnImage
        It names no transaction.
    """
    failures = data.get("FailedSOPSequence") or ()
    reasons = [int(item.get("FailureReason") or PROCESSING_FAILURE) for item in failures]
    failed = zip(read_references(data, "FailedSOPSequence"), reasons, strict=True)
    kept = read_references(data, "ReferencedSOPSequence")
    return CommitmentReport(read_transaction(data), kept, dict(failed))


def read_transaction(data: Dataset) -> str:
    """Give the transaction UID.

    Raises
    ------
    NotAnImage
        There is none.
    """
    uid = str(data.get("TransactionUID") or "")
    if not uid or len(uid) > LONGEST_UID:
        raise NotAnImage("the message names no transaction", keyword="TransactionUID")
    return uid


def read_references(data: Dataset, keyword: str) -> tuple[Reference, ...]:
    """Give the objects that a sequence names."""
    return tuple(
        (str(item.get("ReferencedSOPClassUID")), str(item.get("ReferencedSOPInstanceUID")))
        for item in data.get(keyword) or ()
    )


def decoded(read: Callable[[], Dataset]) -> Dataset:
    """Decode all of a message's data set.

    Raises
    ------
    NotAnImage
        It cannot be read.
    """
    try:
        data = read()
        data.walk(lambda *_: None)
    except Exception as error:
        raise NotAnImage("the message cannot be read") from error
    return data


def _item(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item
