"""Headers of every kind of answer, as the OWASP Secure Headers Project lists them.

Source: https://owasp.org/www-project-secure-headers/ (ci/headers_add.json, ci/headers_remove.json).
"""

from __future__ import annotations

import re
import subprocess

import httpx
import pytest

from .conftest import loopback

LISTED = {
    "cache-control": "no-store",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
    "x-frame-options": "deny",
    "x-permitted-cross-domain-policies": "none",
}
"""Header → what it says. Strict-Transport-Security is said over TLS alone: see test_guards.

Clear-Site-Data is not sent when somebody signs out: no answer about a patient is kept by the
browser (no-store), and what a reader drew and could not send lies in its storage until sent.
"""
GIVEN_AWAY = ("x-powered-by", "x-aspnet-version", "via", "x-generator")
PLACES = (
    "/",
    "/share",
    "/api/v1/sign-in",
    "/api/v1/session",
    "/api/v1/exams",
    "/health/live",
    "/nowhere",
)


@pytest.fixture(scope="module", params=PLACES)
def answer(request, service) -> httpx.Response:
    return httpx.get(f"{service.address}{request.param}")


def test_the_headers_of_the_list_are_there(answer) -> None:
    page = answer.url.path == "/"
    expected = LISTED | ({"cache-control": "no-cache"} if page else {})
    said = {name: answer.headers.get(name, "").lower() for name in expected}
    assert said == expected
    assert not [name for name in GIVEN_AWAY if name in answer.headers]
    assert answer.headers["server"] == "mammolens"  # no version


def test_the_policy_allows_no_inline_code_and_no_other_host(answer) -> None:
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe-inline|unsafe-eval(?<!wasm-unsafe-eval)|https?:|\*", policy)


def test_the_page_limits_what_a_browser_lends_it(service) -> None:
    said = httpx.get(service.address).headers["permissions-policy"]
    for feature in ("camera", "geolocation", "microphone", "payment", "usb"):
        assert f"{feature}=()" in said


def test_hashed_files_may_be_kept_and_nothing_else(service, built_page) -> None:
    asset = next(iter((built_page / "assets").glob("*.js")))
    said = httpx.get(f"{service.address}/assets/{asset.name}").headers
    assert said["cache-control"] == "public, max-age=31536000, immutable"
    assert said["x-content-type-options"] == "nosniff"
    assert said["content-type"].startswith("text/javascript")


def test_the_cookie_of_a_session_is_out_of_reach_of_scripts(service) -> None:
    command = loopback("served").run_mammolens(
        "node", "administrator", "cookie.test", "--config", service.config
    )
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    form = {"name": "cookie.test", "password": said.rpartition(": ")[2].strip()}
    cookie = httpx.post(f"{service.address}/api/v1/sign-in", json=form).headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert "path=/" in cookie.lower()


def test_a_page_of_another_site_changes_nothing(service) -> None:
    form = {"name": "admin", "password": service.one_time["admin"]}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = httpx.post(f"{service.address}/api/v1/sign-in", json=form, headers=headers)
        assert answer.status_code == 403
