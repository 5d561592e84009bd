"""The document of a report: sections of blocks, which the renderers turn into HTML, PDF, Markdown.

Text in a block is plain text, and each renderer escapes it. The first column of a table names its
rows. A value is never written without its interval, and a share never without its count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath
from typing import Any, Final

from mammolens.wording import estimate

__all__ = [
    "ALL",
    "TASK_WORDS",
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
    "capitalise",
    "charts_together",
    "count",
    "datasets_and_all",
    "datasets_with",
    "figure",
    "has_value",
    "interval_of",
    "join_words",
    "known_facts",
    "model_name",
    "n_and_positives",
    "scaled",
    "table_or_notes",
]

ALL: Final = "all data sets together"
TASK_WORDS: Final = {"malignancy": "malignancy", "tumour": "tumour (benign or malignant)"}
_MISSING: Final = "none"


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


def datasets_and_all(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Give each data set with its figures, and all together if there are several data sets."""
    found = list(metrics["datasets"].items())
    return [*found, (ALL, metrics)] if len(found) > 1 else found


def figure(found: Any, digits: int = 3) -> str:
    """Write a figure with its interval.

    Examples
    --------
    >>> figure({"value": 0.7971, "low": 0.733, "high": 0.8644})
    '0.797 (0.733–0.864)'
    >>> figure({"value": 1.0, "low": None, "high": None}), figure(None)
    ('1.000 (no interval)', 'none')
    """
    if not has_value(found):
        return _MISSING
    return estimate(found["value"], *interval_of(found), digits)


def has_value(found: Any) -> bool:
    """Say whether `found` is a figure of ``metrics.json`` that has a value."""
    return isinstance(found, Mapping) and isinstance(found.get("value"), int | float)


def scaled(found: Any, factor: int) -> Any:
    """Multiply a figure and its interval; what has no value stays as it is."""
    if not has_value(found):
        return found
    ends = {key: found[key] for key in ("value", "low", "high")}
    return {key: None if end is None else factor * end for key, end in ends.items()}


def datasets_with(
    metrics: Mapping[str, Any], section: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give each data set that has this section, with all its results."""
    return ((place, one) for place, one in metrics["datasets"].items() if one.get(section))


def interval_of(found: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Give the two ends of a figure's interval."""
    return found.get("low"), found.get("high")


def count(number: Any) -> str:
    """Write a count.

    Examples
    --------
    >>> count(12345), count(None)
    ('12,345', 'unknown')
    """
    return "unknown" if number is None else f"{int(number):,}"


def n_and_positives(found: Mapping[str, Any]) -> str:
    """Write from how many rows a figure comes, and how many of them are positive.

    Examples
    --------
    >>> n_and_positives({"n": 170, "n_positive": 88})
    '170 (88 positive)'
    """
    positive = found.get("n_positive")
    return count(found.get("n")) + ("" if positive is None else f" ({count(positive)} positive)")


def join_words(words: Sequence[str]) -> str:
    """Join words with commas and "and".

    Examples
    --------
    >>> join_words(["a", "b", "c"]), join_words(["a"])
    ('a, b and c', 'a')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def model_name(metrics: Mapping[str, Any]) -> str:
    """Give the name and version of the model, or the name of the file that gave the scores.

    Examples
    --------
    >>> model_name({"model": {"name": "a", "version": "1.0"}})
    'a 1.0'
    >>> model_name({"model": None, "predictions": {"path": "runs/scores.csv"}})
    'scores of scores.csv'
    >>> model_name({"model": None, "name": "a", "folds": [{}, {}]})
    'a over 2 folds'
    """
    model = metrics["model"]
    if model:
        return f"{model['name']} {model['version']}"
    if folds := metrics.get("folds"):
        return f"{metrics.get('name', 'a run')} over {len(folds)} folds"
    if members := metrics.get("members"):
        return f"the mean vote of {len(members)} runs"
    given = metrics.get("predictions") or {"path": "an unknown file"}
    return f"scores of {PurePath(given['path']).name}"


def capitalise(words: str) -> str:
    """Make the first letter a capital, and leave the rest as it is.

    Examples
    --------
    >>> capitalise("all of RSNA")
    'All of RSNA'
    """
    return words[:1].upper() + words[1:]
