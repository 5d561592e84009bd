"""Whether peers and routes of the settings can be reached: each is asked, and nothing is sent.

DICOM peers hear a C-ECHO, and a route to one proposes the classes that it would store; DICOMweb
servers are asked for a study that nobody has, FHIR servers for what they can do; an MLLP listener
is connected to; a folder takes an empty file that is removed at once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from mammolens import __version__
from mammolens.errors import DeliveryError, MammolensError
from mammolens.serve.delivery import Target, open_transport, parse_target
from mammolens.serve.dimse import Peer, echo, find_peer
from mammolens.serve.holdings import open_to_others
from mammolens.serve.settings import DimseSettings, NodeSettings, RouteSettings
from mammolens.serve.web import find_web_peer, is_web_peer
from mammolens.sinks import sop_classes

__all__ = ["Reached", "check_destinations"]

_AT_A_TIME: Final = 8
_LONGEST: Final = 1 << 20
_NOBODY: Final = "2.25.0"
"""A study that no server has: whatever it answers names no patient."""
_CLOSED_DOOR: Final = frozenset({401, 403, 407})
_NOT_FOUND: Final = 404
_NO_SEARCH: Final = frozenset({400, 405, 406, 415, 501})
"""Answers of a server that stores and does not search."""


@dataclass(frozen=True)
class Reached:
    """One peer or route: `what` it is, where it lies, whether it can be used, and why not."""

    what: str
    address: str
    sound: bool
    said: str

    def __str__(self) -> str:
        return f"{'ok' if self.sound else 'FAIL':4}  {self.what}, {self.address}: {self.said}"

    def to_json(self) -> dict[str, Any]:
        """Give everything as plain values."""
        return asdict(self)


class _Place(Protocol):
    """What an HTTP server of the settings is, be it a route or a peer."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def tls(self) -> ssl.SSLContext | None: ...
    @property
    def authorization(self) -> str | None: ...


def check_destinations(settings: NodeSettings) -> Iterator[Reached]:
    """Ask every peer, the server of procedure steps, and the destination of every route.

    Yields
    ------
    One answer for each, in the order of the settings; a wrong setting is an answer too. First
    comes what of the node's own data others can read.
    """
    for path in open_to_others(settings):
        said = "others can read it. Start the node once: it closes what is its own; or chmod it"
        yield Reached("own data", str(path), False, said)
    dimse, web, ups = settings.dimse, settings.web, settings.ups
    asked: list[tuple[str, str, Callable[[], str]]] = []
    for name, address in dimse.peers.items():
        asked.append((f"peer {name}", address, partial(_ask_peer, name, settings)))
    for name, address in web.peers.items():
        asked.append((f"peer {name}", address, partial(_ask_peer, name, settings)))
    for role, name in (("ups.server", ups.server), ("ups.source", ups.source)):
        if name and name not in dimse.peers and name not in web.peers:
            asked.append((role, name, partial(_ask_peer, name, settings)))
    for route in settings.routes:
        asked.append((f"route {route.name}", route.to, partial(_ask_route, route, settings)))
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        yield from pool.map(lambda one: _reached(*one), asked)


def _reached(what: str, address: str, ask: Callable[[], str]) -> Reached:
    try:
        return Reached(what, address, True, ask())
    except MammolensError as error:
        remedy = f". {error.remedy}" if error.remedy else ""
        return Reached(what, address, False, f"{error.message}{remedy}")
    except Exception as error:  # a peer that answers with nonsense must not hide the others
        return Reached(what, address, False, f"could not be asked: {type(error).__name__}")


def _ask_peer(name: str, settings: NodeSettings) -> str:
    if is_web_peer(name, settings):
        server = find_web_peer(name, settings)
        service = "/workitems" if name == settings.ups.server else "/studies"
        return _ask_dicomweb(server, server.host, service)
    return _call(find_peer(name, settings.dimse), settings.dimse)


def _ask_route(route: RouteSettings, settings: NodeSettings) -> str:
    open_transport(route, settings)
    target = parse_target(route, settings)
    match target.protocol:
        case "dimse":
            assert target.peer is not None
            assert target.dimse is not None
            return _call(target.peer, target.dimse, sop_classes(route.sinks))
        case "stow":
            return _ask_dicomweb(target, target.tls_name)
        case "fhir":
            return _ask_fhir(target)
        case "mllp":
            with _connected(target, target.tls_name):
                return "connected, and sent nothing"
        case "folder":
            return _try_folder(Path(target.path))


def _call(peer: Peer, dimse: DimseSettings, storage: Sequence[str] = ()) -> str:
    """Call a DICOM node; where that fails, say whether anything listens at its port."""
    try:
        return echo(peer, dimse, storage)
    except DeliveryError as error:
        try:
            socket.create_connection((peer.host, peer.port), dimse.acse_timeout_s).close()
        except OSError as away:
            raise _away(away) from error
        raise


def _ask_dicomweb(place: _Place, tls_name: str, service: str = "/studies") -> str:
    search = f"{service}?StudyInstanceUID={_NOBODY}&limit=1"
    status, _ = _ask(place, tls_name, "GET", search, "application/dicom+json")
    if 200 <= status < 300:
        return f"HTTP {status} to a search"
    _refuse_closed(status)
    if status not in _NO_SEARCH and status != _NOT_FOUND:
        raise _unusable(status)
    if status == _NOT_FOUND and _ask(place, tls_name, "OPTIONS", service, "*/*")[0] >= 300:
        raise _unusable(status)
    return f"HTTP {status} to a search; whether it stores shows only when an object is sent"


def _ask_fhir(target: Target) -> str:
    """Ask for the capability statement, and for a count that needs the credentials."""
    kind = "application/fhir+json"
    status, content = _ask(target, target.tls_name, "GET", "/metadata", kind)
    _refuse_closed(status)
    if status != 200:
        raise _unusable(status)
    told = _object(content)
    version = str(told.get("fhirVersion") or "")
    if told.get("resourceType") != "CapabilityStatement" or not version.startswith("4."):
        raise DeliveryError(
            f"it answers, and is no FHIR R4 server ({version or 'no version'})",
            remedy="Give the base address of a FHIR R4 server",
        )
    rest = [part for part in told.get("rest") or [] if isinstance(part, dict)]
    offered = [act.get("code") for part in rest for act in part.get("interaction") or []]
    if offered and "transaction" not in offered:
        raise DeliveryError(
            f"FHIR {version}, and it does not take transactions",
            remedy="Results are sent as transaction Bundles: have them allowed there",
        )
    counted, _ = _ask(target, target.tls_name, "GET", "/Device?_summary=count", kind)
    _refuse_closed(counted)
    return f"FHIR {version}" + ("" if offered else ", does not say whether it takes transactions")


def _try_folder(folder: Path) -> str:
    if not folder.is_dir():
        raise DeliveryError("the folder is not there", remedy="Mount it, or correct the path")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return "the folder can be written"
    except OSError as error:
        raise DeliveryError(
            f"the folder cannot be written ({error.strerror})",
            remedy="Let the user of the node write there",
        ) from error


def _ask(place: _Place, tls_name: str, method: str, path: str, accept: str) -> tuple[int, bytes]:
    """Ask a server once; give the status and the beginning of the body."""
    headers = {"User-Agent": f"mammolens/{__version__}", "Accept": accept}
    if place.authorization is not None:
        headers["Authorization"] = place.authorization
    with _connected(place, tls_name) as connected:
        connection = http.client.HTTPConnection(place.host, place.port, timeout=place.timeout_s)
        connection.sock = connected
        try:
            connection.request(method, f"{place.path}{path}", headers=headers)
            answered = connection.getresponse()
            return answered.status, answered.read(_LONGEST)
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(
                f"it is connected to, and does not answer as HTTP ({type(error).__name__})",
                remedy="Check the port, and whether it is http or https",
            ) from error
        finally:
            connection.close()


@contextlib.contextmanager
def _connected(place: _Place, tls_name: str) -> Iterator[socket.socket]:
    """Connect, with TLS where the address says so, and hang up in the end."""
    try:
        plain = socket.create_connection((place.host, place.port), place.timeout_s)
    except OSError as error:
        raise _away(error) from error
    with contextlib.ExitStack() as stack:
        stack.callback(plain.close)
        connected: socket.socket = plain
        if place.tls is not None:
            try:
                connected = place.tls.wrap_socket(plain, server_hostname=tls_name)
            except OSError as error:
                raise DeliveryError(
                    f"TLS fails ({_words(error)})",
                    remedy="Check its certificate, ca and tls_name, and that it speaks TLS there",
                ) from error
            stack.callback(connected.close)
        yield connected


def _away(error: OSError) -> DeliveryError:
    return DeliveryError(
        f"it cannot be reached ({_words(error)})",
        remedy="Check host, port, firewall, and that it runs",
    )


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).lower().replace("_", " ")
    return (error.strerror or str(error) or type(error).__name__).lower()


def _refuse_closed(status: int) -> None:
    if status in _CLOSED_DOOR:
        raise DeliveryError(
            f"HTTP {status}: it does not let us in",
            remedy="Check the user, and the token or password in [secrets]",
        )


def _unusable(status: int) -> DeliveryError:
    return DeliveryError(
        f"HTTP {status}", remedy="Check the base address, and look at the log of the server"
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
