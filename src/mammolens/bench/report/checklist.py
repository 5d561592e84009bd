"""Reporting checklists: fill the items from a run, and list the items that the authors must fill.

Item numbers are the official ones; the texts are ours. An item is reported, reported in part, or
open. An answer states only what the run knows, and names only sections that the report has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mammolens.bench.report.phrases import model_name

__all__ = [
    "DEVELOPMENT",
    "OPEN",
    "PARTLY",
    "REPORTED",
    "Answer",
    "Checklist",
    "Filled",
    "Item",
    "Known",
    "fill",
]

REPORTED: Final = "reported"
PARTLY: Final = "in part; the rest is open"
OPEN: Final = "open: to be filled by the authors"
DEVELOPMENT: Final = "for development only: open if the study reports it too"
"""The states of an item."""


@dataclass(frozen=True)
class Known:
    """The facts of a run: its metrics, and the sections of its report (anchor → title)."""

    metrics: Mapping[str, Any]
    places: Mapping[str, str]

    @property
    def model(self) -> str:
        """Name and version of the model, or the name of the scores if no model is known."""
        return model_name(self.metrics)

    @property
    def packaged(self) -> bool:
        """Whether a model package made the scores; otherwise they come from a file."""
        return bool(self.metrics["model"])

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return tuple(self.metrics["datasets"])


@dataclass(frozen=True)
class Answer:
    """The run's answer to an item, its section in the report, and whether it is complete."""

    words: str
    place: str
    whole: bool = False


@dataclass(frozen=True)
class Item:
    """One item of a checklist; `answer` is ``None`` if no run can give one.

    `studies` are the kinds of study that must report it: ``D`` development, ``E`` evaluation, or
    ``D;E``.
    """

    number: str
    topic: str
    ask: str
    answer: Callable[[Known], Answer | None] | None = None
    studies: str = "D;E"


@dataclass(frozen=True)
class Checklist:
    """A checklist and where it was published."""

    name: str
    citation: str
    address: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Filled:
    """An item with its state; `place` is the title of a section, empty if there is no answer."""

    item: Item
    state: str
    words: str
    place: str


def fill(items: Sequence[Item], known: Known) -> tuple[Filled, ...]:
    """Fill the items of a checklist from a run.

    If the report does not have the section of an answer, the item stays open.
    """
    return tuple(_fill_item(item, known) for item in items)


def _fill_item(item: Item, known: Known) -> Filled:
    answer = item.answer(known) if item.answer else None
    if answer is None or answer.place not in known.places:
        return Filled(item, DEVELOPMENT if item.studies == "D" else OPEN, "", "")
    state = REPORTED if answer.whole else PARTLY
    return Filled(item, state, answer.words, known.places[answer.place])
