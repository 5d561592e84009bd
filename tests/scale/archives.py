"""A small archive, and jobs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

START = (
    "import mammolens.scale.archive as a; a.SHARD_STUDIES = 2\n"
    "from mammolens.cli import main\n"
    "if __name__ == '__main__': main()\n"
)
"""The program, with shards small enough that a small archive has many."""


def write_archive(make_dicom, root: Path, n_exams: int, pixels: int = 96) -> Path:
    """Write exams of one picture each."""
    for number in range(n_exams):
        make_dicom.save(
            root / f"{number % 3}" / f"e{number:03d}.dcm",
            make_dicom.picture(pixels, pixels * 5 // 6, seed=number),
            PatientID=f"P{number:03d}",
            StudyInstanceUID=f"1.2.3.{number + 1}",
            SOPInstanceUID=f"1.2.4.{number + 1}",
        )
    return root


def start_job(archive: Path, out: Path, model: Path, *words: object) -> subprocess.Popen:
    """Start ``mammolens analyze --cluster``; the program is a file, as workers import it again."""
    program = out.parent / "job.py"
    program.write_text(START, "utf-8")
    line = [sys.executable, program, "analyze", archive, "--out", out, "--model", model, *words]
    return subprocess.Popen(
        [str(word) for word in line],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_parts(out: Path, count: int, job: subprocess.Popen, seconds: float = 60) -> None:
    """Wait until some shards are done, and the job still runs."""
    end = time.monotonic() + seconds
    while len(list(out.glob("exams/*/*.parquet"))) < count:
        assert job.poll() is None, job.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)


def patients(out: Path) -> Counter[str]:
    """Count the rows of each patient."""
    import pyarrow.parquet as pq

    found: Counter[str] = Counter()
    for part in out.glob("exams/*/*.parquet"):
        found.update(pq.read_table(part, partitioning=None)["patient_id"].to_pylist())
    return found


def everyone_once(n_exams: int) -> Counter[str]:
    return Counter(f"P{number:03d}" for number in range(n_exams))


def stored(plan, package, options):  # noqa: ARG001
    """A stored prediction in the place of inference."""
    from mammolens.core import Prediction, Scores, TriageCategory

    if plan.patient_id == "P004":
        raise RuntimeError("a fault in the middle of P004")
    share = float(np.float32(len(plan.files) / 10))
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
