"""From the last image to the report in the PACS, against the command line on the same files.

An exam of four views is sent to a node on loopback with DCMTK's storescu; the clock runs from the
end of the send until Orthanc holds the CAD SR. It may take the quiet time, which is waited for to
its end here, and 1.5 times what `mammolens analyze` takes for the same files and sink.

Run: python benchmarks/bench_turnaround.py (needs Debian's orthanc and dcmtk)
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pydicom

LOOPBACK = Path(__file__).parents[1] / "deploy" / "loopback"
sys.path.insert(0, str(LOOPBACK))
from demo import hospital, sample  # noqa: E402
from peers import Node, Orthanc, send  # noqa: E402

ROUNDS = 5
TARGET = 1.5
QUIET_S = 5.0
SINK = "dicom-cad-sr"
CASE = "sfm-malign-0"
WAIT_S = 120.0


def main() -> None:
    node = partial(
        Node,
        sinks=(SINK,),
        sections={"exams": {"quiet_time_s": QUIET_S, "four_views": False}},
    )
    with hospital(node) as (folder, pacs, running):
        files = sample(CASE, folder / "sample")
        analyse(files[0].parent)
        turnarounds, alone = [], []
        for number in range(ROUNDS + 1):
            study = rename(files, number)
            if not send(files, "MAMMOLENS", running.port):
                raise SystemExit("the exam was not taken")
            began = time.perf_counter()
            wait_for_report(pacs, study)
            turnarounds.append(time.perf_counter() - began)
            alone.append(analyse(files[0].parent))
    # The first of each loads what the others find in memory.
    took, line = (statistics.median(taken[1:]) for taken in (turnarounds, alone))
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    ratio = (took - QUIET_S) / line
    verdict = "within" if ratio <= TARGET else "MISSES"
    print(f"last image to report in the PACS: {took:.2f} s, {QUIET_S:g} s of them quiet time")
    print(f"the command line for the same files: {line:.2f} s (load {load})")
    print(f"beyond the quiet time: {ratio:.2f} of that, {verdict} the target of {TARGET}")


def rename(files: list[Path], number: int) -> str:
    """Make an exam a new one."""
    study = pydicom.uid.generate_uid()
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID, dataset.PatientID = study, f"TURN{number:03d}"
        dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path, enforce_file_format=True)
    return str(study)


def wait_for_report(pacs: Orthanc, study: str) -> None:
    query = {
        "Level": "Series",
        "Query": {"StudyInstanceUID": study, "Modality": "SR"},
    }
    until = time.monotonic() + WAIT_S
    while not pacs.ask("/tools/find", query):
        if time.monotonic() > until:
            raise SystemExit("no report came")
        time.sleep(0.02)


def analyse(exam: Path) -> float:
    """Give the seconds of the command line."""
    program = str(Path(sys.executable).with_name("mammolens"))
    with tempfile.TemporaryDirectory() as out:
        command = [program, "analyze", str(exam), "--sinks", SINK, "--out", out]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
