"""HTTP as the transports need it: one request, an answer or the reason why there is none."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mammolens import __version__
from mammolens.serve.delivery.transports import Answer, Verdict
from mammolens.serve.delivery.transports._target import Target
from mammolens.serve.exchange import HttpConnection

__all__ = ["HttpSession", "Response", "http_session", "judge_http"]

_LONGEST: Final = 4 << 20
"""Bytes of an answer: it names what was stored, or has a status for each entry of one bundle."""
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


class HttpSession:
    """A connection to one server, kept between requests."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection = HttpConnection(
            target.host, target.port, target.timeout_s, _LONGEST, target.tls, target.tls_name
        )

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], key: str
    ) -> Response | Answer:
        """Post `body` below the base of the target.

        Parameters
        ----------
        key
            Says to a server that knows the header ``Idempotency-Key`` that a repeat is one.
        """
        sent = {"User-Agent": f"mammolens/{__version__}", "Idempotency-Key": key, **headers}
        if self._target.authorization is not None:
            sent["Authorization"] = self._target.authorization
        self._connection.pace.begin()
        try:
            if self._connection.sock is None:
                self._connection.connect()
        except OSError as error:
            self.close()
            return Answer(Verdict.AWAY, f"cannot be reached: {type(error).__name__}")
        try:
            self._connection.request("POST", f"{self._target.path}{path}" or "/", body, sent)
            answered = self._connection.getresponse()
            content = answered.read(_LONGEST)
            if not answered.isclosed():
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(Verdict.BROKEN, f"no answer: {type(error).__name__}")
        return Response(answered.status, content, answered.headers.get("Retry-After"))

    def close(self) -> None:
        """Hang up; the next request connects again."""
        self._connection.close()


@contextlib.contextmanager
def http_session(target: Target) -> Iterator[HttpSession]:
    """Give a session that is closed in the end; it connects with its first request."""
    session = HttpSession(target)
    try:
        yield session
    finally:
        session.close()


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
