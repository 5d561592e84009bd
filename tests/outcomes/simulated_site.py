"""A simulated site of 20,000 screening exams: two tables, and the truth from which they come."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

TODAY = date(2026, 6, 30)
COMPLETE_UNTIL = date(2026, 3, 31)
N_PATIENTS = 16_000
N_TWICE = 4_000
CATEGORIES = ("1", "2", "3", "0", "4", "5")
READERS = ("Dr. Ames", "Dr. Böhm", "Dr. Cho", "")
MACHINES = ("A 3000", "B Dimension")
EXAM_COLUMNS = (
    *("image_id", "patient_id", "study_id", "laterality", "birads", "final_birads", "density"),
    *("age", "reader", "site", "machine", "exam_date", "without_ai", "ai_category", "ai_score"),
)
OUTCOME_COLUMNS = (
    *("patient_id", "side", "date", "outcome", "size_mm", "nodes_positive", "nodes_examined"),
    "source",
)


@dataclass
class Truth:
    """What is true of one exam; `state` is ``known``, or why the audit must leave it out."""

    patient_id: str
    day: date
    reader: str
    site: str
    machine: str
    density: str
    age: float
    category: str
    final: str
    cancer: str
    state: str
    size_mm: float | None
    nodes: int | None
    benign_biopsy: bool
    ai_category: str


def simulate(seed: int = 7) -> list[Truth]:
    """Draw the truth of every exam."""
    rng = np.random.default_rng(seed)
    exams = []
    for number in range(N_PATIENTS):
        first = date(2021, 1, 4) + timedelta(int(rng.integers(1500)))
        days = [first, first + timedelta(420)] if number < N_TWICE else [first]
        own = (f"P{number:05d}", str(rng.choice(["a", "b", "c", "d"])), rng.uniform(38, 84))
        exams += [_exam(rng, own, day) for day in days]
    return exams


def _exam(rng, own, day):
    patient_id, density, age = own
    cancer = "" if rng.random() > 0.008 else str(rng.choice(["in_situ", "invasive", "malignant"]))
    odds = [0.04, 0.04, 0.06, 0.4, 0.3, 0.16] if cancer else [0.6, 0.29, 0.02, 0.08, 0.008, 0.002]
    category = str(rng.choice(CATEGORIES, p=odds))
    suspicious = category in "045" and rng.random() < (0.95 if cancer else 0.2)
    final = "4" if suspicious else "2"
    ai = [0.05, 0.1, 0.25, 0.6] if cancer else [0.05, 0.65, 0.2, 0.1]
    state = "known"
    if day + timedelta(365) > COMPLETE_UNTIL:
        state = "no follow-up"
    elif rng.random() < 0.004:
        state = str(rng.choice(["unsure", "contradiction", "known cancer", "not assessed"]))
        cancer = "" if state in ("unsure", "contradiction") else cancer
    return Truth(
        patient_id,
        day,
        str(rng.choice(READERS)),
        str(rng.choice(["north", "south"])),
        str(rng.choice(MACHINES)),
        density,
        round(float(age), 1),
        category,
        final,
        cancer,
        state,
        float(rng.integers(3, 40)) if rng.random() < 0.8 else None,
        int(rng.integers(0, 3)) if rng.random() < 0.7 else None,
        not cancer and suspicious and state in ("known", "no follow-up"),
        str(rng.choice(["failed", "low", "intermediate", "high"], p=ai)),
    )


def write_site(exams: list[Truth], folder: Path) -> tuple[Path, Path]:
    """Write the tables of exams and outcomes; an exam has a row for each breast."""
    rows, outcomes = [], []
    for number, one in enumerate(exams):
        side = "L" if number % 2 else "R"
        for laterality in "RL":
            birads, final = (one.category, one.final) if laterality == side else ("1", "1")
            if one.state == "known cancer" and laterality == side:
                birads = "6"
            if one.state == "not assessed":
                birads = "" if laterality == side else "2"
            rows.append(
                (
                    *(f"I{number}{laterality}", one.patient_id, f"1.2.{number}", laterality),
                    *(birads, final, one.density, one.age, one.reader, one.site, one.machine),
                    *(one.day, 1, one.ai_category, 0.9 if one.ai_category == "high" else 0.1),
                )
            )
        later = one.day + timedelta(20 if one.category in "0345" else 200)
        outcomes += _outcomes(one, number, side, later)
    outcomes.append(("P00000", "R", date(2019, 1, 1), "benign", "", "", "", "older"))
    outcomes.append(("stranger", "R", date(2023, 1, 1), "invasive", 12, 0, 2, "other site"))
    return (
        _write(folder / "exams.csv", EXAM_COLUMNS, rows),
        _write(folder / "outcomes.csv", OUTCOME_COLUMNS, outcomes),
    )


def _outcomes(one, number, side, day):
    report = f"report {number}"
    if one.state == "unsure":
        yield one.patient_id, side, day, "unsatisfactory", "", "", "", report
    if one.state == "contradiction":
        for said in ("benign", "invasive"):
            yield one.patient_id, side, day, said, "", "", "", report
    if one.benign_biopsy and day <= COMPLETE_UNTIL:
        yield one.patient_id, side, day, "benign", "", "", "", report
    if one.cancer and day <= COMPLETE_UNTIL:
        size = "" if one.size_mm is None else one.size_mm
        nodes = "" if one.nodes is None else one.nodes
        yield one.patient_id, side, day, one.cancer, size, nodes, "" if nodes == "" else 5, report


def _write(path, columns, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return path
