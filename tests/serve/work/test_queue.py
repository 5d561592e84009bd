"""The queue: when an exam is due, who may hold a job, and how it is given up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from mammolens.core import ModelId, TriageCategory
from mammolens.serve.intake import receive
from mammolens.serve.record import AUDIT, JOBS, RESULTS
from mammolens.serve.record.attempts import retry
from mammolens.serve.record.leases import renew
from mammolens.serve.settings import ExamSettings, JobSettings
from mammolens.serve.work import revive_jobs
from mammolens.serve.work.queue import claim_job, queue_due
from mammolens.serve.work.results import Outcome, commit_result, read_inputs, read_predecessor

EXAMS = ExamSettings(quiet_time_s=60)
RULES = JobSettings(lease_s=30, max_attempts=2, backoff_s=10, backoff_max_s=40)
OUTCOME = Outcome(
    TriageCategory.LOW, 0.1, 0.2, 4, 0, (), ModelId("m", "1", "d"), datetime(2026, 3, 1, tzinfo=UTC)
)


@pytest.fixture
def send(state, mammogram):
    def send(*numbers: int, study: str = "1.2.3") -> None:
        for number in numbers:
            data = mammogram(number, StudyInstanceUID=study, SOPInstanceUID=f"{study}.{number}")
            receive(state, data, "dimse:X")

    return send


@pytest.fixture
def queue(database):
    return lambda: queue_due(database, EXAMS)


@pytest.fixture
def claim(database):
    return lambda worker="w": claim_job(database, worker, RULES)


@pytest.fixture
def finish(state):
    def finish(job):
        return commit_result(state.database, job, OUTCOME, [], [], state.results)

    return finish


def test_an_exam_is_due_after_the_quiet_time(send, queue, claim, clock):
    send(0)
    clock.turn(59)
    assert queue() == 0
    send(1)
    clock.turn(59)
    assert (queue(), claim()) == (0, None)
    clock.turn(1)
    assert queue() == 1
    assert claim().version == 2


def test_four_views_are_due_at_once_and_a_fifth_waits(send, queue, claim, finish, clock):
    send(0, 1, 2, 3)
    assert queue() == 1
    finish(claim())
    send(4)
    assert queue() == 0
    clock.turn(60)
    assert queue() == 1


def test_four_views_wait_where_that_is_asked_for(send, database, clock):
    send(0, 1, 2, 3)
    waiting = ExamSettings(quiet_time_s=60, four_views=False)
    assert queue_due(database, waiting) == 0
    clock.turn(60)
    assert queue_due(database, waiting) == 1


def test_a_waiting_job_takes_in_what_came(send, queue, claim, clock, rows):
    send(0)
    clock.turn(60)
    queue()
    send(1)
    clock.turn(60)
    assert queue() == 1
    assert len(rows(JOBS)) == 1
    assert claim().version == 2
    assert claim() is None


def test_a_late_view_makes_a_result_that_supersedes(
    send, queue, claim, finish, clock, rows, database
):
    send(0)
    clock.turn(60)
    queue()
    job = claim()
    send(1)
    clock.turn(20)
    assert len(read_inputs(database, job).instances) == 1
    clock.turn(5)
    finish(job)
    clock.turn(60)
    queue()
    second = claim()
    assert len(read_inputs(database, second).instances) == 2
    assert read_predecessor(database, 1).revision == 1
    finish(second)
    assert [(r.revision, r.supersedes) for r in rows(RESULTS)] == [(1, None), (2, 1)]


def test_an_exam_in_work_is_not_queued_again(send, queue, claim, finish, clock):
    send(0)
    clock.turn(60)
    queue()
    job = claim()
    send(1)
    clock.turn(60)
    assert queue() == 0
    finish(job)
    assert queue() == 1


def test_a_job_has_one_holder(send, queue, claim):
    send(0, 1, 2, 3)
    queue()
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(claim, map(str, range(8))))
    assert sum(job is not None for job in jobs) == 1


def test_workers_side_by_side_share_the_jobs(send, queue, claim):
    for number in range(6):
        send(0, 1, 2, 3, study=f"1.2.{number}")
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: queue(), range(4))) == 6
        jobs = [job for job in pool.map(claim, map(str, range(12))) if job]
    assert len({job.lease.id for job in jobs}) == len(jobs) == 6


def test_a_silent_holder_loses_the_job_and_cannot_speak_after(
    send, queue, claim, finish, clock, rows, database
):
    send(0, 1, 2, 3)
    queue()
    first = claim("silent")
    clock.turn(30)
    second = claim("next")
    assert second.lease.id == first.lease.id
    assert second.attempts == 2
    assert finish(first) is None
    assert not retry(database, first, "late", RULES, RULES.max_attempts + 1)
    assert renew(database, JOBS, [first.lease, second.lease], 30) == {second.lease.id}
    assert finish(second) == 1
    assert "lease_lost" in {row.action for row in rows(AUDIT)}


def test_a_holder_that_renews_keeps_the_job(send, queue, claim, finish, clock, database):
    send(0, 1, 2, 3)
    queue()
    job = claim()
    for _ in range(5):
        clock.turn(20)
        assert renew(database, JOBS, [job.lease], 30) == {job.lease.id}
        assert claim() is None
    assert finish(job) == 1


def test_a_result_entered_twice_is_one(send, queue, claim, finish, rows):
    send(0, 1, 2, 3)
    queue()
    job = claim()
    assert finish(job) == finish(job) == 1
    assert len(rows(RESULTS)) == 1


def test_failures_wait_longer_and_end(send, queue, claim, clock, database, rows):
    send(0, 1, 2, 3)
    queue()
    waits = []
    for last in (False, False, True):
        job = claim()
        assert job.last is last
        assert retry(database, job, "ModelError", RULES, RULES.max_attempts + 1)
        row = rows(JOBS)[0]
        if not last:
            waits.append((row.not_before - clock.now).total_seconds())
            clock.turn(waits[-1] - 1)
            assert claim() is None
            clock.turn(1)
    assert (row.state, waits) == ("dead", [10, 20])
    assert (claim(), queue()) == (None, 0)
    assert [row.action for row in rows(AUDIT)][-3:] == ["attempt_failed"] * 2 + ["dead"]


def test_a_dead_job_is_revived_once(send, queue, claim, finish, database, clock):
    send(0, 1, 2, 3)
    queue()
    for _ in range(3):
        retry(database, claim(), "ModelError", RULES, RULES.max_attempts + 1)
        clock.turn(40)
    assert revive_jobs(database, "cli") == 1
    assert revive_jobs(database, "cli") == 0
    assert finish(claim()) == 1


def test_a_dead_job_that_was_overtaken_stays(send, queue, claim, finish, database, clock):
    send(0, 1, 2, 3)
    queue()
    for _ in range(3):
        retry(database, claim(), "ModelError", RULES, RULES.max_attempts + 1)
        clock.turn(40)
    send(4)
    clock.turn(60)
    queue()
    assert finish(claim()) == 1
    assert revive_jobs(database, "cli") == 0


@pytest.mark.parametrize("back_s", [10.0, 86_400.0, 86_400 * 365.0])
def test_a_clock_put_back_delays_by_one_wait_at_most(
    send, queue, claim, finish, clock, database, back_s
):
    send(0)
    clock.turn(-back_s)
    queue()
    clock.turn(60)
    queue()
    silent = claim()
    assert silent is not None
    clock.turn(-back_s)
    assert claim() is None
    clock.turn(30)
    job = claim()
    assert job.lease.id == silent.lease.id
    retry(database, job, "ModelError", RULES, RULES.max_attempts + 1)
    clock.turn(-back_s)
    assert claim() is None
    clock.turn(40)
    assert finish(claim()) == 1


def test_a_clock_put_forward_makes_no_second_result(send, queue, claim, finish, clock, rows):
    send(0, 1, 2, 3)
    queue()
    first = claim()
    clock.turn(86_400)
    second = claim()
    assert (finish(first), finish(second)) == (None, 1)
    assert len(rows(RESULTS)) == 1
