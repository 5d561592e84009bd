"""The first tables: instances, exams, jobs, results, files, deliveries, and the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.work_columns import work_columns
from mammolens.serve.record.utc import UtcTime

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
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
        sa.UniqueConstraint("hash", name="uq_audit_hash"),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_audit_head_one"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.create_table(
        "exams",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=True),
        sa.Column("accession_number", sa.String(length=64), nullable=True),
        sa.Column("first_received_at", UtcTime(), nullable=False),
        sa.Column("last_received_at", UtcTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("queued_version", sa.Integer(), nullable=False),
        sa.Column("four_views", sa.Boolean(), nullable=False),
        sa.CheckConstraint("queued_version <= version", name="ck_exams_versions"),
        sa.PrimaryKeyConstraint("id", name="pk_exams"),
        sa.UniqueConstraint(
            "study_instance_uid", "identity", name="uq_exams_study_instance_uid_identity"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "instances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("view", sa.String(length=8), nullable=True),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.Column("exam_version", sa.Integer(), nullable=True),
        sa.Column("sender", sa.String(length=128), nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.CheckConstraint("(role = 'ignored') = (exam_id IS NULL)", name="ck_instances_exam"),
        sa.CheckConstraint(
            "role IN ('input', 'copy', 'rival', 'refused', 'ignored')", name="ck_instances_role"
        ),
        sa.CheckConstraint(
            "(exam_id IS NULL) = (exam_version IS NULL)", name="ck_instances_version"
        ),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_instances_exam_id"),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
        sa.UniqueConstraint(
            "sop_instance_uid", "digest", name="uq_instances_sop_instance_uid_digest"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_instances_digest", "instances", ["digest"], unique=False)
    op.create_index(
        "uq_instances_first",
        "instances",
        ["exam_id", "sop_instance_uid"],
        unique=True,
        sqlite_where=sa.text("role = 'input'"),
        postgresql_where=sa.text("role = 'input'"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *work_columns("jobs"),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_jobs_exam_id"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("exam_id", "version", name="uq_jobs_exam_id_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_ready", "jobs", ["state", "not_before"], unique=False)
    op.create_index(
        "uq_jobs_open",
        "jobs",
        ["exam_id"],
        unique=True,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("supersedes", sa.Integer(), nullable=True),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("malignancy", sa.Float(), nullable=True),
        sa.Column("tumour", sa.Float(), nullable=True),
        sa.Column("n_images", sa.Integer(), nullable=False),
        sa.Column("n_unreadable", sa.Integer(), nullable=False),
        sa.Column("cautions", sa.Text(), nullable=False),
        sa.Column("model_name", sa.String(length=128), nullable=False),
        sa.Column("model_version", sa.String(length=64), nullable=False),
        sa.Column("model_digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.CheckConstraint(
            "(category = 'failed') = (malignancy IS NULL)", name="ck_results_failed"
        ),
        sa.CheckConstraint("(revision = 1) = (supersedes IS NULL)", name="ck_results_supersedes"),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_results_exam_id"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_results_job_id"),
        sa.ForeignKeyConstraint(["supersedes"], ["results.id"], name="fk_results_supersedes"),
        sa.PrimaryKeyConstraint("id", name="pk_results"),
        sa.UniqueConstraint("exam_id", "revision", name="uq_results_exam_id_revision"),
        sa.UniqueConstraint("job_id", name="uq_results_job_id"),
        sa.UniqueConstraint("supersedes", name="uq_results_supersedes"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("result_id", sa.Integer(), nullable=False),
        sa.Column("sink", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=True),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name="fk_files_result_id"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.UniqueConstraint("result_id", "sink", "name", name="uq_files_result_id_sink_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_files_digest", "files", ["digest"], unique=False)
    op.create_index("ix_files_sop_instance_uid", "files", ["sop_instance_uid"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(length=64), nullable=False),
        *work_columns("deliveries"),
        sa.ForeignKeyConstraint(["exam_id"], ["exams.id"], name="fk_deliveries_exam_id"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_deliveries_file_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("file_id", "route", name="uq_deliveries_file_id_route"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_deliveries_ready", "deliveries", ["state", "route", "not_before"], unique=False
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for guard in SQLITE_GUARDS if sqlite else POSTGRESQL_GUARDS:
        op.execute(guard)
    op.execute(f"INSERT INTO audit_head (id, length, hash) VALUES (1, 0, '{FIRST_HASH}')")
