"""Whatever happens in whatever order, no change to an exam is lost and no result is made twice."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from mammolens.core import ModelId, TriageCategory
from mammolens.serve.audit import verify
from mammolens.serve.database import open_database
from mammolens.serve.intake import receive
from mammolens.serve.leases import renew
from mammolens.serve.queue import Job, claim_job, fail_job, queue_due
from mammolens.serve.results import Outcome, commit_result, read_inputs
from mammolens.serve.settings import ExamSettings, IntakeSettings, JobSettings
from mammolens.serve.store import Store
from mammolens.serve.tables import EXAMS, INSTANCES, JOBS, RESULTS

RULES = JobSettings(lease_s=30, max_attempts=3, backoff_s=5, backoff_max_s=20)
QUIET = ExamSettings(quiet_time_s=60)
INTAKE = IntakeSettings(min_free_mb=0)
OUTCOME = Outcome(
    TriageCategory.LOW, 0.1, 0.2, 1, 0, (), ModelId("m", "1", "d"), datetime(2026, 3, 1, tzinfo=UTC)
)
FAST = Path("/dev/shm")
"""Where there is one: here the order of events is tried, not the disk."""


class NodeMachine(RuleBasedStateMachine):
    """Views come, time passes (and jumps), workers claim, renew, finish, fail and fall silent."""

    make_url: ClassVar[Any] = None
    mammogram: ClassVar[Any] = None
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self.folder = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.database = open_database(type(self).make_url(self.folder), lambda _: self.now)
        self.received, self.results = Store(self.folder / "in"), Store(self.folder / "out")
        self.acknowledged: set[tuple[str, int]] = set()
        self.holders: dict[int, str] = {}
        self.numbers = itertools.count()

    @rule(study=st.sampled_from(["1.1", "1.2"]), number=st.integers(0, 5))
    def arrive(self, study: str, number: int) -> None:
        data = type(self).mammogram(
            number, StudyInstanceUID=study, SOPInstanceUID=f"{study}.{number}"
        )
        receipt = receive(self.database, self.received, data, "dimse:X", INTAKE)
        assert receipt.repeated == ((study, number) in self.acknowledged)
        self.acknowledged.add((study, number))

    @rule(seconds=st.sampled_from([1, 10, 31, 61]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([-90_000, -40, 90_000]))
    def jump(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def queue(self) -> None:
        queue_due(self.database, QUIET)

    @rule(target=jobs)
    def claim(self) -> Any:
        job = claim_job(self.database, f"w{next(self.numbers)}", RULES)
        if job is None:
            return multiple()
        self.holders[job.lease.id] = job.lease.token
        return job

    @rule(job=jobs)
    def renew(self, job: Job) -> None:
        held = renew(self.database, JOBS, [job.lease], RULES.lease_s)
        if held:
            assert self.holders[job.lease.id] == job.lease.token

    @rule(job=consumes(jobs))
    def finish(self, job: Job) -> None:
        assert read_inputs(self.database, job).instances
        entered = self._commit(job)
        if entered is not None:
            assert self.holders[job.lease.id] == job.lease.token
            assert self._commit(job) == entered

    @rule(job=consumes(jobs))
    def fail(self, job: Job) -> None:
        state = fail_job(self.database, job, "w", "ModelError", RULES)
        if state is not None:
            assert self.holders[job.lease.id] == job.lease.token

    @rule(job=consumes(jobs))
    def fall_silent(self, job: Job) -> None:
        """The worker was killed: nobody will ever speak for this claim."""

    @invariant()
    def results_are_in_order(self) -> None:
        with self.database.read() as connection:
            found = connection.execute(
                sa.select(RESULTS, JOBS.c.version, JOBS.c.state)
                .join(JOBS, JOBS.c.id == RESULTS.c.job_id)
                .order_by(RESULTS.c.exam_id, RESULTS.c.revision)
            ).all()
        for _, group in itertools.groupby(found, key=lambda row: row.exam_id):
            rows = list(group)
            assert [row.revision for row in rows] == list(range(1, len(rows) + 1))
            assert [row.supersedes for row in rows] == [None, *(row.id for row in rows[:-1])]
            versions = [row.version for row in rows]
            assert versions == sorted(set(versions))
            assert {row.state for row in rows} == {"done"}

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        with self.database.read() as connection:
            found = connection.execute(
                sa.select(EXAMS.c.study_instance_uid, INSTANCES.c.digest).join(
                    EXAMS, EXAMS.c.id == INSTANCES.c.exam_id
                )
            ).all()
        assert len(found) == len(self.acknowledged)
        assert all(self.received.path(row.digest).is_file() for row in found)

    def teardown(self) -> None:
        """An honest worker comes: in the end every view is in the newest result of its exam."""
        for _ in range(40):
            self.now += timedelta(seconds=70)
            queue_due(self.database, QUIET)
            while job := claim_job(self.database, "honest", RULES):
                assert self._commit(job) is not None
        with self.database.read() as connection:
            assert verify(connection).sound
            exams = connection.execute(sa.select(EXAMS)).all()
            for exam in exams:
                newest = connection.execute(
                    sa.select(JOBS)
                    .where(JOBS.c.exam_id == exam.id)
                    .order_by(JOBS.c.version.desc())
                    .limit(1)
                ).one()
                assert newest.version == exam.version
                assert newest.state in ("done", "dead")
        assert len(exams) == len({study for study, _ in self.acknowledged})
        self.database.close()
        shutil.rmtree(self.folder)

    def _commit(self, job: Job) -> int | None:
        return commit_result(self.database, job, "w", OUTCOME, [], [], self.results)


@pytest.fixture
def machine(mammogram):
    def make(make_url: Any) -> type[NodeMachine]:
        members = {
            "make_url": staticmethod(make_url),
            "mammogram": staticmethod(mammogram),
        }
        return type("Machine", (NodeMachine,), members)

    return make


def try_out(machine: type[NodeMachine], examples: int) -> None:
    rules = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=rules)


def test_nothing_is_lost_on_sqlite(machine):
    try_out(machine(lambda folder: f"sqlite:///{folder}/node.sqlite"), 15)


@pytest.mark.slow
def test_nothing_is_lost_on_sqlite_at_length(machine):
    try_out(machine(lambda folder: f"sqlite:///{folder}/node.sqlite"), 200)


@pytest.mark.pacs
def test_nothing_is_lost_on_postgresql(machine, cluster):
    try_out(machine(lambda _: cluster.new_database()), 15)
