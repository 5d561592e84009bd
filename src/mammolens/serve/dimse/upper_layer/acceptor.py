"""The listening side: every connection is accepted, refused or ended within limits.

The accepting thread never waits for a peer: each TLS handshake runs in its own thread, with a time
limit, and the number of connections is limited. Associations use the classes of this package.
"""

from __future__ import annotations

import contextlib
import logging
import resource
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationServer, RequestHandler, ThreadedAssociationServer

from mammolens.serve import logs
from mammolens.serve.dimse.upper_layer.messages import Begin
from mammolens.serve.dimse.upper_layer.provider import UpperLayer, furnish
from mammolens.serve.dimse.upper_layer.sockets import PduSocket
from mammolens.serve.exchange import handshake

__all__ = ["AcceptorServer", "NoteRefused"]

ROOM: Final = "scp"
SPARE_CONNECTIONS: Final = 64
"""Connections beyond the associations, so that these can be refused with an answer."""
HANDLES: Final = 4
"""File handles of a connection: its socket, both ends of its bell, the draft of its object."""
OTHER_HANDLES: Final = 512
"""File handles of the rest of the process: HTTP, database, deliveries, libraries."""

NoteRefused: TypeAlias = Callable[[str, str], None]
"""Called with the address of a peer, and the reason why its connection was refused."""


class AcceptorServer(ThreadedAssociationServer):
    """A server whose associations keep the limits of this package.

    Parameters
    ----------
    tls
        The TLS context of every connection, if there is one.
    begin
        Gives the draft for an object.
    max_bytes
        Longest object that is stored.
    max_connections
        Further connections are closed before anything is read.
    refused
        Called for every connection that is refused before an association.
    """

    # Connections that the system holds until they are accepted. When its queue is full, a peer
    # believes that it is connected, and waits until its own time limit.
    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        ae: ApplicationEntity,
        address: tuple[str, int],
        ae_title: str,
        contexts: list[PresentationContext],
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: list[evt.EventHandlerType] | None = None,
        *,
        tls: ssl.SSLContext | None,
        begin: Begin,
        max_bytes: int,
        max_connections: int,
        refused: NoteRefused,
    ) -> None:
        self.tls, self.begin, self.max_bytes, self.refused = tls, begin, max_bytes, refused
        _allow_handles(HANDLES * (max_connections + SPARE_CONNECTIONS) + OTHER_HANDLES)
        self.places = threading.BoundedSemaphore(max_connections + SPARE_CONNECTIONS)
        handlers = [*(evt_handlers or []), (evt.EVT_FSM_TRANSITION, _end_if_peer_left)]
        ThreadedAssociationServer.__init__(
            self, ae, address, ae_title, contexts, ssl_context, handlers, _Handler
        )

    def verify_request(self, _request: Any, _client_address: Any) -> bool:
        """Accept a connection if there is a free place."""
        free = self.places.acquire(blocking=False)
        if not free:
            logs.event(ROOM, "no_place", logging.WARNING)
        return free

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the thread of a connection; if that fails, free its place."""
        try:
            ThreadedAssociationServer.process_request(self, request, client_address)
        except BaseException:
            self.places.release()
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Do the TLS handshake, then run the association, in the thread of the connection."""
        taken = False
        try:
            request.settimeout(self.ae.acse_timeout)
            with contextlib.suppress(OSError):
                request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                request = self._shake_hands(request, str(client_address[0]))
            if request is not None:
                AssociationServer.finish_request(self, request, client_address)
                taken = True
        finally:
            if not taken:
                self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log an unexpected failure of a connection."""
        logs.event(ROOM, "connection_failed", logging.ERROR)

    def close(self) -> None:
        """Stop accepting; running associations continue."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    def _shake_hands(self, request: socket.socket, host: str) -> ssl.SSLSocket | None:
        assert self.tls is not None
        wrapped = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        try:
            handshake(wrapped, self.ae.acse_timeout or 0.0)
        except (OSError, ValueError) as error:
            wrapped.close()
            self.refused(host, _handshake_failure(error))
            return None
        return wrapped


def _allow_handles(count: int) -> None:
    """Raise the limit of open files of the process, as far as its user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < count:
        logs.event(ROOM, "few_handles", logging.WARNING, count=wanted)


def _handshake_failure(error: Exception) -> str:
    reason = str(getattr(error, "reason", "") or "")
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "no_certificate"
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "BAD_RECORD_TYPE"):
        return "not_tls"
    if reason in ("CERTIFICATE_VERIFY_FAILED", "TLSV1_ALERT_UNKNOWN_CA"):
        return "untrusted_certificate"
    if isinstance(error, TimeoutError):
        return "no_handshake"
    return "handshake_failed"


class _Handler(RequestHandler):
    """Makes the association of a connection."""

    server: AcceptorServer

    def _create_association(self) -> Association:
        """Make an association with the classes of this package."""
        association = RequestHandler._create_association(self)
        server = self.server
        furnish(association, server.begin, server.max_bytes, server.places.release)
        association.dul.socket = PduSocket(association, self.request)
        return association


def _end_if_peer_left(event: evt.Event) -> None:
    """End an association at once if its peer left before it requested one."""
    if event.next_state == "Sta1" and event.assoc.requestor.primitive is None:
        upper_layer = event.assoc.dul
        assert isinstance(upper_layer, UpperLayer)
        upper_layer.give_up()
