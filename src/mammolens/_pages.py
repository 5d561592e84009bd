"""Parts that all HTML pages share: the beginning of a page, and templates that escape all text.

A page loads nothing from other places, and runs no script but its own.
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
    """Give the Jinja2 templates in the folder of a package.

    All text is escaped, and characters that cannot be shown safely are replaced; only
    `markupsafe.Markup` is not changed. A missing variable of a template is an error.

    Parameters
    ----------
    package
        Full name of the package.
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
