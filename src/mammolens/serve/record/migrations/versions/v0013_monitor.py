"""The drift monitor, its alarms, and messages to people by e-mail and webhook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.new_tables import make_numbered_table, work_columns
from mammolens.serve.record.table_parts import UtcTime, partial_index

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0013"
down_revision: str | None = "v0012"


def upgrade() -> None:
    """Make empty tables: monitors learn from the exams that come from now on."""
    op.add_column("people", sa.Column("email", sa.String(254)))
    op.add_column(
        "sites", sa.Column("notice_mail", sa.Boolean, server_default=sa.false(), nullable=False)
    )
    make_numbered_table(
        "observations",
        sa.Column("source", sa.String(32), nullable=False, unique=True),
        sa.Column(
            "exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("site_id", sa.ForeignKey("sites.id")),
        sa.Column("machine", sa.String(120), nullable=False),
        sa.Column("software", sa.String(120), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("measures", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("taken", sa.Boolean, nullable=False),
        partial_index(
            "ix_observations_waiting", sa.column("taken").is_(sa.false()), "id", unique=False
        ),
        sa.Index("ix_observations_site", "site_id", "id"),
        sa.Index("ix_observations_machine", "site_id", "machine", "id"),
        sa.Index("ix_observations_software", "site_id", "software", "id"),
    )
    make_numbered_table(
        "monitors",
        sa.Column("site_id", sa.ForeignKey("sites.id"), index=True),
        sa.Column("partition", sa.String(16), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("key", sa.String(160), nullable=False, unique=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("muted_until", UtcTime),
        sa.Column("changed_at", UtcTime, nullable=False),
    )
    make_numbered_table(
        "alarms",
        sa.Column("monitor_id", sa.ForeignKey("monitors.id"), nullable=False, index=True),
        sa.Column("measure", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("n_before", sa.Integer, nullable=False),
        sa.Column("n_after", sa.Integer, nullable=False),
        sa.Column("mean_before", sa.Float, nullable=False),
        sa.Column("mean_after", sa.Float, nullable=False),
        sa.Column("raised_at", UtcTime, nullable=False),
        sa.Column("acknowledged_by", sa.ForeignKey("people.id")),
        sa.Column("acknowledged_at", UtcTime),
        sa.Column("ended_by", sa.ForeignKey("people.id")),
        sa.Column("ended_at", UtcTime),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="acknowledged"
        ),
    )
    make_numbered_table(
        "alerts",
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("person_id", sa.ForeignKey("people.id")),
        sa.Column("site_id", sa.ForeignKey("sites.id")),
        sa.Column("notice_id", sa.Integer),
        sa.Column("total", sa.Integer, nullable=False),
        *work_columns(),
        sa.CheckConstraint("channel IN ('mail', 'webhook')", name="channel"),
        sa.CheckConstraint("kind IN ('drift', 'notice', 'reminder')", name="kind"),
        sa.CheckConstraint("(channel = 'mail') = (person_id IS NOT NULL)", name="recipient"),
        sa.Index("ix_alerts_ready", "state", "not_before"),
    )
