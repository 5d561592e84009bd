"""What a worklist shows of each exam; pictures, overlays, uploads, and what a person has set.

Exams that are there already get what results and objects in the tables say of them. Their headers
are looked at, and their pictures made, by the next worker that has nothing else to do.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.new_tables import make_table
from mammolens.serve.record.table_parts import UtcTime

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0008"
down_revision: str | None = "v0007"

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
        sa.Column("patient_name", sa.String(256)),
        sa.Column("birth_date", sa.String(10)),
        sa.Column("sex", sa.String(16)),
        sa.Column("age_years", sa.Float),
        sa.Column("study_date", sa.String(10)),
        sa.Column("patient_key", sa.String(64)),
        sa.Column("search_text", sa.Text),
        sa.Column("views", sa.String(64)),
        sa.Column("banner", sa.String(200)),
        sa.Column("rank", sa.Integer, server_default="2", nullable=False),
        sa.Column("category", sa.String(16)),
        sa.Column("score", sa.Float),
        sa.Column("prevalence", sa.Float),
        sa.Column("doubts", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("model", sa.String(200)),
        sa.Column("revision", sa.Integer),
    )


def _pictures() -> None:
    make_table(
        "pictures",
        sa.Column(
            "instance_id", sa.ForeignKey("instances.id"), autoincrement=False, primary_key=True
        ),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", UtcTime, nullable=False),
        sa.Column("digest", sa.String(64), index=True),
        sa.Column("rows", sa.Integer),
        sa.Column("columns", sa.Integer),
        sa.Column("facts", sa.LargeBinary),
        sa.CheckConstraint("state IN ('waiting', 'made', 'failed')", name="state"),
        sa.CheckConstraint("(state = 'made') = (digest IS NOT NULL)", name="made"),
        sa.Index("ix_pictures_ready", "state", "not_before"),
    )
    make_table(
        "overlays",
        sa.Column("result_id", sa.ForeignKey("results.id"), autoincrement=False, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _uploads() -> None:
    make_table(
        "uploads",
        sa.Column("id", sa.String(43), primary_key=True),
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("site_id", sa.ForeignKey("sites.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column("problem", sa.String(64)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.CheckConstraint("state IN ('coming', 'whole', 'done')", name="state"),
        sa.CheckConstraint("received >= 0 AND received <= length", name="received"),
        sa.CheckConstraint("state = 'coming' OR received = length", name="whole"),
        sa.Index("ix_uploads_person_id", "person_id", "state"),
        sa.Index("ix_uploads_state", "state", "changed_at"),
    )
    make_table(
        "upload_members",
        sa.Column("upload_id", sa.String(43), sa.ForeignKey("uploads.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("exam_id", sa.Integer),
        sa.PrimaryKeyConstraint("upload_id", "number"),
    )
    make_table(
        "preferences",
        sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("person_id", "name"),
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
