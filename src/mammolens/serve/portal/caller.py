"""Who calls: the person of a session's cookie or of an API token, and from where."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from mammolens.serve.holdings import NodeState
from mammolens.serve.people import (
    Origin,
    Person,
    Provider,
    Session,
    SignIns,
    Stage,
    find_by_token,
    find_session,
    open_provider,
)
from mammolens.serve.portal.feed import Feed
from mammolens.serve.uploads import Receiver

__all__ = [
    "API",
    "DICOMWEB",
    "Caller",
    "CallerNow",
    "Portal",
    "PortalNow",
    "SessionCaller",
    "SessionNow",
    "open_portal",
    "reads_objects",
]

API: Final = "/api/v1"
DICOMWEB: Final = "/dicom-web"
SESSION: Final = f"{API}/session"
"""What somebody may call who has not finished the sign-in."""
CALLBACK: Final = f"{API}/sign-in/oidc/callback"
COOKIE: Final = "mammolens"
FLOW_COOKIE: Final = "mammolens-flow"
READING: Final = frozenset(("GET", "HEAD", "OPTIONS"))
CSRF: Final = "x-csrf-token"
LONGEST_SECRET: Final = 128


@dataclass(frozen=True)
class Caller:
    """A person who calls; `session` is ``None`` for one of their programs with an API token."""

    person: Person
    session: Session | None
    secret: str
    origin: Origin


@dataclass(frozen=True)
class SessionCaller(Caller):
    """A person who calls from a browser."""

    session: Session


@dataclass(frozen=True)
class Portal:
    """What the routes for people share."""

    state: NodeState
    sign_ins: SignIns
    provider: Provider | None
    feed: Feed = field(default_factory=Feed)
    receiver: Receiver = field(default_factory=Receiver)

    def open(self) -> None:
        """Begin what runs beside the requests."""
        self.receiver.start(self.state)

    def close(self) -> None:
        """Let event streams end, and the reception of uploads."""
        self.feed.stop()
        self.receiver.stop()

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS, by itself or through a proxy."""
        return self.state.settings.web.certificate is not None or self.state.settings.web.proxied

    def origin(self, request: Request) -> Origin:
        """Say where a request comes from: behind a proxy, what the proxy says last."""
        address = request.client.host if request.client else ""
        if self.state.settings.web.proxied:
            forwarded = request.headers.getlist("x-forwarded-for")
            last = forwarded[-1].rpartition(",")[2].strip() if forwarded else ""
            with contextlib.suppress(ValueError):
                address = str(ipaddress.ip_address(last))
        return Origin(address, request.headers.get("user-agent", ""))

    async def find_caller(self, request: Request) -> Caller | None:
        """Find the caller; ``None`` if nothing shows who it is.

        Whoever sends an Authorization header is known by it alone.

        Raises
        ------
        StorageError
            The database is away.
        """
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        settings, database = self.state.settings.people, self.state.database
        if scheme:
            token = given.strip()
            if scheme.lower() != "bearer" or len(token) > LONGEST_SECRET:
                return None
            person = await run_in_threadpool(find_by_token, database, token)
            return Caller(person, None, token, self.origin(request)) if person else None
        secret = request.cookies.get(self._cookie(COOKIE), "")
        if not 0 < len(secret) <= LONGEST_SECRET:
            return None
        session = await run_in_threadpool(find_session, database, settings, secret)
        if session is None:
            return None
        return Caller(session.person, session, secret, self.origin(request))

    def objection(self, request: Request, caller: Caller) -> str | None:
        """Say why a person may not make a request, whichever route it is for."""
        path = request.url.path
        if not path.startswith(f"{API}/") and not reads_objects(request):
            return "for_machines"
        if caller.session is None:
            return None
        if caller.session.stage is not Stage.OPEN and not (
            path == SESSION or path.startswith(f"{SESSION}/")
        ):
            return "sign_in_unfinished"
        if request.method not in READING:
            sent = request.headers.get(CSRF, "").encode()
            if not hmac.compare_digest(sent, caller.session.csrf_token.encode()):
                return "csrf"
        return None

    def keep_signed_in(self, response: Response, secret: str) -> None:
        """Give a browser the secret of its session."""
        self._set_cookie(response, COOKIE, secret, lax=False)

    def forget(self, response: Response, name: str = COOKIE) -> None:
        """Take the secret from a browser."""
        response.delete_cookie(
            self._cookie(name), path="/", secure=self.is_secure, httponly=True, samesite="strict"
        )

    def keep_flow(self, response: Response, sealed: str, seconds: int) -> None:
        """Give a browser what it brings back from the OpenID Connect provider.

        The provider's page sends it back, which a strict cookie would not survive.
        """
        self._set_cookie(response, FLOW_COOKIE, sealed, lax=True, seconds=seconds)

    def flow(self, request: Request) -> str:
        """Read what a browser brings back."""
        return request.cookies.get(self._cookie(FLOW_COOKIE), "")

    def _set_cookie(
        self, response: Response, name: str, value: str, *, lax: bool, seconds: int | None = None
    ) -> None:
        response.set_cookie(
            self._cookie(name),
            value,
            max_age=seconds,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax" if lax else "strict",
        )

    def _cookie(self, name: str) -> str:
        """With this prefix browsers take the cookie from nobody but this host, over TLS."""
        return f"__Host-{name}" if self.is_secure else name


def reads_objects(request: Request) -> bool:
    """Whether a request reads over DICOMweb, as people and some machines may."""
    return request.method in READING and request.url.path.startswith(f"{DICOMWEB}/")


def open_portal(state: NodeState) -> Portal:
    """Make ready for people.

    Raises
    ------
    ConfigError
        The provider's authority cannot be read.
    """
    settings = state.settings
    return Portal(
        state, SignIns(state.database, settings.people), open_provider(settings.oidc, CALLBACK)
    )


def _portal(request: Request) -> Portal:
    portal: Portal = request.app.state.portal
    return portal


def _caller(request: Request) -> Caller:
    """Give the caller that the guards found; routes open to strangers must not ask here."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        raise HTTPException(401, "no_session", {"WWW-Authenticate": "Bearer"})
    return caller


def _session_caller(caller: CallerNow) -> SessionCaller:
    if caller.session is None:
        raise HTTPException(403, "session_needed")
    return SessionCaller(caller.person, caller.session, caller.secret, caller.origin)


PortalNow = Annotated[Portal, Depends(_portal)]
CallerNow = Annotated[Caller, Depends(_caller)]
SessionNow = Annotated[SessionCaller, Depends(_session_caller)]
"""For what touches passwords, tokens and accounts: a program with an API token may not."""
