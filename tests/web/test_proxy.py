"""Behind a real nginx that speaks TLS, with the settings that the documentation gives."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import ROOT, loopback

NAME = "reading.hospital.example"
WRAPPER = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {server}
}}
"""


@pytest.fixture(scope="module")
def proxied(request, tmp_path_factory) -> Iterator[tuple[httpx.Client, Any]]:
    """The application behind nginx; a client that believes its certificate."""
    request.getfixturevalue("built_page")
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if nginx is None:
        pytest.skip("there is no nginx (Debian: apt-get install nginx)")
    peers, folder = loopback("peers"), tmp_path_factory.mktemp("proxied")
    names = {"web": {"proxied": True, "names": [NAME], "stop_s": 5.0}}
    service = loopback("served").Served(folder, sections=names, host=NAME)
    port = peers.free_port()
    _certify(folder)
    server = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    for written, here in (
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("127.0.0.1:8080", f"127.0.0.1:{service.port}"),
        ("/etc/nginx/", f"{folder}/"),
    ):
        assert written in server
        server = server.replace(written, here)
    config = folder / "nginx.conf"
    config.write_text(WRAPPER.format(folder=folder, server=server))
    program = peers.Program([nginx, "-c", str(config)], folder / "nginx.log")
    trusted = ssl.create_default_context(cafile=folder / "reading.pem")
    with httpx.Client(
        base_url=f"https://127.0.0.1:{port}",
        headers={"host": NAME},
        verify=trusted,
    ) as client:
        try:
            service.start()
            program.start()
            time.sleep(1.0)
            program.check()
            yield client, service
        finally:
            program.end()
            service.end()


def _certify(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext"]
    command += [f"subjectAltName=DNS:{NAME}", "-keyout", "reading.key", "-out", "reading.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def ask(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    return client.request(method, path, extensions={"sni_hostname": NAME}, **options)


def test_browsers_are_kept_on_tls(proxied) -> None:
    client, _ = proxied
    answer = ask(client, "GET", "/")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_cookie_is_bound_to_the_host_and_to_tls(proxied) -> None:
    client, service = proxied
    form = {"name": "admin", "password": service.one_time["admin"]}
    own = {"origin": f"https://{NAME}", "sec-fetch-site": "same-origin"}
    answer = ask(client, "POST", "/api/v1/sign-in", json=form, headers=own)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-mammolens=")
    assert "Secure" in cookie
    other = {"origin": "https://evil.example"}
    assert ask(client, "POST", "/api/v1/sign-in", json=form, headers=other).status_code == 403


def test_a_client_cannot_say_that_it_is_elsewhere(proxied) -> None:
    client, service = proxied
    forged = {"x-forwarded-for": "198.51.100.7"}
    form = {"name": "nobody", "password": "x"}
    answers = [
        ask(client, "POST", "/api/v1/sign-in", json=form, headers=forged | {"x": str(number)})
        for number in range(12)
    ]
    assert [answer.status_code for answer in answers][-1] == 429
    assert "198.51.100.7" not in service.programs["serve"].log.read_text("utf-8")


def test_by_another_name_it_does_not_answer(proxied) -> None:
    _, service = proxied
    assert httpx.get(f"{service.address}/").status_code == 421
