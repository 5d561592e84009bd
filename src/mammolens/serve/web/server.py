"""Run the HTTP server in a thread, from its socket to its orderly end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, cast

import uvicorn

from mammolens.errors import ConfigError
from mammolens.serve import logs
from mammolens.serve.exchange import CIPHERS, certificates_of
from mammolens.serve.holdings import NodeState
from mammolens.serve.portal import Portal
from mammolens.serve.settings import WebSettings
from mammolens.serve.web._connections import TLS_BUFFER_BYTES, Connections, Listener
from mammolens.serve.web._framing import MOST_HEAD_BYTES
from mammolens.serve.web._protocol import GuardedProtocol
from mammolens.serve.web.app import build_app
from mammolens.serve.web.guards import ANSWER_HEADERS

__all__ = ["serving"]

ROOM: Final = "web"
IDLE_S: Final = 5
"""Seconds that a connection stays open for another request; shorter than in common proxies."""


@contextmanager
def serving(state: NodeState, portal: Portal | None = None) -> Iterator[int]:
    """Serve until the block ends; give the port. Running requests then get time to end.

    Parameters
    ----------
    portal
        The portal for people; without it, only machines are served.

    Raises
    ------
    ConfigError
        The address cannot be used, or a certificate is wrong.
    """
    web = state.settings.web
    if not web.enabled:
        yield 0
        return
    if web.certificate is not None:
        with certificates_of(str(web.certificate), "web.certificate"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(web.certificate, web.key, password="")
    SSLProtocol.max_size = TLS_BUFFER_BYTES
    listener = _bind(web)
    protocol = partial(GuardedProtocol, listener.connections, ANSWER_HEADERS)
    config = uvicorn.Config(
        build_app(state, portal),
        http=cast("type[asyncio.Protocol]", protocol),
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_S,
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
    if portal is not None:
        portal.open()
    try:
        yield port
    finally:
        if portal is not None:
            portal.close()
        server.should_exit = True
        thread.join()
        listener.close()
        logs.event(ROOM, "stopped")


def _bind(web: WebSettings) -> Listener:
    listener = None
    try:
        family, *_ = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
        # With IPPROTO_TCP, asyncio sets TCP_NODELAY for the connections. Without it, an answer
        # of two writes waits 40 ms for the delayed acknowledgement of the client.
        listener = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.connections = Connections()
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
