"""Would the drift monitor find changes sooner by the distance of the trunk's pooled features?

The measures of bench_monitor.py and the pooled features of the shipped model come from the same
pass over real pictures, as they are and altered. One further stream is added: the logarithm of
Mahalanobis' distance of an exam's mean features, either to training images (what a model package
could hold), or to the first exams of the stream (what a site could learn). All streams are drawn
from the same patients before and after the change, so that only the change can be found.

Run: python benchmarks/bench_feature_distance.py measure --data ../shared/data --out FOLDER
     python benchmarks/bench_feature_distance.py judge --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from bench_monitor import CHANGES, OPTIONS, OTHERS, REFERENCE, RUN_LENGTH, Picture, altered
from trunk import POOLED, tapped

from mammolens.analysis import analyze_exam, score_prepared
from mammolens.core import Exam
from mammolens.data.cache import read_record
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_patients
from mammolens.errors import InputError
from mammolens.monitor import MEASURES, Observation, Partition, StreamState, exam_values, observe
from mammolens.monitor.detector import evidence_of, fresh, step
from mammolens.preprocess import prepare

Floats = npt.NDArray[np.float64]
OWN_EXAMS: Final = 50
"""First exams of a stream that the second kind of distance learns from."""
COMPONENTS: Final = {"training": 64, "own": 16}
AFTER: Final = 400


def _weak_unsharp(picture: Picture) -> Picture:
    soft = cv2.GaussianBlur(picture, (0, 0), 2.0)
    return np.asarray(cv2.addWeighted(picture, 1.15, soft, -0.15, 0.0))


def _weak_gamma(picture: Picture) -> Picture:
    grey = np.linspace(0.0, 1.0, 256) ** 1.1
    return np.asarray(np.round(255.0 * grey).astype(np.uint8)[picture])


def _local_contrast(picture: Picture) -> Picture:
    return np.asarray(cv2.createCLAHE(1.5, (8, 8)).apply(picture))


def _lines(picture: Picture) -> Picture:
    """A detector of which every 32nd row is 3 % too dark."""
    made = picture.copy()
    made[::32] = np.round(0.97 * made[::32])
    return made


def _jpeg(picture: Picture) -> Picture:
    packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _squeezed(picture: Picture) -> Picture:
    """Pixels taken for square that are not: a breast 15 % too narrow."""
    rows, cols = picture.shape
    return np.asarray(cv2.resize(picture, (round(0.85 * cols), rows), interpolation=cv2.INTER_AREA))


ALL: Final[dict[str, Callable[[Picture], Picture]]] = {
    "nothing": CHANGES["none"],
    **{key: CHANGES[key] for key in CHANGES if key not in ("none", OTHERS)},
    "weak unsharp masking (amount 0.15)": _weak_unsharp,
    "weak blur (0.4 px)": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.4)),
    "gamma 1.1": _weak_gamma,
    "local contrast (CLAHE 1.5)": _local_contrast,
    "every 32nd row 3 % darker": _lines,
    "JPEG, quality 40": _jpeg,
    "breast 15 % too narrow": _squeezed,
}


def measure(data: Path, out: Path, machine: str, most: int, training: int) -> None:
    """Append a line for each patient; patients that are there already are left out."""
    out.mkdir(parents=True, exist_ok=True)
    model, tap = tapped(POOLED)
    if not (out / "training.npy").is_file():
        np.save(out / "training.npy", training_features(data, training, model, tap))
    path = out / "patients.jsonl"
    done = {json.loads(line)["patient"] for line in path.open()} if path.is_file() else set()
    patients: dict[str, list[Record]] = defaultdict(list)
    for record in Manifest.read(data / "rsna" / "manifest.csv").records:
        if record.machine == machine:
            patients[record.patient_id].append(record)
    sound = [p for p, rows in sorted(patients.items()) if not any(r.malignant for r in rows)]
    order = np.random.default_rng(3).permutation(sound)[:most]
    for patient in order:
        if patient in done:
            continue
        pictures = [read_record(record) for record in patients[patient]]
        row: dict[str, Any] = {"patient": str(patient), "measures": {}, "features": {}}
        for name, change in ALL.items():
            views = defaultdict(list)
            for mammogram in pictures:
                where = mammogram.ref.laterality, mammogram.ref.view_position
                views[where].append(altered(mammogram, change))
            exam = Exam(str(patient), None, {slot: tuple(some) for slot, some in views.items()})
            tap.take()
            row["measures"][name] = dict(exam_values(analyze_exam(exam, model, OPTIONS)).values)
            pooled = np.concatenate([one[POOLED].reshape(-1, 1280) for one in tap.take()[::2]])
            row["features"][name] = np.round(pooled.mean(axis=0), 4).tolist()
        with path.open("a") as stream:
            stream.write(json.dumps(row) + "\n")


def training_features(data: Path, most: int, model: Any, tap: Any) -> npt.NDArray[np.float32]:
    """Pooled features of images that the shipped model learned from, equally many of each set."""
    config, found = model.card.for_breasts(), []
    for name in ("rsna", "ddsm", "inbreast", "mias"):
        table = Manifest.read(data / name / "manifest.csv")
        side = split_patients(table, validation=0.2, seed=1).select(split=Split.TRAIN)
        chosen = np.random.default_rng(4).permutation(len(side.records))[: most // 4]
        for number in chosen:
            try:
                view = prepare(read_record(side.records[number]), config)
            except InputError:
                continue
            score_prepared(model, [view])
            found.append(tap.take()[0][POOLED].reshape(1280))
    return np.stack(found)


def distance_to(known: Floats, components: int) -> Callable[[Floats], Floats]:
    """Log of Mahalanobis' distance (n,) in principal components of known features (m, 1280)."""
    mean = known.mean(axis=0)
    _, singular, axes = np.linalg.svd(known - mean, full_matrices=False)
    count = min(components, len(known) // 2)
    spread = singular[:count] / np.sqrt(len(known) - 1)
    return lambda seen: np.log(np.linalg.norm((seen - mean) @ axes[:count].T / spread, axis=1))


Places = dict[str, int | None]


def first_alarms_of_distances(values: Floats, limit: float, seed: int) -> list[int | None]:
    """Places of the first alarms of several streams (m, n), by the monitor's own detector."""
    low, high = np.nanmin(values[:, :REFERENCE], axis=1), np.nanmax(values[:, :REFERENCE], axis=1)
    room = (high - low)[:, None]
    scaled = np.nan_to_num((values - low[:, None] + room) / (3 * room) * 64)
    bins = np.clip(scaled, 0, 63).astype(np.intp)
    ties, state = np.random.default_rng(seed).random(values.shape), fresh(len(values))
    places: list[int | None] = [None] * len(values)
    for place in range(values.shape[1]):
        state = step(state, values[:, place], bins[:, place], ties[:, place], place + 1)
        for row in np.flatnonzero(evidence_of(state) >= limit):
            places[row] = place if places[row] is None else places[row]
        if None not in places:
            break
    return places


def first_alarms_of_measures(
    rows: list[dict[str, float]], limits: list[float], seed: int
) -> list[int | None]:
    """Places of the first alarm of the ten measures at each of several limits, rising."""
    state = StreamState.begin(seed)
    places: list[int | None] = [None] * len(limits)
    for place, values in enumerate(rows):
        state, _ = observe(state, Observation(place + 1, values, "m"), np.inf)
        most = evidence_of(state.evidence).max()
        for row, limit in enumerate(limits):
            if most >= limit and places[row] is None:
                places[row] = place
        if None not in places:
            break
    return places


def places_of(stream: list[dict[str, float]], seen: Floats, training: Any, seed: int) -> Places:
    """Where each way alarms first: the measures alone, each distance, and both together."""
    budget = RUN_LENGTH * len(Partition)
    limits = [budget * len(MEASURES), budget * (len(MEASURES) + 1)]
    own = np.full(len(seen), np.nan)
    own[OWN_EXAMS:] = distance_to(seen[:OWN_EXAMS], COMPONENTS["own"])(seen[OWN_EXAMS:])
    alone, wider = first_alarms_of_measures(stream, limits, seed)
    far, far_own = first_alarms_of_distances(np.stack([training(seen), own]), limits[1], seed)
    return {
        "measures": alone,
        "training": far,
        "own": far_own,
        "with training": earlier(wider, far),
        "with own": earlier(wider, far_own),
    }


def earlier(*places: int | None) -> int | None:
    return min((place for place in places if place is not None), default=None)


def judge(out: Path, streams: int) -> None:
    """Print, for each change, what is found and when: without and with the distance."""
    rows = [json.loads(line) for line in (out / "patients.jsonl").open()]
    features = {name: np.array([row["features"][name] for row in rows], np.float64) for name in ALL}
    training = np.load(out / "training.npy").astype(np.float64)
    to_training = distance_to(training, COMPONENTS["training"])
    print(f"{len(rows)} patients, {len(training)} training images, {streams} streams")
    print("| change | ten measures | distance to training | distance to the first exams |", end="")
    print(" with the first distance | with the second |\n|---|---|---|---|---|---|")
    for name in ALL:
        found: dict[str, list[int | None]] = defaultdict(list)
        for number in range(streams):
            rng = np.random.default_rng([7, number])
            before = rng.integers(len(rows), size=REFERENCE)
            after = rng.integers(len(rows), size=AFTER)
            stream = [rows[n]["measures"]["nothing"] for n in before]
            stream += [rows[n]["measures"][name] for n in after]
            seen = np.concatenate([features["nothing"][before], features[name][after]])
            for key, place in places_of(stream, seen, to_training, number).items():
                found[key].append(delay(place))
        print(f"| {name} | {' | '.join(map(words, found.values()))} |", flush=True)
    report_cost(training)


def delay(place: int | None) -> int | None:
    """Exams from the change to the alarm; an alarm before the change counts as 0."""
    return None if place is None else max(0, place + 1 - REFERENCE)


def words(delays: list[int | None]) -> str:
    times = sorted(d for d in delays if d)
    early = sum(d == 0 for d in delays)
    before = f", {early} before it" if early else ""
    if not times:
        return f"0 of {len(delays)}{before}"
    low, high = np.percentile(times, [2.5, 97.5])
    middle = statistics.median(times)
    return f"{len(times)} of {len(delays)}: {middle:.0f} ({low:.0f} to {high:.0f}){before}"


def report_cost(training: Floats, repeats: int = 2000) -> None:
    distance = distance_to(training, COMPONENTS["training"])
    seen = training[:4].mean(axis=0, keepdims=True)
    began = time.process_time()
    for _ in range(repeats):
        distance(seen)
    print(f"distance of one exam: {1e3 * (time.process_time() - began) / repeats:.3f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("measure", "judge"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--machine", default="49")
    parser.add_argument("--most", type=int, default=60, help="patients")
    parser.add_argument("--training", type=int, default=400, help="training images")
    parser.add_argument("--streams", type=int, default=40)
    asked = parser.parse_args()
    if asked.step == "measure":
        measure(asked.data, asked.out, asked.machine, asked.most, asked.training)
    else:
        judge(asked.out, asked.streams)


if __name__ == "__main__":
    main()
