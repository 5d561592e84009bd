"""Reporting checklists: fill the items from a run, and list the items that the authors must fill.

Item numbers are the official ones; the texts are ours. An item is reported, reported in part, or
open. An answer states only what the run knows, and names only sections that the report has. The
checklists are ``claim.toml`` and ``tripod_ai.toml``; ``checklist_answers.toml`` has the answers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from mammolens.bench.report.document import model_name

__all__ = [
    "CHECKLISTS",
    "DEVELOPMENT",
    "OPEN",
    "PARTLY",
    "REPORTED",
    "Checklist",
    "Known",
    "fill",
    "read_checklist",
]

CHECKLISTS: Final = {"tripod-ai": "tripod_ai.toml", "claim": "claim.toml"}
"""Anchor of its section in a report → file of the checklist."""

# The four states of an item:
REPORTED: Final = "reported"
PARTLY: Final = "in part; the rest is open"
OPEN: Final = "open: to be filled by the authors"
DEVELOPMENT: Final = "for development only: open if the study reports it too"


@dataclass(frozen=True)
class Known:
    """What is known of a run: its metrics, and the sections of its report (anchor → title)."""

    metrics: Mapping[str, Any]
    places: Mapping[str, str]

    @property
    def facts(self) -> frozenset[str]:
        """Names of the facts that are true of the run; an answer may need some of them."""
        metrics = self.metrics
        recalibrated = [
            found
            for one in metrics["datasets"].values()
            for found in (one.get("calibration", {}).get("recalibration") or {}).values()
        ]
        facts = {
            "age": "without_age" in metrics,
            "folds": bool(metrics.get("folds")),
            "package": bool(metrics["model"]),
            "recalibration": any("before" in found for found in recalibrated),
            "several datasets": len(metrics["datasets"]) > 1,
            "split": bool(metrics.get("split")),
            "subgroups": "subgroups" in self.places,
        }
        return frozenset(name for name, true in facts.items() if true)

    @property
    def details(self) -> dict[str, Any]:
        """Values of the names in braces in an answer."""
        metrics = self.metrics
        return {
            "datasets": ", ".join(metrics["datasets"]),
            "digest": str((metrics["model"] or {}).get("digest"))[:16],
            "draws": metrics["bootstrap"]["draws"],
            "model": model_name(metrics),
            "n_rows": metrics["n_rows"],
            "n_unreadable": metrics["n_unreadable"],
            "software": metrics["software"],
            "split": metrics.get("split"),
        }


@dataclass(frozen=True)
class Item:
    """One item of a checklist; `answer` names an entry of the answers, and is empty without one.

    `studies` are the kinds of study that must report it: ``D`` development, ``E`` evaluation, or
    ``D;E``.
    """

    number: str
    topic: str
    ask: str
    answer: str = ""
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


def read_checklist(file: str) -> Checklist:
    """Read a checklist from its file in this package."""
    found = _read(file)
    return Checklist(**{**found, "items": tuple(Item(**item) for item in found["items"])})


def fill(items: Sequence[Item], known: Known) -> tuple[Filled, ...]:
    """Fill the items of a checklist from a run.

    If the report does not have the section of an answer, the item stays open.
    """
    return tuple(_fill_item(item, known) for item in items)


def _fill_item(item: Item, known: Known) -> Filled:
    answers = _read("checklist_answers.toml")[item.answer] if item.answer else []
    answer = next((one for one in answers if known.facts.issuperset(one.get("needs", ()))), None)
    if answer is None or answer["section"] not in known.places:
        return Filled(item, DEVELOPMENT if item.studies == "D" else OPEN, "", "")
    state = REPORTED if answer.get("whole") else PARTLY
    words = answer["words"].format_map(known.details)
    return Filled(item, state, words, known.places[answer["section"]])


@cache
def _read(file: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(file).read_text("utf-8"))
