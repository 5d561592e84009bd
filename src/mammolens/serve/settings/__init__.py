"""Settings of the node: defaults, then a TOML file, then the environment.

`write_template` makes a new file out of the descriptions and defaults of the settings themselves.
"""

from __future__ import annotations

from mammolens.serve.settings.exams import ExamSettings, UploadSettings
from mammolens.serve.settings.loading import child_environment, load_settings
from mammolens.serve.settings.monitor import (
    AlertSettings,
    MailSettings,
    WebhookSettings,
)
from mammolens.serve.settings.node import (
    DimseSettings,
    IntakeSettings,
    JobSettings,
    NodeSettings,
    RouteSettings,
)
from mammolens.serve.settings.ops import DeidentifySettings, RetentionSettings
from mammolens.serve.settings.pathology import PathologySettings
from mammolens.serve.settings.people import OidcSettings, PeopleSettings
from mammolens.serve.settings.section import is_loopback, secret_key
from mammolens.serve.settings.template import write_template
from mammolens.serve.settings.web import UpsSettings, WebSettings

__all__ = [
    "AlertSettings",
    "DeidentifySettings",
    "DimseSettings",
    "ExamSettings",
    "IntakeSettings",
    "JobSettings",
    "MailSettings",
    "NodeSettings",
    "OidcSettings",
    "PathologySettings",
    "PeopleSettings",
    "RetentionSettings",
    "RouteSettings",
    "UploadSettings",
    "UpsSettings",
    "WebSettings",
    "WebhookSettings",
    "child_environment",
    "is_loopback",
    "load_settings",
    "secret_key",
    "write_template",
]
