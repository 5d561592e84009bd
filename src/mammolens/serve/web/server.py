"""The HTTP server as a process runs it: a socket, a thread, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mammolens.errors import ConfigError
from mammolens.serve import logs
from mammolens.serve.dimse import CIPHERS
from mammolens.serve.holdings import NodeState
from mammolens.serve.settings import WebSettings
from mammolens.serve.web.app import build_app

__all__ = ["serving"]

ROOM: Final = "web"
HEADERS_WITHIN_S: Final = 20.0
MOST_CONNECTIONS: Final = 256


@contextmanager
def serving(state: NodeState) -> Iterator[int]:
    """Serve until the block ends; gives the port. Requests that run then get time to end.

    Raises
    ------
    ConfigError
        The address cannot be used, or a certificate is wrong.
    """
    web = state.settings.web
    if not web.enabled:
        yield 0
        return
    _check_certificate(web)
    listener = _bind(web)
    config = uvicorn.Config(
        build_app(state),
        http=_PromptProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(web.stop_s)),
        ssl_certfile=web.certificate,
        ssl_keyfile=web.key,
        ssl_keyfile_password="",
        ssl_ciphers=CIPHERS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="web")
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    if not server.started:
        listener.close()
        raise ConfigError("the HTTP server does not start", keyword="web", remedy="See the log")
    port = int(listener.getsockname()[1])
    logs.event(ROOM, "listening", port=port)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        logs.event(ROOM, "stopped")


class _PromptProtocol(H11Protocol):
    """HTTP/1.1 whose clients must have sent the headers of a request in a while."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        H11Protocol.connection_made(self, transport)
        self.loop.call_later(HEADERS_WITHIN_S, self._look)

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None:
            self.transport.abort()


def _bind(web: WebSettings) -> socket.socket:
    listener = None
    try:
        family, *_ = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((web.host, web.port))
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ConfigError(
            f"the node cannot listen ({error.strerror})",
            source=f"{web.host}:{web.port}",
            keyword="web.port",
            remedy="Choose a free port and an address of this host, or set web.enabled = false",
        ) from error
    return listener


def _check_certificate(web: WebSettings) -> None:
    if web.certificate is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(web.certificate, web.key, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the certificate cannot be used ({type(error).__name__})",
            source=str(web.certificate),
            keyword="web.certificate",
            remedy="Give PEM files that fit together, the key without a passphrase",
        ) from error
