"""DICOMweb servers: how they are written, found in the settings, and asked."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPMessage
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydicom.dataset import Dataset

from mammolens import __version__
from mammolens.errors import ConfigError, DeliveryError
from mammolens.serve.exchange import HttpConnection
from mammolens.serve.settings import NodeSettings, is_loopback, secret_key
from mammolens.serve.web.stow import JSON

__all__ = [
    "WebPeer",
    "WebSession",
    "calling",
    "find_web_peer",
    "is_web_peer",
    "read_json",
    "read_readable",
]

LONGEST_ANSWER: Final = 16 << 20
"""Bytes of an answer in JSON: a thousand studies with every attribute take 3 MB."""
MOST_DATASETS: Final = 200_000
"""Data sets and names in an answer, at all depths: each takes far more memory than its bytes."""
CHUNK_BYTES: Final = 1 << 18
NO_CONTENT: Final = 204
REMEDY: Final = "Check the address, the secret, and that the server runs"


@dataclass(frozen=True)
class WebPeer:
    """A DICOMweb server that can be called; `path` is the base of its resources."""

    name: str
    host: str
    port: int
    path: str
    timeout_s: float = 60.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)

    def owns(self, url: str) -> bool:
        """Whether a URL lies below the base of this server, so that asking it leads nowhere else.

        Examples
        --------
        >>> peer = WebPeer("pacs", "a", 443, "/rs", tls=ssl.create_default_context())
        >>> peer.owns("https://a/rs/studies/1"), peer.owns("https://b/rs/studies/1")
        (True, False)
        """
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return False
        same = (parts.scheme == "https", parts.hostname, port) == (
            self.tls is not None,
            self.host,
            self.port,
        )
        below = parts.path.startswith(f"{self.path}/") and ".." not in unquote(parts.path)
        return same and below


def is_web_peer(name: str, settings: NodeSettings) -> bool:
    """Whether a name of the settings, or an address, is that of a DICOMweb server."""
    return name in settings.web.peers or name.startswith(("http://", "https://"))


def find_web_peer(name: str, settings: NodeSettings) -> WebPeer:
    """Find a server by its name in the settings, or take an address as it is written.

    Raises
    ------
    ConfigError
        There is no such server, or its secret would go in the clear.
    """
    address = settings.web.peers.get(name, name)
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:
        url, host, port = urlsplit(""), None, None
    if url.scheme not in ("http", "https") or not host or url.password or url.query or url.fragment:
        raise ConfigError(
            f"{name!r} is no DICOMweb server",
            keyword="web.peers",
            remedy="Write https://HOST/BASE or https://USER@HOST/BASE; passwords go to [secrets]",
        )
    encrypted = url.scheme == "https"
    authorization = _authorization(name, url.username, settings)
    if authorization and not encrypted and not is_loopback(host):
        raise ConfigError(
            "the secret would be sent in the clear",
            source=f"web peer {name}",
            keyword="secrets",
            remedy="Use https",
        )
    return WebPeer(
        name,
        host,
        port or (443 if encrypted else 80),
        url.path.rstrip("/"),
        settings.web.timeout_s,
        _context(settings) if encrypted else None,
        authorization,
    )


def read_all(items: Any) -> list[Dataset]:
    """Read every data set, or none."""
    return [Dataset.from_json(item) for item in items]


def read_readable(items: Any) -> list[Dataset]:
    """Read the data sets that can be read, and pass over the others."""
    found = []
    for item in items:
        with contextlib.suppress(Exception):
            found.append(Dataset.from_json(item))
    return found


class WebSession:
    """A connection to one server, kept between requests."""

    def __init__(self, peer: WebPeer) -> None:
        self.peer = peer
        self._connection = HttpConnection(
            peer.host, peer.port, peer.timeout_s, LONGEST_ANSWER, peer.tls
        )

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most_bytes: int = LONGEST_ANSWER,
    ) -> Iterator[http.client.HTTPResponse]:
        """Give the answer to a request below the base; what is not read of it is thrown away.

        Parameters
        ----------
        most_bytes
            The server breaks off, as it were, with an answer that is longer.

        Raises
        ------
        DeliveryError
            The server is away or breaks off.
        """
        sent = {"User-Agent": f"mammolens/{__version__}", **headers}
        if self.peer.authorization is not None:
            sent["Authorization"] = self.peer.authorization
        self._connection.pace.begin(most_bytes)
        try:
            response = self._ask(method, f"{self.peer.path}{path}", body, sent)
            yield response
            if not response.isclosed():
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise DeliveryError(
                f"the server cannot be reached or broke off ({type(error).__name__})",
                source=f"web peer {self.peer.name}",
                remedy=REMEDY,
            ) from error
        except BaseException:
            self.close()
            raise

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        read: Callable[[Any], list[Dataset]] = read_all,
    ) -> tuple[int, list[Dataset], HTTPMessage]:
        """Ask in the DICOM JSON Model; gives the status, the data sets and the headers.

        Parameters
        ----------
        read
            Makes data sets of the objects of the answer.

        Raises
        ------
        DeliveryError
            The server is away, or its answer cannot be read.
        """
        headers = {"Accept": JSON} | ({"Content-Type": JSON} if body is not None else {})
        content = None if body is None else json.dumps(body).encode()
        with self.open(method, path, headers, content) as response:
            told = response.read(LONGEST_ANSWER)
            if response.length:
                raise http.client.IncompleteRead(told)
            status, given = response.status, response.headers
        answers = 200 <= status < 300 and status != NO_CONTENT
        found = read_json(told, self.peer, read) if answers else []
        return status, found, given

    def close(self) -> None:
        """Hang up; the next request connects again."""
        self._connection.close()

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        kept = self._connection.sock is not None
        try:
            self._connection.request(method, path, body, dict(headers))
            return self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # A server may hang up between two requests; only a question may be put again.
            self.close()
            if not kept or method != "GET":
                raise
            self._connection.request(method, path, body, dict(headers))
            return self._connection.getresponse()


@contextlib.contextmanager
def calling(peer: WebPeer) -> Iterator[WebSession]:
    """Give a session that is closed in the end; it connects with its first request."""
    session = WebSession(peer)
    try:
        yield session
    finally:
        session.close()


def read_json(
    content: bytes, peer: WebPeer, read: Callable[[Any], list[Dataset]] = read_all
) -> list[Dataset]:
    """Read data sets of the DICOM JSON Model; nothing means none.

    Raises
    ------
    DeliveryError
        It is something else.
    """
    if not content.strip():
        return []
    try:
        if content.count(b"{") > MOST_DATASETS:
            raise ValueError("too many data sets")
        told = json.loads(content)
        return read(told if isinstance(told, list) else [told])
    except Exception as error:
        raise DeliveryError(
            "the server's answer is no DICOM JSON", source=f"web peer {peer.name}", remedy=REMEDY
        ) from error


def _authorization(name: str, user: str | None, settings: NodeSettings) -> str | None:
    secret = settings.secrets.get(secret_key(name))
    text = secret.get_secret_value() if secret is not None else ""
    if user is not None:
        pair = base64.b64encode(f"{unquote(user)}:{text}".encode())
        return f"Basic {pair.decode('ascii')}"
    if secret is None:
        return None
    if not text.isascii() or not text.isprintable() or not text:
        raise ConfigError(
            "the secret is no bearer token",
            source=f"web peer {name}",
            keyword="secrets",
            remedy="Check it for a line end",
        )
    return f"Bearer {text}"


def _context(settings: NodeSettings) -> ssl.SSLContext:
    authority = settings.web.authority
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the certificates cannot be read ({type(error).__name__})",
            source=str(authority),
            keyword="web.authority",
            remedy="Give a PEM file that this user may read",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
