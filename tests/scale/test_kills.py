"""Real processes that are killed: a worker, the job itself, the scheduler. Nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from archives import everyone_once, patients, start_job, wait_for_parts, write_archive

from mammolens.data.manifest_writer import write_manifest
from mammolens.data.sources import build_source

pytest.importorskip("distributed", reason="pip install 'mammolens[scale]'")
pytest.importorskip("pyarrow")
psutil = pytest.importorskip("psutil")

pytestmark = pytest.mark.slow
N_EXAMS = 16
DONE = (0, 3)


@pytest.fixture
def archive(tmp_path, make_dicom):
    return write_archive(make_dicom, tmp_path / "archive", N_EXAMS, pixels=600)


def workers_of(job: subprocess.Popen) -> list:
    children = psutil.Process(job.pid).children(recursive=True)
    return [one for one in children if "spawn_main" in " ".join(one.cmdline())]


def test_a_killed_worker(archive, package, tmp_path):
    job = start_job(archive, tmp_path / "out", package, "--cluster", "local:2")
    wait_for_parts(tmp_path / "out", 1, job)
    workers_of(job)[0].kill()
    words, _ = job.communicate(timeout=60)
    assert job.returncode in DONE, words
    assert patients(tmp_path / "out") == everyone_once(N_EXAMS)


def test_a_killed_job(archive, package, tmp_path):
    job = start_job(archive, tmp_path / "out", package, "--cluster", "local:1")
    wait_for_parts(tmp_path / "out", 1, job)
    orphans = workers_of(job)
    job.kill()
    job.communicate(timeout=20)
    psutil.wait_procs(orphans, timeout=20)
    before = sum(patients(tmp_path / "out").values())
    assert 0 < before < N_EXAMS
    again = start_job(archive, tmp_path / "out", package, "--cluster", "local:1")
    words, _ = again.communicate(timeout=60)
    assert again.returncode in DONE, words
    assert patients(tmp_path / "out") == everyone_once(N_EXAMS)
    assert not any(one.is_running() for one in orphans)
    assert not list((tmp_path / "out").glob("exams/*/.*"))


BUILD = """
import time
import mammolens.scale.datasets as d
from mammolens.cli import main
d.FILES_A_TASK, right = 2, d.identify
def slow(file):
    time.sleep(0.1)
    with open({log!r}, "a") as log:
        log.write(file.path.name + "\\n")
    return right(file)
d.identify = slow  # also in the workers, which import this file again
if __name__ == '__main__': main()
"""


def test_a_killed_build_of_a_table_goes_on_where_it_was(make_dicom, tmp_path):
    """No header is read again whose result was on the disk; the table is that of one process."""
    root, log, table = tmp_path / "set", tmp_path / "read.log", tmp_path / "out" / "table.csv"
    for number in range(24):
        place = root / ("malignant" if number % 2 else "normal") / f"e{number:03d}.dcm"
        make_dicom.save(place, PatientID=f"P{number}", SOPInstanceUID=f"1.2.4.{number + 1}")
    program = tmp_path / "build.py"
    program.write_text(BUILD.format(log=str(log)), "utf-8")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    words = ["datasets", "build", "folder", root, "--out", table, "--cluster", "local:1"]

    def start():
        line = [sys.executable, program, *words]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen([*map(str, line)], env=env, **piped)

    def kept():
        file = table.with_name(".table.csv.headers")
        if not file.exists():
            return set()
        with contextlib.closing(sqlite3.connect(file)) as base, contextlib.suppress(sqlite3.Error):
            return {Path(one).name for (one,) in base.execute("SELECT path FROM header")}
        return set()

    job = start()
    end = time.monotonic() + 60
    while len(kept()) < 4:
        assert job.poll() is None, job.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)
    orphans = workers_of(job)
    job.kill()
    job.communicate(timeout=20)
    psutil.wait_procs(orphans, timeout=20)
    before = kept()
    assert 4 <= len(before) < 24
    assert not table.exists()
    again = start()
    told, _ = again.communicate(timeout=60)
    assert again.returncode == 0, told
    times = Counter(log.read_text("utf-8").split())
    assert {times[name] for name in before} == {1}
    assert len(times) == 24
    assert kept() == set()
    plain = tmp_path / "out" / "plain.csv"
    write_manifest(build_source("folder", root), plain)
    assert table.read_bytes() == plain.read_bytes()


@pytest.fixture
def start_scheduler(tmp_path):
    started = []

    def start(tls=None):
        """Start a scheduler and a worker of this machine; give the address and the scheduler."""
        place = tmp_path / f"scheduler-{len(started)}.json"
        here = ("--no-dashboard", "--scheduler-file", place)
        if tls is not None:
            here += ("--tls-ca-file", tls / "ca.pem", "--tls-cert", tls / "cert.pem")
            here += ("--tls-key", tls / "key.pem")
        host = f"{'tcp' if tls is None else 'tls'}://127.0.0.1"
        scheduler = _dask("scheduler", "--host", host, "--port", 0, *here)
        started.append(scheduler)
        while not place.exists():
            assert scheduler.poll() is None
            time.sleep(0.05)
        nanny = ("--no-nanny", "--nthreads", 1, "--local-directory", tmp_path / "scratch")
        started.append(_dask("worker", *here, *nanny))
        return json.loads(place.read_text("utf-8"))["address"], scheduler

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def _dask(*words):
    line = [sys.executable, "-m", "dask", *map(str, words)]
    path = os.pathsep.join(p for p in sys.path if p)
    env = os.environ | {"PYTHONPATH": path}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(line, env=env, stdout=quiet, stderr=quiet)


@pytest.fixture
def certificates(tmp_path):
    from distributed.security import Security

    made, folder = Security.temporary(), tmp_path / "tls"
    folder.mkdir()
    (folder / "ca.pem").write_text(made.tls_ca_file, "utf-8")
    (folder / "cert.pem").write_text(made.tls_client_cert, "utf-8")
    (folder / "key.pem").write_text(made.tls_client_key, "utf-8")
    return folder


def test_a_killed_scheduler(archive, package, tmp_path, start_scheduler, certificates):
    """The job goes on with another scheduler, which asks for certificates."""
    address, scheduler = start_scheduler()
    job = start_job(archive, tmp_path / "out", package, "--cluster", address)
    wait_for_parts(tmp_path / "out", 1, job)
    scheduler.send_signal(signal.SIGKILL)
    words, _ = job.communicate(timeout=60)
    assert job.returncode == 4, words
    assert "the scheduler of the cluster is lost" in " ".join(words.split())
    assert "Run the same command again" in " ".join(words.split())
    address, _ = start_scheduler(certificates)
    assert address.startswith("tls://")
    tls = ("--tls", certificates)
    again = start_job(archive, tmp_path / "out", package, "--cluster", address, *tls)
    words, _ = again.communicate(timeout=60)
    assert again.returncode in DONE, words
    assert patients(tmp_path / "out") == everyone_once(N_EXAMS)


PORTS = """
import gc, os, psutil
from mammolens.scale.cluster import open_cluster
class Part:
    pass
if __name__ == "__main__":
    with open_cluster("local:1") as workers:
        tasks = ([Part() for _ in range(100)] for _ in range(60))
        assert list(workers.run(len, tasks)) == [100] * 60
        gc.collect()
        kept = sum(type(one) is Part for one in gc.get_objects())
        assert kept <= 20 * 100, f"memory grows: {kept} of 6000 parts of old tasks are kept"
        for one in (psutil.Process(), *psutil.Process().children(recursive=True)):
            for place in one.net_connections("tcp"):
                if place.status == psutil.CONN_LISTEN:
                    print(*place.laddr)
                    for path in ("info/main/workers.html", "json/counts.json"):
                        try:
                            answer = urlopen(f"http://127.0.0.1:{place.laddr[1]}/{path}", timeout=5)
                            raise SystemExit(f"{place.laddr} answers {answer.status}")
                        except OSError:
                            pass
"""


def test_a_local_cluster_is_open_to_nobody(tmp_path):
    """It listens on loopback alone, no port shows a page, and old tasks leave the memory."""
    program = tmp_path / "ports.py"
    program.write_text("from urllib.request import urlopen" + PORTS, "utf-8")
    path = os.pathsep.join(p for p in sys.path if p)
    line = [sys.executable, program]
    found = subprocess.run(line, env=os.environ | {"PYTHONPATH": path}, capture_output=True)
    assert found.returncode == 0, found.stderr.decode()
    hosts = {line.split()[0] for line in found.stdout.decode().splitlines()}
    assert hosts == {"127.0.0.1"}
