"""What a worklist shows of each exam; pictures, overlays, uploads, and what a person has set.

Exams that are there already get what results and objects in the tables say of them. Their headers
are looked at, and their pictures made, by the next worker that has nothing else to do.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.utc import UtcTime

__all__ = ["branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade"]

revision = "v0008"
down_revision: str | None = "v0007"
branch_labels: str | None = None
depends_on: str | None = None

BATCH = 500
RANKS = {"high": 0, "failed": 1, "withheld": 2, "intermediate": 3, "low": 4}


def upgrade() -> None:
    """Add the columns and tables, and fill them from the tables that are there."""
    for column in _columns():
        op.add_column("exams", column)
    _pictures()
    _uploads()
    _fill_views()
    _fill_results()
    op.execute(
        "INSERT INTO pictures (instance_id, state, attempts, not_before)"
        " SELECT id, 'waiting', 0, received_at FROM instances WHERE role IN ('input', 'refused')"
    )
    op.create_index("ix_instances_exam_id", "instances", ["exam_id", "role"])
    op.create_index("ix_exams_triage", "exams", ["rank", "first_received_at", "id", "site_id"])
    op.create_index("ix_exams_received", "exams", ["first_received_at", "id", "site_id"])
    op.create_index("ix_exams_patient_key", "exams", ["site_id", "patient_key"])
    op.create_index("ix_exams_patient_name", "exams", ["patient_name", "id"])


def _columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("patient_name", sa.String(length=256), nullable=True),
        sa.Column("birth_date", sa.String(length=10), nullable=True),
        sa.Column("sex", sa.String(length=16), nullable=True),
        sa.Column("age_years", sa.Float(), nullable=True),
        sa.Column("study_date", sa.String(length=10), nullable=True),
        sa.Column("patient_key", sa.String(length=64), nullable=True),
        sa.Column("search_text", sa.Text(), nullable=True),
        sa.Column("views", sa.String(length=64), nullable=True),
        sa.Column("banner", sa.String(length=200), nullable=True),
        sa.Column("rank", sa.Integer(), server_default="2", nullable=False),
        sa.Column("category", sa.String(length=16), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("prevalence", sa.Float(), nullable=True),
        sa.Column("doubts", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("model", sa.String(length=200), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
    )


def _pictures() -> None:
    op.create_table(
        "pictures",
        sa.Column("instance_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcTime(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("columns", sa.Integer(), nullable=True),
        sa.Column("facts", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'made', 'failed')", name="ck_pictures_state"),
        sa.CheckConstraint("(state = 'made') = (digest IS NOT NULL)", name="ck_pictures_made"),
        sa.ForeignKeyConstraint(["instance_id"], ["instances.id"], name="fk_pictures_instance_id"),
        sa.PrimaryKeyConstraint("instance_id", name="pk_pictures"),
    )
    op.create_index("ix_pictures_ready", "pictures", ["state", "not_before"])
    op.create_index("ix_pictures_digest", "pictures", ["digest"])
    op.create_table(
        "overlays",
        sa.Column("result_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name="fk_overlays_result_id"),
        sa.PrimaryKeyConstraint("result_id", name="pk_overlays"),
    )


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=43), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("problem", sa.String(length=64), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.CheckConstraint("state IN ('coming', 'whole', 'done')", name="ck_uploads_state"),
        sa.CheckConstraint("received >= 0 AND received <= length", name="ck_uploads_received"),
        sa.CheckConstraint("state = 'coming' OR received = length", name="ck_uploads_whole"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_uploads_person_id"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_uploads_site_id"),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_person_id", "uploads", ["person_id", "state"])
    op.create_index("ix_uploads_state", "uploads", ["state", "changed_at"])
    op.create_table(
        "upload_members",
        sa.Column("upload_id", sa.String(length=43), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("exam_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name="fk_upload_members_upload_id"),
        sa.PrimaryKeyConstraint("upload_id", "number", name="pk_upload_members"),
    )
    op.create_table(
        "preferences",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_preferences_person_id"),
        sa.PrimaryKeyConstraint("person_id", "name", name="pk_preferences"),
    )


def _fill_views() -> None:
    """Say which standard views each exam has, from the objects that were entered."""
    for view in ("RCC", "LCC", "RMLO", "LMLO"):
        op.execute(
            sa.text(
                "UPDATE exams SET views = TRIM(COALESCE(views, '') || :more) WHERE EXISTS"
                " (SELECT 1 FROM instances WHERE instances.exam_id = exams.id"
                " AND instances.role = 'input' AND instances.view = :view)"
            ).bindparams(more=f" {view}", view=view)
        )


def _fill_results() -> None:
    """Give each exam what its newest result says; of its doubts only the names are known."""
    connection = op.get_bind()
    results = sa.table(
        "results",
        *(sa.column(name) for name in ("exam_id", "revision", "category", "malignancy")),
        *(sa.column(name) for name in ("cautions", "model_name", "model_version")),
    )
    exams = sa.table(
        "exams",
        *(sa.column(name) for name in ("id", "rank", "category", "score")),
        *(sa.column(name) for name in ("doubts", "failure", "model", "revision")),
    )
    last = 0
    while True:
        some = list(
            connection.execute(
                sa.select(exams.c.id).where(exams.c.id > last).order_by(exams.c.id).limit(BATCH)
            ).scalars()
        )
        if not some:
            return
        last = some[-1]
        asked = sa.select(results).where(results.c.exam_id.in_(some)).order_by(results.c.revision)
        newest = {row.exam_id: row for row in connection.execute(asked)}
        for exam_id, row in newest.items():
            connection.execute(exams.update().where(exams.c.id == exam_id).values(**_verdict(row)))


def _verdict(row: sa.Row[tuple[object, ...]]) -> dict[str, object]:
    """Which of the cautions are doubts is not known any more: an exam with any is read sooner."""
    names = [name for name in str(row.cautions).splitlines() if name and ":" not in name]
    is_withheld = row.category == "intermediate" and "low_withheld" in names
    category = "withheld" if is_withheld else str(row.category)
    is_doubted = category == "intermediate" and bool(names)
    return {
        "rank": RANKS["withheld" if is_doubted else category],
        "category": category,
        "score": row.malignancy,
        "doubts": json.dumps([[name, name.replace("_", " ")] for name in names]),
        "failure": "; ".join(n.replace("_", " ") for n in names) if category == "failed" else None,
        "model": f"{row.model_name} {row.model_version}"[:200],
        "revision": row.revision,
    }


def downgrade() -> None:
    """Refuse: what people have uploaded and set would be lost."""
    raise NotImplementedError("the worklist is not taken away")
