"""Settings of the door for pathology reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, IPvAnyNetwork, model_validator

from mammolens.serve.settings.section import (
    CA_FILE,
    CERT_FILE,
    KEY_FILE,
    Section,
    is_loopback,
    unset,
)

__all__ = ["PathologySettings"]


class PathologySettings(Section):
    """Pathology reports that come as HL7 v2 over MLLP, and what is asked of people about them."""

    mllp_host: str = Field("127.0.0.1", description="address that the listener uses")
    mllp_port: int | None = unset("port of the MLLP listener; none: off", 2576, ge=0, le=65535)
    site: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] | None = unset(
        "key of the site whose exams the reports are about", "north"
    )
    hosts: tuple[IPvAnyNetwork, ...] = unset(
        "addresses and networks that may send; none: all may", ["10.1.0.0/16"], default=()
    )
    certificate: Path | None = unset("own certificate chain, PEM; turns TLS on", CERT_FILE)
    key: Path | None = unset("key of the certificate, PEM, without passphrase", KEY_FILE)
    authority: Path | None = unset(
        "authority of the senders' certificates, PEM; then senders must show one", CA_FILE
    )
    max_mb: int = Field(8, ge=1, le=32, description="largest message, MiB")
    max_connections: int = Field(16, ge=1, description="connections at a time; more are refused")
    timeout_s: float = Field(
        30.0, gt=0, description="seconds of silence within a message after which it is refused"
    )
    idle_s: float = Field(3600.0, gt=0, description="seconds that a connection may be idle")
    confirm_malignant: bool = Field(
        True, description="a person must confirm every malignant outcome"
    )

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("TLS needs certificate and key")
        if self.authority is not None and self.certificate is None:
            raise ValueError("an authority needs TLS: certificate and key")
        if self.mllp_port is not None and not is_loopback(self.mllp_host):
            if self.certificate is None:
                raise ValueError("beyond loopback, TLS is needed: certificate and key")
            if self.authority is None and not self.hosts:
                raise ValueError("beyond loopback, authority or hosts must say who may send")
        return self
