"""Links to signed reports, consents of patients, and the role of a community health worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.new_tables import make_numbered_table, make_table
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0011"
down_revision: str | None = "v0010"

ALLOWED = "role IN ('uploader', 'reader', 'arbiter', 'administrator', 'health_worker')"


def upgrade() -> None:
    """Make empty tables, and allow one more role."""
    make_numbered_table(
        "shares",
        sa.Column(
            "exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column(
            "reading_id",
            sa.ForeignKey("readings.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
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
    make_table(
        "consents",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("exam_id", sa.ForeignKey("exams.id", ondelete="CASCADE"), index=True),
        sa.Column("site_id", sa.ForeignKey("sites.id"), nullable=False),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("text_version", sa.String(16), nullable=False),
        sa.Column("text_digest", sa.String(64), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("said", sa.LargeBinary, nullable=False),
        sa.Column("given_at", UtcTime, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.add_column("uploads", sa.Column("consent_id", sa.String(64)))
    _allow_health_workers()


def _allow_health_workers() -> None:
    """Replace the constraint of `roles.role`; SQLite can only copy the table."""
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("ck_roles_role", "roles", type_="check")
        op.create_check_constraint("ck_roles_role", "roles", ALLOWED)
        return
    op.create_table(
        "roles_new",
        sa.Column("person_id", sa.Integer, nullable=False),
        sa.Column("site_id", sa.Integer, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.CheckConstraint(ALLOWED, name="ck_roles_role"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_roles_person_id"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_roles_site_id"),
        sa.PrimaryKeyConstraint("person_id", "site_id", "role", name="pk_roles"),
    )
    op.execute("INSERT INTO roles_new SELECT person_id, site_id, role FROM roles")
    op.drop_table("roles")
    op.rename_table("roles_new", "roles")
    op.create_index("ix_roles_site_id", "roles", ["site_id"])
