"""Readers of public data sets: each is a function ``build(root) → Manifest``.

``sources.toml`` lists the built-in readers; each is the module of its name. Other packages add
readers through the entry point group ``mammolens.sources`` (``name = "module:build"``). A reader
expects the folder layout in which its source is distributed. It writes nothing, and gives ``None``
where the source does not say. `Manifest.cautions` list what it left out or could not decide. The
keyword-only parameters of a reader are its options.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, cast

from mammolens.data.manifest import Manifest
from mammolens.data.sources._tree import images_under
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.spelling import check_known

__all__ = [
    "ENTRY_POINTS",
    "BuildManifest",
    "SourceInfo",
    "build_source",
    "images_under",
    "list_sources",
    "load_source",
]

ENTRY_POINTS: Final = "mammolens.sources"


BuildManifest = Callable[..., Manifest]
"""A reader: the folder (or table) of an unpacked source, and options → its manifest."""


@dataclass(frozen=True)
class SourceInfo:
    """A source: a summary in one line, the licence of its data, and where to get it (`home`)."""

    name: str
    summary: str
    licence: str
    home: str


def list_sources() -> tuple[SourceInfo, ...]:
    """List every source that can be read, built in or from another package, without loading it.

    Examples
    --------
    >>> [info.name for info in list_sources()][:3]
    ['cbis-ddsm', 'cesm', 'cmmd']
    """
    built_in = _built_in()
    further = [_entry_point_info(p) for p in _entry_points() if p.name not in built_in]
    return (*built_in.values(), *sorted(further, key=lambda info: info.name))


def load_source(name: str) -> BuildManifest:
    """Load the reader of a source.

    Raises
    ------
    ConfigError
        No source has this name (the message proposes the nearest), or its module cannot be loaded.

    Examples
    --------
    >>> load_source("inbrest")
    Traceback (most recent call last):
    mammolens.errors.ConfigError: there is no source 'inbrest' [source]. Use 'inbreast'.
    """
    own = {known: f"{__name__}.{known.replace('-', '_')}:build" for known in _built_in()}
    targets = {p.name: p.value for p in _entry_points()} | own
    check_known(name, targets, "source", "source")
    module, _, attribute = targets[name].partition(":")
    try:
        return cast(BuildManifest, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the source {name!r} cannot be loaded from {targets[name]}: {error}",
            keyword="source",
            remedy="Install the packages that it needs, or use another source",
        ) from error


def build_source(name: str, root: Path, options: Mapping[str, str] | None = None) -> Manifest:
    """Read the source in `root`.

    Parameters
    ----------
    root
        The folder of the unpacked source (for ``table`` a CSV file).
    options
        Options of the reader, e.g. ``{"patient": r"(P\\d+)_"}`` for ``folder``.

    Raises
    ------
    ConfigError
        Unknown source or option.
    InvalidManifest
        `root` is missing, or is not in the source's layout.
    """
    build = load_source(name)
    known = [
        p.name
        for p in inspect.signature(build).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    for option in options or {}:
        if option not in known:
            raise ConfigError(
                f"the source {name!r} has no option {option!r}",
                keyword=option,
                remedy=f"It has: {', '.join(known)}" if known else "It has none",
            )
    if not root.exists():
        raise InvalidManifest(
            "this folder does not exist", source=str(root), remedy="Give the folder of the data set"
        )
    return build(root, **(options or {}))


@cache
def _built_in() -> dict[str, SourceInfo]:
    """Read the table of the built-in readers."""
    table = resources.files(__name__).joinpath("sources.toml").read_text("utf-8")
    return {name: SourceInfo(name, **facts) for name, facts in tomllib.loads(table).items()}


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    return list(importlib.metadata.entry_points(group=ENTRY_POINTS))


def _entry_point_info(point: importlib.metadata.EntryPoint) -> SourceInfo:
    if point.dist is None:
        return SourceInfo(point.name, point.value, "unknown", "unknown")
    package = point.dist.metadata.json
    summary = package.get("summary", point.value)
    licence = package.get("license", "see its package")
    home = f"Python package {point.dist.name}"
    return SourceInfo(point.name, str(summary), str(licence), home)
