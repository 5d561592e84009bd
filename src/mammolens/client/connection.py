"""One connection to the application: the token, errors as exceptions, and another try.

A request is repeated only if the application asks for it (429, 503 with Retry-After), or if it
reads and the line broke. A token never goes over a line that others can read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mammolens.errors import ConfigError, DeliveryError
from mammolens.extras import need_extra

if TYPE_CHECKING:
    import httpx

__all__ = ["API", "ApiError", "Connection", "NotAnswered"]

API: Final = "/api/v1"
TRIES: Final = 6
LONGEST_WAIT_S: Final = 30.0
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
READING: Final = ("GET", "HEAD")


class ApiError(DeliveryError):
    """The application refused a request.

    Attributes
    ----------
    status
        HTTP status.
    code
        Word that programs go by (RFC 9457 `code`), such as ``ai_locked`` or ``not_found``.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"HTTP {status}: {detail}", source="mammolens", keyword=code)
        self.status, self.code = status, code


class NotAnswered(DeliveryError):
    """The application cannot be reached, or what was waited for did not come in time."""


class Connection:
    """Requests with a token.

    Parameters
    ----------
    address
        Address of the application, such as ``https://mammolens.clinic.example``.
    token
        API token of a person.
    authority
        Certificate authority of the application (PEM file); ``None`` for those of the system.
    timeout_s
        Longest silence.
    sleep
        Function that waits between two tries, in seconds.

    Raises
    ------
    ConfigError
        The address is not one, or would send the token in the clear; or httpx is not installed.
    """

    def __init__(
        self,
        address: str,
        token: str,
        authority: Path | None = None,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        need_extra("client")
        import ssl

        import httpx

        url = urlsplit(address)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.password:
            raise ConfigError(
                "this is not the address of an application",
                source=address,
                remedy="Write https://HOST or https://HOST:PORT",
            )
        if url.scheme == "http" and url.hostname not in LOOPBACK:
            raise ConfigError(
                "the token would go over the network in the clear",
                source=address,
                remedy="Use https",
            )
        verify: Any = ssl.create_default_context(cafile=authority) if authority else True
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=address.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout_s,
            verify=verify,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """Make a request.

        Raises
        ------
        ApiError
            It was refused.
        NotAnswered
            The application cannot be reached.
        """
        import httpx

        given = {key: value for key, value in (params or {}).items() if value is not None}
        for number in range(1, TRIES + 1):
            try:
                done = self._client.request(
                    method, path, headers=headers, params=given, json=json, content=content
                )
            except httpx.TransportError as error:
                if number == TRIES or method not in READING:
                    raise _not_answered(type(error).__name__) from error
                self._sleep(min(0.5 * 2**number, LONGEST_WAIT_S))
                continue
            wait_s = _wait_asked_for(done)
            if wait_s is None or number == TRIES:
                return _checked(done)
            self._sleep(wait_s)
        raise AssertionError("the last try returns or raises")


def _checked(done: httpx.Response) -> httpx.Response:
    if done.is_success:
        return done
    try:
        problem = done.json()
        code, detail = str(problem["code"]), str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        code = "http"
        detail = HTTPStatus(done.status_code).phrase if done.status_code < 600 else "no answer"
    raise ApiError(done.status_code, code, detail)


def _wait_asked_for(done: httpx.Response) -> float | None:
    """Say how long the application asks to wait before the same is sent again."""
    if done.status_code not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return None
    asked = done.headers.get("retry-after", "")
    return min(float(asked), LONGEST_WAIT_S) if asked.isdecimal() else None


def _not_answered(why: str) -> NotAnswered:
    return NotAnswered(
        f"the application cannot be reached ({why})",
        source="mammolens",
        remedy="Check the address, and that it runs",
    )
