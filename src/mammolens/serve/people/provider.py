"""An OpenID Connect provider at which people sign in: the code flow with PKCE, and nothing else.

What the browser carries between the two halves of the flow (state, nonce, verifier) lies in a
cookie that is sealed with a key from the client's secret: the server remembers nothing of strangers
who begin and never come back. Everything that the provider says is bounded in size and time, and
believed only with its signature.

Source: OpenID Connect Core 1.0 (3.1), RFC 7636 (PKCE), RFC 9207 (issuer in the answer).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from mammolens.serve import logs
from mammolens.serve.people.refusals import Refusal, Refused
from mammolens.serve.people.sessions import new_secret
from mammolens.serve.settings import OidcSettings, is_loopback

__all__ = ["FLOW_S", "Provider", "Vouched", "open_provider"]

ROOM: Final = "people"
FLOW_S: Final = 600
"""Time for a person to sign in at the provider."""
KNOWN_S: Final = 3600.0
"""For so long its addresses and keys are used without a new request."""
KEYS_AGAIN_S: Final = 30.0
"""Shortest time between two requests for unknown keys: anybody can send a token that names one."""
LONGEST_ANSWER: Final = 1 << 18
LONGEST_PARAMETER: Final = 4096
LEEWAY_S: Final = 60
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
"""No symmetric ones: a token is not to be signed with what both sides know."""


@dataclass(frozen=True)
class Vouched:
    """Whom the provider vouches for: `subject` never changes, `claimed` names an account."""

    subject: str
    claimed: str


@dataclass
class Provider:
    """The provider of the settings; safe for threads.

    Parameters
    ----------
    callback
        Where browsers come back to, as the provider knows it.
    """

    settings: OidcSettings
    callback: str
    tls: ssl.SSLContext
    _discovery: dict[str, Any] = field(default_factory=dict)
    _keys: KeySet | None = None
    _discovered_at: float = float("-inf")
    _keys_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, now: datetime) -> tuple[str, str]:
        """Begin a sign-in; gives the provider's address for the browser, and the sealed cookie.

        Raises
        ------
        Refused
            The provider is away.
        """
        flow = {"state": new_secret(), "nonce": new_secret(), "verifier": new_secret()}
        address = prepare_grant_uri(
            self._addresses()["authorization_endpoint"],
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=self.callback,
            scope="openid profile email",
            state=flow["state"],
            nonce=flow["nonce"],
            code_challenge=create_s256_code_challenge(flow["verifier"]),
            code_challenge_method="S256",
        )
        sealed = self._fernet.encrypt_at_time(json.dumps(flow).encode(), int(now.timestamp()))
        return str(address), sealed.decode("ascii")

    def finish(self, answer: Mapping[str, str], cookie: str, now: datetime) -> Vouched:
        """Say who came back from the provider.

        Parameters
        ----------
        answer
            Parameters with which the browser came back.
        cookie
            What `begin` gave to the same browser.

        Raises
        ------
        Refused
            It is another browser, too late, or the provider does not vouch for anybody.
        """
        flow = self._unseal(cookie, now)
        code, state = answer.get("code", ""), answer.get("state", "")
        issuer = answer.get("iss", self.settings.issuer)
        if (
            not hmac.compare_digest(state.encode(), flow["state"].encode())
            or issuer != self.settings.issuer
            or not 0 < len(code) <= LONGEST_PARAMETER
        ):
            raise _refused("answer")
        tokens = self._redeem(code, flow["verifier"])
        claims = self._claims(tokens, flow["nonce"], now)
        subject, claimed = claims.get("sub"), claims.get(self.settings.claim)
        if not isinstance(subject, str) or not subject:
            raise _refused("subject")
        if self.settings.claim == "email" and claims.get("email_verified") is not True:
            claimed = None  # anybody may have written it there
        whole = f"{self.settings.issuer}\n{subject}".encode()
        named = claimed if isinstance(claimed, str) else ""
        return Vouched(hashlib.sha256(whole).hexdigest(), named)

    @property
    def _fernet(self) -> Fernet:
        secret = self.settings.client_secret.get_secret_value().encode()
        key = HKDF(SHA256(), 32, None, b"mammolens sign-in flow").derive(secret)
        return Fernet(base64.urlsafe_b64encode(key))

    def _unseal(self, cookie: str, now: datetime) -> dict[str, str]:
        try:
            sealed = cookie.encode("ascii")
            opened = self._fernet.decrypt_at_time(sealed, FLOW_S, int(now.timestamp()))
        except (InvalidToken, UnicodeEncodeError) as error:
            raise _refused("cookie") from error
        flow: dict[str, str] = json.loads(opened)
        return flow

    def _redeem(self, code: str, verifier: str) -> Mapping[str, Any]:
        """Give the code for the tokens."""
        address = self._addresses()["token_endpoint"]
        body = urlencode(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.callback,
                "code_verifier": verifier,
            }
        )
        offered = self._addresses().get("token_endpoint_auth_methods_supported")
        basic = "client_secret_basic"
        method = basic if offered is None or basic in offered else "client_secret_post"
        secret = self.settings.client_secret.get_secret_value()
        auth = ClientAuth(self.settings.client_id, secret, method)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        address, headers, body = auth.prepare("POST", address, headers, body)
        return self._ask("POST", address, headers, body.encode())

    def _claims(self, tokens: Mapping[str, Any], nonce: str, now: datetime) -> Mapping[str, Any]:
        """Read the ID token, and believe it only if all of it is right."""
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise _refused("no_id_token")
        try:
            try:
                read = jwt.decode(token, self._key_set(), ALGORITHMS)
            except InvalidKeyIdError:
                read = jwt.decode(token, self._key_set(again=True), ALGORITHMS)
            claims = CodeIDToken(
                read.claims,
                read.header,
                {
                    "iss": {"essential": True, "value": self.settings.issuer},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                {
                    "nonce": nonce,
                    "client_id": self.settings.client_id,
                    "access_token": tokens.get("access_token"),
                },
            )
            claims.validate(int(now.timestamp()), LEEWAY_S)
        except (JoseError, ValueError, TypeError) as error:
            raise _refused(f"id_token_{type(error).__name__}") from error
        return dict(claims)

    def _addresses(self) -> Mapping[str, Any]:
        """Ask the provider where it wants to be called; it must be as safe as its issuer."""
        with self._lock:
            if time.monotonic() - self._discovered_at < KNOWN_S:
                return self._discovery
            issuer = self.settings.issuer
            discovered = self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if discovered.get("issuer") != issuer:
                raise _refused("other_issuer")
            scheme = urlsplit(issuer).scheme
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                address = discovered.get(name)
                if not isinstance(address, str) or urlsplit(address).scheme != scheme:
                    raise _refused(f"no_{name}")
            self._discovery, self._discovered_at = dict(discovered), time.monotonic()
            return self._discovery

    def _key_set(self, again: bool = False) -> KeySet:
        address = self._addresses()["jwks_uri"]
        with self._lock:
            age_s = time.monotonic() - self._keys_at
            if self._keys is None or age_s >= (KEYS_AGAIN_S if again else KNOWN_S):
                published: Any = self._ask("GET", address)
                self._keys, self._keys_at = KeySet.import_key_set(published), time.monotonic()
            return self._keys

    def _ask(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Mapping[str, Any]:
        """Ask for JSON; neither a redirection nor a proxy is followed."""
        from mammolens.serve.exchange import Endpoint, HttpClient, HttpError

        url = urlsplit(address)
        encrypted = url.scheme == "https"
        if not encrypted and not is_loopback(url.hostname or ""):
            raise _refused("not_encrypted")
        endpoint = Endpoint(
            "oidc",
            url.hostname or "",
            url.port or (443 if encrypted else 80),
            timeout_s=self.settings.timeout_s,
            tls=self.tls if encrypted else None,
        )
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        sent = {"Accept": "application/json", **(headers or {})}
        try:
            with HttpClient(endpoint, LONGEST_ANSWER) as client:
                answer = client.ask(method, path, sent, body)
        except (HttpError, ValueError) as error:
            raise _refused(type(error).__name__) from error
        if answer.status != 200:
            raise _refused(f"http_{answer.status}")
        said = answer.json_object()
        if not said:
            raise _refused("no_object")
        return said


def open_provider(settings: OidcSettings | None, path: str) -> Provider | None:
    """Make ready to ask the provider of the settings; it is asked when somebody signs in.

    Parameters
    ----------
    path
        Where browsers come back to, below the address of the application.

    Raises
    ------
    ConfigError
        The certificate of the authority cannot be read.
    """
    if settings is None:
        return None
    from mammolens.serve.exchange import client_context  # a worker loads no HTTP

    context = client_context("oidc", "oidc.authority", settings.authority)
    return Provider(settings, settings.address.rstrip("/") + path, context)


def _refused(reason: str) -> Refused:
    logs.event(ROOM, "provider_refused", logging.WARNING, reason=reason)
    return Refused(Refusal.PROVIDER)
