"""Deliveries: at least once, in order, and given up only by a person or for good."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mammolens.core import ModelId, TriageCategory
from mammolens.serve.delivery import revive_deliveries
from mammolens.serve.delivery.outbox import claim_deliveries, finish_delivery
from mammolens.serve.intake import receive
from mammolens.serve.record import AUDIT, DELIVERIES
from mammolens.serve.record.attempts import give_up, retry
from mammolens.serve.settings import ExamSettings, JobSettings, RouteSettings
from mammolens.serve.work.queue import claim_job, queue_due
from mammolens.serve.work.results import Outcome, ResultFile, commit_result

RULES = JobSettings(lease_s=30, max_deliveries=3, backoff_s=10, backoff_max_s=40)
ROUTES = (
    RouteSettings(name="pacs", to="x", sinks=("sr", "sc")),
    RouteSettings(name="ris", to="y", sinks=("hl7",)),
)
OUTCOME = Outcome(
    TriageCategory.LOW, 0.1, 0.2, 4, 0, (), ModelId("m", "1", "d"), datetime(2026, 3, 1, tzinfo=UTC)
)


@pytest.fixture
def result(state, mammogram, clock):
    """Give a function that enters another revision of one exam, with three files."""
    sent = iter(range(100))

    def enter() -> int | None:
        number = next(sent)
        data = mammogram(number)
        receive(state, data, "dimse:X")
        clock.turn(61)
        queue_due(state.database, ExamSettings())
        job = claim_job(state.database, "w", RULES)
        files = [
            ResultFile(sink, "1.dcm", state.results.put(f"{sink}{number}".encode()))
            for sink in ("sr", "sc", "hl7")
        ]
        return commit_result(state.database, job, OUTCOME, files, ROUTES, state.results)

    enter()
    return enter


@pytest.fixture
def claim(database):
    return lambda *routes: claim_deliveries(database, "s", routes or ("pacs", "ris"), RULES)


@pytest.mark.usefixtures("result")
def test_files_of_one_result_and_route_go_together(claim, state):
    pacs, ris = claim("pacs"), claim("ris")
    assert [(d.sink, d.route) for d in pacs] == [("sr", "pacs"), ("sc", "pacs")]
    assert [(d.sink, d.attempts) for d in ris] == [("hl7", 1)]
    assert state.results.read(pacs[0].digest) == b"sr0"
    assert claim() == []


@pytest.mark.usefixtures("result")
def test_a_delivery_that_came_about_is_done(claim, database, rows):
    for delivery in claim("pacs"):
        assert finish_delivery(database, delivery, "C-STORE 0x0000")
        assert not finish_delivery(database, delivery, "C-STORE 0x0000")
    assert [row.state for row in rows(DELIVERIES)] == ["done", "done", "queued"]
    told = [json.loads(row.detail) for row in rows(AUDIT) if row.action == "delivered"]
    assert [entry["late"] for entry in told] == [False, True] * 2


@pytest.mark.usefixtures("result")
def test_a_sender_that_fell_silent_is_repeated_with_the_same_bytes(claim, database, clock):
    first = claim("ris")
    clock.turn(30)
    again = claim("ris")
    assert [d.digest for d in again] == [d.digest for d in first]
    assert again[0].attempts == 2
    assert not retry(database, first[0], "late", RULES, RULES.max_deliveries)
    assert finish_delivery(database, again[0], "HTTP 201")


@pytest.mark.usefixtures("result")
def test_a_destination_that_is_away_is_tried_later_and_then_left(claim, database, clock, rows):
    for wait in (10, 20, 40):
        (delivery,) = claim("ris")
        assert retry(database, delivery, "DeliveryError", RULES, RULES.max_deliveries)
        assert claim("ris") == []
        clock.turn(wait)
    assert claim("ris") == []
    assert [row.state for row in rows(DELIVERIES) if row.route == "ris"] == ["dead"]
    assert revive_deliveries(database, "cli") == 1
    assert len(claim("ris")) == 1


@pytest.mark.usefixtures("result")
def test_a_refusal_for_good_is_not_repeated(claim, database, clock, rows):
    (delivery,) = claim("ris")
    assert give_up(database, delivery, "C-STORE 0x0122")
    assert not give_up(database, delivery, "C-STORE 0x0122")
    clock.turn(10_000)
    assert claim("ris") == []
    assert rows(AUDIT)[-1].action == "undeliverable"


def test_revisions_go_out_in_order(result, claim, database, clock):
    result()
    first = claim("pacs")
    assert {d.revision for d in first} == {1}
    assert claim("pacs") == []
    finish_delivery(database, first[0], "ok")
    retry(database, first[1], "away", RULES, RULES.max_deliveries)
    assert claim("pacs") == []
    clock.turn(10)
    (left,) = claim("pacs")
    assert left.lease.id == first[1].lease.id
    give_up(database, left, "refused")
    assert {d.revision for d in claim("pacs")} == {2}
