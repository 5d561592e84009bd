"""Refusals in the audit trail: a flood is counted, and nothing of what happened is lost."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from mammolens.errors import StorageError
from mammolens.serve.record import AUDIT, audit
from mammolens.serve.record.refusals import MOST_KINDS, ROWS_OF_A_KIND, WINDOW_S, Refusals


@pytest.fixture
def watched(database):
    """The database, with a clock of refusals that stands until it is turned."""
    times = [0.0]
    opened = replace(database, refusals=Refusals(lambda: times[0]))
    yield opened, times
    opened.refusals.stop()


def refuse(database, times=1, reason="host", host="10.0.0.1", actor="dimse:X"):
    for _ in range(times):
        detail = {"host": host, "reason": reason}
        audit.note_refusal(database, actor, "refused_association", detail)


def details(rows):
    return [json.loads(row.detail) for row in rows(AUDIT)]


def test_few_refusals_are_rows_of_their_own(watched, rows):
    refuse(watched[0], ROWS_OF_A_KIND)
    audit.write_counted_refusals(watched[0])
    assert details(rows) == [{"host": "10.0.0.1", "reason": "host"}] * ROWS_OF_A_KIND


def test_a_flood_is_counted_and_its_number_is_kept(watched, rows):
    refuse(watched[0], 300)
    refuse(watched[0], 2, reason="called_ae")
    audit.write_counted_refusals(watched[0])
    told = details(rows)
    assert len(told) == ROWS_OF_A_KIND + 2 + 1
    assert told[-1] == {"count": 300 - ROWS_OF_A_KIND, "peer": "10.0.0.1", "reason": "host"}
    audit.write_counted_refusals(watched[0])
    assert len(details(rows)) == len(told)


def test_other_names_and_addresses_do_not_get_round_it(watched, rows):
    for number in range(3000):
        refuse(watched[0], host=f"10.0.{number // 250}.{number % 250}", actor=f"dimse:{number}")
    audit.write_counted_refusals(watched[0])
    told = details(rows)
    assert len(told) <= 2 * MOST_KINDS + 1
    assert sum(detail.get("count", 1) for detail in told) == 3000


def test_the_next_minute_has_rows_again(watched, rows):
    database, times = watched
    refuse(database, 50)
    times[0] = WINDOW_S
    refuse(database)
    assert len(details(rows)) == ROWS_OF_A_KIND + 1


def test_what_was_counted_is_entered_when_its_minute_ends(watched, rows, monkeypatch):
    monkeypatch.setattr("mammolens.serve.record.refusals.WINDOW_S", 0.2)
    refuse(watched[0], 50)
    until = time.monotonic() + 30
    while "count" not in details(rows)[-1] and time.monotonic() < until:
        time.sleep(0.05)
    assert details(rows)[-1]["count"] == 50 - ROWS_OF_A_KIND


def test_what_could_not_be_entered_stays_counted(watched, rows, monkeypatch):
    refuse(watched[0], 50)
    with monkeypatch.context() as patch:
        patch.setattr(audit, "append", _away)
        with pytest.raises(StorageError):
            audit.write_counted_refusals(watched[0])
    audit.write_counted_refusals(watched[0])
    assert details(rows)[-1]["count"] == 50 - ROWS_OF_A_KIND


def test_threads_lose_none(watched, rows):
    threads = [threading.Thread(target=refuse, args=(watched[0], 100)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit.write_counted_refusals(watched[0])
    assert sum(detail.get("count", 1) for detail in details(rows)) == 600


def _away(*_given):
    raise StorageError("the database is away")
