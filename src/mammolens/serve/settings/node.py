"""The settings of the node: every key with its type, its default and its meaning.

The descriptions are also what ``mammolens node init`` writes into a new ``node.toml``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import unquote

from pydantic import Field, IPvAnyNetwork, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mammolens.core import TriageCategory
from mammolens.model import DEFAULT_MODEL
from mammolens.serve.settings.exams import ExamSettings, UploadSettings
from mammolens.serve.settings.monitor import AlertSettings, MonitorSettings
from mammolens.serve.settings.ops import DeidentifySettings, RetentionSettings
from mammolens.serve.settings.pathology import PathologySettings
from mammolens.serve.settings.people import OidcSettings, PeopleSettings
from mammolens.serve.settings.renamed_keys import RenamedKeys, RenamedVariables
from mammolens.serve.settings.section import (
    CA_FILE,
    CERT_FILE,
    KEY_FILE,
    Section,
    secret_key,
    unset,
)
from mammolens.serve.settings.web import UpsSettings, WatchSettings, WebSettings

__all__ = [
    "DimseSettings",
    "IntakeSettings",
    "JobSettings",
    "ModelSettings",
    "NodeSettings",
    "RouteSettings",
]

PREFIX: Final = "MAMMOLENS_"
SiteKey = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


def _ae_titles(addresses: Collection[str]) -> set[str]:
    """Give the AE titles in addresses such as ``dicom://AE@HOST:PORT``."""
    return {unquote(address.partition("://")[2].partition("@")[0]) for address in addresses}


class IntakeSettings(Section):
    """Reception of objects."""

    max_mb: int = Field(512, ge=1, description="largest object that is received, MiB")
    min_free_mb: int = Field(
        1024,
        ge=0,
        description="free space that must stay on the disk, MiB; with less, objects are refused",
    )
    film: bool = Field(
        False,
        description="also read Secondary Capture and Computed Radiography of modality MG, grey",
    )
    deidentify: DeidentifySettings | None = Field(
        None, description="de-identification of received objects; none: no de-identification"
    )


class JobSettings(Section):
    """How analyses are shared among workers, repeated and given up; the same for deliveries."""

    lease_s: float = Field(60.0, gt=0, description="seconds of silence until work is queued again")
    max_attempts: int = Field(4, ge=1, description="attempts until an exam gets a failed result")
    max_deliveries: int = Field(
        1000, ge=1, description="attempts to deliver until a person must look"
    )
    backoff_s: float = Field(10.0, gt=0, description="wait after the first failure; then doubled")
    backoff_max_s: float = Field(600.0, gt=0, description="most seconds between two attempts")
    poll_s: float = Field(1.0, gt=0, description="seconds between two checks for work")
    time_limit_s: float = Field(300.0, gt=0, description="most seconds to analyse one exam")


class DimseSettings(Section):
    """The DICOM listener, and the DICOM peers."""

    ae_title: str = Field("MAMMOLENS", min_length=1, max_length=16, description="own AE title")
    host: str = Field("127.0.0.1", description="address that it listens on")
    port: int = Field(11112, ge=0, le=65535, description="port that it listens on")
    calling: tuple[str, ...] = unset(
        "AE titles that may call; none: all may", ["PACS", "MG1"], default=()
    )
    hosts: tuple[IPvAnyNetwork, ...] = unset(
        "addresses and networks that may call; none: all may", ["10.1.0.0/16"], default=()
    )
    max_associations: int = Field(256, ge=1, description="associations at a time; more are refused")
    max_pdu: int = Field(131072, ge=4096, le=1 << 24, description="longest PDU that is proposed")
    acse_timeout_s: float = Field(30.0, gt=0, description="limit to begin or end an association")
    dimse_timeout_s: float = Field(60.0, gt=0, description="limit for the answer to a message")
    network_timeout_s: float = Field(60.0, gt=0, description="longest silence of an association")
    stop_s: float = Field(30.0, ge=0, description="time for open exchanges when the node stops")
    certificate: Path | None = unset("own certificate chain, PEM; turns TLS on", CERT_FILE)
    key: Path | None = unset("key of the certificate, PEM", KEY_FILE)
    authority: Path | None = unset("authorities whose certificates are trusted, PEM", CA_FILE)
    check_names: bool = Field(True, description="certificates of servers must name their host")
    peers: dict[str, str] = unset(
        "names of PACS and their addresses: dicom://AE@HOST:PORT, dicoms:// for TLS",
        {"pacs": "dicom://PACS@10.1.0.9:104"},
        default={},
    )

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        given = [path for path in (self.certificate, self.key, self.authority) if path]
        if len(given) not in (0, 3):
            raise ValueError("TLS needs certificate, key and authority")
        return self


class RouteSettings(Section):
    """A destination of results: which files of which exams are sent there."""

    name: str = Field(
        min_length=1,
        max_length=64,
        description="unique; used in the audit trail and in logs",
        examples=["ehr"],
    )
    to: str = Field(
        description="dicom://AE@HOST:PORT, the name of a peer, stow+https://HOST/BASE,"
        " fhir+https://HOST/BASE, mllp://HOST:PORT (dicoms, mllps: with TLS), or a folder",
        examples=["fhir+https://ehr.hospital.example/fhir"],
    )
    sinks: tuple[str, ...] = Field(
        min_length=1, description="sinks whose files are sent", examples=[["fhir"]]
    )
    categories: tuple[TriageCategory, ...] = unset(
        "only exams of these categories (failed is one); empty: all exams",
        ["high", "failed"],
        default=(),
    )
    revisions: Literal["all", "first", "later"] = Field(
        "all", description="all results of an exam, only the first, or only its corrections"
    )
    max_attempts: int | None = unset(
        "attempts until a person must look; 0: no limit; unset: jobs.max_deliveries", 0, ge=0
    )
    timeout_s: float = Field(30.0, gt=0, description="seconds that the destination may be silent")
    commitment: bool = Field(
        False, description="DICOM: delivered only after the archive confirmed storage commitment"
    )
    user: str | None = unset(
        "HTTP: user of Basic authentication; the secret is the password", "mammolens"
    )
    ca: Path | None = unset(
        "PEM of the authority for the destination's certificate (DICOM: see [dimse])", CA_FILE
    )
    certificate: Path | None = unset("PEM of the certificate that this node presents", CERT_FILE)
    key: Path | None = unset("PEM of its private key, if not in the certificate", KEY_FILE)
    tls_name: str | None = unset(
        "name that the destination's certificate must have, if not the host's",
        "ehr.hospital.example",
    )

    @property
    def secret_key(self) -> str:
        """The key of its token or password in ``[secrets]``."""
        return secret_key(self.name)

    def wants(self, sink: str, category: TriageCategory, revision: int, follows: bool) -> bool:
        """Whether a file is sent there; `follows`: an earlier result of the exam was sent there.

        Examples
        --------
        >>> route = RouteSettings(name="a", to="b", sinks=["hl7"], categories=["high"])
        >>> low = TriageCategory.LOW
        >>> route.wants("hl7", low, 1, False), route.wants("hl7", low, 2, True)
        (False, True)
        """
        timely = {"all": True, "first": revision == 1, "later": revision > 1}[self.revisions]
        asked = follows or not self.categories or category in self.categories
        return sink in self.sinks and timely and asked


class ModelSettings(Section):
    """The model, and the prevalence for which its probabilities are given."""

    name: str = Field(DEFAULT_MODEL, description="built-in model, or path of a package")
    shadow: str | None = unset(
        "second model that also scores every exam, without showing anybody: for"
        " mammolens outcomes shadow",
        "/srv/models/candidate",
    )
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = unset(
        "share of the breasts examined here that have cancer, such as 0.005 in"
        " screening: probabilities are stated for it. Left out, reports give the category and the"
        " sensitivity and specificity of its threshold, and a percentage only together with the"
        " prevalence of the model's own data",
        0.005,
    )
    fusion: Path | None = unset(
        "fusion.json of mammolens fuse fit: adds clinical data to the scores; none:"
        " they are only shown",
        "/etc/mammolens/fusion.json",
    )


class LogSettings(Section):
    """The log; it never has identifiers."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level")


class NodeSettings(BaseSettings):
    """All settings of the node and its workers."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__"
    )

    data: Path = Field(Path("node"), description="folder of received files and results")
    database: str = Field(
        "", repr=False, description="SQLAlchemy URL; empty: SQLite in the data folder"
    )
    share_with_group: bool = Field(
        False,
        description="whether the group of the node's user may read the node's files; other users"
        " never may",
    )
    sinks: tuple[str, ...] = Field(
        ("json",), description="output formats of every exam; those of the routes are added"
    )
    model: ModelSettings = ModelSettings()
    intake: IntakeSettings = IntakeSettings()
    exams: ExamSettings = ExamSettings()
    jobs: JobSettings = JobSettings()
    dimse: DimseSettings = DimseSettings()
    web: WebSettings = WebSettings()
    watch: WatchSettings = WatchSettings()
    ups: UpsSettings = UpsSettings()
    sites: dict[str, SiteKey] = unset(
        "site of the exams of a sender; senders are named as in the audit trail:"
        " dimse:AETITLE, web:USER, folder:NAME, pull:AETITLE of a peer or pull:NAME of a web peer;"
        " exams of other senders have no site",
        {"dimse:MG1": "north", "folder:scanner": "south"},
        default={},
    )
    uploads: UploadSettings = UploadSettings()
    monitor: MonitorSettings = MonitorSettings()
    alerts: AlertSettings = AlertSettings()
    people: PeopleSettings = PeopleSettings()
    oidc: OidcSettings | None = Field(
        None, description="OpenID Connect provider for signing in; none: passwords only"
    )
    pathology: PathologySettings = PathologySettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    routes: tuple[RouteSettings, ...] = Field((), description="where results are sent")
    secrets: dict[str, SecretStr] = Field(
        {},
        repr=False,
        description="bearer token or password, by the name of its route or web peer",
    )

    @property
    def database_url(self) -> str:
        """The URL of the database, also if it is the default."""
        return self.database or f"sqlite:///{(self.data / 'node.sqlite').absolute()}"

    @model_validator(mode="after")
    def _known_senders(self) -> Self:
        known: dict[str, Collection[str] | None] = {
            "dimse": self.dimse.calling or None,
            "web": self.web.tokens,
            "folder": self.watch.folders,
            "pull": {*_ae_titles(self.dimse.peers.values()), *self.web.peers},
        }
        for sender in self.sites:
            kind, _, name = sender.partition(":")
            names = known.get(kind, ())
            if not name or (names is not None and name not in names):
                raise ValueError(f"sites: there is no sender {sender!r}")
        return self

    @property
    def scratch(self) -> Path:
        """Folder for unfinished files; with de-identification, a folder in memory."""
        if self.intake.deidentify is None:
            return self.data
        place = hashlib.sha256(str(self.data.absolute()).encode()).hexdigest()[:16]
        return self.intake.deidentify.scratch / f"mammolens-{place}"

    @property
    def all_sinks(self) -> tuple[str, ...]:
        """Every sink of `sinks` and of the routes, once."""
        return tuple(dict.fromkeys([*self.sinks, *(s for r in self.routes for s in r.sinks)]))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment before the file, so that it takes precedence."""
        return RenamedVariables(settings_cls, PREFIX), RenamedKeys(settings_cls, init_settings())
