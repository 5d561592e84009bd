"""HTTP as the transports need it: one request, an answer or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mammolens.serve.delivery.transports import Answer, Verdict
from mammolens.serve.exchange import HttpClient, HttpError, NotConnected

__all__ = ["Response", "judge_http", "post"]

_CLOSED_DOOR: Final = frozenset({401, 403, 404, 405, 407})
"""Wrong credentials or address: no file is at fault, and none would fare better."""
_LATER: Final = frozenset({408, 409, 425, 429})
_GATEWAY: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Response:
    """What a server answered."""

    status: int
    body: bytes
    retry_after: str | None


def post(
    client: HttpClient, path: str, body: bytes, headers: Mapping[str, str], key: str
) -> Response | Answer:
    """Post `body` below the base of a server.

    Parameters
    ----------
    key
        Shows a server that knows the header ``Idempotency-Key`` that a request is a repeat.
    """
    try:
        answer = client.ask("POST", path, {"Idempotency-Key": key, **headers}, body)
    except NotConnected as error:
        return Answer(Verdict.AWAY, f"cannot be reached: {type(error.reason).__name__}")
    except HttpError as error:
        return Answer(Verdict.BROKEN, f"no answer: {type(error.reason).__name__}")
    return Response(answer.status, answer.body, answer.headers.get("Retry-After"))


def judge_http(response: Response) -> Answer:
    """Judge an answer by its status alone, other than success.

    Examples
    --------
    >>> [judge_http(Response(s, b"", None)).verdict.value for s in (400, 401, 409, 500, 503)]
    ['never', 'away', 'later', 'later', 'away']
    >>> judge_http(Response(429, b"", "7")).wait_s
    7.0
    """
    status, said = response.status, f"HTTP {response.status}"
    after = response.retry_after or ""
    if status in _GATEWAY and after.isdecimal():
        return Answer(Verdict.AWAY, said, float(after[:6]))
    if status in _CLOSED_DOOR or status in _GATEWAY - _LATER or 300 <= status < 400:
        return Answer(Verdict.AWAY, said)
    if status in _LATER or status < 300 or status >= 500:
        return Answer(Verdict.LATER, said)
    return Answer(Verdict.NEVER, said)
