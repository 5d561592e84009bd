"""Databases of every version: what a migration made does not change, and each can be updated."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext

from mammolens.serve.record import EXAMS, PICTURES, open_database, schema
from mammolens.serve.record.tables import METADATA

NOW = "2026-03-01 12:00:00.000000"
MADE = {
    "v0001": "a2e3c87b6b97c4c3",
    "v0002": "fea6cdc5f70aea0e",
    "v0003": "00ba969cd09a07da",
    "v0004": "d0f8f840e58808f8",
    "v0005": "ffb33bb9c3575630",
    "v0006": "a3b696f24b30f1dc",
    "v0007": "c63abee68fd4694a",
    "v0008": "b419467a7b82afaf",
    "v0009": "ca1713e8de5c5337",
    "v0010": "5c5525c93b595739",
    "v0011": "7021cbaf78d83053",
    "v0012": "a984883f9a124983",
    "v0013": "5250319e0b0c0f8b",
    "v0014": "38dd3f9d473b2b41",
    "v0015": "f2970f75c413d96a",
}
"""SHA-256 of the tables and indexes of each version on SQLite, the first 16 digits.

If one of these changes, a part of a table is new: mark it with `since` and its version.
"""
VERSIONS = sorted(script.revision for script in schema._scripts()[1].walk_revisions())


def migrate_to(url: str, target: str) -> sa.Engine:
    """Bring an empty database to a version."""
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


def statements(engine: sa.Engine) -> list[str]:
    """Give what makes the tables and indexes, whatever the order of constraints."""
    with engine.connect() as connection:
        made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        texts = list(made.scalars())
    return sorted("|".join(sorted(re.findall(r"[^\s\",()]+", text))) for text in texts)


def test_there_is_a_digest_of_every_version():
    assert sorted(MADE) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_is_what_it_was(tmp_path, version):
    engine = migrate_to(f"sqlite:///{tmp_path / 'node.sqlite'}", version)
    found = hashlib.sha256("\n".join(statements(engine)).encode()).hexdigest()[:16]
    engine.dispose()
    assert found == MADE[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_can_be_updated(url, version):
    migrate_to(url, version).dispose()
    database = open_database(url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, METADATA)
    database.close()
    assert differences == []


def test_people_keep_their_roles_when_more_roles_are_allowed(url):
    engine = migrate_to(url, "v0010")
    now = f"'{NOW}'"
    no = "0" if engine.dialect.name == "sqlite" else "false"
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run(f"INSERT INTO sites (id, key, name, created_at) VALUES (1, 'k', 'n', {now})")
        run(
            "INSERT INTO people (id, name, display_name, is_administrator, totp_step, created_at)"
            f" VALUES (1, 'p', 'P', {no}, 0, {now})"
        )
        run("INSERT INTO roles (person_id, site_id, role) VALUES (1, 1, 'reader')")
    engine.dispose()
    database = open_database(url)
    with database.write() as connection:
        connection.execute(sa.text("INSERT INTO roles VALUES (1, 1, 'health_worker')"))
        roles = connection.execute(sa.text("SELECT role FROM roles ORDER BY role")).scalars().all()
    database.close()
    assert roles == ["health_worker", "reader"]


# Exams that were there before there was a worklist get what results and objects say of them.
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
