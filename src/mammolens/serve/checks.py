"""Check that the peers and routes in the settings can be reached; nothing is stored.

A DICOM peer gets a C-ECHO, and a DICOM route also proposes the classes that it stores. A DICOMweb
server is asked for a study that does not exist, a FHIR server for its capabilities. For MLLP, a
connection is made. In a folder, an empty file is written and removed.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from mammolens.errors import DeliveryError, MammolensError
from mammolens.serve.delivery import Target, open_transport, parse_target
from mammolens.serve.dimse import Peer, echo, find_peer
from mammolens.serve.exchange import (
    Endpoint,
    HandshakeError,
    HttpAnswer,
    HttpClient,
    HttpError,
    NotConnected,
    NotEncrypted,
    Pace,
    connect,
)
from mammolens.serve.holdings import open_to_others
from mammolens.serve.settings import DimseSettings, NodeSettings, RouteSettings
from mammolens.serve.web import find_web_peer, is_web_peer
from mammolens.sinks import sop_classes

__all__ = ["Reached", "check_destinations"]

_AT_A_TIME: Final = 8
_NOBODY: Final = "2.25.0"
"""A study that no server has, so that no answer names a patient."""
_CLOSED_DOOR: Final = frozenset({401, 403, 407})
_NOT_FOUND: Final = 404
_NO_SEARCH: Final = frozenset({400, 405, 406, 415, 501})
"""Answers of a server that can store but not search."""


@dataclass(frozen=True)
class Reached:
    """Result for one peer or route: `what` it is, its address, whether it works, and its answer."""

    what: str
    address: str
    sound: bool
    said: str

    def __str__(self) -> str:
        return f"{'ok' if self.sound else 'FAIL':4}  {self.what}, {self.address}: {self.said}"


def check_destinations(settings: NodeSettings) -> Iterator[Reached]:
    """Check every peer, the server of procedure steps, and the destination of every route.

    Yields
    ------
    A result for each, in the order of the settings, also for a wrong setting. First come the
    files of the node that others can read.
    """
    for path in open_to_others(settings):
        said = "others can read it. Start the node once, which corrects this, or use chmod"
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
    except Exception as error:  # an invalid answer must not hide the other results
        return Reached(what, address, False, f"could not be asked: {type(error).__name__}")


def _ask_peer(name: str, settings: NodeSettings) -> str:
    if is_web_peer(name, settings):
        server = find_web_peer(name, settings)
        service = "/workitems" if name == settings.ups.server else "/studies"
        return _ask_dicomweb(server, service)
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
            return _ask_dicomweb(target)
        case "fhir":
            return _ask_fhir(target)
        case "mllp":
            return _try_listener(target)
        case "folder":
            return _try_folder(Path(target.path))


def _call(peer: Peer, dimse: DimseSettings, storage: Sequence[str] = ()) -> str:
    """Call a DICOM node; if that fails, find out whether anything listens at its port."""
    try:
        return echo(peer, dimse, storage)
    except DeliveryError as error:
        try:
            socket.create_connection((peer.host, peer.port), dimse.acse_timeout_s).close()
        except OSError as away:
            raise _away(away) from error
        raise


def _ask_dicomweb(server: Endpoint, service: str = "/studies") -> str:
    with HttpClient(server) as client:
        search = f"{service}?StudyInstanceUID={_NOBODY}&limit=1"
        status = _ask(client, "GET", search, "application/dicom+json").status
        if 200 <= status < 300:
            return f"HTTP {status} to a search"
        _refuse_closed(status)
        if status not in _NO_SEARCH and status != _NOT_FOUND:
            raise _unusable(status)
        if status == _NOT_FOUND and _ask(client, "OPTIONS", service, "*/*").status >= 300:
            raise _unusable(status)
    return f"HTTP {status} to a search; whether it stores shows only when an object is sent"


def _ask_fhir(target: Target) -> str:
    """Read the capability statement, and a count that needs the credentials."""
    kind = "application/fhir+json"
    with HttpClient(target) as client:
        answer = _ask(client, "GET", "/metadata", kind)
        _refuse_closed(answer.status)
        if answer.status != 200:
            raise _unusable(answer.status)
        capable = answer.json_object()
        version = str(capable.get("fhirVersion") or "")
        if capable.get("resourceType") != "CapabilityStatement" or not version.startswith("4."):
            raise DeliveryError(
                f"it answers, but is not a FHIR R4 server ({version or 'no version'})",
                remedy="Give the base address of a FHIR R4 server",
            )
        rest = [part for part in capable.get("rest") or [] if isinstance(part, dict)]
        offered = [act.get("code") for part in rest for act in part.get("interaction") or []]
        if offered and "transaction" not in offered:
            raise DeliveryError(
                f"FHIR {version}, but it does not accept transactions",
                remedy="Results are sent as transaction Bundles: allow them there",
            )
        _refuse_closed(_ask(client, "GET", "/Device?_summary=count", kind).status)
    return f"FHIR {version}" + ("" if offered else ", does not say whether it accepts transactions")


def _try_folder(folder: Path) -> str:
    if not folder.is_dir():
        raise DeliveryError("the folder does not exist", remedy="Mount it, or correct the path")
    try:
        with tempfile.TemporaryFile(dir=folder):
            return "the folder can be written"
    except OSError as error:
        raise DeliveryError(
            f"the folder cannot be written ({error.strerror})",
            remedy="Let the user of the node write there",
        ) from error


def _try_listener(target: Target) -> str:
    """Connect, with TLS if the address has it, and close the connection."""
    pace = Pace(target.timeout_s, 0)
    try:
        connect(target.host, target.port, pace, target.tls, target.tls_name).close()
    except HandshakeError as error:
        raise _no_tls(error.__cause__ or error) from error
    except OSError as error:
        raise _away(error) from error
    return "connected, and sent nothing"


def _ask(client: HttpClient, method: str, path: str, accept: str) -> HttpAnswer:
    try:
        return client.ask(method, path, {"Accept": accept})
    except NotEncrypted as error:
        raise _no_tls(error.reason) from error
    except NotConnected as error:
        raise _away(error.reason) from error
    except HttpError as error:
        raise DeliveryError(
            f"it can be reached, but does not answer in HTTP ({type(error.reason).__name__})",
            remedy="Check the port, and whether it is http or https",
        ) from error


def _no_tls(error: BaseException) -> DeliveryError:
    return DeliveryError(
        f"TLS fails ({_words(error)})",
        remedy="Check its certificate, ca and tls_name, and that it speaks TLS there",
    )


def _away(error: BaseException) -> DeliveryError:
    return DeliveryError(
        f"it cannot be reached ({_words(error)})",
        remedy="Check host, port, firewall, and that it runs",
    )


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or type(error).__name__).lower().replace("_", " ")
    reason = error.strerror if isinstance(error, OSError) else None
    return (reason or str(error) or type(error).__name__).lower()


def _refuse_closed(status: int) -> None:
    if status in _CLOSED_DOOR:
        raise DeliveryError(
            f"HTTP {status}: access is denied",
            remedy="Check the user, and the token or password in [secrets]",
        )


def _unusable(status: int) -> DeliveryError:
    return DeliveryError(
        f"HTTP {status}", remedy="Check the base address, and look at the log of the server"
    )
