"""People with their roles, sessions and API tokens; sites, and the site of an exam."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.new_tables import make_numbered_table, make_table
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0006"
down_revision: str | None = "v0005"


def upgrade() -> None:
    """Make the tables, and give exams a site, which is unknown for those that are there."""
    make_numbered_table(
        "sites",
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    make_numbered_table(
        "people",
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("display_name", sa.String(128), nullable=False),
        sa.Column("is_administrator", sa.Boolean, nullable=False),
        sa.Column("subject", sa.String(64), unique=True),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("password_until", UtcTime),
        sa.Column("totp_secret", sa.String(64)),
        sa.Column("totp_offered", sa.String(64)),
        sa.Column("totp_step", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("disabled_at", UtcTime),
        sa.CheckConstraint("name = lower(name)", name="name"),
        sa.CheckConstraint("password_until IS NULL OR password_hash IS NOT NULL", name="password"),
        sa.CheckConstraint("subject IS NULL OR password_hash IS NULL", name="method"),
    )
    make_table(
        "roles",
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("site_id", sa.ForeignKey("sites.id"), nullable=False, index=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "site_id", "role"),
        sa.CheckConstraint(
            "role IN ('uploader', 'reader', 'arbiter', 'administrator')", name="role"
        ),
    )
    make_numbered_table(
        "sessions",
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("code_passed", sa.Boolean, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.CheckConstraint("method IN ('password', 'provider')", name="method"),
    )
    make_numbered_table(
        "api_tokens",
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("used_at", UtcTime),
        sa.Column("revoked_at", UtcTime),
    )
    # Written out: alembic would add the constraint by itself, which SQLite cannot do afterwards.
    op.execute(
        "ALTER TABLE exams ADD COLUMN site_id INTEGER"
        " CONSTRAINT fk_exams_site_id REFERENCES sites (id)"
    )
    op.create_index("ix_exams_site_id", "exams", ["site_id"])
