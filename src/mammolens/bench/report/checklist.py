"""Reporting checklists that fill themselves from a run, and say what only the authors can.

The numbers are the official ones, the words ours. An item is reported, reported in part, or open;
nothing is claimed that the run does not know, and no place is named that the report lacks.
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
DEVELOPMENT: Final = "of development only: open where the study reports that too"
"""The states of an item."""


@dataclass(frozen=True)
class Known:
    """What a run knows of itself: its metrics, and the sections of its report by anchor."""

    metrics: Mapping[str, Any]
    places: Mapping[str, str]

    @property
    def model(self) -> str:
        """Name and version of the model, or of the scores where no model is known."""
        return model_name(self.metrics)

    @property
    def packaged(self) -> bool:
        """Whether a model package made the scores, or they were given."""
        return bool(self.metrics["model"])

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return tuple(self.metrics["datasets"])


@dataclass(frozen=True)
class Answer:
    """What the run says to an item, in which section, and whether that is all of it."""

    words: str
    place: str
    whole: bool = False


@dataclass(frozen=True)
class Item:
    """One item of a checklist; `answer` is ``None`` where no run can know.

    `studies` are those that the item is asked of: ``D`` development, ``E`` evaluation, ``D;E``.
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
    """An item with its state; `place` is a section's title, empty where the run says nothing."""

    item: Item
    state: str
    words: str
    place: str


def fill(items: Sequence[Item], known: Known) -> tuple[Filled, ...]:
    """Answer a checklist's items from a run.

    An answer whose section the report lacks counts as none.
    """
    return tuple(_filled(item, known) for item in items)


def _filled(item: Item, known: Known) -> Filled:
    answer = item.answer(known) if item.answer else None
    if answer is None or answer.place not in known.places:
        return Filled(item, DEVELOPMENT if item.studies == "D" else OPEN, "", "")
    state = REPORTED if answer.whole else PARTLY
    return Filled(item, state, answer.words, known.places[answer.place])
