"""Send one message by SMTP (RFC 5321), encrypted by STARTTLS or TLS."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from mammolens.serve.alerts.words import Message
from mammolens.serve.settings import MailSettings

__all__ = ["send_mail"]


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
