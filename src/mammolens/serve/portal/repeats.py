"""The header Idempotency-Key: a request that comes twice after a broken line counts once.

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Header, Request

from mammolens.serve.people import Refused, Repeat
from mammolens.serve.portal.caller import CallerNow, PortalNow

__all__ = ["RepeatNow", "once"]

COUNTED: Final = ("if-match", "upload-length", "upload-metadata")
"""Headers that say what is asked for."""


async def _repeat(
    request: Request,
    caller: CallerNow,
    portal: PortalNow,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r'^(?:[A-Za-z0-9_-]{16,64}|"[A-Za-z0-9_-]{16,64}")$',
            description="the sender's own name of this request: sent again, it counts once",
        ),
    ] = None,
) -> Repeat:
    """Say what makes two requests the same."""
    body = await request.body() if idempotency_key is not None else b""
    parts = [request.method.encode(), request.url.path.encode(), body]
    parts += [request.headers.get(name, "").encode() for name in COUNTED]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    key = idempotency_key.strip('"') if idempotency_key is not None else None
    return Repeat(portal.state.database, caller.person, key, digest.hexdigest())


RepeatNow = Annotated[Repeat, Depends(_repeat)]


def once(repeat: Repeat, act: Callable[[], str]) -> str:
    """Do what is asked for and give the answer, or give the answer of the first time.

    Raises
    ------
    Refused
    """
    kept = repeat.read()
    if kept is not None:
        return kept
    try:
        return act()
    except Refused:
        # Of two at the same moment one is behind: it gives the answer of the other.
        kept = repeat.read()
        if kept is None:
            raise
        return kept
