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
from dataclasses import dataclass, replace
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
_ORDER = ("usual", "light", "strong")
"""The level that is printed on the page is measured first."""


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
    # Mixed, so that the first images of a run that was stopped are of all sets.
    return sorted(chosen, key=lambda record: patient_digest((record.dataset, record.image_id)))


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


@dataclass(frozen=True)
class Row:
    """One image at one level: its fault words or scores, and what the ordinary door said."""

    level: str
    image: str
    before: float
    after: float | None
    faults: str
    door: str


def measured(records: list[Record], model: ModelPackage, kept: Path | None) -> Iterator[Row]:
    """Measure every image at every level; what is in the table `kept` already is not done again."""
    rows: dict[tuple[str, str], Row] = {}
    if kept is not None and kept.is_file():
        for line in kept.read_text("utf-8").splitlines():
            level, image, before, after, faults, door = line.split(";")
            score_after = float(after) if after else None
            rows[level, image] = Row(level, image, float(before), score_after, faults, door)
    originals = {row.image: row.before for row in rows.values()}
    for level, record in ((level, record) for level in _ORDER for record in records):
        image = f"{record.dataset} {record.image_id}"
        if (level, image) not in rows:
            mammogram = read_record(record)
            if image not in originals:
                originals[image] = score(mammogram, model)
            rng = generator(record, level)
            photograph = photograph_of(grey_of(mammogram), rng, LEVELS[level])
            door = ordinary_door(photograph, mammogram, model)
            after, faults = None, ""
            try:
                after = score(through_door(photograph, record), model)
            except BadPhotograph as error:
                faults = ",".join(error.faults)
            row = Row(level, image, originals[image], after, faults, door)
            rows[level, image] = row
            if kept is not None:
                with kept.open("a", encoding="utf-8") as table:
                    shown = "" if after is None else repr(after)
                    table.write(f"{level};{image};{row.before!r};{shown};{faults};{door}\n")
        yield rows[level, image]


def level_lines(rows: list[Row], records: list[Record]) -> Iterator[str]:
    by_image = {f"{record.dataset} {record.image_id}": record for record in records}
    for level in LEVELS:
        here = [row for row in rows if row.level == level]
        taken = [row for row in here if row.after is not None]
        faults = Counter(fault for row in here for fault in row.faults.split(",") if fault)
        door = Counter(row.door for row in here)
        of = [by_image[row.image] for row in taken]
        labels = [bool(record.malignant) for record in of]
        patients = [(record.dataset, record.patient_id) for record in of]
        before, after = [row.before for row in taken], [row.after or 0.0 for row in taken]
        lost = auc_difference(labels, before, after, patients)
        yield (
            f"{level}: accepted {share(len(taken), len(here))}; refused for {dict(faults)}; "
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
    parser.add_argument("--rows", type=Path, help="table to keep results in, and to go on from")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    model = ModelPackage.load(DEFAULT_MODEL, threads=1)
    records = held_out(asked.data, asked.most)
    sets = Counter(record.dataset for record in records)
    patients = {(record.dataset, record.patient_id) for record in records}
    print(f"{len(records)} images of {len(patients)} held-out patients: {dict(sets)}", flush=True)
    rows = list(measured(records, model, asked.rows))
    for line in level_lines(rows, records):
        print(line, flush=True)
    for line in bad_rows(records, asked.bad):
        print(line, flush=True)


if __name__ == "__main__":
    main()
