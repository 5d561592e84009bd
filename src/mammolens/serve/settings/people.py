"""Settings of the people who sign in, and of the provider that may vouch for them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from mammolens.serve.settings.section import CA_FILE, Section, check_address, unset

__all__ = ["OidcSettings", "PeopleSettings"]


class PeopleSettings(Section):
    """How long a person stays signed in, and how long what opens an account is good for."""

    session_hours: float = Field(
        12.0, ge=1, le=168, description="hours after a sign-in until the person signs in again"
    )
    idle_minutes: float = Field(
        60.0, gt=0, description="minutes without a request after which a session ends"
    )
    one_time_days: float = Field(
        7.0, gt=0, le=90, description="days in which a one-time password must be replaced"
    )
    token_days: int = Field(
        365, ge=1, le=3650, description="longest life of an API token of a person, days"
    )
    offline_hours: float = Field(
        12.0, ge=0, le=72, description="hours in which a phone without a line opens by its PIN"
    )
    pin_attempts: int = Field(
        5, ge=1, le=10, description="wrong PINs after which a phone deletes what it keeps"
    )
    max_devices: int = Field(5, ge=0, le=50, description="phones of a person that keep data")
    share_days: int = Field(
        7, ge=1, le=90, description="days in which a link to a signed report opens"
    )


class OidcSettings(Section):
    """An OpenID Connect provider at which people may sign in, such as that of the hospital."""

    issuer: str = Field(
        description="its address, as it names itself",
        examples=["https://login.hospital.example/realms/staff"],
    )
    client_id: str = Field(
        min_length=1,
        description="how it knows this application",
        examples=["mammolens"],
    )
    client_secret: SecretStr = Field(
        min_length=16, description="secret of the application, which the provider gave"
    )
    address: str = Field(
        description="address of this application in a browser; the provider must know its callback,"
        " this address and /api/v1/sign-in/oidc/callback",
        examples=["https://reading.hospital.example"],
    )
    label: str = Field(
        "Single sign-on", min_length=1, max_length=64, description="what the sign-in page calls it"
    )
    claim: str = Field(
        "preferred_username",
        min_length=1,
        description="claim that names the account when a person comes by the provider for the"
        " first time; later on only the provider's own identifier counts",
    )
    authority: Path | None = unset("whose certificate the provider has, PEM", CA_FILE)
    timeout_s: float = Field(10.0, gt=0, description="seconds that the provider may be silent")

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        check_address("oidc.issuer", self.issuer)
        if check_address("oidc.address", self.address).path not in ("", "/"):
            raise ValueError("oidc.address is an address without a path")
        return self
