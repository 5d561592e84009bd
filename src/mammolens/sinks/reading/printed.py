"""A report of a signed reading as a page and as a PDF, from one document.

The page holds its pictures and its style itself, runs no script and loads nothing. Its style is
allowed by its hash (`page_policy`), so that text of a header could do no harm even unescaped.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import asdict
from importlib import resources
from typing import Any, Final

from mammolens._pages import FONTS, templates, typeset
from mammolens.readings import SignedReading
from mammolens.sinks.reading.document import Document, make_document
from mammolens.sinks.reading.words import Wording

__all__ = ["page_policy", "reading_page", "reading_pdf"]

_HERE: Final = "mammolens.sinks.reading"


def reading_page(reading: SignedReading, say: Wording) -> bytes:
    """Give the report of a reading as an HTML page (UTF-8)."""
    from markupsafe import Markup

    document = make_document(reading, say)
    figures = [
        {"caption": one.caption, "data": base64.b64encode(one.png).decode("ascii")}
        for one in document.figures
    ]
    page = templates(_HERE).get_template("report.html")
    made = page.render(document=document, figures=figures, style=Markup(_style()))
    return made.encode("utf-8")


def reading_pdf(reading: SignedReading, say: Wording) -> bytes:
    """Give the report of a reading as a tagged PDF.

    Raises
    ------
    ImportError
        The extra ``report`` is not installed.
    """
    document = make_document(reading, say)
    files = {f"{number}.png": one.png for number, one in enumerate(document.figures)}
    template = (resources.files(_HERE) / "report.typ").read_bytes()
    return typeset(template, _data(document), files)


def page_policy() -> str:
    """Give the Content-Security-Policy that the page needs: its own style and pictures alone."""
    hashed = base64.b64encode(hashlib.sha256(_style().encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashed}'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; sandbox"
    )


def _data(document: Document) -> dict[str, Any]:
    values = asdict(document) | {"fonts": FONTS}
    values["figures"] = [
        {"file": f"{number}.png", "caption": one.caption}
        for number, one in enumerate(document.figures)
    ]
    return values


def _style() -> str:
    return (resources.files(_HERE) / "report.css").read_text("utf-8")
