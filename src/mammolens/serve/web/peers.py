"""DICOMweb servers: their addresses, and requests to them in the DICOM JSON Model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydicom.dataset import Dataset

from mammolens.errors import ConfigError, DeliveryError
from mammolens.serve.exchange import (
    Endpoint,
    HttpClient,
    HttpError,
    authorization,
    client_context,
)
from mammolens.serve.settings import NodeSettings, is_loopback, secret_key
from mammolens.serve.web.stow import JSON

__all__ = [
    "answered_by",
    "ask_dicom",
    "calling",
    "find_web_peer",
    "is_web_peer",
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
