"""The audit trail: what guards it, and what is seen where the guards were taken away."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mammolens.errors import ConfigError
from mammolens.serve.record import AUDIT, AuditHead, audit
from mammolens.serve.record.audit import append, read_head, verify
from mammolens.serve.record.tables import AUDIT_HEAD


@pytest.fixture
def trail(database):
    for number in range(6):
        with database.write() as connection:
            append(database, connection, "dimse:X", "input", number, {"name": "Zoë", "n": number})
    return database


@pytest.fixture
def unguarded(trail):
    """The same, after someone with full rights has removed the triggers."""
    with trail.write() as connection:
        if trail.is_sqlite:
            names = connection.execute(
                sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
            for name in list(names):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            for table in ("audit", "audit_head"):
                connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    return trail


def check(database, kept=None):
    with database.read() as connection:
        return verify(connection, kept)


def test_an_untouched_trail_is_whole(trail):
    report = check(trail)
    assert report.sound
    assert report.head.length == 6


def test_a_nul_breaks_neither_a_row_nor_the_chain(trail):
    with trail.write() as connection:
        append(trail, connection, "web:a\0b", "input", None, {"name": "c\0d"})
    report = check(trail)
    assert report.sound
    assert report.head.length == 7


@pytest.mark.parametrize(
    "statement",
    [
        AUDIT.update().where(AUDIT.c.number == 2).values(actor="nobody"),
        AUDIT.delete().where(AUDIT.c.number == 6),
        AUDIT_HEAD.delete(),
        AUDIT_HEAD.update().values(length=3),
        AUDIT_HEAD.insert().values(id=2, length=0, hash="0" * 64),
    ],
    ids=["edit", "removal", "no head", "head put back", "second head"],
)
def test_the_database_refuses(trail, statement):
    with pytest.raises(sa.exc.DBAPIError), trail.write() as connection:
        connection.execute(statement)
    assert check(trail).sound


@pytest.mark.pacs
def test_postgresql_refuses_to_empty_the_table(trail):
    if trail.is_sqlite:
        return  # it has no TRUNCATE
    with pytest.raises(sa.exc.DBAPIError), trail.write() as connection:
        connection.exec_driver_sql("TRUNCATE audit")


@pytest.mark.parametrize("column", ["actor", "action", "detail", "exam_id", "at", "hash"])
def test_an_edit_is_found_at_its_place(unguarded, clock, column):
    clock.turn(1)
    value = {"exam_id": 99, "at": clock.now}.get(column, "f" * 20)
    with unguarded.write() as connection:
        edit = AUDIT.update().where(AUDIT.c.number == 3).values({column: value})
        connection.execute(edit)
    assert check(unguarded).broken_at == 3


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_removal_is_found(unguarded, number):
    with unguarded.write() as connection:
        connection.execute(AUDIT.delete().where(AUDIT.c.number == number))
    assert check(unguarded).broken_at == number


def test_a_removal_that_closes_the_gap_is_found(unguarded):
    with unguarded.write() as connection:
        connection.execute(AUDIT.delete().where(AUDIT.c.number == 3))
        for number in (4, 5, 6):
            moved = AUDIT.update().where(AUDIT.c.number == number).values(number=number - 1)
            connection.execute(moved)
    assert check(unguarded).broken_at == 3


def test_an_edit_with_a_new_hash_breaks_the_next_row(unguarded):
    with unguarded.write() as connection:
        row = connection.execute(sa.select(AUDIT).where(AUDIT.c.number == 3)).one()._asdict()
        row["actor"] = "nobody"
        row["hash"] = audit._hash(row)
        connection.execute(AUDIT.update().where(AUDIT.c.number == 3).values(row))
    assert check(unguarded).broken_at == 4


def test_a_forged_chain_is_found_by_a_head_kept_elsewhere(unguarded):
    with unguarded.read() as connection:
        kept = AuditHead.parse(str(read_head(connection)))
    with unguarded.write() as connection:
        connection.execute(AUDIT.delete().where(AUDIT.c.number >= 5))
        last = connection.execute(sa.select(AUDIT).where(AUDIT.c.number == 4)).one()
        connection.execute(AUDIT_HEAD.update().values(length=4, hash=last.hash))
    assert check(unguarded).sound
    assert check(unguarded, kept).reason == "the trail is shorter than was noted"
    for _ in range(3):
        with unguarded.write() as connection:
            append(unguarded, connection, "x", "forged")
    assert check(unguarded).sound
    assert check(unguarded, kept).broken_at == 6


def test_a_row_of_a_transaction_that_failed_is_not_there(trail):
    def fail():
        with trail.write() as connection:
            append(trail, connection, "x", "input")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert check(trail).head.length == 6


@pytest.mark.parametrize("text", ["", "x:y", "3:abc", "-1:" + "0" * 64])
def test_a_head_that_is_none_is_refused(text):
    with pytest.raises(ConfigError):
        AuditHead.parse(text)
