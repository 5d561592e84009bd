"""Signing in at an OpenID Connect provider: a real one, and answers of one that means harm."""

from __future__ import annotations

import hashlib
import html
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from mammolens.serve import people
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.people import provider as provider_module
from mammolens.serve.people.provider import open_provider
from mammolens.serve.settings import OidcSettings

from ..conftest import free_port
from ..hostile import Hostile, drip, flood

HERE = Path(__file__).parent / "oidc"
CLIENT, SECRET = "mammolens", "a secret of the application"
ADDRESS = "http://127.0.0.1"
START, BACK = "/api/v1/sign-in/oidc", "/api/v1/sign-in/oidc/callback"


@pytest.fixture(scope="session")
def program() -> Path:
    """The provider's program, installed once for each lock file in a folder of its own."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("the OpenID Connect provider of the tests needs Node and npm")
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"mammolens-oidc-provider-{lock}"
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(HERE, folder)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm cannot install the OpenID Connect provider: {done.stderr[-200:]}")
        (folder / "installed").touch()
    shutil.copy(HERE / "provider.js", folder)
    return folder / "provider.js"


@pytest.fixture(scope="session")
def issuer(program) -> Iterator[str]:
    port = free_port()
    arguments = ["node", str(program), str(port), CLIENT, SECRET, ADDRESS + BACK]
    process = subprocess.Popen(
        arguments, cwd=program.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"listening"
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()
    process.stdout.close()


def settings(issuer: str, **changes: str) -> dict[str, str]:
    known = {"issuer": issuer, "client_id": CLIENT, "client_secret": SECRET, "address": ADDRESS}
    return known | {"label": "Hospital"} | changes


@pytest.fixture
def stage(make_stage, issuer):
    """A portal whose people may come by the provider, and Alice, who is to."""
    made = make_stage(oidc=settings(issuer))
    made.clock.now = datetime.now(UTC)
    with made.database.read() as connection:
        admin = people.find_person(connection, made.cast.people["admin"])
    people.invite(
        made.database, made.state.settings.people, admin, "alice", "Alice", {}, by_provider=True
    )
    return made


def begin(stage) -> str:
    """Begin in a browser of our own; gives the address of the provider."""
    done = stage.client.get(START)
    assert done.status_code == 303
    return done.headers["location"]


def at_provider(address: str, login: str, cancel: bool = False) -> str:
    """Do what a person does at the provider; gives the path with which they come back."""
    with httpx.Client(follow_redirects=False) as browser:
        page = browser.get(address)
        for _ in range(10):
            if page.is_redirect:
                target = page.headers["location"]
                if target.startswith(ADDRESS + BACK):
                    return target.removeprefix(ADDRESS)
                page = browser.get(str(page.url.join(target)))
                continue
            if cancel:
                (way,) = re.findall(r'href="([^"]*abort)"', page.text)
                page = browser.get(str(page.url.join(html.unescape(way))))
                continue
            (form,) = re.findall(r'action="([^"]*)"', page.text)
            (prompt,) = re.findall(r'name="prompt" value="([^"]*)"', page.text)
            sent = {"prompt": prompt, "login": login, "password": "x"}
            page = browser.post(str(page.url.join(html.unescape(form))), data=sent)
    raise AssertionError("the provider does not send back")


def test_who_was_invited_comes_in_and_stays_the_same_person(stage):
    ways = {"password": True, "provider": "Hospital", "signed_in": False}
    assert stage.client.get("/api/v1/sign-in").json() == ways
    address = begin(stage)
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    done = stage.client.get(at_provider(address, "alice"))
    assert (done.status_code, done.headers["location"]) == (303, "/")
    session = stage.client.get("/api/v1/session").json()
    assert (session["stage"], session["person"]["name"]) == ("open", "alice")
    stage.client.cookies.clear()
    done = stage.client.get(at_provider(begin(stage), "alice"))
    assert done.headers["location"] == "/"


def refused(stage, path: str) -> None:
    done = stage.client.get(path)
    assert (done.status_code, done.headers["location"]) == (303, "/?refused=provider")
    assert stage.client.get("/api/v1/session").status_code == 401


def test_who_was_not_invited_for_it_does_not_come_in(stage):
    for login in ("bob", "admin", "north-head"):
        refused(stage, at_provider(begin(stage), login))


def test_an_account_that_is_bound_is_not_another_ones(stage):
    stage.client.get(at_provider(begin(stage), "alice"))
    stage.client.cookies.clear()
    refused(stage, at_provider(begin(stage), "alice+another"))


def test_an_answer_counts_once_and_in_the_browser_that_asked(stage):
    path = at_provider(begin(stage), "alice")
    flow = dict(stage.client.cookies)
    assert stage.client.get(path).headers["location"] == "/"
    stage.client.cookies.clear()
    refused(stage, path)
    stage.client.cookies.update(flow)
    refused(stage, path)
    other = at_provider(begin(stage), "alice")
    begin(stage)
    refused(stage, other)


@pytest.mark.parametrize(
    ("part", "value"), [("state", "x"), ("code", "x"), ("code", ""), ("iss", "http://evil")]
)
def test_a_forged_answer_is_refused(stage, part, value):
    path = at_provider(begin(stage), "alice")
    assert f"{part}=" in path
    refused(stage, re.sub(rf"(?<=[?&]){part}=[^&]*", f"{part}={value}", path))


def test_who_turns_back_at_the_provider_is_not_signed_in(stage):
    refused(stage, at_provider(begin(stage), "alice", cancel=True))


def test_who_comes_back_too_late_begins_again(stage):
    path = at_provider(begin(stage), "alice")
    stage.clock.turn(601)
    refused(stage, path)


def test_a_mail_address_counts_if_the_provider_has_checked_it(make_stage, issuer):
    stage = make_stage(oidc=settings(issuer, claim="email"))
    stage.clock.now = datetime.now(UTC)
    with stage.database.read() as connection:
        admin = people.find_person(connection, stage.cast.people["admin"])
    name = "carol@hospital.example"
    people.invite(
        stage.database, stage.state.settings.people, admin, name, "Carol", {}, by_provider=True
    )
    refused(stage, at_provider(begin(stage), "carol+unverified"))
    assert stage.client.get(at_provider(begin(stage), "carol")).headers["location"] == "/"


# What a provider may say

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISSUER = "https://login.example"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
DISCOVERY = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}


@pytest.fixture
def said(monkeypatch):
    """What the provider says, by address; tests change it."""
    said = {
        f"{ISSUER}/.well-known/openid-configuration": dict(DISCOVERY),
        f"{ISSUER}/keys": {"keys": [KEY.as_dict(private=False)]},
    }
    ask = lambda _self, _method, address, *_rest: said[address]  # noqa: E731
    monkeypatch.setattr(provider_module.Provider, "_ask", ask)
    return said


def vouch(said, key=KEY, header=None, token=None, **changes):
    provider = open_provider(OidcSettings(**settings(ISSUER)), BACK)
    address, cookie = provider.begin(NOW)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    seconds = int(NOW.timestamp())
    claims = {"iss": ISSUER, "aud": CLIENT, "sub": "1", "preferred_username": "alice"}
    claims |= {"iat": seconds, "exp": seconds + 60, "nonce": asked["nonce"]} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    header = {"alg": "RS256", "kid": "one"} | (header or {})
    if token is None:
        token = jwt.encode(header, claims, key, [header["alg"]])
    said[f"{ISSUER}/token"] = {"id_token": token, "access_token": "x"}
    return provider.finish({"state": asked["state"], "code": "x"}, cookie, NOW)


def test_a_sound_token_is_believed(said):
    assert vouch(said).claimed == "alice"
    assert vouch(said).subject == vouch(said, preferred_username="other").subject
    assert vouch(said).subject != vouch(said, sub="2").subject


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"aud": None},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(NOW.timestamp()) - 61},
        {"exp": None},
        {"iat": None},
        {"nbf": int(NOW.timestamp()) + 600},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": ["1"]},
        {"key": OTHER},
        {"header": {"kid": "unknown"}},
        {"token": ""},
        {"token": "a.b.c"},
        {"token": 7},
        {"token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."},
        {"key": OctKey.import_key(SECRET), "header": {"alg": "HS256"}},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_an_unsound_token_is_not(said, changes):
    with pytest.raises(Refused) as caught:
        vouch(said, **changes)
    assert caught.value.why is Refusal.PROVIDER


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://login.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
)
def test_an_unsound_provider_is_not_gone_to(said, changes):
    said[f"{ISSUER}/.well-known/openid-configuration"] |= changes
    with pytest.raises(Refused):
        open_provider(OidcSettings(**settings(ISSUER)), BACK).begin(NOW)


def test_new_keys_are_asked_for_but_not_at_every_wish(said, monkeypatch):
    provider = open_provider(OidcSettings(**settings(ISSUER)), BACK)
    asked = []
    ask = provider_module.Provider._ask

    def counted(self, method, address, *rest):
        asked.append(address)
        return ask(self, method, address, *rest)

    monkeypatch.setattr(provider_module.Provider, "_ask", counted)
    for again in (False, True, True, False, True):
        provider._key_set(again)
    assert asked.count(f"{ISSUER}/keys") == 1
    provider._keys_at -= 31
    provider._key_set(True)
    provider._key_set(False)
    assert asked.count(f"{ISSUER}/keys") == 2
    assert said


@pytest.mark.parametrize(
    "script",
    [
        drip(b"HTTP/1.1 200 OK\r\n"),
        flood(b"HTTP/1.1 200 OK\r\n\r\n{", b" " * 65536),
        lambda c: c.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n"),
        lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
        lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff{}}"),
        lambda c: c.close(),
    ],
    ids=["drip", "flood", "redirect", "list", "bytes", "close"],
)
def test_a_provider_that_means_harm_is_given_up(script):
    server = Hostile(script)
    try:
        issuer = f"http://127.0.0.1:{server.port}"
        provider = open_provider(OidcSettings(**settings(issuer), timeout_s=0.5), BACK)
        began = time.monotonic()
        with pytest.raises(Refused) as caught:
            provider.begin(NOW)
        assert caught.value.why is Refusal.PROVIDER
        assert time.monotonic() - began < 30
    finally:
        server.stop()


def test_a_cookie_of_tomorrow_or_of_another_secret_is_none(said):
    assert said
    provider = open_provider(OidcSettings(**settings(ISSUER)), BACK)
    other = open_provider(
        OidcSettings(**settings(ISSUER, client_secret="another secret" * 2)), BACK
    )
    for maker, when in ((provider, NOW + timedelta(days=1)), (other, NOW)):
        address, cookie = maker.begin(when)
        state = parse_qs(urlsplit(address).query)["state"][0]
        with pytest.raises(Refused):
            provider.finish({"state": state, "code": "x"}, cookie, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://login.example"},
        {"issuer": "login.example"},
        {"issuer": "https://user@login.example"},
        {"address": "http://reading.example"},
        {"address": "https://reading.example/path"},
        {"client_secret": "short"},
    ],
)
def test_settings_of_a_provider_are_checked(changes):
    with pytest.raises(ValueError, match=r"oidc|client_secret"):
        OidcSettings(**settings(ISSUER) | changes)
