"""What every HTML page has in common: its beginning, and templates that escape what is put in.

A page loads nothing from elsewhere and runs nothing of others.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from mammolens.wording import printable

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page_start", "templates"]


@lru_cache
def templates(package: str) -> Environment:
    """Give the Jinja2 templates that lie in a package.

    All text is escaped, and what cannot be shown safely is replaced, wherever a template puts it;
    only `markupsafe.Markup` stays as it is. A name that a template does not get is an error.

    Parameters
    ----------
    package
        Its full name.
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
    """Begin a page up to its open body.

    Its Content-Security-Policy lets it load nothing but pictures that lie inside or beside it, and
    run nothing but `script`: text from a header that got into the page unescaped could do nothing.

    Parameters
    ----------
    title
        Plain text; it is escaped.
    style
        CSS, put into the page.
    script
        The one script that the page may run, as it will stand in it; none may if empty.

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
