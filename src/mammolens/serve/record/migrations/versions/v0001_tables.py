"""The first tables: instances, exams, jobs, results, files, deliveries, and the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.new_tables import (
    make_numbered_table,
    make_table,
    work_columns,
)
from mammolens.serve.record.table_parts import UtcTime, partial_index

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0001"
down_revision: str | None = None

FIRST_HASH = "0" * 64
SQLITE_GUARDS = (
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER audit_head_grows BEFORE UPDATE ON audit_head
    WHEN NEW.length <> OLD.length + 1
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
)
POSTGRESQL_GUARDS = (
    """CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$""",
    """CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """CREATE TRIGGER audit_head_grows BEFORE UPDATE ON audit_head
    FOR EACH ROW WHEN (NEW.length <> OLD.length + 1) EXECUTE FUNCTION audit_refuse()""",
)


def upgrade() -> None:
    """Make the tables, the guards of the audit trail and its head."""
    make_table(
        "audit",
        sa.Column("number", sa.Integer, autoincrement=False, primary_key=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("exam_id", sa.Integer),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
    )
    make_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, primary_key=True),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("id = 1", name="one"),
    )
    make_numbered_table(
        "exams",
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.Column("patient_id", sa.String(64)),
        sa.Column("accession_number", sa.String(64)),
        sa.Column("first_received_at", UtcTime, nullable=False),
        sa.Column("last_received_at", UtcTime, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("queued_version", sa.Integer, nullable=False),
        sa.Column("four_views", sa.Boolean, nullable=False),
        sa.CheckConstraint("queued_version <= version", name="versions"),
        sa.UniqueConstraint("study_instance_uid", "identity"),
    )
    make_numbered_table(
        "instances",
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("series_instance_uid", sa.String(64)),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64)),
        sa.Column("view", sa.String(8)),
        sa.Column("exam_id", sa.ForeignKey("exams.id")),
        sa.Column("exam_version", sa.Integer),
        sa.Column("sender", sa.String(128), nullable=False),
        sa.Column("received_at", UtcTime, nullable=False),
        sa.CheckConstraint("(role = 'ignored') = (exam_id IS NULL)", name="exam"),
        sa.CheckConstraint("role IN ('input', 'copy', 'rival', 'refused', 'ignored')", name="role"),
        sa.CheckConstraint("(exam_id IS NULL) = (exam_version IS NULL)", name="version"),
        sa.UniqueConstraint("sop_instance_uid", "digest"),
        partial_index(
            "uq_instances_first", sa.column("role") == "input", "exam_id", "sop_instance_uid"
        ),
    )
    make_numbered_table(
        "jobs",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        *work_columns(),
        sa.UniqueConstraint("exam_id", "version"),
        sa.Index("ix_jobs_ready", "state", "not_before"),
        partial_index("uq_jobs_open", sa.column("finished_at").is_(None), "exam_id"),
    )
    make_numbered_table(
        "results",
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("job_id", sa.ForeignKey("jobs.id"), nullable=False, unique=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("supersedes", sa.ForeignKey("results.id"), unique=True),
        sa.Column("category", sa.String(16), nullable=False),
        sa.Column("malignancy", sa.Float),
        sa.Column("tumour", sa.Float),
        sa.Column("n_images", sa.Integer, nullable=False),
        sa.Column("n_unreadable", sa.Integer, nullable=False),
        sa.Column("cautions", sa.Text, nullable=False),
        sa.Column("model_name", sa.String(128), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.CheckConstraint("(category = 'failed') = (malignancy IS NULL)", name="failed"),
        sa.CheckConstraint("(revision = 1) = (supersedes IS NULL)", name="supersedes"),
        sa.UniqueConstraint("exam_id", "revision"),
    )
    make_numbered_table(
        "files",
        sa.Column("result_id", sa.ForeignKey("results.id"), nullable=False),
        sa.Column("sink", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sop_class_uid", sa.String(64)),
        sa.Column("sop_instance_uid", sa.String(64), index=True),
        sa.UniqueConstraint("result_id", "sink", "name"),
    )
    make_numbered_table(
        "deliveries",
        sa.Column("file_id", sa.ForeignKey("files.id"), nullable=False),
        sa.Column("exam_id", sa.ForeignKey("exams.id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("route", sa.String(64), nullable=False),
        *work_columns(),
        sa.UniqueConstraint("file_id", "route"),
        sa.Index("ix_deliveries_ready", "state", "route", "not_before"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for guard in SQLITE_GUARDS if sqlite else POSTGRESQL_GUARDS:
        op.execute(guard)
    op.execute(f"INSERT INTO audit_head (id, length, hash) VALUES (1, 0, '{FIRST_HASH}')")
