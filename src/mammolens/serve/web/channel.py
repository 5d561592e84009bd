"""The event channel: a WebSocket to a DICOMweb server, which sends events as text.

If the server is silent, it gets a ping; if it does not answer, the connection is closed.

Source: RFC 6455; PS3.18 8.10.4 (Open Notification Connection), 8.10.5 (Send Event Report).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from mammolens import __version__
from mammolens.errors import DeliveryError
from mammolens.serve.exchange import Endpoint, Pace
from mammolens.serve.exchange import connect as dial

__all__ = ["Channel", "open_channel"]

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
