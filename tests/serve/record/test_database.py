"""The database: its tables, its guards, and what is said when it fails."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.record import EXAMS, INSTANCES, JOBS, insert_once, look_into, open_database
from mammolens.serve.record.tables import METADATA

EXAM = {
    "study_instance_uid": "1.2",
    "identity": "a" * 64,
    "version": 1,
    "queued_version": 0,
    "four_views": False,
}


@pytest.fixture
def exam(database, clock):
    times = {"first_received_at": clock.now, "last_received_at": clock.now}
    with database.write() as connection:
        connection.execute(EXAMS.insert().values(**EXAM, **times))
    return EXAM | times


def test_the_migrations_make_the_tables(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_constraints_of_the_migrations_bear_their_names(database):
    def names(inspector, table):
        checks = {c["name"] for c in inspector.get_check_constraints(table)}
        return checks | {c["name"] for c in inspector.get_unique_constraints(table)}

    with database.read() as connection:
        inspector = sa.inspect(connection)
        for table in METADATA.sorted_tables:
            kinds = (sa.CheckConstraint, sa.UniqueConstraint)
            stated = {str(c.name) for c in table.constraints if isinstance(c, kinds)}
            assert stated <= names(inspector, table.name) | {
                i["name"] for i in inspector.get_indexes(table.name)
            }


def test_many_may_open_it_at_once(url):
    opened, errors = [], []

    def open_it():
        try:
            opened.append(open_database(url))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in opened:
        one.close()
    assert errors == []
    assert len(opened) == 6


def test_tables_of_a_newer_version_are_left_alone(url):
    database = open_database(url)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v9999'"))
    database.close()
    with pytest.raises(ConfigError, match="newer mammolens"):
        open_database(url)


@pytest.mark.parametrize("url", ["mysql://host/name", "no url", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(url):
    with pytest.raises(ConfigError, match="database"):
        open_database(url)


def test_sqlite_commits_to_the_disk(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with database.read() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    database.close()
    assert found == ["wal", 2, 1]


@pytest.mark.pacs
def test_a_server_that_is_away_is_named_without_its_password():
    with pytest.raises(StorageError) as caught:
        open_database("postgresql://node:secret@127.0.0.1:1/node")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        open_database(f"sqlite:///{tmp_path}/file/node.sqlite")


def test_times_are_utc_on_every_database(exam, rows):
    (row,) = rows(EXAMS)
    assert row.first_received_at == exam["first_received_at"]
    assert row.first_received_at.utcoffset().total_seconds() == 0


def test_a_time_without_zone_is_refused(database, exam):
    naive = {"first_received_at": datetime(2026, 1, 1), "identity": "b" * 64}
    with (
        pytest.raises(sa.exc.StatementError, match="without zone"),
        database.write() as connection,
    ):
        connection.execute(EXAMS.insert().values(**exam | naive))


def test_insert_once_says_whether_it_did(database, exam):
    with database.write() as connection:
        assert not insert_once(connection, EXAMS, exam)
        assert insert_once(connection, EXAMS, exam | {"identity": "c" * 64})


JOB = {"exam_id": 1, "version": 1, "state": "queued", "attempts": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"state": "lost"},
        {"state": "running"},
        {"state": "done"},
        {"token": "x"},
        {"exam_id": 99},
    ],
    ids=str,
)
@pytest.mark.usefixtures("exam")
def test_impossible_jobs_are_refused(database, clock, change):
    times = {"not_before": clock.now, "created_at": clock.now}
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(JOBS.insert().values(**JOB | times | change))


@pytest.mark.usefixtures("exam")
def test_an_exam_has_one_open_job(database, clock):
    times = {"not_before": clock.now, "created_at": clock.now}
    with database.write() as connection:
        connection.execute(JOBS.insert().values(**JOB | times))
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(JOBS.insert().values(**JOB | times | {"version": 2}))


@pytest.mark.usefixtures("exam")
def test_one_object_of_a_uid_is_the_input(database, clock):
    row = {
        "sop_instance_uid": "1.9",
        "sop_class_uid": "1.2",
        "size": 1,
        "role": "input",
        "exam_id": 1,
        "exam_version": 1,
        "sender": "x",
        "received_at": clock.now,
    }
    with database.write() as connection:
        connection.execute(INSTANCES.insert().values(**row, digest="d" * 64))
        connection.execute(INSTANCES.insert().values(**row | {"role": "rival"}, digest="e" * 64))
    with pytest.raises(sa.exc.IntegrityError), database.write() as connection:
        connection.execute(INSTANCES.insert().values(**row, digest="f" * 64))


@pytest.mark.usefixtures("exam")
def test_a_failed_write_leaves_nothing(database, rows):
    def fail():
        with database.write() as connection:
            connection.execute(EXAMS.update().values(version=9))
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    assert rows(EXAMS)[0].version == 1


@pytest.mark.usefixtures("exam")
def test_writers_wait_in_line(database, rows):
    def raise_version():
        for _ in range(10):
            with database.write() as connection:
                found = connection.execute(sa.select(EXAMS).with_for_update()).one()
                connection.execute(EXAMS.update().values(version=found.version + 1))

    threads = [threading.Thread(target=raise_version) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(EXAMS)[0].version == 41


FOREIGN = {
    "tables": "CREATE TABLE orders (id INTEGER PRIMARY KEY)",
    "a version": "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
    "our version": "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
    "one of our names": "CREATE TABLE results (id INTEGER PRIMARY KEY)",
}
VERSIONS = {"a version": "ae1027a6acf", "our version": "v0001"}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_the_database_of_another_program_is_left_as_it_is(url, foreign, tmp_path):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(FOREIGN[foreign])
        if foreign in VERSIONS:
            said = f"INSERT INTO alembic_version VALUES ('{VERSIONS[foreign]}')"
            connection.exec_driver_sql(said)
    before = sa.inspect(engine).get_table_names()
    file = tmp_path / "node.sqlite"
    content = file.read_bytes() if file.exists() else b""
    named = "orders" if foreign == "tables" else VERSIONS.get(foreign, "results")
    for opening in (open_database, look_into):
        with pytest.raises(ConfigError, match=f"another program: it holds .*{named}"):
            opening(url)
    assert sa.inspect(engine).get_table_names() == before
    engine.dispose()
    assert (file.read_bytes() if file.exists() else b"") == content


@pytest.mark.parametrize("content", [b"a text", b"SQLite format 3\x00" + bytes(4000)])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path, content):
    file = tmp_path / "node.sqlite"
    file.write_bytes(content)
    with pytest.raises((ConfigError, StorageError)):
        open_database(f"sqlite:///{file}")
    assert file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["node.sqlite"]


def test_a_database_that_was_read_only_is_written_again_without_a_restart(tmp_path):
    """The connections of a file that was read-only stay so: they are opened again."""
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    database = open_database(url)

    def connect(connection, _record):
        connection.execute("PRAGMA query_only = ON")

    database.engine.dispose()
    sa.event.listen(database.engine, "connect", connect)
    assert not database.can_write()
    sa.event.remove(database.engine, "connect", connect)
    assert database.can_write()
    with database.write() as connection:
        connection.execute(sa.text("UPDATE processes SET kind = kind"))
    database.close()


def test_what_looks_cannot_write(url):
    open_database(url).close()
    looking = look_into(url)
    with looking.read() as connection:
        assert connection.execute(sa.select(EXAMS)).all() == []
    with pytest.raises(StorageError), looking.write() as connection:
        connection.execute(sa.text("UPDATE processes SET kind = kind"))
    looking.close()


def test_tables_of_an_older_version_are_not_looked_into(url):
    database = open_database(url)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v0004'"))
    database.close()
    with pytest.raises(ConfigError, match="older mammolens"):
        look_into(url)
