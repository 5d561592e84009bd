"""The document of a report: sections of blocks, which the renderers turn into HTML, PDF, Markdown.

Text in a block is plain text, and each renderer escapes it. The first column of a table names its
rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

__all__ = [
    "Alarm",
    "Block",
    "Bullets",
    "Charts",
    "Document",
    "Figure",
    "Heading",
    "Pictures",
    "Section",
    "ShownCase",
    "Sources",
    "Table",
    "Text",
    "charts_together",
    "known_facts",
    "table_or_notes",
]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str


@dataclass(frozen=True)
class Alarm:
    """A warning that must not be overlooked."""

    words: str


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    words: str
    anchor: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head; the columns in `numeric` are aligned to the right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    note: str = ""

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.head)]
        if wrong:
            raise ValueError(f"{self.caption}: {len(self.head)} columns but the row {wrong[0]}")


@dataclass(frozen=True)
class Figure:
    """A chart as SVG; `alt` describes it in words, with its main figures."""

    title: str
    alt: str
    svg: str


@dataclass(frozen=True)
class ShownCase:
    """One picture (PNG), its description in words, and the lines below it."""

    png: bytes
    alt: str
    caption: tuple[str, ...]


@dataclass(frozen=True)
class Pictures:
    """Pictures beside each other, or below each other if each needs the `whole` width."""

    cases: tuple[ShownCase, ...]
    whole: bool = False


@dataclass(frozen=True)
class Sources:
    """Cited works: (citation, address)."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Charts:
    """Consecutive figures, which are shown beside each other."""

    figures: tuple[Figure, ...]


Block = Text | Alarm | Heading | Bullets | Table | Figure | Pictures | Sources


@dataclass(frozen=True)
class Section:
    """A titled part of the report, reached by its anchor.

    `details` are folded on the page and left out of the PDF.
    """

    title: str
    anchor: str
    blocks: tuple[Block, ...]
    details: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Document:
    """A whole report: its title, the facts below it as (name, value), and its sections."""

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def table_or_notes(
    caption: str,
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    notes: Sequence[str] = (),
    numeric: frozenset[int] = frozenset(),
    *,
    without: str = "None: ",
) -> Iterator[Table | Text]:
    """Give a table with its notes; without rows, the notes as text after the words `without`."""
    if rows:
        yield Table(caption, head, tuple(rows), numeric, "; ".join(notes))
    elif notes:
        yield Text(f"{without}{'; '.join(notes)}.")


def known_facts(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Give the facts of a document by name; values that are not known are left out."""
    return tuple((name, str(value)) for name, value in values.items() if value)


def charts_together(blocks: Sequence[Block]) -> Iterator[Block | Charts]:
    """Group consecutive figures into `Charts`; other blocks stay as they are."""
    for kind, group in groupby(blocks, type):
        if kind is Figure:
            yield Charts(tuple(block for block in group if isinstance(block, Figure)))
        else:
            yield from group
