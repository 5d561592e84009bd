"""STOW-RS as a server: each part of a request is received separately and has its own answer.

A part is written to the disk while it arrives, so that memory does not grow. If a request breaks
off, its complete parts stay received; the sender gets no answer and sends all of them again.

Source: PS3.18 10.5 (Store transaction), annex I (response), PS3.19 A.1 (Native DICOM Model).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from xml.etree import ElementTree

from mammolens.errors import (
    InputError,
    MissingAttribute,
    NotAnImage,
    StorageError,
    UnsupportedImage,
)
from mammolens.serve import logs
from mammolens.serve.dicomweb import DICOM, OCTETS, RELATED, MediaType, parse_media_type
from mammolens.serve.holdings import SOURCE, NodeState
from mammolens.serve.intake import Identifiers, PartialObject
from mammolens.serve.record import audit
from mammolens.serve.web._multipart import Multipart, Sink
from mammolens.status import status_of

__all__ = ["XML", "StoreRequest", "write_xml"]

ROOM: Final = "web"
XML: Final = "application/dicom+xml"
MOST_PARTS: Final = 10_000
_KEYWORDS: Final = {
    "00081150": "ReferencedSOPClassUID",
    "00081155": "ReferencedSOPInstanceUID",
    "00081190": "RetrieveURL",
    "00081197": "FailureReason",
    "00081198": "FailedSOPSequence",
    "00081199": "ReferencedSOPSequence",
    "0008119A": "OtherFailuresSequence",
}
Attribute = dict[str, Any]
"""An attribute of the DICOM JSON Model."""


@dataclass
class StoreRequest:
    """One store request: it gets the body piece by piece, receives each part, and gives the answer.

    Parameters
    ----------
    study
        Study of all objects; ``None`` accepts any.

    Raises
    ------
    NotAnImage
        The media type has no valid boundary.
    """

    state: NodeState
    sender: str
    media: MediaType
    study: str | None = None
    stored: list[Attribute] = field(default_factory=list)
    failed: list[Attribute] = field(default_factory=list)
    unnamed: list[Attribute] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)  # of faults, also those that the app adds
    parts: int = 0
    _multipart: Multipart | None = None
    _part: PartialObject | None = None

    def __post_init__(self) -> None:
        if self.media.name == RELATED:
            self._multipart = Multipart(self.media.parameters.get("boundary", ""), self._begin)
        else:
            self._part = self._new_part()

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body.

        Raises
        ------
        NotAnImage
            The body is not multipart with its boundary; complete parts stay received.
        """
        if self._multipart is not None:
            self._multipart.feed(piece)
        elif self._part is not None:
            self._part.write(piece)

    def finish(self) -> None:
        """End the body.

        Raises
        ------
        NotAnImage
            The body is not complete.
        """
        if self._multipart is not None:
            self._multipart.close()
        elif self._part is not None:
            self.end_part(self._part)

    def break_off(self, error: Exception) -> None:
        """End a broken body: its unfinished part is lost."""
        if self._part is not None:
            self._part.refuse(error)
            self._fail(self._part, error)
        else:
            self._fail(PartialObject(self.state, 0), error)

    def discard(self) -> None:
        """Delete the draft of an unfinished part."""
        if self._part is not None:
            self._part.discard()

    def end_part(self, item: PartialObject) -> None:
        """Receive a part, or enter the reason for its refusal."""
        self._part = None
        name = item.identifiers()
        if (
            item.error is None
            and self.study
            and (not name or name.study_instance_uid != self.study)
        ):
            item.refuse(
                MissingAttribute("another study", source=SOURCE, keyword="StudyInstanceUID")
            )
            self._note_rejection(item)
        elif isinstance(item.error, InputError):
            self._note_rejection(item)
        item.receive(self.sender)
        if item.error is not None:
            self._fail(item, item.error)
        elif name is not None:
            self.stored.append({**_reference(name), "00081190": {"vr": "UR"}})
        else:
            # Received, but its identifiers are not in its first bytes: the answer has no UIDs.
            self.stored.append({"00081190": {"vr": "UR"}})

    def status(self) -> int:
        """Give the HTTP status: 200 if all were stored, 202 if some, else the error."""
        if self.stored:
            return 202 if self.failed or self.unnamed else 200
        for status in (500, 507, 413, 400):
            if status in self.statuses:
                return status
        return 409 if self.failed or self.unnamed else 400

    def answer(self) -> Attribute:
        """Give the Store Instances Response Module in the DICOM JSON Model."""
        lists = (("00081198", self.failed), ("00081199", self.stored), ("0008119A", self.unnamed))
        given = {tag: {"vr": "SQ", "Value": items} for tag, items in lists if items}
        return {"00081190": {"vr": "UR"}, **given}

    def write_answer(self, media: str) -> bytes:
        """Write the answer as `JSON` or `XML`."""
        answer = self.answer()
        return write_xml(answer) if media == XML else json.dumps(answer).encode()

    def _begin(self, headers: Mapping[str, str]) -> Sink:
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise NotAnImage("the request has too many parts")
        item = self._new_part()
        media = parse_media_type(headers.get("content-type", DICOM))
        if media is None or media.name not in (DICOM, OCTETS):
            item.refuse(UnsupportedImage("the part is not application/dicom", source=SOURCE))
        self._part = item
        return item.write, partial(self.end_part, item)

    def _new_part(self) -> PartialObject:
        return PartialObject(self.state, self.state.settings.intake.max_mb << 20)

    def _fail(self, item: PartialObject, error: Exception) -> None:
        status, name = status_of(error), item.identifiers()
        if status.http >= 500:
            self.statuses.add(status.http)
        reason = {"00081197": {"vr": "US", "Value": [status.dimse]}}
        if name is None:
            self.unnamed.append(reason)
        else:
            self.failed.append({**_reference(name), **reason})

    def _note_rejection(self, item: PartialObject) -> None:
        error = item.error
        keyword = error.keyword if isinstance(error, InputError) else None
        detail: audit.Detail = {"error": type(error).__name__, "keyword": keyword}
        try:
            audit.note_refusal(self.state.database, self.sender, "rejected", detail)
        except StorageError:
            logs.event(ROOM, "not_audited", logging.ERROR)


def write_xml(answer: Attribute) -> bytes:
    """Write a data set of the DICOM JSON Model in the Native DICOM Model."""
    root = ElementTree.Element("NativeDicomModel", {"xml:space": "preserve"})
    _add_attributes(root, answer)
    return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True))


def _add_attributes(above: ElementTree.Element, data: Attribute) -> None:
    for tag in sorted(data):
        about = {"tag": tag, "vr": data[tag]["vr"], "keyword": _KEYWORDS[tag]}
        element = ElementTree.SubElement(above, "DicomAttribute", about)
        values: Sequence[Any] = data[tag].get("Value", ())
        for number, value in enumerate(values, 1):
            kind = "Item" if isinstance(value, dict) else "Value"
            below = ElementTree.SubElement(element, kind, {"number": str(number)})
            if isinstance(value, dict):
                _add_attributes(below, value)
            else:
                below.text = str(value)


def _reference(name: Identifiers) -> Attribute:
    return {
        "00081150": {"vr": "UI", "Value": [name.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [name.sop_instance_uid]},
    }
