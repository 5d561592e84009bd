"""What photographs of films on a light box are worth, on simulated photographs of held-out films.

For the images of patients from whom the shipped model did not learn (ddsm without its scanner
DBA 21, mias, inbreast): how many photographs are accepted at three levels of strength, how many
deliberately bad ones are refused with the right reason, what the ordinary door makes of a grey
copy of each photograph, and how much AUC is lost for accepted ones against the same images without
photographing (paired, patients resampled).

Run: python benchmarks/bench_photograph.py --data ../shared/data [--most 240] [--bad 40]
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from photograph_inputs import BAD, LEVELS, bad_photograph, photograph_of

from mammolens.analysis import pool_breast, score_prepared
from mammolens.core import Laterality, Mammogram, ViewPosition
from mammolens.data.cache import read_record
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import BadPhotograph, InputError
from mammolens.metrics import auc, auc_difference
from mammolens.model import DEFAULT_MODEL, ModelPackage, patient_digest, read_patients
from mammolens.photograph import check_view, film_mammogram, refuse_photographed, straighten
from mammolens.preprocess import prepare
from mammolens.quality import admit

SETS = ("ddsm", "mias", "inbreast")
SEED = 20261130


def held_out(data: Path, most: int) -> list[Record]:
    """Labelled images of held-out patients: the same number of each set, as far as they go."""
    patients = read_patients(DEFAULT_MODEL)
    assert patients is not None
    found: list[list[Record]] = []
    for name in SETS:
        records = [
            record
            for record in Manifest.read(data / name / "manifest.csv").records
            if record.malignant is not None
            and record.machine != "DBA 21"
            and patient_digest((name, record.patient_id)) in patients.held_out
        ]
        found.append(sorted(records, key=lambda record: patient_digest((name, record.image_id))))
    chosen: list[Record] = []
    for left in range(len(found), 0, -1):
        shortest = min(found, key=len)
        chosen += shortest[: math.ceil((most - len(chosen)) / left)]
        found.remove(shortest)
    return chosen


def grey_of(mammogram: Mammogram) -> npt.NDArray[np.float64]:
    return np.asarray(mammogram.pixels / np.iinfo(mammogram.pixels.dtype).max, np.float64)


def generator(record: Record, kind: str) -> np.random.Generator:
    seed = int(patient_digest((record.dataset, f"{record.image_id} {kind}")), 16)
    return np.random.default_rng([SEED, seed])


def through_door(photograph: npt.NDArray[np.uint8], record: Record) -> Mammogram:
    """What the door for photographs makes of it.

    Raises
    ------
    BadPhotograph
        It is refused.
    """
    film = straighten(photograph, "photograph")
    side = record.laterality or Laterality.LEFT
    view = record.view_position or ViewPosition.MLO
    mammogram = film_mammogram(film, "photograph", "0", side, view)
    check_view(mammogram)
    return mammogram


def score(mammogram: Mammogram, model: ModelPackage) -> float:
    view = prepare(mammogram, model.card.for_breasts())
    return pool_breast(score_prepared(model, [view]).probabilities[0]).malignant


def ordinary_door(photograph: npt.NDArray[np.uint8], like: Mammogram, model: ModelPackage) -> str:
    """What the ordinary door makes of a grey copy; in colour, every one is refused."""
    grey = np.asarray(cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY))
    picture = replace(like, pixels=grey, cautions=())
    try:
        doubts = admit(prepare(picture, model.card.for_breasts()), model.card.gate)
        refuse_photographed(picture)
    except InputError:
        return "refused"
    return "doubted" if doubts else "passed"


def share(hits: int, n: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    z, p = 1.96, hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{hits}/{n} ({p:.1%}; {max(0, middle - half):.1%}–{min(1, middle + half):.1%})"


def level_rows(records: list[Record], model: ModelPackage) -> Iterator[str]:
    originals: dict[str, float] = {}
    for level, strength in LEVELS.items():
        faults: Counter[str] = Counter()
        door: Counter[str] = Counter()
        rows: list[tuple[Record, float]] = []
        for record in records:
            mammogram = read_record(record)
            if record.image_id not in originals:
                originals[record.image_id] = score(mammogram, model)
            rng = generator(record, level)
            photograph = photograph_of(grey_of(mammogram), rng, strength)
            door[ordinary_door(photograph, mammogram, model)] += 1
            try:
                rows.append((record, score(through_door(photograph, record), model)))
            except BadPhotograph as error:
                faults.update(error.faults)
        labels = [bool(record.malignant) for record, _ in rows]
        patients = [(record.dataset, record.patient_id) for record, _ in rows]
        before = [originals[record.image_id] for record, _ in rows]
        after = [value for _, value in rows]
        lost = auc_difference(labels, before, after, patients)
        yield (
            f"{level}: accepted {share(len(rows), len(records))}; refused for {dict(faults)}; "
            f"grey copy at the ordinary door {dict(door)}\n"
            f"  AUC {auc(labels, before):.3f} -> {auc(labels, after):.3f}, lost {lost}, "
            f"images {lost.n}, malignant {lost.n_positive}, patients {lost.n_groups}; "
            f"median change of P(malignant) {np.median(np.abs(np.subtract(after, before))):.3f}"
        )


def bad_rows(records: list[Record], count: int) -> Iterator[str]:
    for kind, named in BAD.items():
        refused = right = 0
        others: Counter[str] = Counter()
        for record in records[:: max(1, len(records) // count)][:count]:
            rng = generator(record, kind)
            photograph = bad_photograph(kind, grey_of(read_record(record)), rng)
            try:
                through_door(photograph, record)
            except BadPhotograph as error:
                refused += 1
                right += named in error.faults
                others.update(fault for fault in error.faults if fault != named)
        n = min(count, len(records))
        yield f"{kind}: refused {share(refused, n)}; named {named}: {right}; also {dict(others)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--most", type=int, default=240, help="images")
    parser.add_argument("--bad", type=int, default=40, help="bad photographs of each kind")
    asked = parser.parse_args()
    model = ModelPackage.load(DEFAULT_MODEL)
    records = held_out(asked.data, asked.most)
    sets = Counter(record.dataset for record in records)
    patients = {(record.dataset, record.patient_id) for record in records}
    print(f"{len(records)} images of {len(patients)} held-out patients: {dict(sets)}", flush=True)
    for line in bad_rows(records, asked.bad):
        print(line, flush=True)
    for line in level_rows(records, model):
        print(line, flush=True)


if __name__ == "__main__":
    main()
