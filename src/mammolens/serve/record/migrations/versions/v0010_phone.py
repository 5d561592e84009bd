"""Devices that keep data of a person, and answers that are given again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.utc import UtcTime

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0010"
down_revision: str | None = "v0009"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make empty tables."""
    op.create_table(
        "devices",
        sa.Column("id", sa.String(length=43), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("wrapped_key", sa.String(length=256), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.Column("wiped_at", UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(wiped_at IS NULL) = (wrapped_key IS NOT NULL)", name="ck_devices_wiped"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_devices_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
    )
    op.create_index("ix_devices_person_id", "devices", ["person_id", "wiped_at"], unique=False)
    op.create_table(
        "repeats",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_repeats_person_id"),
        sa.ForeignKeyConstraint(
            ["exam_id"], ["exams.id"], name="fk_repeats_exam_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_repeats"),
        sa.UniqueConstraint("person_id", "key", name="uq_repeats_person_id_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_repeats_created_at", "repeats", ["created_at"], unique=False)
    op.create_index("ix_repeats_exam_id", "repeats", ["exam_id"], unique=False)


def downgrade() -> None:
    """Remove the tables: devices can no longer be unlocked by a sign-in."""
    op.drop_table("repeats")
    op.drop_table("devices")
