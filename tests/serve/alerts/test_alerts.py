"""Messages to people: by a real mail server and a real receiver, tried until they arrive."""

from __future__ import annotations

import hmac
import json
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from mammolens.serve import reading
from mammolens.serve.alerts import announce_drift, send_due
from mammolens.serve.alerts.words import message_of
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import ALERTS, AUDIT, PEOPLE, AlertKind
from mammolens.serve.settings import AlertSettings, MailSettings, NodeSettings, WebhookSettings

from ..conftest import free_port
from ..reading.conftest import clinic  # noqa: F401

controller = pytest.importorskip("aiosmtpd.controller")
SECRET = "a secret of the site"


@dataclass
class Inbox:
    """What a mail server has taken; `refuse` is what it answers instead."""

    mails: list[Any] = field(default_factory=list)
    refuse: str | None = None

    async def handle_DATA(self, _server, _session, envelope):
        if self.refuse is not None:
            return self.refuse
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture
def mail_server(inbox):
    server = controller.Controller(inbox, hostname="127.0.0.1", port=free_port())
    server.start()
    yield server
    server.stop()


def mail_to(port: int, **more) -> MailSettings:
    given = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "node@b.example"}
    return MailSettings(**{**given, "timeout_s": 5.0, **more})


@pytest.fixture
def make_state(state):
    def make(**alerts: Any) -> NodeState:
        given = AlertSettings(address="https://reading.example", **alerts)
        settings = state.settings.model_copy(update={"alerts": given})
        return NodeState(settings, state.database, state.received, state.results)

    return make


@pytest.fixture
def notice(clinic):  # noqa: F811
    """Give a function that reports an urgent finding of a new exam."""

    def notice() -> None:
        exam = clinic.exam()
        draft, _ = reading.begin_reading(clinic.database, clinic["reader"], exam)
        reading.notify(clinic.database, clinic["reader"], draft.id, "A mass of Jane Doe")

    return notice


def give_addresses(clinic, *names: str) -> None:  # noqa: F811
    with clinic.database.write() as connection:
        for name in names:
            of = PEOPLE.c.id == clinic[name].id
            connection.execute(PEOPLE.update().where(of).values(email=f"{name}@a.example"))


def send_all(state: NodeState) -> int:
    sent = 0
    while send_due(state):
        sent += 1
    return sent


def test_an_urgent_notice_goes_to_who_may_acknowledge_it(
    clinic,  # noqa: F811
    notice,
    make_state,
    mail_server,
    inbox,
    rows,
):
    give_addresses(clinic, "reader", "uploader", "head", "second", "admin")
    clinic.set(notice_mail=True)
    notice()
    state = make_state(mail=mail_to(mail_server.port))
    assert send_all(state) == 2
    assert {mail.rcpt_tos[0] for mail in inbox.mails} == {"uploader@a.example", "head@a.example"}
    text = inbox.mails[0].content.decode()
    assert "An urgent notice waits for you" in text
    assert "https://reading.example/#/notices" in text
    assert "Auto-Submitted: auto-generated" in text
    for secret in ("Jane", "Doe", "mass", "P1", "A1", "1.2.1"):
        assert secret not in text
    assert [row.action for row in rows(AUDIT)].count("alert_sent") == 2


def test_a_site_that_does_not_want_mail_sends_none(clinic, notice, rows):  # noqa: F811
    give_addresses(clinic, "uploader")
    notice()
    assert rows(ALERTS) == []


def test_a_reminder_comes_unless_it_was_acknowledged(
    clinic,  # noqa: F811
    notice,
    make_state,
    mail_server,
    inbox,
    clock,
):
    give_addresses(clinic, "uploader")
    clinic.set(notice_mail=True, language="de")
    state = make_state(mail=mail_to(mail_server.port), reminder_minutes=30)
    notice()
    notice()
    assert send_all(state) == 2
    clock.turn(29 * 60)
    assert send_all(state) == 0
    every = {"open_only": True, "before": None, "limit": 9}
    first = reading.list_notices(state.database, clinic["uploader"], **every).items[0]
    reading.acknowledge(state.database, clinic["uploader"], first.id)
    clock.turn(120)
    assert send_all(state) == 2
    assert len(inbox.mails) == 3, "the reminder of the acknowledged one is not sent"
    assert "Erinnerung" in message_of(AlertKind.REMINDER, 1, "", "de").subject
    clock.turn(86_400)
    assert send_all(state) == 0, "one reminder"


@pytest.mark.parametrize("answer", ["451 try later", "550 no such user"])
def test_a_server_that_refuses_is_asked_again_and_then_given_up(
    clinic,  # noqa: F811
    notice,
    make_state,
    mail_server,
    inbox,
    clock,
    rows,
    answer,
):
    give_addresses(clinic, "uploader")
    clinic.set(notice_mail=True)
    notice()
    inbox.refuse = answer
    state = make_state(mail=mail_to(mail_server.port), max_attempts=3)
    assert send_due(state)
    assert not send_due(state), "it waits"
    clock.turn(700)
    inbox.refuse = None
    assert send_due(state)
    assert len(inbox.mails) == 1
    inbox.refuse = answer
    notice()
    for _ in range(3):
        clock.turn(700)
        send_due(state)
    assert rows(ALERTS)[-1].state == "dead" or rows(ALERTS)[-2].state == "dead"


def test_a_channel_that_is_away_keeps_its_messages(clinic, notice, make_state, clock, rows):  # noqa: F811
    give_addresses(clinic, "uploader")
    clinic.set(notice_mail=True)
    notice()
    port = free_port()
    state = make_state(mail=mail_to(port))
    for _ in range(3):
        assert send_due(state)
        clock.turn(700)
    (waiting,) = rows(ALERTS)
    assert (waiting.state, waiting.attempts) == ("queued", 3)
    assert waiting.error == "ConnectionRefusedError"
    inbox = Inbox()
    server = controller.Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        assert send_due(state)
    finally:
        server.stop()
    assert len(inbox.mails) == 1


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A certificate of localhost that is its own authority, with its key beside it."""
    words = ["-x509", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "own.pem"]
    subprocess.run(
        ["openssl", "req", *words, *files], cwd=tmp_path, check=True, capture_output=True
    )
    return tmp_path / "own.pem"


def test_starttls_and_sign_in(clinic, notice, make_state, inbox, certificate):  # noqa: F811
    from aiosmtpd.smtp import AuthResult, LoginPassword

    def check(_server, _session, _envelope, _mechanism, data):
        assert isinstance(data, LoginPassword)
        return AuthResult(success=data.password == b"right")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = controller.Controller(
        inbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=check,
        auth_required=True,
    )
    server.start()
    try:
        give_addresses(clinic, "uploader")
        clinic.set(notice_mail=True)
        notice()
        signed_in = {
            "security": "starttls",
            "host": "localhost",
            "authority": certificate,
            "user": "node",
        }
        wrong = make_state(mail=mail_to(server.port, **signed_in, password="wrong"))
        assert send_due(wrong)
        assert inbox.mails == []
        with clinic.database.write() as connection:
            connection.execute(ALERTS.update().values(not_before=clinic.house.clock.now))
        untrusted = {k: v for k, v in signed_in.items() if k != "authority"}
        assert send_due(make_state(mail=mail_to(server.port, **untrusted, password="right")))
        assert inbox.mails == []
        with clinic.database.write() as connection:
            connection.execute(ALERTS.update().values(not_before=clinic.house.clock.now))
        assert send_due(make_state(mail=mail_to(server.port, **signed_in, password="right")))
    finally:
        server.stop()
    assert len(inbox.mails) == 1


class _Receiver(BaseHTTPRequestHandler):
    heard: ClassVar[list[tuple[dict[str, str], bytes]]]
    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.append((dict(self.headers), body))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_webhook_is_signed_and_counts(make_state, clock, database, rows):
    class Receiver(_Receiver):
        heard: ClassVar = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/hook"
        state = make_state(webhook=WebhookSettings(url=url, secret=SECRET))
        for count in (1, 2):
            with database.write() as connection:
                announce_drift(database, connection, state.settings, None, count)
        assert not send_due(state), "alarms of an interval become one message"
        clock.turn(901)
        Receiver.status = 503
        assert send_due(state)
        clock.turn(901)
        Receiver.status = 204
        assert send_due(state)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(Receiver.heard) == 2
    (before, _), (headers, body) = Receiver.heard
    assert before["Idempotency-Key"] == headers["Idempotency-Key"]
    said = f"{headers['X-Mammolens-Timestamp']}.".encode() + body
    expected = hmac.new(SECRET.encode(), said, sha256).hexdigest()
    assert headers["X-Mammolens-Signature"] == f"sha256={expected}"
    content = json.loads(body)
    assert (content["kind"], content["count"]) == ("drift", 3)
    assert content["link"] == "https://reading.example/#/monitor"
    assert {*content} == {"id", "kind", "count", "link", "text", "disclaimer"}
    assert rows(ALERTS)[0].state == "done"


@pytest.mark.parametrize(
    "given",
    [
        {"mail": {"host": "smtp.example", "security": "none", "sender": "a@b.example"}},
        {"mail": {"host": "smtp.example", "sender": "nobody"}},
        {"mail": {"host": "smtp.example", "sender": "a@b.example", "user": "x"}},
        {"webhook": {"url": "http://elsewhere.example/", "secret": SECRET}},
        {"webhook": {"url": "https://a.example/?x=1", "secret": SECRET}},
        {"webhook": {"url": "https://a.example/", "secret": "short"}},
        {"address": "javascript:alert(1)"},
    ],
)
def test_settings_that_would_leak_or_fail_are_refused(given):
    with pytest.raises(ValidationError):
        NodeSettings(alerts=given)


def test_messages_have_a_count_and_a_link_in_both_languages():
    for language in ("en", "de", "xx"):
        for kind in AlertKind:
            message = message_of(kind, 7, "https://a.example", language)
            assert message.link.startswith("https://a.example/#/")
            assert message.link in message.text
            assert ("7" in message.text) == (kind is AlertKind.DRIFT)
    assert message_of(AlertKind.DRIFT, 1, "", "en").link == ""
