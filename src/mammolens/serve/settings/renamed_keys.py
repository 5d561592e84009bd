"""Keys that were moved to another section; the old names are still accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource

from mammolens.errors import ConfigError

__all__ = ["RENAMED", "RenamedKeys", "RenamedVariables"]

RENAMED: Final = {"model": ("model", "name"), "prevalence": ("model", "prevalence")}
"""Old key at the top of the file → current section and key."""


class RenamedVariables(EnvSettingsSource):
    """The environment; a variable with an old key is read as the new key.

    A whole section as JSON (``MAMMOLENS_MODEL={"name": "x"}``) is not an old key.
    """

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        found = dict(self.env_vars)
        for old, new in RENAMED.items():
            before, after = (f"{prefix}{key}".lower() for key in (old, "__".join(new)))
            if before not in found or (found[before] or "").lstrip().startswith("{"):
                continue
            if after in found:
                raise _twice(before.upper(), after.upper(), "the environment")
            found[after] = found.pop(before)
        self.env_vars = found


class RenamedKeys(InitSettingsSource):
    """The file, given as arguments; an old key is read as the new key."""

    def __init__(self, settings_cls: type[BaseSettings], given: Mapping[str, Any]) -> None:
        super().__init__(settings_cls, _renamed(given))


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    renamed = dict(given)
    for old, (section, key) in RENAMED.items():
        if old not in renamed or (old == section and not isinstance(renamed[old], str)):
            continue  # `model` is an old key if it is text, else the section of today.
        value = renamed.pop(old)
        inside = renamed.get(section, {})
        if not isinstance(inside, Mapping):
            renamed[old] = value  # The check of the settings names the fault.
            continue
        if key in inside:
            raise _twice(old, f"{section}.{key}", None)
        renamed[section] = {**inside, key: value}
    return renamed


def _twice(old: str, new: str, source: str | None) -> ConfigError:
    return ConfigError(
        f"{old} and {new} are the same setting, and both are given",
        source=source,
        keyword=old,
        remedy=f"Keep {new} alone: {old} is its old name",
    )
