"""A database of v0010 with data is migrated, and people read the same as before through the API."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext

from mammolens.serve.record import schema
from mammolens.serve.record.tables import METADATA

OLD = "v0010"
NEWER = {"health_worker"}
"""Roles that v0010 did not know."""
ROUTES = (
    *("/session", "/sessions", "/tokens", "/me/settings", "/me/filters", "/people", "/sites"),
    *("/people/{person}", "/sites/{north}", "/exams", "/exams/{exam_id}", "/exams/{signed_exam}"),
    *("/exams/{exam_id}/viewer", "/exams/{exam_id}/ai", "/exams/{signed_exam}/ai"),
    *("/exams/{exam_id}/readings", "/exams/{signed_exam}/readings", "/readings/{reading_id}"),
    *("/sites/{north}/readings.csv", "/opinions", "/notices", "/recalls", "/readers"),
    *("/exams/{exam_id}/quality", "/exams/{exam_id}/artefacts", "/uploads", "/devices"),
    *("/audit", "/audit/verification"),
)
READERS = ("admin", "north-head", "north-reader", "north-arbiter", "south-reader")


def _make_old(url):
    """Make the tables of v0010 in an empty database."""
    config, scripts = schema._scripts()
    engine = sa.create_engine(url)
    with engine.begin() as connection:

        def upgrade(revision, _context):
            return scripts._upgrade_revs(OLD, revision)

        with EnvironmentContext(config, scripts, fn=upgrade) as environment:
            environment.configure(connection=connection)
            environment.run_migrations()
    return engine


def _fill(old, new):
    """Copy all rows that v0010 can hold, by SQL; give how many each table got."""
    tables = sa.MetaData()
    tables.reflect(old)
    source = sa.MetaData()
    source.reflect(new)
    counts = {}
    with old.begin() as into, new.connect() as out:
        for table in tables.sorted_tables:
            if table.name in ("alembic_version", "audit_head"):
                continue
            columns = [source.tables[table.name].c[one.name] for one in table.columns]
            rows = [dict(row._mapping) for row in out.execute(sa.select(*columns))]
            rows = [row for row in rows if row.get("role") not in NEWER]
            if rows:
                into.execute(table.insert(), rows)
            counts[table.name] = len(rows)
            key = next((one for one in table.primary_key if isinstance(one.type, sa.Integer)), None)
            if rows and key is not None and old.dialect.name == "postgresql":
                named = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
                value = f"SELECT max({key.name}) FROM {table.name}"
                into.exec_driver_sql(f"SELECT setval({named}, ({value})) WHERE {named} IS NOT NULL")
        audit = tables.tables["audit"]
        for number, digest in into.execute(
            sa.select(audit.c.number, audit.c.hash).order_by(audit.c.number)
        ).all():
            said = {"length": number, "hash": digest}
            into.execute(tables.tables["audit_head"].update().values(said))
    return counts


def _add_result(stage):
    """Give an exam images, a job and a result."""
    now, exam = stage.clock.now, stage.cast.things["exam_id"]
    with stage.database.write() as connection:
        for name, row in _rows_of_result(exam, now).items():
            table = METADATA.tables[name]
            for one in row:
                connection.execute(table.insert().values(one))
        exams = METADATA.tables["exams"]
        shown = {"category": "high", "score": 0.75, "rank": 0, "revision": 1, "model": "m 1"}
        shown |= {"patient_name": "Doe^Jane", "patient_id": "P1", "study_date": "2026-01-10"}
        connection.execute(exams.update().where(exams.c.id == exam).values(shown))


def _rows_of_result(exam, now):
    image = {"sop_class_uid": "1.2", "size": 1, "role": "input", "exam_id": exam}
    image |= {"exam_version": 1, "sender": "dimse:X", "received_at": now}
    images = [
        image | {"sop_instance_uid": f"1.7.{n}", "digest": f"{n:064x}", "view": view}
        for n, view in enumerate(("RCC", "LCC", "RMLO", "LMLO"))
    ]
    job = {"id": 7, "exam_id": exam, "version": 1, "state": "done", "attempts": 1}
    job |= {"not_before": now, "created_at": now, "finished_at": now}
    result = {"id": 9, "exam_id": exam, "job_id": 7, "revision": 1, "category": "high"}
    result |= {"malignancy": 0.75, "tumour": 0.8, "n_images": 4, "n_unreadable": 0, "cautions": ""}
    result |= {"model_name": "m", "model_version": "1", "model_digest": "d", "created_at": now}
    return {"instances": images, "jobs": [job], "results": [result]}


def _answers(stage):
    """What everybody gets at every route."""
    signed = stage.ask("north-reader", "GET", f"/readings/{stage.cast.things['signed_id']}").json()
    places = {
        **stage.cast.things,
        "person": stage.cast.people["north-reader"],
        "north": stage.cast.sites["north"],
        "signed_exam": signed["exam_id"],
    }
    found = {}
    for route in ROUTES:
        for who in READERS:
            answer = stage.ask(who, "GET", route.format(**places))
            found[route, who] = (answer.status_code, answer.content)
    return found


def _empty_database(url, folder):
    if url.startswith("sqlite"):
        return f"sqlite:///{folder / 'old.sqlite'}"
    place, _, _ = url.rpartition("/")
    name = f"old_{uuid.uuid4().hex}"
    engine = sa.create_engine(f"{place}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return f"{place}/{name}"


def test_a_database_of_v0010_reads_the_same_after_the_migration(make_stage, cast, tmp_path):
    today = make_stage()
    _add_result(today)
    with today.database.write() as connection:
        connection.execute(sa.text("DELETE FROM roles WHERE role = 'health_worker'"))
    url = _empty_database(cast.url, tmp_path)
    old = _make_old(url)
    counts = _fill(old, today.database.engine)
    filled = {"people", "roles", "sites", "sessions", "exams", "instances", "jobs", "results"}
    filled |= {"reading_rounds", "readings", "opinions", "notices", "recalls", "audit"}
    filled.add("api_tokens")
    assert filled <= {name for name, count in counts.items() if count}
    assert "outcomes" not in counts
    with old.connect() as connection:
        version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    assert version == OLD
    old.dispose()

    migrated = make_stage(url)
    with migrated.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    before, after = _answers(today), _answers(migrated)
    assert {code for code, _ in before.values()} <= {200, 403, 404, 409}
    for (route, who), answer in before.items():
        assert after[route, who] == answer, (route, who)
    shown = migrated.ask("north-head", "GET", f"/exams/{cast.things['exam_id']}").json()
    assert "Doe^Jane" in str(shown)
    assert migrated.ask("admin", "GET", "/audit/verification").json() == (
        today.ask("admin", "GET", "/audit/verification").json()
    )


def test_a_migrated_database_takes_new_rows(make_stage, cast, tmp_path):
    """Numbers go on where they were, and what v0010 did not know can be written."""
    today = make_stage()
    url = _empty_database(cast.url, tmp_path)
    old = _make_old(url)
    _fill(old, today.database.engine)
    old.dispose()
    migrated = make_stage(url)
    site = cast.sites["north"]
    person = {"name": "new.worker", "display_name": "New"}
    person |= {"roles": [{"site": site, "role": "health_worker"}]}
    assert migrated.ask("north-head", "POST", "/people", person).status_code == 201
    text = b"Patient ID: P1\nReport No: 8\nLeft breast, core biopsy: fibroadenoma."
    sent = {"authorization": migrated.headers("north-uploader by token")["authorization"]}
    done = migrated.client.post("/api/v1/pathology", content=text, headers=sent)
    assert (done.status_code, done.json()["new"]) == (201, 1)
    assert migrated.ask("admin", "GET", "/audit/verification").json()["sound"]
