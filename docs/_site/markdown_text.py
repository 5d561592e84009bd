"""Small pieces of Markdown: tables, and paragraphs from docstrings and help texts."""

from __future__ import annotations

import re

__all__ = ["first_paragraph", "plain", "table"]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table of Markdown; bars outside of code are escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in lines)


def _cell(text: str) -> str:
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else p.replace("|", "\\|") for p in parts)


def plain(text: str) -> str:
    """One paragraph of Markdown from a docstring or a help text."""
    text = re.sub(r"``([^`]+)``", r"`\1`", " ".join(text.replace("\f", " ").split()))
    text = re.sub(r"(?<![`\w])(MAMMOLENS_\w+)", r"`\1`", text)
    address = "://" in text.partition(" ")[0]
    return text if address else text[:1].upper() + text[1:]


def first_paragraph(text: str | None) -> str:
    """The first paragraph of a docstring."""
    return plain((text or "").strip().split("\n\n")[0])
