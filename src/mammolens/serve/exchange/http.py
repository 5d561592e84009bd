"""HTTP to other servers: where they are, who they must be, and one client to ask them.

All that the node asks over HTTP goes through `HttpClient`. It follows no redirection and no proxy
of the environment, keeps no cookies, and takes bodies as they are sent: it asks for no compression,
and what is compressed nevertheless is not unpacked.
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
"""Bytes of an answer with its headers, unless a request says another limit."""
LONGEST_HEAD: Final = 1 << 18
"""Bytes until the headers are whole, those of interim answers (100 Continue) among them."""
FREE_PIECES: Final = 4096
MEAN_PIECE_BYTES: Final = 16
"""A body may come in this many pieces, and one more for each of so many bytes: a chunk of a single
byte takes as long to parse as a large one, some 20 µs."""


@dataclass(frozen=True)
class Endpoint:
    """A server that the node calls.

    Attributes
    ----------
    name
        What the settings call it.
    path
        Base of its resources.
    tls
        ``None`` where nothing is encrypted.
    tls_name
        Name that its certificate must have, if not `host`.
    authorization
        Value of the header of this name.
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
        """Whether a URL is below the base of this server, so that asking it leads nowhere else.

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
    """No whole answer came.

    Attributes
    ----------
    reason
        The error at the bottom: of the socket, of TLS, or of the protocol.
    """

    def __init__(self, reason: BaseException) -> None:
        Exception.__init__(self, f"{type(reason).__name__}: {reason}")
        self.reason = reason


class NotConnected(HttpError):
    """The server cannot be reached; nothing was sent."""


class NotEncrypted(NotConnected):
    """The server is reached, and TLS fails."""


@dataclass(frozen=True)
class HttpAnswer:
    """A whole answer; names of headers may be asked for in any case."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json_object(self) -> dict[str, Any]:
        """Give the JSON object that the body is; an empty one if it is something else."""
        try:
            read = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}


class HttpClient:
    """A client of one server; a connection is kept between requests.

    Parameters
    ----------
    most_bytes
        Longest answer with its headers, unless a request says another.
    """

    def __init__(self, endpoint: Endpoint, most_bytes: int = LONGEST_ANSWER) -> None:
        self.endpoint, self._most_bytes = endpoint, most_bytes
        self._pace = Pace(endpoint.timeout_s, most_bytes)
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
        """Give the answer to a request below the base, its body not read yet.

        Its body is read with `pieces`. Where it is not read to its end, the connection ends.

        Raises
        ------
        NotConnected, NotEncrypted
            The server cannot be reached.
        HttpError
            It answers not as HTTP, breaks off, is too slow or says too much; or the node stops.
        """
        self._pace.begin(LONGEST_HEAD)
        names = {"sni_hostname": self.endpoint.tls_name or self.endpoint.host}
        url = self.endpoint.url(path)
        try:
            with self._client.stream(
                method, url, headers=dict(headers), content=body, extensions=names
            ) as response:
                self._pace.most_bytes = most_bytes or self._most_bytes
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _named(error) from error

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> HttpAnswer:
        """Ask for a resource below the base, and read the answer; raises as `stream` does."""
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
    """Give the body of an answer as it was sent, piece by piece.

    Raises
    ------
    HttpError
        The pieces are too small.
    httpx.TransportError
        The server breaks off, is too slow or says too much; or the node stops.
    """
    count = size = 0
    for piece in response.iter_raw():
        count, size = count + 1, size + len(piece)
        if count > FREE_PIECES + size // MEAN_PIECE_BYTES:
            raise HttpError(OSError("the pieces of the answer are too small"))
        yield piece


def authorization(source: str, user: str | None, secret: str | None, private: bool) -> str | None:
    """Write the header ``Authorization``: Basic where there is a user, else a bearer token.

    Parameters
    ----------
    source
        What the secret belongs to, as a message names it.
    secret
        Password of the user, or token; ``None``: there is none.
    private
        Whether it is encrypted, or does not leave this host.

    Raises
    ------
    ConfigError
        The secret would be sent in the clear, or is not valid in a header.

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


def _named(error: Exception) -> HttpError:
    """Say how far an exchange came, and why no further."""
    # httpcore cuts the chain of causes; what it wraps is the first argument of its error.
    reason: BaseException = error.__cause__ or error
    while reason.args and isinstance(reason.args[0], BaseException):
        reason = reason.args[0]
    if isinstance(reason, HandshakeError):
        return NotEncrypted(reason.__cause__ or reason)
    return (NotConnected if isinstance(error, httpx.ConnectError) else HttpError)(reason)
