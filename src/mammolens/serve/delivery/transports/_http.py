"""Sessions over HTTP: each file is one request; the meaning of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final

from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports import Answer, Parcel, Send, Verdict
from mammolens.serve.delivery.transports._target import Target
from mammolens.serve.exchange import HttpAnswer, HttpClient, HttpError, NotConnected

__all__ = ["http_session", "judge_http", "post"]

_CLOSED_DOOR: Final = frozenset({401, 403, 404, 405, 407})
"""Wrong credentials or address: every file would be refused."""
_LATER: Final = frozenset({408, 409, 425, 429})  # This file can be sent again later.
_GATEWAY: Final = frozenset({429, 502, 503, 504})  # With Retry-After, all files wait for so long.


def http_session(
    send: Callable[[HttpClient, Delivery, bytes], Answer],
) -> Callable[[Target, Sequence[Parcel]], AbstractContextManager[Send]]:
    """Make the function that opens a session, from the function that sends one file.

    The session connects with its first request.
    """

    @contextmanager
    def open_session(target: Target, parcels: Sequence[Parcel]) -> Iterator[Send]:  # noqa: ARG001
        with HttpClient(target) as http:
            yield partial(send, http)

    return open_session


def post(
    client: HttpClient, path: str, body: bytes, headers: Mapping[str, str], key: str
) -> HttpAnswer | Answer:
    """Post `body` below the base of a server; an `Answer` says why no answer came.

    Parameters
    ----------
    key
        Shows a server that knows the header ``Idempotency-Key`` that a request is a repeat.
    """
    try:
        return client.ask("POST", path, {"Idempotency-Key": key, **headers}, body)
    except NotConnected as error:
        return Answer(Verdict.AWAY, f"cannot be reached: {type(error.reason).__name__}")
    except HttpError as error:
        return Answer(Verdict.BROKEN, f"no answer: {type(error.reason).__name__}")


def judge_http(response: HttpAnswer) -> Answer:
    """Judge an answer without success by its status.

    Examples
    --------
    >>> [judge_http(HttpAnswer(s)).verdict.value for s in (400, 401, 409, 500, 503)]
    ['never', 'away', 'later', 'later', 'away']
    >>> judge_http(HttpAnswer(429, headers={"Retry-After": "7"})).wait_s
    7.0
    """
    status, said = response.status, f"HTTP {response.status}"
    after = response.headers.get("Retry-After", "")
    if status in _GATEWAY and after.isdecimal():
        return Answer(Verdict.AWAY, said, float(after[:6]))
    if status in _CLOSED_DOOR or status in _GATEWAY - _LATER or 300 <= status < 400:
        return Answer(Verdict.AWAY, said)
    if status in _LATER or status < 300 or status >= 500:
        return Answer(Verdict.LATER, said)
    return Answer(Verdict.NEVER, said)
