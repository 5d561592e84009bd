"""Protocols of delivery: one module each, which opens sessions with one destination.

In a session, files are sent one at a time; each `Answer` says whether the destination took the
file. No session repeats anything: `delivery` decides what is sent again, and when. An answer has
status codes and words of our own. It never quotes the destination, whose text may name a patient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
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
    "judge_status",
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
_SESSIONS: Final[Mapping[Protocol, tuple[str, str]]] = {
    "dimse": ("cstore", "store_session"),
    "stow": ("stow", "stow_session"),
    "fhir": ("fhir_rest", "fhir_session"),
    "mllp": ("mllp", "mllp_session"),
    "folder": ("folder", "folder_session"),
}
"""Module and function that open a session, imported when a route needs them."""
_TAKEN: Final = frozenset({0x0000, 0x0001, 0x0107, 0x0111, 0x0116})
_LATER: Final = frozenset({0x0110, 0x0210, 0x0213, 0xFE00})
"""DICOM statuses of files that are taken, and that may be taken later (see `judge_status`)."""


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
    module, function = _SESSIONS[target.protocol]
    return Transport(target, getattr(import_module(f"{__name__}.{module}"), function))


def judge_status(status: int) -> Verdict:
    """Judge a status of C-STORE, or a failure reason of STOW-RS.

    A duplicate (0111) counts as taken: our UIDs are computed from the content, so the destination
    has this object. Warnings count as taken. Out of resources (A7xx) and a failure without a reason
    (0110) may pass; other failures stay.

    Source: PS3.4 table B.2-1, PS3.7 annex C, PS3.18 annex I.2.2.

    Examples
    --------
    >>> [judge_status(s).value for s in (0x0000, 0xB007, 0x0111, 0xA700, 0xA900, 0xC123)]
    ['taken', 'taken', 'taken', 'later', 'never', 'never']
    """
    if status in _TAKEN or 0xB000 <= status <= 0xBFFF:
        return Verdict.TAKEN
    if status in _LATER or 0xA700 <= status <= 0xA7FF:
        return Verdict.LATER
    return Verdict.NEVER
