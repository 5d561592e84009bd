"""People with their roles, sessions and API tokens; sites, and the site of an exam."""

from __future__ import annotations

from alembic import op

from mammolens.serve.record.migrations.steps import add_parts, make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0006"
down_revision: str | None = "v0005"


def upgrade() -> None:
    """Make the tables, and give exams a site, which is unknown for those that are there."""
    make_tables(revision, "sites", "people", "roles", "sessions", "api_tokens")
    # Written out: alembic would add the constraint by itself, which SQLite cannot do afterwards.
    op.execute(
        "ALTER TABLE exams ADD COLUMN site_id INTEGER"
        " CONSTRAINT fk_exams_site_id REFERENCES sites (id)"
    )
    add_parts(revision, "exams")
