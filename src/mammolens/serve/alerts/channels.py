"""The channels of messages: e-mail, and an address that hears of alarms.

E-mail goes by SMTP (RFC 5321), encrypted by STARTTLS or TLS. What goes to the webhook is signed, so
that it can be believed: HMAC-SHA256 over ``TIMESTAMP.BODY`` with the secret of the settings, in
hexadecimal digits. The receiver computes it again, and refuses a timestamp that is minutes old: a
message that somebody has recorded cannot be sent again later.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
from datetime import datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

from mammolens import DISCLAIMER
from mammolens.serve.alerts.words import Message
from mammolens.serve.settings import MailSettings, WebhookSettings

__all__ = ["post_message", "send_mail", "signature"]


def send_mail(settings: MailSettings, to: str, message: Message) -> None:
    """Send a message, and wait until the server has taken it.

    Raises
    ------
    OSError
        The server is away, refuses, or its certificate is not trusted (`smtplib.SMTPException` is
        an `OSError`).
    ConfigError
        The authority cannot be read.
    """
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = settings.sender, to, message.subject
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic answers
    mail.set_content(message.text)
    with _connected(settings) as server:
        if settings.user is not None and settings.password is not None:
            server.login(settings.user, settings.password.get_secret_value())
        server.send_message(mail)


def _connected(settings: MailSettings) -> smtplib.SMTP:
    if settings.security == "none":
        return smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
    # Here, because a worker imports this room without HTTP.
    from mammolens.serve.exchange import client_context

    context = client_context("mail", "alerts.mail.authority", settings.authority)
    if settings.security == "tls":
        return smtplib.SMTP_SSL(
            settings.host, settings.port, timeout=settings.timeout_s, context=context
        )
    server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
    try:
        server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def post_message(settings: WebhookSettings, message: Message, number: int, now: datetime) -> int:
    """Send a message, and give the status of the answer.

    Parameters
    ----------
    number
        The same for each attempt, so that the receiver recognises a repeat.

    Raises
    ------
    OSError
        There was no complete answer; its text is the name of the cause.
    ConfigError
        The authority cannot be read.
    """
    # Here, because a worker imports this room without HTTP.
    from mammolens.serve.exchange import Endpoint, HttpClient, HttpError, client_context

    url = urlsplit(settings.url)
    encrypted = url.scheme == "https"
    where = "alerts.webhook.authority"
    endpoint = Endpoint(
        "webhook",
        url.hostname or "",
        url.port or (443 if encrypted else 80),
        timeout_s=settings.timeout_s,
        tls=client_context("webhook", where, settings.authority) if encrypted else None,
    )
    content = {
        "id": number,
        "kind": message.kind.value,
        "count": message.count,
        "link": message.link or None,
        "text": message.text,
        "disclaimer": DISCLAIMER,
    }
    body = json.dumps(content, ensure_ascii=False).encode()
    timestamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f"mammolens-alert-{number}",
        "X-Mammolens-Timestamp": timestamp,
        "X-Mammolens-Signature": signature(settings.secret.get_secret_value(), timestamp, body),
    }
    try:
        with HttpClient(endpoint) as client:
            return client.ask("POST", url.path or "/", headers, body).status
    except HttpError as error:
        raise ConnectionError(type(error.reason).__name__) from error


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Sign a message.

    Examples
    --------
    >>> signature("a secret of the site", "1700000000", b"{}")[:16]
    'sha256=6caf158ec'
    """
    signed = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"
