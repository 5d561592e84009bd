"""A document as Markdown that can stand in another one as it is; pictures are named, not held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mammolens import DISCLAIMER
from mammolens.bench.report.document import Alarm, Block, Bullets, Document, Heading, Table, Text

__all__ = ["render_markdown"]


def render_markdown(document: Document, pictures: Sequence[str] = ()) -> str:
    """Write a document as Markdown; charts are left out.

    Parameters
    ----------
    pictures
        File names of figures that lie beside it, to be shown at the end.
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
    """Text from files: no line breaks, no tags."""
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")
