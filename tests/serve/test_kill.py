"""``kill -9`` at any instant: nothing that was acknowledged is lost, nothing is made twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from mammolens.errors import StorageError
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.holdings.store import sweep
from mammolens.serve.intake import receive
from mammolens.serve.record import (
    EXAMS,
    FILES,
    INSTANCES,
    JOBS,
    PICTURES,
    RESULTS,
    open_database,
)
from mammolens.serve.record.audit import verify
from mammolens.serve.settings import NodeSettings

from .in_process import work_here, work_once

pytestmark = pytest.mark.slow

CHILD = """
import json, os, signal, sys, threading
from pathlib import Path
from mammolens.serve.holdings import store
from mammolens.serve.intake import reception as intake
from mammolens.model import ModelPackage
from mammolens.serve.work import performance, pictures, results, worker
from mammolens.serve.settings import NodeSettings
from mammolens.serve.holdings import open_state

act, point, settings = sys.argv[1], sys.argv[2], NodeSettings(**json.loads(sys.argv[3]))

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(module, name):
    real = getattr(module, name)
    def call(*arguments, **named):
        real(*arguments, **named)
        die()
    setattr(module, name, call)

if point == "claimed":
    performance.perform = die
elif point == "performed":
    worker.commit_result = die
elif point == "file written":
    store.Path.replace = die
elif point == "file named":
    die_after(store.Store, "put")
elif point == "in the transaction":
    (results if act == "work" else intake).audit.append = die
elif point == "committed":
    die_after(worker, "commit_result") if act == "work" else die_after(intake, "_enter")

class InProcess:
    def __init__(self, settings, threads):
        self.package = ModelPackage.load(settings.model.name)

    def start(self):
        pass

    def perform(self, job, longest_s):
        return performance.perform(state, self.package, job)

    def show(self, tasks, longest_s):
        return pictures.make_pictures(state, self.package, tasks)

    end = start


with open_state(settings) as state:
    if act == "work":
        worker.work(state, 1, threading.Event(), once=True, make_child=InProcess)
    else:
        for path in sorted(Path(sys.argv[4]).iterdir()):
            data = path.read_bytes()
            intake.receive(state, data, "dimse:X")
            print(path.name, flush=True)
"""
QUICK = {
    "exams": {"quiet_time_s": 0.01},
    "jobs": {"lease_s": 0.5, "backoff_s": 0.01, "max_attempts": 99, "poll_s": 0.05},
    "intake": {"min_free_mb": 0},
}


@pytest.fixture
def quick(tmp_path, package, url) -> dict[str, object]:
    return {"data": str(tmp_path / "node"), "model": str(package), "database": url, **QUICK}


@pytest.fixture
def views(tmp_path, mammogram) -> Path:
    folder = tmp_path / "views"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.dcm").write_bytes(mammogram(number))
    return folder


def child(act: str, point: str, quick: dict[str, object], *more: object) -> int:
    command = [sys.executable, "-c", CHILD, act, point, json.dumps(quick), *map(str, more)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def send_all(state: NodeState, folder: Path) -> list[bool]:
    receipts = [receive(state, path.read_bytes(), "dimse:X") for path in sorted(folder.iterdir())]
    return [receipt.repeated for receipt in receipts]


def check_whole(state: NodeState) -> None:
    """Every row has its file, every file its row, and the trail is whole."""
    for store, tables in ((state.received, (INSTANCES, PICTURES)), (state.results, (FILES,))):
        sweep(state.database, store, age_s=-60)
        with state.database.read() as connection:
            rows = {
                row.digest
                for table in tables
                for row in connection.execute(sa.select(table))
                if row.digest is not None
            }
        files = {path.name: path for path in store.folder.glob("??/*")}
        assert rows == {*files}
        for name, path in files.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == name
    with state.database.read() as connection:
        assert verify(connection).sound


def count(state: NodeState, table: sa.Table) -> int:
    with state.database.read() as connection:
        return len(connection.execute(sa.select(table)).all())


@pytest.mark.parametrize("point", ["file written", "file named", "in the transaction", "committed"])
def test_a_node_killed_while_it_receives(quick, views, point):
    assert child("receive", point, quick, views) == -signal.SIGKILL
    with open_state(NodeSettings(**quick)) as state:
        assert count(state, INSTANCES) == (point == "committed")
        assert send_all(state, views) == [point == "committed", False, False, False]
        check_whole(state)
        assert work_once(state) == 1


@pytest.mark.parametrize(
    "point",
    ["claimed", "file written", "performed", "in the transaction", "committed"],
)
def test_a_worker_killed_at_a_point(quick, views, point):
    with open_state(NodeSettings(**quick)) as state:
        send_all(state, views)
    assert child("work", point, quick) == -signal.SIGKILL
    with open_state(NodeSettings(**quick)) as state:
        assert count(state, RESULTS) == (point == "committed")
        time.sleep(0.6)
        assert work_once(state) == (point != "committed")
        assert (count(state, RESULTS), count(state, FILES)) == (1, 1)
        check_whole(state)


def kill_at_random(quick: dict[str, object], tmp_path: Path, mammogram, kills: int) -> None:
    """Kill the real command at random while exams and late views come in."""
    config = tmp_path / "node.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in quick.items() if key not in QUICK]
    for section, values in QUICK.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in values.items())]
    config.write_text("\n".join(lines), "utf-8")
    command = [Path(sys.executable).with_name("mammolens"), "worker", "--config", config]
    rng = random.Random(kills)
    with open_state(NodeSettings(**quick)) as state:
        for study in range(kills):
            for number in range(4):
                uid = f"1.2.{study}"
                data = mammogram(number, StudyInstanceUID=uid, SOPInstanceUID=f"{uid}.{number}")
                receive(state, data, "dimse:X")
            process = subprocess.Popen(command, stderr=subprocess.PIPE)
            assert process.stderr is not None
            process.stderr.readline()
            time.sleep(rng.uniform(0.0, 1.5))
            process.kill()
            process.wait()
            process.stderr.close()
        time.sleep(0.6)
        done = subprocess.run([*command, "--once"], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        with state.database.read() as connection:
            rows = connection.execute(
                sa.select(RESULTS.c.exam_id, JOBS.c.version, RESULTS.c.revision).join(
                    JOBS, JOBS.c.id == RESULTS.c.job_id
                )
            ).all()
            versions = dict(connection.execute(sa.select(EXAMS.c.id, EXAMS.c.version)).all())
        newest = {row.exam_id: row.version for row in sorted(rows, key=lambda r: r.revision)}
        assert newest == versions
        assert len(rows) == len({(row.exam_id, row.version) for row in rows})
        assert count(state, FILES) == len(rows)
        check_whole(state)


def test_a_worker_killed_at_random(quick, tmp_path, mammogram):
    kill_at_random(quick | {"model": "mammolens-2"}, tmp_path, mammogram, 3)


@pytest.mark.longest
def test_a_worker_killed_at_random_many_times(quick, tmp_path, mammogram):
    kill_at_random(quick | {"model": "mammolens-2"}, tmp_path, mammogram, 20)


@pytest.mark.pacs
def test_a_database_killed_at_random(cluster_to_kill, tmp_path, package, mammogram):
    url = cluster_to_kill.new_database()
    quick = {"data": tmp_path / "node", "model": str(package), "database": url, **QUICK}
    acknowledged: set[str] = set()
    stop = threading.Event()

    def send_until_taken(state: NodeState, study: int) -> None:
        for number in range(4):
            uid = f"1.2.{study}.{number}"
            data = mammogram(number, StudyInstanceUID=f"1.2.{study}", SOPInstanceUID=uid)
            while uid not in acknowledged and not stop.is_set():
                with contextlib.suppress(StorageError):
                    receive(state, data, "dimse:X")
                    acknowledged.add(uid)
                time.sleep(0.05)

    rng = random.Random(1)
    with (
        open_state(NodeSettings(**quick)) as state,
        ThreadPoolExecutor(5) as pool,
        pytest.MonkeyPatch.context() as patch,
        contextlib.ExitStack() as ends,
    ):
        patch.setattr("mammolens.serve.work.worker.AWAY_S", 0.2)
        ends.callback(stop.set)
        working = pool.submit(work_here, state, 2, stop)
        sending = [pool.submit(send_until_taken, state, study) for study in range(8)]
        for _ in range(3):
            time.sleep(rng.uniform(0.2, 1.0))
            cluster_to_kill.end(signal.SIGKILL)
            time.sleep(0.3)
            cluster_to_kill.start()
        for sent in sending:
            sent.result(120)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with state.database.read() as connection:
                open_jobs = sa.select(JOBS.c.id).where(JOBS.c.finished_at.is_(None))
                waiting = sa.select(EXAMS.c.id).where(EXAMS.c.version > EXAMS.c.queued_version)
                left = connection.execute(sa.union_all(open_jobs, waiting)).all()
            if not left:
                break
            time.sleep(0.2)
        stop.set()
        working.result(60)
        with state.database.read() as connection:
            found = {*connection.execute(sa.select(INSTANCES.c.sop_instance_uid)).scalars()}
            rows = connection.execute(
                sa.select(RESULTS.c.exam_id, RESULTS.c.n_images).order_by(RESULTS.c.revision)
            ).all()
        assert left == []
        assert acknowledged == found
        newest = {row.exam_id: row.n_images for row in rows}
        assert [*newest.values()] == [4] * 8
        check_whole(state)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_was_acknowledged_before_the_kill_is_there(quick, tmp_path, mammogram, url):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02d}").write_bytes(mammogram(number))
    command = [sys.executable, "-c", CHILD, "receive", "", json.dumps(quick), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(7)]
    process.kill()
    told += process.stdout.read().split()
    process.wait()
    process.stdout.close()
    database = open_database(url)
    with database.read() as connection:
        kept = {*connection.execute(sa.select(INSTANCES.c.digest)).scalars()}
    database.close()
    digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told]
    assert {*digests} <= kept
    assert len(kept) <= len(told) + 1
    with open_state(NodeSettings(**quick)) as state:
        check_whole(state)
