"""The tables of outcomes: pathology reports, what they say of each specimen, what people decided.

A *report* is one version of a pathology report, as it came. An *outcome* is what the grammar reads
of one specimen of the version that counts, with the exam to which it belongs. A *decision* is what
a person said of an outcome; the newest stands, and none is ever changed. A *shadow score* is what
a second model says of an exam, which no reader is shown. A *clinical item* is what is stated of a
patient beside the images of an exam.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import sqlalchemy as sa

from mammolens.serve.record.table_parts import UtcTime, numbered_table, one_of

__all__ = [
    "CLINICAL_ITEMS",
    "DECISIONS",
    "OUTCOMES",
    "REPORTS",
    "SHADOW_SCORES",
    "OutcomeState",
    "without_outcomes",
]


class OutcomeState(str, Enum):
    """Where an outcome stands."""

    WAITING = "waiting"
    """A person must look: it, its exam or its place is unsure."""
    SETTLED = "settled"
    """Nothing of it is unsure."""
    DECIDED = "decided"
    """A person confirmed or corrected it."""
    WITHDRAWN = "withdrawn"
    """The laboratory withdrew the report, or a later version has no such specimen."""


REPORTS: Final = numbered_table(
    "pathology_reports",
    sa.Column("site_id", sa.ForeignKey("sites.id")),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("patient", sa.String(64), nullable=False, index=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("sender", sa.String(128), nullable=False),
    sa.Column("control_id", sa.String(64)),
    sa.Column("received_at", UtcTime, nullable=False),
)
"""`key` is equal for the versions of one report, `patient` for the reports of one patient; both
are hashes. `digest` is that of the content. `body` is JSON with the text, encrypted as identities
are."""

OUTCOMES: Final = numbered_table(
    "outcomes",
    sa.Column("report_id", sa.ForeignKey("pathology_reports.id"), nullable=False, index=True),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("specimen", sa.Integer, nullable=False),
    sa.Column("site_id", sa.ForeignKey("sites.id")),
    sa.Column("exam_id", sa.ForeignKey("exams.id"), index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("taken", sa.String(10)),
    sa.Column("proposed", sa.Text, nullable=False),
    sa.Column("decided", sa.Text),
    sa.Column("reasons", sa.Text, nullable=False),
    sa.Column("candidates", sa.Text, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
    sa.UniqueConstraint("key", "specimen"),
    one_of("state", OutcomeState),
    sa.CheckConstraint("state <> 'decided' OR decided IS NOT NULL", name="decided"),
    sa.Index("ix_outcomes_queue", "site_id", "state", "id"),
)
"""`proposed` and `decided` are JSON of values without text of the report; `reasons` (JSON) says why
it waits, `candidates` (JSON) which exams may be meant. `version` grows with every change."""

DECISIONS: Final = numbered_table(
    "outcome_decisions",
    sa.Column("outcome_id", sa.ForeignKey("outcomes.id"), nullable=False, index=True),
    sa.Column("report_id", sa.Integer, nullable=False),
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("exam_id", sa.Integer),
    sa.Column("proposed", sa.Text, nullable=False),
    sa.Column("decided", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)

SHADOW_SCORES: Final = numbered_table(
    "shadow_scores",
    sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("model_digest", sa.String(64), nullable=False),
    sa.Column("category", sa.String(16), nullable=False),
    sa.Column("malignancy", sa.Float),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.UniqueConstraint("exam_id", "version", "model_digest"),
    sa.CheckConstraint("(category = 'failed') = (malignancy IS NULL)", name="failed"),
)
"""Never shown to readers and in no result: only `mammolens outcomes shadow` reads it."""

CLINICAL_ITEMS: Final = numbered_table(
    "clinical_items",
    sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False),
    sa.Column("via", sa.String(16), nullable=False),
    sa.Column("name", sa.String(32), nullable=False),
    sa.Column("value", sa.String(64), nullable=False),
    sa.Column("laterality", sa.String(1)),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("stated_on", sa.Date),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Index("ix_clinical_items_exam_id", "exam_id", "id"),
)
"""`via` is who stated it, ``person`` or ``message``: each replaces its own as a whole. The
`value` is JSON, and `stated_on` is the day for which it was stated."""


def without_outcomes(outcomes: sa.ColumnElement[bool]) -> tuple[sa.Delete, ...]:
    """Give the statements, in their order, that delete outcomes, and reports that have none left.

    Parameters
    ----------
    outcomes
        Which rows of `OUTCOMES`.
    """
    which = sa.select(OUTCOMES.c.id).where(outcomes)
    reports = sa.select(OUTCOMES.c.key)
    return (
        DECISIONS.delete().where(DECISIONS.c.outcome_id.in_(which)),
        OUTCOMES.delete().where(outcomes),
        REPORTS.delete().where(REPORTS.c.key.not_in(reports)),
    )
