"""Links to signed reports, consents of patients, and the role of a community health worker."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.utc import UtcTime

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0011"
down_revision: str | None = "v0010"
branch_labels: str | None = None
depends_on: str | None = None

BEFORE = ("uploader", "reader", "arbiter", "administrator")
ROLES = (*BEFORE, "health_worker")


def upgrade() -> None:
    """Make empty tables, and allow one more role."""
    op.create_table(
        "shares",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("expires_at", UtcTime(), nullable=False),
        sa.Column("opened_at", UtcTime(), nullable=True),
        sa.Column("revoked_at", UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["exam_id"], ["exams.id"], name="fk_shares_exam_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["readings.id"], name="fk_shares_reading_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_shares_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_shares"),
        sa.UniqueConstraint("token_hash", name="uq_shares_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shares_exam_id", "shares", ["exam_id"], unique=False)
    op.create_index("ix_shares_reading_id", "shares", ["reading_id"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("text_version", sa.String(length=16), nullable=False),
        sa.Column("text_digest", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("said", sa.LargeBinary(), nullable=False),
        sa.Column("given_at", UtcTime(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exam_id"], ["exams.id"], name="fk_consents_exam_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_consents_site_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_consents_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
    )
    op.create_index("ix_consents_exam_id", "consents", ["exam_id"], unique=False)
    op.add_column("uploads", sa.Column("consent_id", sa.String(length=64), nullable=True))
    _allow(ROLES)


def downgrade() -> None:
    """Remove the tables, and the role from everybody."""
    op.execute("DELETE FROM roles WHERE role = 'health_worker'")
    _allow(BEFORE)
    op.drop_column("uploads", "consent_id")
    op.drop_table("consents")
    op.drop_table("shares")


def _allow(roles: Sequence[str]) -> None:
    """Replace the constraint of `roles.role`; SQLite can only copy the table."""
    allowed = f"role IN ({', '.join(repr(role) for role in roles)})"
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("ck_roles_role", "roles", type_="check")
        op.create_check_constraint("ck_roles_role", "roles", allowed)
        return
    op.create_table(
        "roles_new",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.CheckConstraint(allowed, name="ck_roles_role"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_roles_person_id"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_roles_site_id"),
        sa.PrimaryKeyConstraint("person_id", "site_id", "role", name="pk_roles"),
    )
    op.execute("INSERT INTO roles_new SELECT person_id, site_id, role FROM roles")
    op.drop_table("roles")
    op.rename_table("roles_new", "roles")
    op.create_index("ix_roles_site_id", "roles", ["site_id"], unique=False)
