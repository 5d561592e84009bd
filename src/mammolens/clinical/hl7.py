"""Read clinical data from HL7 v2: ADT and ORU messages, PID and OBX segments.

Source: HL7 v2.5.1, 3.4.2 (PID) and 7.4.2 (OBX).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from mammolens.clinical.codes import item_of_code
from mammolens.clinical.items import BIRTH_DATE, read_value
from mammolens.clinical.records import ClinicalRecord, read_day
from mammolens.core import ClinicalItem
from mammolens.errors import InvalidManifest
from mammolens.pathology.hl7 import messages, part, split_message

__all__ = ["read_messages"]

_KINDS: Final = ("ADT", "ORU")
_GONE: Final = frozenset(("D", "W", "X", "N", "I", "O"))
"""OBX-11: deleted, wrong patient, cannot be obtained, not asked, still waited for."""


def read_messages(data: bytes, source: str, today: date) -> Iterator[ClinicalRecord]:
    """Read the records of a file; each PID begins a patient.

    Raises
    ------
    DataError
        A message is of another kind, names no patient, or a value is impossible.
    """
    for message, where in messages(data, source):
        yield from _read_message(message, where, today)


def _read_message(data: bytes, source: str, today: date) -> Iterator[ClinicalRecord]:
    segments, separators = split_message(data, source)
    kind = part(segments[0], 8, separators)
    if kind not in _KINDS:
        raise InvalidManifest(
            f"the message is of the kind {kind[:10]!r}",
            source=source,
            keyword="MSH-9",
            remedy="Send ADT or ORU",
        )
    patient, items, observed = "", list[ClinicalItem](), None
    for fields in segments[1:]:
        if fields[0] == "PID":
            if patient and items:
                yield ClinicalRecord(patient, tuple(items))
            patient, items, observed = part(fields, 3, separators), [], None
            if not patient:
                raise InvalidManifest(
                    "the message names no patient",
                    source=source,
                    keyword="PID-3",
                    remedy="Send the patient identifier",
                )
            if born := read_day(part(fields, 7, separators), source, "PID-7", today):
                items.append(ClinicalItem(BIRTH_DATE, born.isoformat(), source))
        elif fields[0] == "OBR":
            observed = read_day(part(fields, 7, separators), source, "OBR-7", today)
        elif fields[0] == "OBX" and part(fields, 11, separators).upper() not in _GONE:
            named = [part(fields, 3, separators, place) for place in (0, 1, 3, 4)]
            name = item_of_code(named)
            if name is None:
                continue
            if not patient:
                raise InvalidManifest(
                    "an OBX stands before the PID, so its patient is unknown",
                    source=source,
                    keyword="OBX",
                    remedy="Send the PID first",
                )
            stated = part(fields, 14, separators)
            day = read_day(stated, source, "OBX-14", today) or observed
            coded = part(fields, 2, separators) in ("CE", "CWE", "CNE")
            words = part(fields, 5, separators, 1) if coded else ""
            text, unit = words or part(fields, 5, separators), part(fields, 6, separators)
            for value, side in read_value(name, text, f"{source}, OBX", unit):
                items.append(ClinicalItem(name, value, source, day, side))
    if patient:
        yield ClinicalRecord(patient, tuple(items))
