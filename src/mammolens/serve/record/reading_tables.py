"""The tables of reading: what people answered about exams, and what follows from it.

An exam is read in *rounds*: a round is open until its answer stands; images that come afterwards
make another round necessary. Within a round each reader has one *reading*. The constraints hold
that one person signs as the first reader, one as the second and one as the arbiter. A *share* lets
a referring doctor read one signed report without an account.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.table_parts import (
    METADATA,
    UtcTime,
    numbered_table,
    one_of,
    partial_index,
)

__all__ = [
    "ADDENDA",
    "AI_VIEWS",
    "NOTICES",
    "OPINIONS",
    "READINGS",
    "RECALLS",
    "ROUNDS",
    "SHARES",
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


ROUNDS: Final = numbered_table(
    "reading_rounds",
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("is_double", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("recall", sa.Boolean),
    sa.Column("opened_at", UtcTime, nullable=False),
    sa.Column("decided_at", UtcTime),
    sa.UniqueConstraint("exam_id", "number"),
    one_of("state", RoundState),
    sa.CheckConstraint(
        "(state = 'decided') = (decided_at IS NOT NULL)"
        " AND (state = 'decided') = (version IS NOT NULL)",
        name="decided",
    ),
    partial_index("uq_reading_rounds_open", sa.column("decided_at").is_(None), "exam_id"),
)
"""`version` is the version of the exam that everybody who signed has seen."""

OPINIONS: Final = numbered_table(
    "opinions",
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
    sa.Column("asked_by", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    partial_index("uq_opinions_asked", sa.column("ended_at").is_(None), "exam_id", "person_id"),
)
"""Somebody who is asked for an opinion sees this one exam until `ended_at`, wherever they work."""

READINGS: Final = numbered_table(
    "readings",
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
    one_of("role", ReadingRole),
    one_of("state", ReadingState),
    one_of("slot", ReadingSlot),
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
    sa.Index("ix_readings_exam_id", "exam_id", "person_id"),
    sa.Index("ix_readings_person_id", "person_id", "state"),
)
"""`answer` (JSON) is the answer as it is now, `first_answer` what was locked before the AI was
shown, and `blinded` whether the person had not seen the AI until then; `agreed` says that they kept
it afterwards, knowing the result `ai_result_id`. `exam_version` is what they have looked at last,
`edition` counts changes."""

AI_VIEWS: Final = sa.Table(
    "ai_views",
    METADATA,
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("exam_id", "person_id"),
)
"""Who was shown what the AI says of an exam, and when first."""

ADDENDA: Final = numbered_table(
    "addenda",
    sa.Column("reading_id", sa.ForeignKey("readings.id"), nullable=False, index=True),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("exam_version", sa.Integer, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)

NOTICES: Final = numbered_table(
    "notices",
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
)
"""Urgent findings, which somebody at the exam's site must acknowledge."""

RECALLS: Final = numbered_table(
    "recalls",
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
    partial_index("uq_recalls_open", sa.column("closed_at").is_(None), "exam_id"),
)
"""Patients to be called back: listed until somebody says what became of it."""

SHARES: Final = numbered_table(
    "shares",
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column(
        "reading_id", sa.ForeignKey("readings.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("code_hash", sa.String(64), nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("openings", sa.Integer, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("opened_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
)
"""`token_hash` is the SHA-256 of the random part of the link, `code_hash` that of token and code
together: whoever reads this table can open nothing. `failures` counts wrong codes."""
