"""Render a document as Markdown; pictures are linked, not included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mammolens import DISCLAIMER
from mammolens.bench.report.document import Alarm, Block, Bullets, Document, Heading, Table, Text

__all__ = ["render_markdown"]


def render_markdown(document: Document, pictures: Sequence[str] = ()) -> str:
    """Render a document as Markdown, without its charts.

    Parameters
    ----------
    pictures
        Names of picture files in the same folder; links to them are added at the end.
    """
    blocks = [f"# {document.title}", f"**{DISCLAIMER}**"]
    for section in document.sections:
        if words := [*_words((*section.blocks, *section.details))]:
            blocks += [f"## {section.title}", *words]
    return "\n\n".join([*blocks, *(f"![{name}]({name})" for name in pictures)]) + "\n"


def _words(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Text(words):
                yield _plain(words)
            case Alarm(words):
                yield f"**Warning.** {_plain(words)}"
            case Heading(words, _):
                yield f"### {_plain(words)}"
            case Bullets(items):
                yield "\n".join(f"- {_plain(item)}" for item in items)
            case Table():
                yield f"### {_plain(block.caption)}"
                lines = [block.head, ["---"] * len(block.head), *block.rows]
                yield "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in lines)
                if block.note:
                    yield _plain(block.note)
            case _:
                pass


def _plain(text: str) -> str:
    """Remove line breaks and tags from text."""
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")
