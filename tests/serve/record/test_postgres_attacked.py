"""PostgreSQL that hangs, ends, refuses or locks: every wait has an end, and everything is named."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.record import open_database, postgres

pytestmark = pytest.mark.pacs


@pytest.fixture
def url(cluster) -> str:
    return cluster.new_database()


@pytest.fixture
def root(url):
    """Give a function that runs a statement of the administrator."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    yield run
    engine.dispose()


@pytest.fixture
def opened(url):
    database = open_database(url)
    yield database
    database.close()


@pytest.fixture
def plain(url, root):
    """A user without any right, and the URL that it uses."""
    name = f"plain_{os.urandom(4).hex()}"
    root(f"CREATE ROLE {name} LOGIN")
    return name, sa.make_url(url).set(username=name).render_as_string()


def ask(database) -> int:
    with database.read() as connection:
        return connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()


def write(database, statement: str = "UPDATE processes SET kind = kind") -> None:
    with database.write() as connection:
        connection.execute(sa.text(statement))


def test_a_server_that_says_nothing_is_given_up(opened, monkeypatch):
    monkeypatch.setattr(postgres, "ANSWER_S", 1.0)
    held = [ask(opened) for _ in range(3)]
    os.kill(held[0], signal.SIGSTOP)
    try:
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(ask, opened).exception(60)
        assert refused is None or isinstance(refused, StorageError)
        assert time.monotonic() - began < 45
        assert ask(opened) != held[0]
    finally:
        os.kill(held[0], signal.SIGCONT)


def test_a_statement_and_a_lock_have_limits_in_the_server(url, monkeypatch):
    monkeypatch.setattr(postgres, "STATEMENT_S", 0.5)
    monkeypatch.setattr(postgres, "LOCK_S", 0.3)
    database = open_database(url)
    with pytest.raises(StorageError, match="statement timeout"), database.read() as connection:
        connection.execute(sa.text("SELECT pg_sleep(30)"))
    with database.write() as holding:
        holding.execute(sa.text("LOCK TABLE processes"))
        with pytest.raises(StorageError, match="lock timeout"):
            write(database)
    write(database)
    database.close()


def test_a_deadlock_ends_for_one_of_the_two(opened):
    write(opened, "INSERT INTO processes (name, kind, seen_at) VALUES ('a', 'x', now())")
    write(opened, "INSERT INTO processes (name, kind, seen_at) VALUES ('b', 'x', now())")
    meet, said = threading.Barrier(2), []

    def lock(first: str, second: str) -> None:
        try:
            with opened.write() as connection:
                for name in (first, second):
                    update = f"UPDATE processes SET kind = 'y' WHERE name = '{name}'"
                    connection.execute(sa.text(update))
                    if name == first:
                        meet.wait(30)
            said.append("done")
        except StorageError:
            said.append("named")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(lock, "a", "b"), pool.submit(lock, "b", "a")]:
            done.result(60)
    assert sorted(said) == ["done", "named"]


def test_connections_that_end_in_the_middle_are_named_and_made_again(opened, root):
    end_all = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )

    def write_and_end() -> None:
        with opened.write() as connection:
            connection.execute(sa.text("UPDATE processes SET kind = kind"))
            root(end_all)
            connection.execute(sa.text("UPDATE processes SET kind = kind"))

    with pytest.raises(StorageError):
        write_and_end()
    write(opened)
    root(end_all)
    write(opened)


def test_a_server_without_connections_to_spare_is_named(url, root, plain):
    name, address = plain
    open_database(url).close()
    root(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    root(f"ALTER ROLE {name} CONNECTION LIMIT 1")
    engine = sa.create_engine(address)
    with engine.connect(), pytest.raises(StorageError, match="too many connections"):
        open_database(address)
    engine.dispose()
    open_database(address).close()


def test_a_user_without_rights_is_named(url, root, plain):
    name, address = plain
    with pytest.raises((ConfigError, StorageError), match="permission denied"):
        open_database(address)
    open_database(url).close()
    with pytest.raises((ConfigError, StorageError), match=r"permission denied|rights"):
        open_database(address)
    root(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    database = open_database(address)
    assert ask(database)
    assert not database.can_write()
    database.close()


def test_a_server_that_became_read_only_is_named_and_comes_back(url, root, opened):
    name = sa.make_url(url).database
    root(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    opened.engine.dispose()
    with pytest.raises(StorageError, match="read-only"):
        write(opened)
    assert not opened.can_write()
    root(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    write(opened)
    assert opened.can_write()


def test_what_the_url_says_itself_is_kept(url):
    database = open_database(f"{url}?connect_timeout=77&keepalives_idle=5")
    assert database.engine.url.query["connect_timeout"] == "77"
    assert database.engine.url.query["tcp_user_timeout"] == "60000"
    database.close()
