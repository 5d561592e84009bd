"""Delivery to a FHIR server: a transaction Bundle is posted, and every entry must succeed.

It is harmless to send a bundle twice: its requests overwrite a resource that has our id with the
same content, and create the others only if they do not exist yet (``ifNoneExist``).

Source: FHIR R4 (4.0.1), http.html#transaction and #transaction-response.
"""

from __future__ import annotations

from typing import Any, Final

from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports import Answer, Verdict
from mammolens.serve.delivery.transports._http import http_session, judge_http, post
from mammolens.serve.exchange import HttpAnswer, HttpClient

__all__ = ["fhir_session"]

_TYPE: Final = "application/fhir+json"


def _post_bundle(http: HttpClient, delivery: Delivery, content: bytes) -> Answer:
    n_entries = _count_entries(content)
    if n_entries is None:
        return Answer(Verdict.NEVER, "the file is not a transaction Bundle")
    headers = {
        "Content-Type": f"{_TYPE}; charset=utf-8",
        "Accept": _TYPE,
        "Prefer": "return=minimal",
    }
    response = post(http, "", content, headers, delivery.digest)
    return response if isinstance(response, Answer) else _judge(response, n_entries)


fhir_session: Final = http_session(_post_bundle)


def _judge(response: HttpAnswer, n_entries: int) -> Answer:
    if response.status != 200:
        return judge_http(response)
    answered = response.json_object()
    entries = answered.get("entry")
    if answered.get("type") != "transaction-response" or not isinstance(entries, list):
        return Answer(Verdict.LATER, "HTTP 200 without a transaction-response")
    statuses = [_status(entry) for entry in entries]
    if len(statuses) != n_entries:
        return Answer(Verdict.LATER, f"HTTP 200, {len(statuses)} of {n_entries} entries answered")
    failed = [status for status in statuses if not 200 <= status < 300]
    if failed:
        worst = judge_http(HttpAnswer(max(failed)))
        verdict = Verdict.NEVER if worst.verdict is Verdict.NEVER else Verdict.LATER
        return Answer(verdict, f"HTTP 200, an entry {max(failed)}")
    return Answer(Verdict.TAKEN, "HTTP 200")


def _status(entry: Any) -> int:
    """Give the status of an entry; 500 where it has none."""
    try:
        return int(str(entry["response"]["status"])[:3])
    except (KeyError, TypeError, ValueError):
        return 500


def _count_entries(content: bytes) -> int | None:
    bundle = HttpAnswer(200, content).json_object()
    entries = bundle.get("entry")
    if bundle.get("type") != "transaction" or not isinstance(entries, list):
        return None
    return len(entries)
