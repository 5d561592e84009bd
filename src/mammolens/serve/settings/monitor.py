"""Settings of the drift monitor, and of the messages that tell people of what waits for them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from mammolens.serve.settings.section import CA_FILE, Section, check_address, is_loopback, unset

__all__ = ["AlertSettings", "MailSettings", "MonitorSettings", "WebhookSettings"]


class MonitorSettings(Section):
    """The drift monitor: how often it may alarm though nothing has changed."""

    enabled: bool = Field(True, description="whether exams are watched for a change")
    run_length: int = Field(
        10_000,
        ge=100,
        description="exams of this node for each false alarm, on average at least, over all"
        " monitors together; with fewer, changes are found sooner",
    )
    gather_minutes: float = Field(
        15.0, ge=0, le=1440, description="alarms within so many minutes become one message"
    )


class MailSettings(Section):
    """The mail server (SMTP) that takes messages to people."""

    host: str = Field(min_length=1, description="its name", examples=["smtp.hospital.example"])
    port: int = Field(587, ge=1, le=65535, description="its port")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="encryption; none only for a server on this host"
    )
    sender: str = Field(
        pattern=r"^[^\s@<>]+@[^\s@<>]+$",
        description="address that messages come from",
        examples=["mammolens@hospital.example"],
    )
    user: str | None = unset("name for signing in", "mammolens")
    password: SecretStr | None = Field(None, description="password for signing in")
    authority: Path | None = unset(
        "authority of its certificate, PEM; none: those of the system", CA_FILE
    )
    timeout_s: float = Field(30.0, gt=0, description="seconds that it may be silent")

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError("mail beyond this host needs starttls or tls")
        if (self.user is None) != (self.password is None):
            raise ValueError("signing in at the mail server needs user and password")
        return self


class WebhookSettings(Section):
    """An address that hears of alarms by HTTP."""

    url: str = Field(description="it", examples=["https://chat.hospital.example/hooks/mammolens"])
    secret: SecretStr = Field(min_length=16, description="secret that signs every message")
    authority: Path | None = unset(
        "authority of its certificate, PEM; none: those of the system", CA_FILE
    )
    timeout_s: float = Field(30.0, gt=0, description="seconds that it may be silent")

    @model_validator(mode="after")
    def _address(self) -> Self:
        check_address("alerts.webhook.url", self.url)
        return self


class AlertSettings(Section):
    """Messages by e-mail and webhook: a count and a link, and never anything of a patient."""

    address: str = Field(
        "",
        description="address of the web application, for links; empty: messages have no link",
        pattern=r"^(https?://[^\s/?#]+/?)?$",
        examples=["https://reading.hospital.example"],
    )
    mail: MailSettings | None = Field(None, description="mail server; none: no e-mail")
    webhook: WebhookSettings | None = Field(
        None, description="address that hears of alarms; none: none"
    )
    reminder_minutes: float = Field(
        60.0,
        ge=1,
        le=10_080,
        description="minutes after the e-mail about an urgent finding until a reminder is sent, if"
        " nobody has acknowledged it",
    )
    max_attempts: int = Field(50, ge=1, description="attempts until a message is given up")
