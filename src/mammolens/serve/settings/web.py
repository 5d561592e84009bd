"""Settings of the HTTP server, of watched folders and of procedure steps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from mammolens.serve.settings.section import (
    CA_FILE,
    CERT_FILE,
    KEY_FILE,
    Section,
    is_loopback,
    unset,
)

__all__ = ["UpsSettings", "WatchSettings", "WebSettings"]


class WebSettings(Section):
    """The HTTP server, its callers, and the DICOMweb peers."""

    host: str = Field("127.0.0.1", description="address that it listens on")
    port: int = Field(8080, ge=0, le=65535, description="port that it listens on")
    enabled: bool = Field(True, description="whether the node listens for HTTP")
    tokens: dict[str, SecretStr] = Field({}, description="users, and the bearer token of each")
    names: tuple[str, ...] = unset(
        "host names by which it may be called; none: any, or those of loopback",
        ["node.hospital.example"],
        default=(),
    )
    retrievers: tuple[str, ...] = unset(
        "users of tokens that may search and retrieve the exams of every site", ["ehr"], default=()
    )
    max_retrieves: int = Field(
        16, ge=1, description="answers with objects or pictures that are made at a time"
    )
    max_request_mb: int = Field(8192, ge=1, description="largest request that is read, MiB")
    max_requests: int = Field(16, ge=1, description="store requests at a time; more must wait")
    timeout_s: float = Field(
        60.0,
        gt=0,
        description="seconds of silence, or below a minimum rate, after which a request ends",
    )
    stop_s: float = Field(30.0, ge=0, description="time for open requests when the node stops")
    certificate: Path | None = unset("own certificate chain, PEM; turns TLS on", CERT_FILE)
    key: Path | None = unset("key of the certificate, PEM, without passphrase", KEY_FILE)
    proxied: bool = Field(False, description="a proxy in front of it does the TLS")
    peers: dict[str, str] = unset(
        "names of DICOMweb servers and their bases: https://USER@HOST/BASE",
        {"archive": "https://archive.hospital.example/dicom-web"},
        default={},
    )
    authority: Path | None = unset("authority of the peers' certificates, PEM", CA_FILE)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("TLS needs certificate and key")
        if any(len(token.get_secret_value()) < 16 for token in self.tokens.values()):
            raise ValueError("a token needs 16 characters")
        unknown = sorted({*self.retrievers} - {*self.tokens})
        if unknown:
            raise ValueError(f"web.retrievers names {unknown[0]!r}, which has no token")
        if self.enabled and not is_loopback(self.host):
            if not self.tokens:
                raise ValueError("beyond loopback, web.tokens must list the callers")
            if self.certificate is None and not self.proxied:
                raise ValueError("beyond loopback, TLS is needed: certificate and key, or proxied")
        return self


class WatchSettings(Section):
    """Watched folders, whose files are received."""

    folders: dict[str, Path] = unset(
        "a name for each folder, and its path", {"scanner": "/srv/scans"}, default={}
    )
    settle_s: float = Field(5.0, gt=0, description="time without change until a file is complete")
    patience_s: float = Field(120.0, gt=0, description="wait for the rest of a truncated file")
    poll_s: float = Field(2.0, gt=0, description="seconds between two checks")


class UpsSettings(Section):
    """The server of procedure steps (IHE AI Workflow for Imaging)."""

    server: str = Field(
        "", description="a name of dimse.peers or web.peers, dicom://AE@HOST:PORT; empty: none"
    )
    station: str = Field(
        "MAMMOLENS", min_length=1, max_length=16, description="code value of the own station name"
    )
    any_station: bool = Field(
        False, description="also claim steps that are scheduled without a station"
    )
    workitems: tuple[str, ...] = Field(
        ("110004", "110003"),
        description="code values of the work items that are claimed; empty: any",
    )
    source: str = Field(
        "", description="peer with the images of steps that do not name their location"
    )
    by: Literal["move", "get"] = Field(
        "move", description="how images are fetched over DIMSE: C-MOVE to the listener, or C-GET"
    )
    most: int = Field(4, ge=1, description="steps that are performed at the same time")
    poll_s: float = Field(5.0, gt=0, description="seconds between two checks")
    deadline_s: float = Field(3600.0, gt=0, description="limit for a step; then it is canceled")
