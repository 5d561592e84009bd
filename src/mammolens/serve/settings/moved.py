"""Keys that stand in another section today, and are still read where they stood before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource

from mammolens.errors import ConfigError

__all__ = ["MOVED", "MovedKeys", "MovedVariables"]

MOVED: Final = {"model": ("model", "name"), "prevalence": ("model", "prevalence")}
"""Old key at the top of the file → section and key of today."""


class MovedVariables(EnvSettingsSource):
    """The environment; a variable of an old key counts as that of the new one.

    A whole section may be given as JSON (``MAMMOLENS_MODEL={"name": "x"}``): that is no old key.
    """

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        found = dict(self.env_vars)
        for old, new in MOVED.items():
            before, after = (f"{prefix}{key}".lower() for key in (old, "__".join(new)))
            if before not in found or (found[before] or "").lstrip().startswith("{"):
                continue
            if after in found:
                raise _twice(before.upper(), after.upper(), "the environment")
            found[after] = found.pop(before)
        self.env_vars = found


class MovedKeys(InitSettingsSource):
    """The file, which is given as arguments; an old key counts as the new one."""

    def __init__(self, settings_cls: type[BaseSettings], given: Mapping[str, Any]) -> None:
        super().__init__(settings_cls, _moved(given))


def _moved(given: Mapping[str, Any]) -> dict[str, Any]:
    moved = dict(given)
    for old, (section, key) in MOVED.items():
        if old not in moved or (old == section and not isinstance(moved[old], str)):
            continue
        value = moved.pop(old)
        inside = moved.get(section, {})
        if not isinstance(inside, Mapping):
            moved[old] = value
            continue
        if key in inside:
            raise _twice(old, f"{section}.{key}", None)
        moved[section] = {**inside, key: value}
    return moved


def _twice(old: str, new: str, source: str | None) -> ConfigError:
    return ConfigError(
        f"{old} and {new} are the same setting, and both are given",
        source=source,
        keyword=old,
        remedy=f"Keep {new} alone: {old} is its old name",
    )
