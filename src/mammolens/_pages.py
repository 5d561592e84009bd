"""Make HTML pages (their beginning, and templates that escape all text), and PDF by typst.

A page loads nothing from other places, and runs no script but its own. For typst, text is data and
never markup. No font of the system is read: DejaVu Sans covers Latin, Greek, Cyrillic, Arabic and
Hebrew, Noto Sans Devanagari its script.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mammolens.wording import printable

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["FONTS", "breakable", "page_start", "templates", "typeset"]

FONTS: Final = ("DejaVu Sans", "Noto Sans Devanagari")
"""The first comes with matplotlib."""
_LONG: Final = re.compile(r"(\S{24})(?=\S)")
_MAY_BREAK: Final = "\\g<1>\N{ZERO WIDTH SPACE}"


@lru_cache
def templates(package: str) -> Environment:
    """Give the Jinja2 templates in the folder of a package.

    All text is escaped, and characters that cannot be shown safely are replaced; only
    `markupsafe.Markup` is not changed. A missing variable of a template is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    return printable(value) if type(value) is str else value


def page_start(title: str, style: str, script: str = "") -> str:
    """Make the beginning of a page, up to its open body.

    Its Content-Security-Policy allows only pictures within the page or beside it, and only
    `script`. If text of a header came into the page without escaping, it could do no harm.

    Parameters
    ----------
    title
        Plain text; it is escaped.
    style
        CSS of the page.
    script
        The only script that the page may run, exactly as it is in the page. If it is empty, the
        page may run no script.

    Returns
    -------
    HTML from the doctype to the opening tag of the body.

    Source: W3C Content Security Policy Level 3.
    """
    hashed = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    runs = f"'sha256-{hashed}'" if script else "'none'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data: file: 'self'; style-src 'unsafe-inline'; "
        f"script-src {runs}; base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><link rel="icon" href="data:,">'
        f"<title>{escape(printable(title))}</title>\n"
        f"<style>\n{style}</style></head>\n<body>"
    )


def typeset(template: bytes, report: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Set a report.

    Parameters
    ----------
    template
        The typst source, which reads ``report.json``.
    report
        What it reads.
    files
        Charts and pictures by the names that `report` calls them by.

    Raises
    ------
    ImportError
        The extra ``report`` is not installed.
    OSError
        The system's temporary folder has no space.
    """
    import typst

    fonts = resources.files("mammolens") / "fonts"
    with resources.as_file(fonts) as own, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        (folder / "report.json").write_text(json.dumps(breakable(report)), "utf-8")
        (folder / "report.typ").write_bytes(template)
        return typst.compile(
            folder / "report.typ",
            root=folder,
            font_paths=[_dejavu(), own],
            ignore_system_fonts=True,
        )


def breakable(value: Any) -> Any:
    """Make every text of a structure printable, and let long names break anywhere."""
    match value:
        case str():
            return _LONG.sub(_MAY_BREAK, printable(value))
        case Mapping():
            return {name: breakable(inner) for name, inner in value.items()}
        case Sequence():
            return [breakable(inner) for inner in value]
        case _:
            return value


def _dejavu() -> Path:
    """Find the fonts that matplotlib brings, without loading it."""
    found = find_spec("matplotlib")
    if found is None or not found.submodule_search_locations:
        raise ImportError("matplotlib is not installed", name="matplotlib")
    return Path(found.submodule_search_locations[0], "mpl-data", "fonts", "ttf")
