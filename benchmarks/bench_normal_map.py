"""What a map of unusual tissue is worth, learned from normal tissue alone.

`features` takes two tensors of the shipped model's own trunk, in the pass that scores the picture.
`judge` learns normal tissue from the normal images of the patients of four folds, and judges the
patients of the fifth: by PCA and Mahalanobis' distance, and by the distance to the nearest of many
cells of normal tissue (PatchCore). In CESM no image is normal: there, tissue outside the marks of
other patients is learned. RSNA does not say what is normal: there, images without cancer are
learned, and all held-out images are judged. Ranking: AUC by image. Pointing: how often the highest
cell lies on a marked lesion. Beside the classifier: both are standardised and added, with fixed
weights.

Patients whom the shipped model learned from make its own scores too good; what concerns the
classifier is judged on its held-out patients alone.

Run: python benchmarks/bench_normal_map.py features --data ../shared/data --out FOLDER
     python benchmarks/bench_normal_map.py judge --out FOLDER
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from trunk import LAST, MIDDLE, tapped

from mammolens.analysis import score_prepared
from mammolens.data.cache import read_record
from mammolens.data.lesions import Lesion, draw_lesion
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_patients
from mammolens.errors import InputError
from mammolens.metrics import log_odds
from mammolens.metrics.bootstrap import mean_statistic, patient_bootstraps, side_by_side
from mammolens.metrics.probability import patient_folds
from mammolens.metrics.ranking import auc_statistic
from mammolens.preprocess import prepare

Floats = npt.NDArray[np.float32]
SETS: Final = ("mias", "inbreast", "cesm", "rsna")
LAYERS: Final = {"middle": MIDDLE, "last": LAST}
LEARNED: Final = 300
"""Images of RSNA without cancer, of patients who are not judged, drawn at random."""
INSIDE: Final = 0.5
"""A cell is judged if at least this share of it is breast."""
NEAR_PX: Final = 16
"""A point hits a mark if it lies on it or nearer than this: half of a cell of the last map."""
VARIANCE: Final = 0.95
"""Share of the variance of normal tissue that the principal components keep."""
MEMORY: Final = 8_000
"""Cells of normal tissue that are kept for the nearest neighbour, drawn at random."""
WEIGHTS: Final = (0.25, 1.0)
"""Of the map's standardised score beside that of the classifier."""


def features(data: Path, out: Path) -> None:
    """Write one file of arrays for each set; a set whose file exists is left out."""
    model, tap = tapped(*LAYERS.values())
    config = model.card.for_breasts()
    out.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        path = out / f"{name}.npz"
        if path.is_file():
            continue
        table = Manifest.read(data / name / "manifest.csv")
        held = split_patients(table, validation=0.2, seed=1).select(split=Split.VALIDATION)
        unseen = {record.patient_id for record in held.records}
        boxes = mass_boxes(data / name / "lesion_boxes.csv")
        kept: dict[str, list[Any]] = defaultdict(list)
        for record in records_of(name, table, unseen):
            try:
                view = prepare(read_record(record), config)
            except InputError as error:
                print(f"left out: {error}", flush=True)
                continue
            scored = score_prepared(model, [view])
            upright = tap.take()[0]
            marks = marked(record, boxes, view.geometry)
            for layer, tensor in LAYERS.items():
                kept[layer].append(upright[tensor][0].astype(np.float16))
            kept["mask"].append(view.mask)
            kept["marks"].append(marks)
            kept["map"].append(scored.malignancy_map[0])
            kept["malignancy"].append(log_odds(scored.probabilities[0, 2]))
            kept["tumour_odds"].append(log_odds(1.0 - scored.probabilities[0, 0]))
            kept["malignant"].append(unknown(record.malignant))
            kept["tumour"].append(unknown(record.tumour))
            kept["patient"].append(record.patient_id)
            kept["held_out"].append(record.patient_id in unseen)
        np.savez(path, **{key: np.stack(rows) for key, rows in kept.items()})
        print(f"{name}: {len(kept['patient'])} images", flush=True)


def records_of(name: str, table: Manifest, unseen: set[str]) -> list[Record]:
    """All images of a set; of RSNA the held-out ones, and some without cancer to learn from."""
    if name != "rsna":
        return list(table.records)
    others = [r for r in table.records if r.patient_id not in unseen and r.malignant is False]
    order = np.random.default_rng(2).permutation(len(others))[:LEARNED]
    held = [record for record in table.records if record.patient_id in unseen]
    return [*held, *(others[n] for n in order)]


def unknown(label: bool | None) -> int:
    return -1 if label is None else int(label)


def mass_boxes(path: Path) -> dict[str, list[Lesion]]:
    """Read the drawn masses of INbreast; single calcifications are smaller than a cell."""
    found: dict[str, list[Lesion]] = defaultdict(list)
    if path.is_file():
        for row in csv.DictReader(path.open()):
            if row["roi_type"] == "Mass":
                x, y, w, h = (float(row[key]) for key in "xywh")
                found[row["image_id"]].append(Lesion(box_source_px=(y, x, y + h, x + w)))
    return found


def marked(record: Record, boxes: Mapping[str, list[Lesion]], geometry: Any) -> npt.NDArray[Any]:
    """Draw all marks of an image in the prepared picture, each wider by `NEAR_PX`."""
    drawn = np.zeros(geometry.prepared_shape, np.uint8)
    for lesion in (*record.lesions, *boxes.get(record.image_id, ())):
        drawn = np.maximum(drawn, draw_lesion(lesion, geometry))
    size = 2 * NEAR_PX + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate((drawn >= 128).astype(np.uint8), disc) > 0)


def normal_model(cells: Floats) -> tuple[Floats, Floats, Floats]:
    """Give mean, principal axes and their standard deviations of cells (n, channels)."""
    mean = cells.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((cells - mean).T))
    values, axes = values[::-1], axes[:, ::-1]
    count = int(np.searchsorted(np.cumsum(values) / values.sum(), VARIANCE)) + 1
    return mean, axes[:, :count].astype(np.float32), np.sqrt(values[:count]).astype(np.float32)


def mahalanobis(cells: Floats) -> Callable[[Floats], Floats]:
    mean, axes, spread = normal_model(cells)
    return lambda seen: np.linalg.norm((seen - mean) @ axes / spread, axis=1)


def patch_core(cells: Floats) -> Callable[[Floats], Floats]:
    mean, axes, _ = normal_model(cells)
    chosen = np.random.default_rng(1).permutation(len(cells))[:MEMORY]
    memory = (cells[chosen] - mean) @ axes
    square = (memory**2).sum(axis=1)

    def distance(seen: Floats) -> Floats:
        found = (seen - mean) @ axes
        apart = square - 2.0 * found @ memory.T
        return np.sqrt(np.maximum(apart.min(axis=1) + (found**2).sum(axis=1), 0.0))

    return distance


METHODS: Final = {"PCA-Mahalanobis": mahalanobis, "PatchCore": patch_core}


def cells_of(maps: npt.NDArray[np.float16], mask: npt.NDArray[np.bool_]) -> tuple[Floats, Any, Any]:
    """Give the cells of a map inside the breast: features (n, channels), rows and columns."""
    grid = maps.shape[1:]
    share = cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    smooth = np.stack([cv2.blur(one.astype(np.float32), (3, 3)) for one in maps])
    rows, cols = np.nonzero(share >= INSIDE)
    return smooth[:, rows, cols].T, rows, cols


def at_centres(picture: npt.NDArray[Any], grid: tuple[int, ...], rows: Any, cols: Any) -> Any:
    size = picture.shape[0] // grid[0]
    return picture[rows * size + size // 2, cols * size + size // 2]


def judged(table: Mapping[str, Any], layer: str, method: str) -> tuple[Floats, Floats]:
    """Give the image score, and whether the highest cell hits a mark (n,), out of fold."""
    folds = patient_folds(table["patient"].tolist())
    parts = [cells_of(one, mask) for one, mask in zip(table[layer], table["mask"], strict=True)]
    grid = table[layer].shape[2:]
    on_mark = [
        at_centres(marks, grid, rows, cols)
        for marks, (_, rows, cols) in zip(table["marks"], parts, strict=True)
    ]
    says_normal = bool((table["tumour"] >= 0).any() and (table["tumour"] == 0).any())
    is_normal = table["tumour" if says_normal else "malignant"] == 0
    by_marks = not is_normal.any()
    scores, hits = np.zeros(len(parts), np.float32), np.zeros(len(parts), np.float32)
    for fold in np.unique(folds):
        if by_marks:
            known = [parts[n][0][~on_mark[n]] for n in np.flatnonzero(folds != fold)]
        else:
            known = [parts[n][0] for n in np.flatnonzero((folds != fold) & is_normal)]
        distance = METHODS[method](np.concatenate(known))
        for n in np.flatnonzero(folds == fold):
            found = distance(parts[n][0])
            scores[n], hits[n] = np.log(found.max()), on_mark[n][found.argmax()]
    return scores, hits


def classifier_hits(table: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Give whether the highest cell of the malignancy map hits, and the share of cells that do."""
    hits, chance = [], []
    for heat, mask, marks in zip(table["map"], table["mask"], table["marks"], strict=True):
        _, rows, cols = cells_of(heat[None].astype(np.float16), mask)
        on = at_centres(marks, heat.shape, rows, cols)
        hits.append(on[heat[rows, cols].argmax()])
        chance.append(on.mean())
    return np.array(hits, np.float32), np.array(chance, np.float32)


def judge(out: Path) -> None:
    """Print the tables, and keep the scores of every image."""
    kept: dict[str, Any] = {}
    for name in SETS:
        if not (out / f"{name}.npz").is_file():
            continue
        table = dict(np.load(out / f"{name}.npz"))
        hits, chance = classifier_hits(table)
        found = {
            f"{method}, {layer} map": judged(table, layer, method)
            for layer in LAYERS
            for method in METHODS
        }
        kept[name] = {key: scores.tolist() for key, (scores, _) in found.items()}
        print(f"\n## {name}\n")
        report_pointing(table, found, hits, chance)
        for target, odds in (("tumour", "tumour_odds"), ("malignant", "malignancy")):
            report_ranking(table, found, target, odds)
    (out / "scores.json").write_text(json.dumps(kept), "utf-8")


def report_ranking(table: Mapping[str, Any], found: Any, target: str, odds: str) -> None:
    labels = table[target]
    if len(np.unique(labels[labels >= 0])) < 2:
        return
    every, unseen = labels >= 0, (labels >= 0) & table["held_out"]
    print(f"\n| {target} | all {counts(table, every, labels)} | held out ", end="")
    print(f"{counts(table, unseen, labels)} | beside, weight 0.25 | beside, weight 1 |")
    print("|---|---|---|---|---|")
    base = table[odds].astype(np.float64)
    own = intervals({"a": base}, labels, table, unseen)["a"]
    print(f"| the classifier | – | {own} | – | – |")
    for key, (scores, _) in found.items():
        alone = intervals({"a": scores}, labels, table, every)["a"]
        both = {str(w): standard(base, unseen) + w * standard(scores, unseen) for w in WEIGHTS}
        made = intervals({"a": scores, "own": base, **both}, labels, table, unseen)
        cells = " | ".join(str(made[f"{w} more"]) for w in WEIGHTS)
        print(f"| {key} | {alone} | {made['a']} | {cells} |", flush=True)


def standard(values: Any, rows: Any) -> Any:
    return (values - values[rows].mean()) / values[rows].std()


def intervals(scores: Mapping[str, Any], labels: Any, table: Any, rows: Any) -> Mapping[str, Any]:
    """Give AUCs; those of weights also as the difference to the classifier (`own`)."""
    parts = {key: auc_statistic(labels[rows], value[rows]) for key, value in scores.items()}
    more = {
        f"{w} more": (lambda weights, w=w: parts[str(w)](weights) - parts["own"](weights))
        for w in WEIGHTS
        if str(w) in parts
    }
    return patient_bootstraps(
        side_by_side({**parts, **more}), labels[rows], table["patient"][rows], seed=1
    )


def report_pointing(table: Mapping[str, Any], found: Any, hits: Any, chance: Any) -> None:
    has_mark = table["marks"].any(axis=(1, 2)) & (chance > 0)
    if not has_mark.any():
        return
    unseen = has_mark & table["held_out"]
    columns = {"all": has_mark, "held out": unseen}
    heads = [
        f"{key}: {rows.sum()} images ({len(set(table['patient'][rows]))})"
        for key, rows in columns.items()
    ]
    print(f"| pointing | {' | '.join(heads)} |\n|---|---|---|")
    rows = {"chance": chance, "the classifier's map": hits}
    rows |= {key: value for key, (_, value) in found.items()}
    for key, values in rows.items():
        cells = [
            str(
                patient_bootstraps(
                    side_by_side({"a": mean_statistic(values[r])}),
                    np.ones(r.sum()),
                    table["patient"][r],
                    seed=1,
                )["a"]
            )
            for r in columns.values()
        ]
        print(f"| {key} | {' | '.join(cells)} |", flush=True)


def counts(table: Mapping[str, Any], rows: Any, labels: Any) -> str:
    positive = (labels[rows] == 1).sum()
    return f"{rows.sum()} ({len(set(table['patient'][rows]))}), {positive} positive"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("features", "judge"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.step == "features":
        features(asked.data, asked.out)
    else:
        judge(asked.out)


if __name__ == "__main__":
    main()
