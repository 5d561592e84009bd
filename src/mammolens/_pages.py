"""How every HTML page begins: it loads nothing from elsewhere, and runs nothing of others."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from mammolens.wording import printable

__all__ = ["page_start"]


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
