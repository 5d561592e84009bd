"""Delivery to a DICOMweb server: STOW-RS, one instance a request, each with its own answer.

A success counts only if the answer names the instance as stored.

Source: PS3.18 10.5 (Store transaction), 8.6.1.2 (multipart/related), annex I.2 (response).
"""

from __future__ import annotations

import json
from typing import Any, Final

from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports import Answer, Verdict, judge_status
from mammolens.serve.delivery.transports._http import http_session, judge_http, post
from mammolens.serve.exchange import HttpAnswer, HttpClient

__all__ = ["stow_session"]

_STORED: Final = "00081199"  # ReferencedSOPSequence
_FAILED: Final = "00081198"  # FailedSOPSequence
_INSTANCE: Final = "00081155"  # ReferencedSOPInstanceUID
_WARNING: Final = "00081196"  # WarningReason
_REASON: Final = "00081197"  # FailureReason
_ANSWERED: Final = frozenset({200, 202, 400, 409})
"""Statuses with a list of stored and refused instances."""


def _store(http: HttpClient, delivery: Delivery, content: bytes) -> Answer:
    boundary = f"mammolens-{delivery.digest[:32]}"
    if delivery.sop_instance_uid is None or f"--{boundary}".encode() in content:
        return Answer(Verdict.NEVER, "the file is not a DICOM instance")
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join([head, content, f"\r\n--{boundary}--\r\n".encode()])
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    response = post(http, "/studies", body, headers, delivery.digest)
    return response if isinstance(response, Answer) else _judge(response, delivery)


stow_session: Final = http_session(_store)


def _judge(response: HttpAnswer, delivery: Delivery) -> Answer:
    said = f"HTTP {response.status}"
    if response.status not in _ANSWERED:
        return judge_http(response)
    answered = _dataset(response.body)
    failed = _item(answered, _FAILED, delivery)
    if failed is not None:
        reason = _number(failed, _REASON)
        if reason is None:
            return Answer(Verdict.LATER, f"{said}, no reason")
        return Answer(judge_status(reason), f"{said}, reason 0x{reason:04X}")
    stored = _item(answered, _STORED, delivery)
    if stored is not None and response.status in (200, 202):
        warning = _number(stored, _WARNING)
        return Answer(Verdict.TAKEN, said if warning is None else f"{said}, 0x{warning:04X}")
    if response.status in (200, 202):
        return Answer(Verdict.LATER, f"{said} that does not name the instance")
    return judge_http(response)


def _item(answered: dict[str, Any], tag: str, delivery: Delivery) -> dict[str, Any] | None:
    items = answered.get(tag, {})
    listed = items.get("Value") if isinstance(items, dict) else None
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and _first(item, _INSTANCE) == delivery.sop_instance_uid:
            return item
    return None


def _number(item: dict[str, Any], tag: str) -> int | None:
    value = _first(item, tag)
    return value & 0xFFFF if isinstance(value, int) else None


def _first(item: dict[str, Any], tag: str) -> Any:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _dataset(content: bytes) -> dict[str, Any]:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    read = read[0] if isinstance(read, list) and read else read
    return read if isinstance(read, dict) else {}
