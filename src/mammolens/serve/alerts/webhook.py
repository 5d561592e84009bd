"""Send one message to an address that hears of alarms, signed so that it can be believed.

The signature is HMAC-SHA256 over ``TIMESTAMP.BODY`` with the secret of the settings, in hexadecimal
digits. The receiver computes it again, and refuses a timestamp that is minutes old: a message that
somebody has recorded cannot be sent again later.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from urllib.parse import urlsplit

from mammolens import DISCLAIMER
from mammolens.serve.alerts.words import Message
from mammolens.serve.settings import WebhookSettings

__all__ = ["post_message", "signature"]


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
