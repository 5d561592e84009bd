"""How soon the drift monitor finds a change of real pictures, and what it costs an exam.

The measures of real mammograms are computed once, as they are and altered: unsharp masking, blur,
gamma 1.5. Streams are drawn from them: a reference of stable exams, then altered exams of *other*
patients. An exam is all pictures of one patient of one machine without a known cancer. Delays are
counted in exams from the change on, with the threshold of the node: the whole alarm budget, over
all measures, sites, machines and versions.

Run: python benchmarks/bench_monitor.py --data ../shared/data --measures out/monitor.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.analysis import AnalysisOptions, analyze_exam
from mammolens.core import Exam, Mammogram
from mammolens.data.cache import read_record
from mammolens.data.manifest import Manifest, Record
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.monitor import (
    MEASURES,
    Observation,
    Partition,
    StreamState,
    exam_values,
    observe,
    seed_of,
    threshold,
)

Picture = npt.NDArray[np.uint8]
OPTIONS = AnalysisOptions(display=False)
RUN_LENGTH = 10_000
REFERENCE = 300


def _unsharp(picture: Picture) -> Picture:
    soft = cv2.GaussianBlur(picture, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(picture, 2.0, soft, -1.0, 0.0))


def _blur(picture: Picture) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0))


def _gamma(picture: Picture) -> Picture:
    grey = np.linspace(0.0, 1.0, 256) ** 1.5
    return np.asarray(np.round(255.0 * grey).astype(np.uint8)[picture])


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "none": lambda picture: picture,  # a stable stream: the same patients before and after
    "other patients, pictures as they are": lambda picture: picture,
    "unsharp masking (radius 2 px, amount 1)": _unsharp,
    "blur (1 px)": _blur,
    "gamma 1.5": _gamma,
}


OTHERS = "other patients, pictures as they are"
"""Alarms here are true: 71 patients, drawn again and again, are replaced by 72 others."""


def altered(mammogram: Mammogram, change: Callable[[Picture], Picture]) -> Mammogram:
    """Alter the stored pixels of a bright-breast picture."""
    return replace(mammogram, pixels=change(np.asarray(mammogram.pixels, np.uint8)))


def measure(data: Path, machine: str, most: int) -> dict[str, dict[str, dict[str, float]]]:
    """Compute the measures: for each change, those of each patient."""
    manifest = Manifest.read(data / "rsna" / "manifest.csv")
    patients: dict[str, list[Record]] = defaultdict(list)
    for record in manifest.records:
        if record.machine == machine:
            patients[record.patient_id].append(record)
    sound = [p for p, rows in sorted(patients.items()) if not any(r.malignant for r in rows)]
    model = ModelPackage.load(DEFAULT_MODEL)
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in CHANGES}
    for patient in sound[:most]:
        pictures = [read_record(record) for record in patients[patient]]
        for name, change in CHANGES.items():
            if name == OTHERS:
                continue
            views = defaultdict(list)
            for mammogram in pictures:
                where = mammogram.ref.laterality, mammogram.ref.view_position
                views[where].append(altered(mammogram, change))
            exam = Exam(patient, None, {slot: tuple(some) for slot, some in views.items()})
            found[name][patient] = dict(exam_values(analyze_exam(exam, model, OPTIONS)).values)
    return found


def delays(
    table: dict[str, dict[str, dict[str, float]]], change: str, streams: int, most: int
) -> tuple[list[int | None], dict[str, int]]:
    """Draw streams, and give the delay of the first alarm of each after the change."""
    patients = sorted(table["none"])
    found: list[int | None] = []
    named: dict[str, int] = defaultdict(int)
    limit = threshold(RUN_LENGTH)
    for number in range(streams):
        rng = np.random.default_rng([7, number])
        order = rng.permutation(patients)
        half = len(order) // 2
        before = rng.choice(order if change == "none" else order[:half], REFERENCE)
        after = rng.choice(order if change == "none" else order[half:], most)
        state = StreamState.begin(seed_of(Partition.MACHINE, number))
        delay: int | None = None
        for place, patient in enumerate([*before, *after]):
            changed = place >= REFERENCE
            values = table[change if changed and change in table else "none"][patient]
            state, alarms = observe(state, Observation(place + 1, values, "m"), limit)
            if alarms and changed:
                delay = place + 1 - REFERENCE
                named[alarms[0].measure] += 1
                break
        found.append(delay)
    return found, dict(named)


def report_delays(table: dict[str, dict[str, dict[str, float]]], streams: int) -> None:
    print(f"patients {len(table['none'])}, one machine; reference {REFERENCE} exams")
    print(f"{'change':42s} streams  found  median (middle 95 %)  first by")
    for change in CHANGES:
        most = 1000 if change in ("none", OTHERS) else 600
        found, named = delays(table, change, streams, most)
        times = sorted(d for d in found if d is not None)
        shown = "-"
        if times:
            low, high = np.percentile(times, [2.5, 97.5])
            shown = f"{statistics.median(times):.0f} ({low:.0f} to {high:.0f})"
        by = ", ".join(f"{n} {c}" for n, c in sorted(named.items(), key=lambda one: -one[1])[:3])
        print(f"{change:42s} {streams:7d} {len(times):6d}  {shown:22s} {by}")


def report_scales(table: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print how each measure is spread over patients, in steps of its scale."""
    for one in MEASURES:
        values = [v[one.name] for v in table["none"].values() if one.name in v]
        if values:
            step = (one.high - one.low) / 64
            spread = statistics.pstdev(values) / step
            print(
                f"{one.name:14s} {min(values):8.3f} to {max(values):8.3f}, sd {spread:5.1f} steps"
            )


def report_cost(machines: int = 2000, exams: int = 4000) -> None:
    """Time the monitors of an exam in memory, and with their states in a node's database."""
    rng = np.random.default_rng(1)
    limit, sd = threshold(RUN_LENGTH), rng.normal(size=(exams, len(MEASURES)))
    state = StreamState.begin(1)
    began = time.process_time()
    for number in range(exams):
        values = {m.name: float(v) for m, v in zip(MEASURES, sd[number], strict=True)}
        for _ in Partition:
            observe(state, Observation(number, values), limit)
    spent = (time.process_time() - began) / exams
    print(f"in memory: {1e3 * spent:.2f} ms an exam (three groups, {len(MEASURES)} measures)")
    report_node_cost(machines, exams)


def report_node_cost(machines: int, exams: int) -> None:
    from tempfile import TemporaryDirectory

    from mammolens.monitor import ExamValues
    from mammolens.serve.monitoring import enter_result, take_in
    from mammolens.serve.record import EXAMS, open_database
    from mammolens.serve.settings import NodeSettings

    rng = np.random.default_rng(2)
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/node.sqlite")
        with database.write() as connection:
            now = database.now(connection)
            for number in range(1, exams + 1):
                row = {"study_instance_uid": f"1.{number}", "identity": "0" * 64, "version": 1}
                row |= {"first_received_at": now, "last_received_at": now, "queued_version": 1}
                connection.execute(EXAMS.insert().values(row | {"four_views": True}))
                values = {m.name: float(rng.normal()) for m in MEASURES}
                machine = f"MACHINE {rng.integers(machines)}"
                exam = ExamValues(values, machine, "SOFTWARE 1", "model")
                enter_result(database, connection, number, number, exam)
        took = []
        while True:
            began = time.process_time()
            taken = take_in(database, NodeSettings())
            if not taken:
                break
            took.append((time.process_time() - began) / taken)
        database.close()
    print(
        f"in the node (SQLite): {1e3 * statistics.median(took):.2f} ms an exam, slowest batch"
        f" {1e3 * max(took):.2f} ({exams} exams of {machines} machines)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--measures", type=Path, help="file that keeps the measures")
    parser.add_argument("--machine", default="49")
    parser.add_argument("--most", type=int, default=10_000, help="patients")
    parser.add_argument("--streams", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.data is not None:
        if not arguments.measures.is_file():
            table = measure(arguments.data, arguments.machine, arguments.most)
            arguments.measures.parent.mkdir(parents=True, exist_ok=True)
            arguments.measures.write_text(json.dumps(table), "utf-8")
        table = json.loads(arguments.measures.read_text("utf-8"))
        report_scales(table)
        report_delays(table, arguments.streams)
    report_cost()


if __name__ == "__main__":
    main()
