"""The drift monitor, its alarms, and messages to people by e-mail and webhook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.work_columns import work_columns
from mammolens.serve.record.utc import UtcTime

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0013"
down_revision: str | None = "v0012"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make empty tables: monitors learn from the exams that come from now on."""
    op.add_column("people", sa.Column("email", sa.String(length=254), nullable=True))
    op.add_column(
        "sites", sa.Column("notice_mail", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "observations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("machine", sa.String(length=120), nullable=False),
        sa.Column("software", sa.String(length=120), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("measures", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("taken", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exam_id"], ["exams.id"], name="fk_observations_exam_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_observations_site_id"),
        sa.PrimaryKeyConstraint("id", name="pk_observations"),
        sa.UniqueConstraint("source", name="uq_observations_source"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_observations_exam_id", "observations", ["exam_id"], unique=False)
    for name, more in (("site", []), ("machine", ["machine"]), ("software", ["software"])):
        columns = ["site_id", *more, "id"]
        op.create_index(f"ix_observations_{name}", "observations", columns, unique=False)
    op.create_index(
        "ix_observations_waiting",
        "observations",
        ["id"],
        unique=False,
        sqlite_where=sa.column("taken").is_(sa.false()),
        postgresql_where=sa.column("taken").is_(sa.false()),
    )
    op.create_table(
        "monitors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("partition", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("muted_until", UtcTime(), nullable=True),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_monitors_site_id"),
        sa.PrimaryKeyConstraint("id", name="pk_monitors"),
        sa.UniqueConstraint("key", name="uq_monitors_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_monitors_site_id", "monitors", ["site_id"], unique=False)
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=False),
        sa.Column("measure", sa.String(length=32), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("n_before", sa.Integer(), nullable=False),
        sa.Column("n_after", sa.Integer(), nullable=False),
        sa.Column("mean_before", sa.Float(), nullable=False),
        sa.Column("mean_after", sa.Float(), nullable=False),
        sa.Column("raised_at", UtcTime(), nullable=False),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.Column("acknowledged_at", UtcTime(), nullable=True),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(acknowledged_by IS NULL) = (acknowledged_at IS NULL)", name="ck_alarms_acknowledged"
        ),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitors.id"], name="fk_alarms_monitor_id"),
        sa.ForeignKeyConstraint(
            ["acknowledged_by"], ["people.id"], name="fk_alarms_acknowledged_by"
        ),
        sa.ForeignKeyConstraint(["ended_by"], ["people.id"], name="fk_alarms_ended_by"),
        sa.PrimaryKeyConstraint("id", name="pk_alarms"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alarms_monitor_id", "alarms", ["monitor_id"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("notice_id", sa.Integer(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        *work_columns("alerts"),
        sa.CheckConstraint("channel IN ('mail', 'webhook')", name="ck_alerts_channel"),
        sa.CheckConstraint("kind IN ('drift', 'notice', 'reminder')", name="ck_alerts_kind"),
        sa.CheckConstraint(
            "(channel = 'mail') = (person_id IS NOT NULL)", name="ck_alerts_recipient"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_alerts_person_id"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_alerts_site_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alerts_ready", "alerts", ["state", "not_before"], unique=False)


def downgrade() -> None:
    """Refuse: what monitors have learned and people have set would be lost."""
    raise NotImplementedError("the monitor is not taken away")
