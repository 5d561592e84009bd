"""Exams that were there before there was a worklist get what results and objects say of them."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from mammolens.serve.record import EXAMS, PICTURES, open_database, schema

NOW = "2026-03-01 12:00:00.000000"


def migrate_to(url: str, target: str) -> sa.Engine:
    """Bring an empty database to an earlier version."""
    from alembic.runtime.environment import EnvironmentContext

    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config, scripts = schema._scripts()
    with (
        engine.begin() as connection,
        EnvironmentContext(
            config, scripts, fn=lambda held, _: scripts._upgrade_revs(target, held)
        ) as environment,
    ):
        environment.configure(connection=connection)
        environment.run_migrations()
    return engine


CASES = [
    ("low", 0.01, "", "low", 4, []),
    ("high", 0.9, "implant", "high", 0, ["implant"]),
    ("intermediate", 0.2, "low_withheld", "withheld", 2, ["low_withheld"]),
    ("intermediate", 0.2, "sink_refused:x", "intermediate", 3, []),
    ("intermediate", 0.2, "not_validated\nsink_refused:x", "intermediate", 2, ["not_validated"]),
    ("failed", None, "exam_failed", "failed", 1, ["exam_failed"]),
]


@pytest.mark.parametrize(("held", "score", "cautions", "category", "rank", "doubts"), CASES)
def test_the_newest_result_is_taken_in(url, held, score, cautions, category, rank, doubts):
    engine = migrate_to(url, "v0007")
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run(
            "INSERT INTO exams (id, study_instance_uid, identity, first_received_at,"
            " last_received_at, version, queued_version, four_views)"
            f" VALUES (1, '1.2', 'a', '{NOW}', '{NOW}', 1, 1, {'0' if url[0] == 's' else 'false'})"
        )
        for number, view, role in ((1, "'RCC'", "input"), (2, "NULL", "refused")):
            run(
                "INSERT INTO instances (id, sop_instance_uid, sop_class_uid, digest, size, role,"
                " view, exam_id, exam_version, sender, received_at)"
                f" VALUES ({number}, '1.{number}', '1', '{number}', 1, '{role}', {view}, 1, 1,"
                f" 'x', '{NOW}')"
            )
        for number, kind, value in ((1, "high", 0.5), (2, held, score)):
            run(
                "INSERT INTO jobs (id, exam_id, version, state, attempts, not_before, created_at,"
                f" finished_at) VALUES ({number}, 1, {number}, 'done', 1, '{NOW}', '{NOW}',"
                f" '{NOW}')"
            )
            run(
                "INSERT INTO results (id, exam_id, job_id, revision, supersedes, category,"
                " malignancy, n_images, n_unreadable, cautions, model_name, model_version,"
                f" model_digest, created_at) VALUES ({number}, 1, {number}, {number},"
                f" {'NULL' if number == 1 else 1}, '{kind}', {'NULL' if value is None else value},"
                f" 1, 0, '{cautions}', 'm', '2', 'd', '{NOW}')"
            )
    engine.dispose()
    database = open_database(url)
    with database.read() as connection:
        exam = connection.execute(sa.select(EXAMS)).one()
        states = list(connection.execute(sa.select(PICTURES.c.state)).scalars())
    database.close()
    assert (exam.category, exam.rank, exam.score, exam.revision) == (category, rank, score, 2)
    assert [name for name, _ in json.loads(exam.doubts)] == doubts
    assert (exam.views, exam.model, exam.search_text) == ("RCC", "m 2", None)
    assert states == ["waiting", "waiting"]
