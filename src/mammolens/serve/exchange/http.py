"""HTTP requests to other servers: their addresses and credentials, and the client.

All HTTP requests of the node go through `HttpClient`. It follows no redirection, uses no proxy of
the environment and keeps no cookies. It asks for no compression, and does not unpack a compressed
body.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx

from mammolens import __version__
from mammolens.errors import ConfigError
from mammolens.serve.exchange._transport import bounded_transport
from mammolens.serve.exchange.bounds import HandshakeError, Pace

__all__ = [
    "Endpoint",
    "HttpAnswer",
    "HttpClient",
    "HttpError",
    "NotConnected",
    "NotEncrypted",
    "authorization",
    "pieces",
]

LONGEST_ANSWER: Final = 4 << 20
"""Limit for an answer with its headers in bytes, unless a request gives another."""
LONGEST_HEAD: Final = 1 << 18
"""Limit for all headers in bytes, also those of interim answers (100 Continue)."""
FREE_PIECES: Final = 4096
MEAN_PIECE_BYTES: Final = 16
"""A body may have `FREE_PIECES` pieces, and one more for every `MEAN_PIECE_BYTES` bytes: a chunk of
one byte takes as long to parse as a large one, about 20 µs."""


@dataclass(frozen=True)
class Endpoint:
    """A server that the node calls.

    Attributes
    ----------
    name
        Its name in the settings.
    path
        Base path of its resources.
    tls
        ``None`` without encryption.
    tls_name
        Name that its certificate must have, if not `host`.
    authorization
        Value of the header ``Authorization``.
    """

    name: str
    host: str = ""
    port: int = 0
    path: str = ""
    timeout_s: float = 60.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    tls_name: str = ""
    authorization: str | None = field(default=None, repr=False)

    def url(self, path: str, scheme: str | None = None) -> str:
        """Give the URL of a resource below the base.

        Examples
        --------
        >>> Endpoint("pacs", "::1", 80, "/rs").url("/studies")
        'http://[::1]:80/rs/studies'
        """
        scheme = scheme or ("http" if self.tls is None else "https")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.path}{path}"

    def owns(self, url: str) -> bool:
        """Whether a URL is below the base of this server.

        Examples
        --------
        >>> pacs = Endpoint("pacs", "a", 443, "/rs", tls=ssl.create_default_context())
        >>> pacs.owns("https://a/rs/studies/1"), pacs.owns("https://b/rs/studies/1")
        (True, False)
        """
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return False
        encrypted = self.tls is not None
        found = (parts.scheme == "https", parts.hostname, port)
        below = parts.path.startswith(f"{self.path}/") and ".." not in unquote(parts.path)
        return found == (encrypted, self.host, self.port) and below


class HttpError(Exception):
    """There was no complete answer.

    Attributes
    ----------
    reason
        The first cause: an error of the socket, of TLS, or of the protocol.
    """

    def __init__(self, reason: BaseException) -> None:
        Exception.__init__(self, f"{type(reason).__name__}: {reason}")
        self.reason = reason


class NotConnected(HttpError):
    """The server cannot be reached, and nothing was sent."""


class NotEncrypted(NotConnected):
    """The server is reached, but TLS fails."""


@dataclass(frozen=True)
class HttpAnswer:
    """A complete answer; header names are not case-sensitive."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json_object(self) -> dict[str, Any]:
        """Read the body as a JSON object; empty if it is something else."""
        try:
            read = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}


class HttpClient:
    """A client of one server; its connection stays open between requests.

    Parameters
    ----------
    most_bytes
        Longest answer with its headers, unless a request gives another limit.
    """

    def __init__(self, endpoint: Endpoint, most_bytes: int = LONGEST_ANSWER) -> None:
        self.endpoint, self._most_bytes = endpoint, most_bytes
        self._pace = Pace(endpoint.timeout_s, most_bytes)
        self._has_asked = False
        headers = {"User-Agent": f"mammolens/{__version__}", "Accept-Encoding": "identity"}
        if endpoint.authorization is not None:
            headers["Authorization"] = endpoint.authorization
        self._client = httpx.Client(
            headers=headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            timeout=None,
            transport=bounded_transport(self._pace, endpoint.tls),
            trust_env=False,
        )

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most_bytes: int | None = None,
    ) -> Iterator[httpx.Response]:
        """Send a request below the base, and give the answer before its body is read.

        The body is read with `pieces`. If it is not read to its end, the connection is closed.

        Raises
        ------
        NotConnected, NotEncrypted
            The server cannot be reached.
        HttpError
            It does not answer in HTTP, hangs up, is too slow or sends too much; or the node stops.
        """
        self._pace.begin(LONGEST_HEAD)
        names = {"sni_hostname": self.endpoint.tls_name or self.endpoint.host}
        url = self.endpoint.url(path)
        try:
            request = self._client.build_request(
                method, url, headers=dict(headers), content=body, extensions=names
            )
            with contextlib.closing(self._send(request)) as response:
                self._pace.most_bytes = most_bytes or self._most_bytes
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise _named(error) from error

    def _send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; repeat a GET if the server had closed the open connection."""
        kept, self._has_asked = self._has_asked, True
        try:
            return self._client.send(request, stream=True)
        except httpx.TransportError as error:
            if not (kept and request.method == "GET" and _hung_up(error)):
                raise
        self._pace.begin(LONGEST_HEAD)
        return self._client.send(request, stream=True)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> HttpAnswer:
        """Send a request below the base and read the answer; errors are those of `stream`."""
        with self.stream(method, path, headers, body) as response:
            content = b"".join(pieces(response))
            return HttpAnswer(response.status_code, content, response.headers)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pieces(response: httpx.Response) -> Iterator[bytes]:
    """Give the body of an answer piece by piece.

    Raises
    ------
    HttpError
        The pieces are too small.
    httpx.TransportError
        The server hangs up, is too slow or sends too much; or the node stops.
    """
    count = size = 0
    for piece in response.iter_raw():
        count, size = count + 1, size + len(piece)
        if count > FREE_PIECES + size // MEAN_PIECE_BYTES:
            raise HttpError(OSError("the pieces of the answer are too small"))
        yield piece


def authorization(source: str, user: str | None, secret: str | None, private: bool) -> str | None:
    """Make the header ``Authorization``: Basic if there is a user, else a bearer token.

    Parameters
    ----------
    source
        The owner of the secret, for messages.
    secret
        Password of the user, or token; ``None`` if there is none.
    private
        Whether the connection is encrypted, or does not leave this host.

    Raises
    ------
    ConfigError
        The secret would be sent without encryption, or is not valid in a header.

    Examples
    --------
    >>> authorization("route a", None, "abc", True)
    'Bearer abc'
    """

    def refused(message: str, remedy: str) -> ConfigError:
        return ConfigError(message, source=source, keyword="secrets", remedy=remedy)

    if user is None and secret is None:
        return None
    if not private:
        raise refused("the secret would be sent in the clear", "Use https")
    if user is not None:
        pair = base64.b64encode(f"{user}:{secret or ''}".encode())
        return f"Basic {pair.decode('ascii')}"
    assert secret is not None
    if not secret or not secret.isascii() or not secret.isprintable():
        raise refused("the secret is not a bearer token", "Check it for a line end")
    return f"Bearer {secret}"


def _hung_up(error: httpx.TransportError) -> bool:
    """Whether the server closed the connection before it sent anything of an answer."""
    silent = isinstance(error, httpx.RemoteProtocolError) and "without sending" in str(error)
    return silent or isinstance(_first_cause(error), ConnectionResetError | BrokenPipeError)


def _first_cause(error: Exception) -> BaseException:
    # httpcore does not set the cause; the original error is the first argument of its error.
    reason: BaseException = error.__cause__ or error
    while reason.args and isinstance(reason.args[0], BaseException):
        reason = reason.args[0]
    return reason


def _named(error: Exception) -> HttpError:
    """Turn an error of httpx into the error that says how far the exchange got."""
    reason = _first_cause(error)
    if isinstance(reason, HandshakeError):
        return NotEncrypted(reason.__cause__ or reason)
    return (NotConnected if isinstance(error, httpx.ConnectError) else HttpError)(reason)
