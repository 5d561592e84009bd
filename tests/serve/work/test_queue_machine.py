"""Whatever happens in whatever order, no change to an exam is lost and no result is made twice."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings

from mammolens.core import ModelId, TriageCategory
from mammolens.serve.holdings import NodeState, Store
from mammolens.serve.intake import receive
from mammolens.serve.record import EXAMS, INSTANCES, JOBS, RESULTS, open_database
from mammolens.serve.record.attempts import retry
from mammolens.serve.record.audit import verify
from mammolens.serve.record.leases import renew
from mammolens.serve.settings import ExamSettings, JobSettings, NodeSettings
from mammolens.serve.work.queue import Job, claim_job, queue_due
from mammolens.serve.work.results import Outcome, commit_result, read_inputs

RULES = JobSettings(lease_s=30, max_attempts=3, backoff_s=5, backoff_max_s=20)
QUIET = ExamSettings(quiet_time_s=60)
OUTCOME = Outcome(
    TriageCategory.LOW, 0.1, 0.2, 1, 0, (), ModelId("m", "1", "d"), datetime(2026, 3, 1, tzinfo=UTC)
)
SQLITE = "node.sqlite"
FAST = Path("/dev/shm")
"""Where there is one: here the order of events is tried, not the disk."""


STUDIES = ("1.1", "1.2", "1.3")
INDEX = st.integers(0, 3)
ARRIVE = st.tuples(st.just("arrive"), st.sampled_from(STUDIES), st.integers(0, 9))
JUMP = st.tuples(st.just("pass_time"), st.sampled_from([-90_000, -40, 1, 31, 61, 90_000]))
CLAIM = st.tuples(st.just("claim"), st.sampled_from([1, 31, 61]))
FINISH = st.tuples(st.just("finish"), INDEX)
OTHER = st.tuples(st.sampled_from(["renew", "fail", "fall_silent"]), INDEX)
HAPPENINGS = st.one_of(ARRIVE, ARRIVE, JUMP, CLAIM, CLAIM, CLAIM, FINISH, FINISH, OTHER)
"""Views come, time passes and jumps, workers claim, renew, finish, fail and fall silent."""


class Model:
    """A node, and beside it what must be true of it."""

    def __init__(self, make_url: Any, mammogram: Any, empty: bytes | None) -> None:
        self.mammogram = mammogram
        self.folder = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
        if empty is not None:
            (self.folder / SQLITE).write_bytes(empty)
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.database = open_database(make_url(self.folder), lambda _: self.now)
        self.received, self.results = Store(self.folder / "in"), Store(self.folder / "out")
        settings = NodeSettings(data=self.folder, intake={"min_free_mb": 0})
        self.node = NodeState(settings, self.database, self.received, self.results)
        self.acknowledged: set[tuple[str, int]] = set()
        self.holders: dict[int, str] = {}
        self.jobs: list[Job] = []
        self.seen: dict[int, int] = {}
        self.numbers = itertools.count()

    def happen(self, name: str, *arguments: Any) -> None:
        if name in ("finish", "renew", "fail", "fall_silent"):
            if not self.jobs:
                return
            arguments = (self.jobs[arguments[0] % len(self.jobs)],)
        getattr(self, name)(*arguments)
        self.results_are_in_order()
        self.what_was_acknowledged_is_there()

    def arrive(self, study: str, number: int) -> None:
        data = self.mammogram(number, StudyInstanceUID=study, SOPInstanceUID=f"{study}.{number}")
        receipt = receive(self.node, data, "dimse:X")
        assert receipt.repeated == ((study, number) in self.acknowledged)
        self.acknowledged.add((study, number))

    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        queue_due(self.database, QUIET)

    def claim(self, seconds: int) -> None:
        self.pass_time(seconds)
        job = claim_job(self.database, f"w{next(self.numbers)}", RULES)
        if job is not None:
            self.holders[job.lease.id] = job.lease.token
            self.jobs.append(job)

    def renew(self, job: Job) -> None:
        held = renew(self.database, JOBS, [job.lease], RULES.lease_s)
        assert not held or self.holders[job.lease.id] == job.lease.token

    def finish(self, job: Job) -> None:
        self.jobs.remove(job)
        done_before = job.lease.id in self.done()
        entered = self._commit(job)
        if done_before:
            assert entered is not None
        elif entered is not None:
            assert self.holders[job.lease.id] == job.lease.token
            assert self._commit(job) == entered

    def fail(self, job: Job) -> None:
        self.jobs.remove(job)
        held = retry(self.database, job, "ModelError", RULES, RULES.max_attempts + 1)
        assert not held or self.holders[job.lease.id] == job.lease.token

    def fall_silent(self, job: Job) -> None:
        """The worker was killed: nobody will ever speak for this claim."""
        self.jobs.remove(job)

    def done(self) -> set[int]:
        with self.database.read() as connection:
            return {*connection.execute(sa.select(RESULTS.c.job_id)).scalars()}

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

    def what_was_acknowledged_is_there(self) -> None:
        with self.database.read() as connection:
            found = connection.execute(
                sa.select(EXAMS.c.study_instance_uid, INSTANCES.c.digest).join(
                    EXAMS, EXAMS.c.id == INSTANCES.c.exam_id
                )
            ).all()
        assert len(found) == len(self.acknowledged)
        assert all(self.received.path(row.digest).is_file() for row in found)

    def end(self) -> None:
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
                if newest.state == "dead":
                    continue
                result = connection.execute(
                    sa.select(RESULTS.c.id).where(RESULTS.c.job_id == newest.id)
                ).scalar_one()
                studies = [study for study, _ in self.acknowledged]
                assert self.seen[result] == studies.count(exam.study_instance_uid)
        assert len(exams) == len({study for study, _ in self.acknowledged})

    def _commit(self, job: Job) -> int | None:
        n_images = len(read_inputs(self.database, job).instances)
        entered = commit_result(self.database, job, OUTCOME, [], [], self.results)
        if entered is not None:
            self.seen.setdefault(entered, n_images)
        return entered


def try_out(make_url: Any, mammogram: Any, examples: int, empty: bytes | None = None) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(HAPPENINGS, min_size=30, max_size=50))
    def whatever_happens(happenings: list[Any]) -> None:
        model = Model(make_url, mammogram, empty)
        try:
            for study in STUDIES:
                model.arrive(study, 0)
            for happening in happenings:
                model.happen(*happening)
            model.end()
        finally:
            model.database.close()
            shutil.rmtree(model.folder)

    whatever_happens()


@pytest.fixture
def empty(tmp_path: Path) -> bytes:
    """A new database, so that it is not migrated once more for each example."""
    open_database(on_sqlite(tmp_path)).close()
    return (tmp_path / SQLITE).read_bytes()


def on_sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/{SQLITE}"


def test_nothing_is_lost_on_sqlite(mammogram, empty):
    try_out(on_sqlite, mammogram, 20, empty)


@pytest.mark.slow
@pytest.mark.longest
def test_nothing_is_lost_on_sqlite_at_length(mammogram, empty):
    try_out(on_sqlite, mammogram, 500, empty)


@pytest.mark.pacs
def test_nothing_is_lost_on_postgresql(mammogram, cluster):
    try_out(lambda _: cluster.new_database(), mammogram, 10)
