"""Read the settings: defaults ← ``node.toml`` ← environment variables ``MAMMOLENS_*``.

Nothing else in mammolens reads the environment. A nested key is written with two underscores:
``MAMMOLENS_JOBS__LEASE_S=30``.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from mammolens.errors import ConfigError
from mammolens.serve.settings.node import PREFIX, NodeSettings
from mammolens.serve.settings.renamed_keys import RENAMED
from mammolens.serve.settings.section import model_of, secret_key
from mammolens.sinks import find_sink
from mammolens.spelling import did_you_mean

__all__ = ["child_environment", "load_settings"]

FILE_VARIABLE: Final = "MAMMOLENS_CONFIG"
SECRETS: Final = ("MAMMOLENS_SECRETS__", "MAMMOLENS_WEB__TOKENS__")
DEFAULT_FILE: Final = Path("node.toml")


def load_settings(file: Path | None = None) -> NodeSettings:
    """Read the settings of the node.

    Parameters
    ----------
    file
        TOML file; ``None`` reads the file in ``MAMMOLENS_CONFIG``, else ``node.toml`` if it exists.

    Raises
    ------
    ConfigError
        The file cannot be read, a key or a sink is unknown (the nearest is proposed), or a value
        is impossible.
    """
    named = file or (Path(os.environ[FILE_VARIABLE]) if FILE_VARIABLE in os.environ else None)
    found = named or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    _check_variables()
    try:
        settings = NodeSettings(**_read(found) if found else {})
    except ValidationError as error:
        raise _explained(error, found) from error
    names = [route.name for route in settings.routes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two routes are called {twice!r}",
            source=str(found),
            keyword="routes",
            remedy="Give each route a name of its own",
        )
    for sink in settings.all_sinks:
        find_sink(sink)
    keys = {*map(secret_key, settings.web.peers), *(route.secret_key for route in settings.routes)}
    known = {f"secrets.{key}" for key in keys}
    for key in settings.secrets:
        if f"secrets.{key}" not in known:
            raise _unknown(f"secrets.{key}", known, str(found) if found else "the environment")
    return settings


def child_environment(**added: str) -> dict[str, str]:
    """Give the environment of this process, with more variables, for a program that it starts."""
    return {**os.environ, **added}


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"the settings cannot be read ({reason})",
            source=str(file),
            remedy="Check the path and that it is TOML",
        ) from error


def _check_variables() -> None:
    """Refuse an unknown variable, which would be ignored."""
    keys = (*_keys(), *RENAMED)
    known = {FILE_VARIABLE} | {PREFIX + key.replace(".", "__").upper() for key in keys}
    for variable in os.environ:
        given = variable.upper()
        if given.startswith(PREFIX) and given not in known and not given.startswith(SECRETS):
            raise _unknown(variable, known, "the environment")


def _keys(model: type[BaseModel] = NodeSettings, before: str = "") -> list[str]:
    """List every key with its section, such as ``jobs.lease_s``, and every section."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(before + name)
        if (section := model_of(field)) is not None:
            keys += _keys(section, f"{before}{name}.")
    return keys


def _explained(error: ValidationError, file: Path | None) -> ConfigError:
    problem = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
    source = str(file) if file else None
    if problem["type"] == "extra_forbidden":
        return _unknown(key, set(_keys()), source)
    return ConfigError(
        problem["msg"].lower(), source=source, keyword=key, remedy="Correct the setting"
    )


def _unknown(key: str, known: set[str], source: str | None) -> ConfigError:
    remedy = did_you_mean(key, known)
    return ConfigError(f"there is no setting {key!r}", source=source, keyword=key, remedy=remedy)
