"""DICOMweb servers: their addresses, requests in the DICOM JSON Model, and the event channel.

The channel is a WebSocket on which the server sends events as text. If the server is silent, it
gets a ping; if it does not answer, the connection is closed.

Source: RFC 6455; PS3.18 8.10.4 (Open Notification Connection), 8.10.5 (Send Event Report).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydicom.dataset import Dataset
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from mammolens import __version__
from mammolens.errors import ConfigError, DeliveryError
from mammolens.serve.dicomweb import JSON
from mammolens.serve.exchange import (
    Endpoint,
    HttpClient,
    HttpError,
    Pace,
    authorization,
    client_context,
)
from mammolens.serve.exchange import connect as dial
from mammolens.serve.settings import NodeSettings, is_loopback, secret_key

__all__ = [
    "Channel",
    "answered_by",
    "ask_dicom",
    "calling",
    "find_web_peer",
    "is_web_peer",
    "open_channel",
    "read_json",
    "read_readable",
]

LONGEST_ANSWER: Final = 16 << 20
"""Most bytes of an answer in JSON: a thousand studies with all attributes take 3 MB."""
MOST_DATASETS: Final = 200_000
"""Most objects in the JSON of an answer: each takes much more memory than its bytes."""
NO_CONTENT: Final = 204
REMEDY: Final = "Check the address, the secret, and that the server runs"


def is_web_peer(name: str, settings: NodeSettings) -> bool:
    """Whether a name or an address is that of a DICOMweb server."""
    return name in settings.web.peers or name.startswith(("http://", "https://"))


def find_web_peer(name: str, settings: NodeSettings) -> Endpoint:
    """Find a server by its name in the settings, or parse an address.

    Raises
    ------
    ConfigError
        There is no such server, or its secret would be sent unencrypted.
    """
    address = settings.web.peers.get(name, name)
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:
        url, host, port = urlsplit(""), None, None
    if url.scheme not in ("http", "https") or not host or url.password or url.query or url.fragment:
        raise ConfigError(
            f"{name!r} is not a DICOMweb server",
            keyword="web.peers",
            remedy="Write https://HOST/BASE or https://USER@HOST/BASE; passwords go to [secrets]",
        )
    encrypted = url.scheme == "https"
    user = None if url.username is None else unquote(url.username)
    secret = settings.secrets.get(secret_key(name))
    authority = settings.web.authority
    return Endpoint(
        name,
        host,
        port or (443 if encrypted else 80),
        url.path.rstrip("/"),
        settings.web.timeout_s,
        client_context(str(authority), "web.authority", authority) if encrypted else None,
        authorization=authorization(
            f"web peer {name}",
            user,
            None if secret is None else secret.get_secret_value(),
            private=encrypted or is_loopback(host),
        ),
    )


def read_all(items: Any) -> list[Dataset]:
    """Read every data set, or none."""
    return [Dataset.from_json(item) for item in items]


def read_readable(items: Any) -> list[Dataset]:
    """Read the data sets that can be read; the others are left out."""
    found = []
    for item in items:
        with contextlib.suppress(Exception):
            found.append(Dataset.from_json(item))
    return found


def calling(peer: Endpoint) -> HttpClient:
    """Give a client of a server; it connects with its first request."""
    return HttpClient(peer, LONGEST_ANSWER)


@contextlib.contextmanager
def answered_by(peer: Endpoint) -> Iterator[None]:
    """Turn a failed request into an error with the name of the server.

    Raises
    ------
    DeliveryError
        The server is away or hangs up.
    """
    try:
        yield
    except HttpError as error:
        raise DeliveryError(
            f"the server cannot be reached or hung up ({type(error.reason).__name__})",
            source=f"web peer {peer.name}",
            remedy=REMEDY,
        ) from error


def ask_dicom(
    client: HttpClient,
    method: str,
    path: str,
    body: Any = None,
    read: Callable[[Any], list[Dataset]] = read_all,
) -> tuple[int, list[Dataset]]:
    """Send a request in the DICOM JSON Model; give the status and the data sets.

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
    with answered_by(client.endpoint):
        answer = client.ask(method, path, headers, content)
    has_body = 200 <= answer.status < 300 and answer.status != NO_CONTENT
    return answer.status, read_json(answer.body, client.endpoint, read) if has_body else []


def read_json(
    content: bytes, peer: Endpoint, read: Callable[[Any], list[Dataset]] = read_all
) -> list[Dataset]:
    """Read data sets of the DICOM JSON Model; an empty body has none.

    Raises
    ------
    DeliveryError
        The body is something else.
    """
    if not content.strip():
        return []
    try:
        if content.count(b"{") > MOST_DATASETS:
            raise ValueError("too many data sets")
        parsed = json.loads(content)
        return read(parsed if isinstance(parsed, list) else [parsed])
    except Exception as error:
        raise DeliveryError(
            "the server's answer is not DICOM JSON", source=f"web peer {peer.name}", remedy=REMEDY
        ) from error


LONGEST_MESSAGE: Final = 1 << 20
SILENCE_S: Final = 30.0
"""Seconds between pings, and most seconds to wait for the answer of a ping."""
FAREWELL_S: Final = 1.0


@dataclass(frozen=True)
class Channel:
    """An open connection; `read` gives the messages of the server."""

    peer: Endpoint
    connection: ClientConnection

    def read(self, patience_s: float) -> str | None:
        """Wait for a message; ``None`` if no complete one arrives in time.

        Raises
        ------
        DeliveryError
            The server hung up, broke the protocol, or does not answer.
        """
        try:
            return self.connection.recv(patience_s, decode=True)
        except TimeoutError:
            # After a protocol error, the library waits until the server closes, perhaps for ever.
            if self.connection.protocol.state is not State.OPEN:
                raise _broken(self.peer, "it broke the protocol") from None
            return None
        except ConnectionClosed as error:
            raise _broken(self.peer, f"it is closed: {error}") from error
        except WebSocketException as error:
            raise _broken(self.peer, type(error).__name__) from error


@contextlib.contextmanager
def open_channel(peer: Endpoint, path: str) -> Iterator[Channel]:
    """Open a connection to a path below the base of a server; it is closed at the end.

    No redirection and no proxy is used.

    Raises
    ------
    DeliveryError
        The server is away, or refuses the connection.
    """
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(_connect(peer, path))
        except InvalidStatus as error:
            raise _broken(peer, f"HTTP {error.response.status_code}") from error
        except (OSError, ValueError, WebSocketException) as error:
            raise _broken(peer, type(error).__name__) from error
        yield Channel(peer, connection)


def _connect(peer: Endpoint, path: str) -> ClientConnection:
    pace = Pace(peer.timeout_s, LONGEST_MESSAGE)
    raw = dial(peer.host, peer.port, pace, peer.tls, peer.host)
    raw.settimeout(None)
    return connect(
        # The socket has TLS already, because the handshake of the library has no total time limit.
        peer.url(path, "ws"),
        # With a given socket, a redirection is not followed; it raises a ValueError.
        sock=raw,
        compression=None,
        additional_headers={"Authorization": peer.authorization} if peer.authorization else None,
        user_agent_header=f"mammolens/{__version__}",
        open_timeout=peer.timeout_s,
        ping_interval=SILENCE_S,
        ping_timeout=SILENCE_S,
        close_timeout=FAREWELL_S,
        max_size=LONGEST_MESSAGE,
    )


def _broken(peer: Endpoint, why: str) -> DeliveryError:
    return DeliveryError(
        f"there is no event channel ({why})",
        source=f"web peer {peer.name}",
        remedy="Check that the server offers PS3.18 8.10.4; without it, steps cannot be canceled",
    )
