"""Protocols of delivery: one module each, which opens sessions with one destination.

In a session, files are sent one at a time; each `Answer` says whether the destination took the
file. No session repeats anything: `delivery` decides what is sent again, and when. An answer has
status codes and words of our own. It never quotes the destination, whose text may name a patient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from mammolens.errors import ConfigError
from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports._target import Protocol, Target, parse_target
from mammolens.serve.holdings import Seal, unseal
from mammolens.serve.settings import NodeSettings, RouteSettings
from mammolens.sinks import SINKS, find_sink

__all__ = [
    "Answer",
    "Parcel",
    "Send",
    "Target",
    "Transport",
    "Verdict",
    "open_transport",
    "parse_target",
]

_CARRIED: Final = {
    "dimse": "application/dicom",
    "stow": "application/dicom",
    "fhir": "application/fhir+json",
    "mllp": "x-application/hl7-v2+er7",
}
"""The media type that each protocol can send; a folder takes any."""


class Verdict(Enum):
    """Outcome of an attempt to send a file."""

    TAKEN = "taken"
    """The destination has the file."""
    LATER = "later"
    """The destination cannot take this file now."""
    BROKEN = "broken"
    """There was no answer: the destination may have the file or not."""
    AWAY = "away"
    """The destination takes no file now."""
    NEVER = "never"
    """The destination refuses this file."""


@dataclass(frozen=True)
class Answer:
    """A verdict with its reason, without identifiers.

    `wait_s` is the time that the destination asks to wait; `commits` is true if it offers storage
    commitment.
    """

    verdict: Verdict
    said: str
    wait_s: float = 0.0
    commits: bool = False


@dataclass(frozen=True)
class Parcel:
    """A delivery, the path of its file, and the key if the file is encrypted."""

    delivery: Delivery
    path: Path
    seal: Seal | None = None

    def read(self) -> bytes | None:
        """Read the file; ``None`` if its bytes were changed.

        Raises
        ------
        OSError
            The file does not exist or cannot be read.
        StorageError
            It is encrypted, and the key is missing.
        """
        content = self.path.read_bytes()
        sound = hashlib.sha256(content).hexdigest() == self.delivery.digest
        return unseal(self.seal, content) if sound else None


Send = Callable[[Delivery, bytes], Answer]
"""Sends one file to a destination and waits for the answer; it raises nothing."""

OpenSession = Callable[[Target, Sequence[Parcel]], AbstractContextManager[Send]]
"""Opens a session in which files are sent; it connects when needed, and again after a break."""


@dataclass(frozen=True)
class Transport:
    """One destination, and how a session with it is opened."""

    target: Target
    open_session: OpenSession

    def open(self, parcels: Sequence[Parcel]) -> AbstractContextManager[Send]:
        """Open a session to send these files."""
        return self.open_session(self.target, parcels)


def open_transport(route: RouteSettings, settings: NodeSettings) -> Transport:
    """Make the transport of a route; nothing is connected yet.

    Raises
    ------
    ConfigError
        The destination cannot be understood, its certificates cannot be read, a secret would be
        sent without encryption, or the protocol cannot send the files of a sink.
    """
    target = parse_target(route, settings)
    media_type = _CARRIED.get(target.protocol)
    wrong = [name for name in route.sinks if find_sink(name).media_type != media_type]
    if media_type is not None and wrong:
        fit = [sink.name for sink in SINKS.values() if sink.media_type == media_type]
        raise ConfigError(
            f"{target.protocol} cannot send the files of the sink {wrong[0]!r}",
            source=f"route {route.name}",
            keyword="sinks",
            remedy=f"Use {', '.join(fit)}",
        )
    if route.commitment and target.protocol != "dimse":
        raise ConfigError(
            "storage commitment is possible over DIMSE only",
            source=f"route {route.name}",
            keyword="commitment",
            remedy="Leave it out, or send to dicom://AE@HOST:PORT",
        )
    return Transport(target, _session_of(target.protocol))


def _session_of(protocol: Protocol) -> OpenSession:
    match protocol:
        case "dimse":
            from mammolens.serve.delivery.transports.cstore import store_session

            return store_session
        case "stow":
            from mammolens.serve.delivery.transports.stow import stow_session

            return stow_session
        case "fhir":
            from mammolens.serve.delivery.transports.fhir_rest import fhir_session

            return fhir_session
        case "mllp":
            from mammolens.serve.delivery.transports.mllp import mllp_session

            return mllp_session
        case "folder":
            from mammolens.serve.delivery.transports.folder import folder_session

            return folder_session
