"""Settings of the node: defaults, then a TOML file, then the environment."""

from __future__ import annotations

from mammolens.serve.settings.node import (
    DimseSettings,
    ExamSettings,
    IntakeSettings,
    JobSettings,
    NodeSettings,
    RouteSettings,
    child_environment,
    load_settings,
)
from mammolens.serve.settings.ops import DeidentifySettings, RetentionSettings
from mammolens.serve.settings.web import UpsSettings, WebSettings, is_loopback, secret_key

__all__ = [
    "DeidentifySettings",
    "DimseSettings",
    "ExamSettings",
    "IntakeSettings",
    "JobSettings",
    "NodeSettings",
    "RetentionSettings",
    "RouteSettings",
    "UpsSettings",
    "WebSettings",
    "child_environment",
    "is_loopback",
    "load_settings",
    "secret_key",
]
