"""What version 2 of the preparation does to the scores of the shipped model, on held-out patients.

The model learned from version 1, and its card asks for it. A score may move only where the mask of
version 1 was wrong: each image whose prepared picture changes is counted, and drawn with
``--draw``. AUC of malignancy by image, pictures alone; differences paired by patient.

Run: python benchmarks/score_versions.py --data ../shared/data [--draw FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from mammolens.analysis import score_prepared
from mammolens.data.cache import read_record
from mammolens.data.manifest import Manifest, Split
from mammolens.data.splits import split_patients
from mammolens.errors import InputError
from mammolens.metrics.bootstrap import patient_bootstraps, side_by_side
from mammolens.metrics.ranking import auc_statistic
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.preprocess import prepare

SETS: Final = ("mias", "inbreast", "ddsm", "rsna")
MOVED: Final = 0.01
"""A score has moved if P(malignant) differs by more."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draw", type=Path, help="folder for pictures of what changed")
    parser.add_argument("--sets", default=",".join(SETS))
    asked = parser.parse_args()
    model = ModelPackage.load(DEFAULT_MODEL, threads=1)
    first = model.card.for_breasts()
    second = first.model_copy(update={"version": 2})
    print("| source | images (patients) | picture changed | score moved | largest move |", end="")
    print(" AUC, version 1 | AUC, version 2 | difference (95 %) |\n" + "| --- " * 8 + "|")
    for name in asked.sets.split(","):
        table = Manifest.read(asked.data / name / "manifest.csv")
        held = split_patients(table, validation=0.2, seed=1).select(split=Split.VALIDATION)
        labels, patients, scores, changed, sheet = [], [], [], 0, []
        for record in held.records:
            if record.malignant is None:
                continue
            mammogram = read_record(record)
            try:
                views = prepare(mammogram, first), prepare(mammogram, second)
            except InputError:
                continue
            same = np.array_equal(views[0].pixels, views[1].pixels)
            raw = score_prepared(model, views[:1] if same else views).probabilities[:, 2]
            scores.append((float(raw[0]), float(raw[-1])))
            labels.append(int(record.malignant))
            patients.append(record.patient_id)
            if not same:
                changed += 1
                pair = np.hstack([view.pixels for view in views])
                text = f"{raw[0]:.2f} {raw[1]:.2f}"
                sheet.append(cv2.putText(pair.copy(), text, (5, 630), 0, 1.0, 255, 2))
        report(name, np.array(labels), np.array(patients), np.array(scores), changed)
        if asked.draw and sheet:
            asked.draw.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(asked.draw / f"versions-{name}.png"), np.hstack(sheet[:12]))


def report(
    name: str, labels: np.ndarray, patients: np.ndarray, scores: np.ndarray, changed: int
) -> None:
    one, two = (auc_statistic(labels, scores[:, column]) for column in (0, 1))
    found = patient_bootstraps(
        side_by_side({"one": one, "two": two, "more": lambda weights: two(weights) - one(weights)}),
        labels,
        patients,
        seed=1,
    )
    moves = np.abs(scores[:, 1] - scores[:, 0])
    words = [str(found[key]) for key in ("one", "two", "more")]
    print(
        f"| {name} | {len(labels)} ({len(set(patients))}) | {changed} "
        f"| {np.count_nonzero(moves > MOVED)} | {moves.max():.3f} | {' | '.join(words)} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
