"""A destination as the settings name it, taken apart and made ready to be connected to."""

from __future__ import annotations

import base64
import ipaddress
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from mammolens.errors import ConfigError
from mammolens.serve.settings import DimseSettings, NodeSettings, RouteSettings

if TYPE_CHECKING:
    from mammolens.serve.dimse import Peer

__all__ = ["Target", "parse_target"]

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
class Target:
    """Where a route leads.

    `path` is the base of a URL, or a folder. `tls` is ``None`` where nothing is encrypted, and
    `tls_name` is who the certificate must name. A DICOM peer is called as `dimse` says.
    """

    protocol: Protocol
    path: str = ""
    host: str = ""
    port: int = 0
    timeout_s: float = 30.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    tls_name: str = ""
    authorization: str | None = field(default=None, repr=False)
    peer: Peer | None = None
    dimse: DimseSettings | None = field(default=None, repr=False)


def parse_target(route: RouteSettings, settings: NodeSettings) -> Target:
    """Take the destination of a route apart, and read its certificates and secret.

    Raises
    ------
    ConfigError
        It cannot be understood, a certificate cannot be read, or a secret would go in the clear.
    """
    url = _split(route)
    if route.secret_key in settings.secrets and _SCHEMES.get(url.scheme) not in ("stow", "fhir"):
        raise _unsafe(route, "this way takes no secret", "Leave it out, or show a certificate")
    if route.to in settings.dimse.peers:
        return _dimse(route, settings)
    if "://" not in route.to:
        return Target("folder", route.to)
    protocol = _SCHEMES.get(url.scheme)
    if protocol is None:
        raise _refused(route, f"there is no way to send to {url.scheme}://")
    if protocol == "dimse":
        return _dimse(route, settings)
    if protocol == "folder":
        return Target("folder", unquote(url.path))
    if not url.hostname:
        raise _refused(route, "the destination lacks its host")
    if url.username or url.password:
        raise _refused(route, "a user or password stands in the address; use user and [secrets]")
    if url.query or url.fragment:
        raise _refused(route, "nothing may stand after the destination")
    encrypted = url.scheme in _ENCRYPTED
    return Target(
        protocol,
        url.path.rstrip("/"),
        url.hostname,
        url.port or _PORTS.get(protocol) or (443 if encrypted else 80),
        route.timeout_s,
        _context(route) if encrypted else None,
        route.tls_name or url.hostname,
        _authorization(route, settings, encrypted or _is_loopback(url.hostname)),
    )


def _dimse(route: RouteSettings, settings: NodeSettings) -> Target:
    from mammolens.serve.dimse import client_context, find_peer

    peer = find_peer(route.to, settings.dimse)
    if peer.tls:
        client_context(settings.dimse)
    waits = ("acse_timeout_s", "dimse_timeout_s", "network_timeout_s")
    dimse = settings.dimse.model_copy(update=dict.fromkeys(waits, route.timeout_s))
    return Target("dimse", peer=peer, dimse=dimse)


def _split(route: RouteSettings) -> SplitResult:
    try:
        url = urlsplit(route.to)
        _ = url.port
    except ValueError as error:
        raise _refused(route, "the destination cannot be understood") from error
    return url


def _context(route: RouteSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=route.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if route.certificate is not None:
            context.load_cert_chain(route.certificate, route.key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"a certificate or key cannot be read ({type(error).__name__})",
            source=f"route {route.name}",
            keyword="certificate" if route.certificate else "ca",
            remedy="Give PEM files that this user may read; the key without a passphrase",
        ) from error
    return context


def _no_passphrase() -> str:
    """Stands where OpenSSL would ask at the terminal, and wait for ever."""
    raise ValueError("the key has a passphrase")


def _authorization(route: RouteSettings, settings: NodeSettings, private: bool) -> str | None:
    secret = settings.secrets.get(route.secret_key)
    if secret is None:
        if route.user is not None:
            raise _unsafe(route, "there is a user, but no password", "Set it in [secrets]")
        return None
    text = secret.get_secret_value()
    if not private:
        raise _unsafe(route, "the secret would be sent in the clear", "Use https")
    if route.user is not None:
        pair = base64.b64encode(f"{route.user}:{text}".encode())
        return f"Basic {pair.decode('ascii')}"
    if not text.isascii() or not text.isprintable() or not text:
        raise _unsafe(route, "the secret is no bearer token", "Check it for a line end")
    return f"Bearer {text}"


def _unsafe(route: RouteSettings, message: str, remedy: str) -> ConfigError:
    return ConfigError(message, source=f"route {route.name}", keyword="secrets", remedy=remedy)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(route: RouteSettings, message: str) -> ConfigError:
    return ConfigError(message, source=f"route {route.name}", keyword="to", remedy=_FORMS)
