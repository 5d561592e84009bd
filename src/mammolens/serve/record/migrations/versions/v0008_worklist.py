"""What a worklist shows of each exam; pictures, overlays, uploads, and what a person has set.

Exams that are there already get what results and objects in the tables say of them. Their headers
are looked at, and their pictures made, by the next worker that has nothing else to do.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from mammolens.serve.record.migrations.steps import add_parts, make_tables

__all__ = ["down_revision", "revision", "upgrade"]

revision = "v0008"
down_revision: str | None = "v0007"

BATCH = 500
RANKS = {"high": 0, "failed": 1, "withheld": 2, "intermediate": 3, "low": 4}


def upgrade() -> None:
    """Add the columns and tables, and fill them from the tables that are there."""
    add_parts(revision, "exams", "instances")
    make_tables(revision, "pictures", "overlays", "uploads", "upload_members", "preferences")
    _fill_views()
    _fill_results()
    op.execute(
        "INSERT INTO pictures (instance_id, state, attempts, not_before)"
        " SELECT id, 'waiting', 0, received_at FROM instances WHERE role IN ('input', 'refused')"
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
    """Give the columns of an exam. Any caution may be a doubt, so such exams are read sooner."""
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
