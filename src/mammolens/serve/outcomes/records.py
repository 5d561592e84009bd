"""Outcomes as people and programs see them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from mammolens.serve.outcomes.places import ViewPlace
from mammolens.serve.record import OutcomeState, from_row

__all__ = [
    "Decision",
    "ExamChoice",
    "ExamOutcomes",
    "OutcomeDetail",
    "OutcomeRow",
    "OutcomesPage",
    "PlacedOutcome",
    "outcome_row",
]


@dataclass(frozen=True)
class OutcomeRow:
    """An outcome: what was proposed and what a person decided, without text of the report."""

    id: int
    version: int
    state: OutcomeState
    site_id: int | None
    exam_id: int | None
    taken: str | None
    proposed: dict[str, Any]
    decided: dict[str, Any] | None
    reasons: list[tuple[str, str]]
    """(code, words of the grammar in English)"""
    changed_at: datetime


@dataclass(frozen=True)
class OutcomesPage:
    """Some outcomes, the newest first; `next` is where the next page begins."""

    items: list[OutcomeRow]
    next: int | None


@dataclass(frozen=True)
class ExamChoice:
    """An exam that may be meant."""

    id: int
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None
    birth_date: str | None
    study_date: str | None


@dataclass(frozen=True)
class Decision:
    """What a person decided, and what the grammar had proposed then."""

    person: str
    at: datetime
    exam_id: int | None
    proposed: dict[str, Any]
    decided: dict[str, Any]


@dataclass(frozen=True)
class OutcomeDetail:
    """An outcome with the text of its report.

    `evidence` are ranges of `text`, [start, end), with the name of the field that each proves.
    `places` are where the biopsy lies in the views of its exam.
    """

    row: OutcomeRow
    text: str
    evidence: list[tuple[str, int, int]]
    candidates: list[ExamChoice]
    places: list[ViewPlace]
    decisions: list[Decision]


@dataclass(frozen=True)
class PlacedOutcome:
    """An outcome with where it lies in the views of its exam."""

    row: OutcomeRow
    places: list[ViewPlace]


@dataclass(frozen=True)
class ExamOutcomes:
    """The outcomes of an exam; `hidden` until the person's own first answer is locked."""

    hidden: bool
    items: list[PlacedOutcome]


def outcome_row(row: sa.Row[Any]) -> OutcomeRow:
    """Read an outcome from its row of the table."""
    return from_row(
        OutcomeRow,
        row,
        state=OutcomeState(row.state),
        proposed=json.loads(row.proposed),
        decided=json.loads(row.decided) if row.decided else None,
        reasons=[tuple(one) for one in json.loads(row.reasons)],
    )
