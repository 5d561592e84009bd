"""The tables of reading: what people answered about exams, and what follows from it.

An exam is read in *rounds*: a round is open until its answer stands; images that come afterwards
make another round necessary. Within a round each reader has one *reading*. The constraints hold
that one person signs as the first reader, one as the second and one as the arbiter.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.tables import METADATA
from mammolens.serve.record.utc import UtcTime

__all__ = [
    "ADDENDA",
    "AI_VIEWS",
    "NOTICES",
    "OPINIONS",
    "READINGS",
    "RECALLS",
    "ROUNDS",
    "ReadingRole",
    "ReadingSlot",
    "ReadingState",
    "RoundState",
]


class ReadingRole(str, Enum):
    """Why somebody reads an exam."""

    READER = "reader"
    ARBITER = "arbiter"
    """Decides where two readers disagree, and sees what both said."""
    OPINION = "opinion"
    """Was asked for a second opinion, which decides nothing."""


class ReadingState(str, Enum):
    """How far a reading is."""

    DRAFT = "draft"
    LOCKED = "locked"
    """The first answer stands for good; what follows is kept beside it."""
    SIGNED = "signed"


class ReadingSlot(str, Enum):
    """As what a reading was signed; each is there once in a round."""

    FIRST = "first"
    SECOND = "second"
    ARBITER = "arbiter"


class RoundState(str, Enum):
    """How far the reading of an exam is."""

    OPEN = "open"
    DISPUTED = "disputed"
    """Two readers disagree: an arbiter is awaited."""
    DECIDED = "decided"


def _one_of(column: str, kinds: type[Enum], name: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{kind.value}'" for kind in kinds)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name)


ROUNDS: Final = sa.Table(
    "reading_rounds",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("is_double", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("recall", sa.Boolean),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("decided_at", UtcTime),
    sa.UniqueConstraint("exam_id", "number"),
    _one_of("state", RoundState, "state"),
    sa.CheckConstraint(
        "(state = 'decided') = (decided_at IS NOT NULL)"
        " AND (state = 'decided') = (version IS NOT NULL)",
        name="decided",
    ),
    sqlite_autoincrement=True,
)
"""`version` is the version of the exam that everybody who signed has seen."""
sa.Index(
    "uq_reading_rounds_open",
    ROUNDS.c.exam_id,
    unique=True,
    sqlite_where=ROUNDS.c.decided_at.is_(None),
    postgresql_where=ROUNDS.c.decided_at.is_(None),
)

OPINIONS: Final = sa.Table(
    "opinions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("asked_by", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sqlite_autoincrement=True,
)
"""Somebody who is asked for an opinion sees this one exam until `ended_at`, wherever they work."""
sa.Index(
    "uq_opinions_asked",
    OPINIONS.c.exam_id,
    OPINIONS.c.person_id,
    unique=True,
    sqlite_where=OPINIONS.c.ended_at.is_(None),
    postgresql_where=OPINIONS.c.ended_at.is_(None),
)
sa.Index("ix_opinions_person_id", OPINIONS.c.person_id)

READINGS: Final = sa.Table(
    "readings",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("round_id", sa.ForeignKey("reading_rounds.id")),
    sa.Column("opinion_id", sa.ForeignKey("opinions.id"), unique=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("slot", sa.String(16)),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("exam_version", sa.Integer, nullable=False),
    sa.Column("edition", sa.Integer, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("first_answer", sa.Text),
    sa.Column("first_version", sa.Integer),
    sa.Column("blinded", sa.Boolean),
    sa.Column("agreed", sa.Boolean),
    sa.Column("ai_result_id", sa.ForeignKey("results.id")),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
    sa.Column("locked_at", UtcTime),
    sa.Column("revised_at", UtcTime),
    sa.Column("signed_at", UtcTime),
    sa.UniqueConstraint("round_id", "person_id"),
    sa.UniqueConstraint("round_id", "slot"),
    _one_of("role", ReadingRole, "role"),
    _one_of("state", ReadingState, "state"),
    _one_of("slot", ReadingSlot, "slot"),
    sa.CheckConstraint(
        "(role = 'opinion') = (round_id IS NULL) AND (role = 'opinion') = (opinion_id IS NOT NULL)",
        name="asked",
    ),
    sa.CheckConstraint(
        "(slot IS NOT NULL) = (state = 'signed' AND role <> 'opinion')", name="signed_as"
    ),
    sa.CheckConstraint(
        "(state = 'draft') = (locked_at IS NULL)"
        " AND (locked_at IS NULL) = (first_answer IS NULL)"
        " AND (locked_at IS NULL) = (blinded IS NULL)"
        " AND (locked_at IS NULL) = (first_version IS NULL)",
        name="locked",
    ),
    sa.CheckConstraint("(state = 'signed') = (signed_at IS NOT NULL)", name="signed"),
    sa.CheckConstraint("(agreed IS NULL) = (revised_at IS NULL)", name="revised"),
    sqlite_autoincrement=True,
)
"""`answer` (JSON) is the answer as it is now, `first_answer` what was locked before the AI was
shown, and `blinded` whether the person had not seen the AI until then; `agreed` says that they kept
it afterwards, knowing the result `ai_result_id`. `exam_version` is what they have looked at last,
`edition` counts changes."""
sa.Index("ix_readings_exam_id", READINGS.c.exam_id, READINGS.c.person_id)
sa.Index("ix_readings_person_id", READINGS.c.person_id, READINGS.c.state)

AI_VIEWS: Final = sa.Table(
    "ai_views",
    METADATA,
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("exam_id", "person_id"),
)
"""Who was shown what the AI says of an exam, and when first."""

ADDENDA: Final = sa.Table(
    "addenda",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("reading_id", sa.ForeignKey("readings.id"), nullable=False, index=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("exam_version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)

NOTICES: Final = sa.Table(
    "notices",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False, index=True),
    sa.Column("reading_id", sa.ForeignKey("readings.id"), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("acknowledged_by", sa.ForeignKey("people.id")),
    sa.Column("acknowledged_at", UtcTime),
    sa.CheckConstraint(
        "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="acknowledged"
    ),
    sqlite_autoincrement=True,
)
"""Urgent findings, which somebody at the exam's site must acknowledge."""

RECALLS: Final = sa.Table(
    "recalls",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("reading_id", sa.ForeignKey("readings.id"), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("closed_at", UtcTime),
    sa.Column("closed_by", sa.ForeignKey("people.id")),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint(
        "(closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (reason IS NULL)",
        name="closed",
    ),
    sqlite_autoincrement=True,
)
"""Patients to be called back: listed until somebody says what became of it."""
sa.Index(
    "uq_recalls_open",
    RECALLS.c.exam_id,
    unique=True,
    sqlite_where=RECALLS.c.closed_at.is_(None),
    postgresql_where=RECALLS.c.closed_at.is_(None),
)
