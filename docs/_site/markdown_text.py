"""Small pieces of Markdown: tables, and paragraphs from docstrings and help texts."""

from __future__ import annotations

import re

__all__ = ["first_paragraph", "plain", "table"]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of Markdown; bars within a cell are escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def plain(text: str) -> str:
    """One paragraph of Markdown from a docstring or a help text."""
    text = re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.replace("\f", " ").split()))
    text = re.sub(r"(?<![`\w])(MAMMOLENS_\w+)", r"`\1`", text)
    return text[:1].upper() + text[1:] if text else ""


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring."""
    return plain((text or "").strip().split("\n\n")[0])
