"""The destination of a route, parsed from the settings with its certificates and secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from mammolens.errors import ConfigError
from mammolens.serve.exchange import (
    Endpoint,
    authorization,
    client_context,
    dicom_client_context,
)
from mammolens.serve.settings import DimseSettings, NodeSettings, RouteSettings, is_loopback

if TYPE_CHECKING:
    import ssl

    from mammolens.serve.dimse import Peer

__all__ = ["Protocol", "Target", "parse_target"]

Protocol = Literal["dimse", "stow", "fhir", "mllp", "folder"]

_SCHEMES: Final[dict[str, Protocol]] = {
    "dicom": "dimse",
    "dicoms": "dimse",
    "stow+http": "stow",
    "stow+https": "stow",
    "fhir+http": "fhir",
    "fhir+https": "fhir",
    "mllp": "mllp",
    "mllps": "mllp",
    "file": "folder",
}
_ENCRYPTED: Final = frozenset({"stow+https", "fhir+https", "mllps"})
_PORTS: Final = {"mllp": 2575}
_FORMS: Final = (
    "Write dicom://AE@HOST:PORT, a name from dimse.peers, stow+https://HOST/BASE,"
    " fhir+https://HOST/BASE, mllp://HOST:PORT or the path of a folder"
)


@dataclass(frozen=True)
class Target(Endpoint):
    """The destination of a route; `path` is the base path of a URL, or a folder.

    Attributes
    ----------
    peer, dimse
        The DICOM node, and the settings for calling it.
    """

    protocol: Protocol = "folder"
    peer: Peer | None = None
    dimse: DimseSettings | None = field(default=None, repr=False)


def parse_target(route: RouteSettings, settings: NodeSettings) -> Target:
    """Parse the destination of a route, and read its certificates and secret.

    Raises
    ------
    ConfigError
        It is not valid, a certificate cannot be read, or a secret would be sent unencrypted.
    """
    url = _split(route)
    if route.secret_key in settings.secrets and _SCHEMES.get(url.scheme) not in ("stow", "fhir"):
        raise _unsafe(route, "this protocol uses no secret", "Leave it out, or use a certificate")
    if route.to in settings.dimse.peers:
        return _dimse(route, settings)
    if "://" not in route.to:
        return Target(route.name, path=route.to)
    protocol = _SCHEMES.get(url.scheme)
    if protocol is None:
        raise _refused(route, f"there is no way to send to {url.scheme}://")
    if protocol == "dimse":
        return _dimse(route, settings)
    if protocol == "folder":
        return Target(route.name, path=unquote(url.path))
    if not url.hostname:
        raise _refused(route, "the destination lacks its host")
    if url.username or url.password:
        raise _refused(route, "there is a user or password in the address; use user and [secrets]")
    if url.query or url.fragment:
        raise _refused(route, "the destination must end with its path, without query or fragment")
    encrypted = url.scheme in _ENCRYPTED
    return Target(
        route.name,
        url.hostname,
        url.port or _PORTS.get(protocol) or (443 if encrypted else 80),
        url.path.rstrip("/"),
        timeout_s=route.timeout_s,
        tls=_context(route) if encrypted else None,
        tls_name=route.tls_name or url.hostname,
        authorization=_authorization(route, settings, encrypted or is_loopback(url.hostname)),
        protocol=protocol,
    )


def _dimse(route: RouteSettings, settings: NodeSettings) -> Target:
    from mammolens.serve.dimse import find_peer

    peer = find_peer(route.to, settings.dimse)
    if peer.tls:
        dicom_client_context(settings.dimse)  # Checks the certificates now, not at the first call.
    waits = ("acse_timeout_s", "dimse_timeout_s", "network_timeout_s")
    dimse = settings.dimse.model_copy(update=dict.fromkeys(waits, route.timeout_s))
    return Target(route.name, protocol="dimse", peer=peer, dimse=dimse)


def _split(route: RouteSettings) -> SplitResult:
    try:
        url = urlsplit(route.to)
        _ = url.port
    except ValueError as error:
        raise _refused(route, "the destination cannot be understood") from error
    return url


def _context(route: RouteSettings) -> ssl.SSLContext:
    keyword = "certificate" if route.certificate else "ca"
    return client_context(f"route {route.name}", keyword, route.ca, route.certificate, route.key)


def _authorization(route: RouteSettings, settings: NodeSettings, private: bool) -> str | None:
    secret = settings.secrets.get(route.secret_key)
    if secret is None and route.user is not None:
        raise _unsafe(route, "there is a user, but no password", "Set it in [secrets]")
    text = None if secret is None else secret.get_secret_value()
    return authorization(f"route {route.name}", route.user, text, private)


def _unsafe(route: RouteSettings, message: str, remedy: str) -> ConfigError:
    return ConfigError(message, source=f"route {route.name}", keyword="secrets", remedy=remedy)


def _refused(route: RouteSettings, message: str) -> ConfigError:
    return ConfigError(message, source=f"route {route.name}", keyword="to", remedy=_FORMS)
