"""Links to signed reports, consents of patients, and the role of a community health worker."""

from __future__ import annotations

from alembic import op

from mammolens.serve.record.migrations.steps import add_parts, make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0011"
down_revision: str | None = "v0010"

ALLOWED = "role IN ('uploader', 'reader', 'arbiter', 'administrator', 'health_worker')"


def upgrade() -> None:
    """Make empty tables, and allow one more role."""
    make_tables(revision, "shares", "consents")
    add_parts(revision, "uploads")
    _allow_health_workers()


def _allow_health_workers() -> None:
    """Replace the constraint of `roles.role`; SQLite can only copy the table."""
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint("ck_roles_role", "roles", type_="check")
        op.create_check_constraint("ck_roles_role", "roles", ALLOWED)
        return
    op.drop_index("ix_roles_site_id", "roles")
    op.rename_table("roles", "roles_before")
    make_tables(revision, "roles")
    op.execute("INSERT INTO roles SELECT person_id, site_id, role FROM roles_before")
    op.drop_table("roles_before")
