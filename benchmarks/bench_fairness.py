"""What remedies for gaps between groups do: a frozen trunk, and heads that are fitted four ways.

``plain``: a ridge logistic regression. ``re-weighted``: every group and class weighs the same.
``group DRO``: the weight of a group grows with its loss (Sagawa et al. 2020, arXiv:1911.08731).
``recalibrated``: the plain head, and then shift and stretch of its log-odds fitted within each
group. Five folds of patients; the fold of a patient is never fitted on. Unit: breast (``view``:
image). Nothing is chosen on the results: settings are fixed below.

``--features shipped``: the 256 numbers before the last layer of the shipped model, of its
validation patients alone, since its trunk learned from the others. ``--features imagenet``: a trunk
that has seen no mammogram, of all patients.

Usage::

    python benchmarks/bench_fairness.py --features shipped
    python benchmarks/bench_fairness.py --features imagenet
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from mammolens.bench.auditing.groups import density_group
from mammolens.bench.auditing.source_probe import inner_session
from mammolens.data.cache import build_side
from mammolens.data.manifest import Record, Split
from mammolens.learn.config import load_manifest, read_run
from mammolens.learn.feature_store import Extractor, cached_features, trunk_extractor
from mammolens.metrics import auc
from mammolens.metrics.probability import patient_folds
from mammolens.model import INPUT_NAME, ModelPackage

SETS = ("rsna", "ddsm")
COMPONENTS = 32  # principal components of the features: fewer than the cancers of a fold
RIDGE = 0.1  # scikit-learn's C of the standardised components
ROUNDS, STEP = 40, 0.5  # group DRO: fits, and how fast a group's weight follows its loss
LEAST = 10  # of each class; a smaller group has no figures, and is trained with the rest
DRAWS = 1000
SPECIFICITY = 0.9
EDGES = ((50, "under 50"), (60, "50-59"), (70, "60-69"), (np.inf, "70 and over"))


def age_band(record: Record) -> str | None:
    if record.age_years is None:
        return None
    return next(name for edge, name in EDGES if record.age_years < edge)


AXES: dict[str, Callable[[Record], str | None]] = {
    "age": age_band,
    "density": density_group,
    "machine": lambda record: record.machine,
    "side": lambda record: record.laterality.value if record.laterality else None,
    "view": lambda record: record.view_position.value if record.view_position else None,
}


def load_features(kind: str, root: Path) -> tuple[list[Record], np.ndarray]:
    """Give records and features; pictures and features are kept in `root` for the next run."""
    config = read_run(Path("configs/mammolens-2.toml"))
    manifest = load_manifest(config)
    extractor = shipped_extractor() if kind == "shipped" else trunk_extractor()
    sides = [Split.VALIDATION] if kind == "shipped" else [Split.VALIDATION, Split.TRAIN]
    records, values = [], []
    for side in sides:
        cache = build_side(manifest, side, config.preprocess, root)
        cache = cache.select(lambda one: one.dataset in SETS and one.malignant is not None)
        records += cache.records
        values.append(cached_features(cache, extractor, root / "features"))
    return records, np.vstack(values).astype(np.float64)


def shipped_extractor() -> Extractor:
    """What the last layer of the shipped graph takes in."""
    package = ModelPackage.load("mammolens-2", threads=1)
    session = inner_session(package)

    def extract(pictures: np.ndarray) -> np.ndarray:
        (values,) = session.run(None, {INPUT_NAME: pictures[:, None]})
        return np.asarray(values, np.float32)

    names = tuple(f"last.{place:03d}" for place in range(256))
    return Extractor(f"last-{package.card.graph_sha256[:12]}", names, extract, batch=8)


def units(records: list[Record], values: np.ndarray, axis: str):
    """Mean features of each breast (or image), its label, patient and group; "" is unknown."""
    places: dict[tuple, list[int]] = {}
    for row, one in enumerate(records):
        own = (one.image_id,) if axis == "view" else ()
        places.setdefault((one.patient, one.laterality, *own), []).append(row)
    x, y, patients, groups = [], [], [], []
    for rows in places.values():
        members = [records[row] for row in rows]
        found = {AXES[axis](one) for one in members}
        x.append(values[rows].mean(0))
        y.append(any(one.malignant for one in members))
        patients.append("/".join(map(str, members[0].patient)))
        groups.append(found.pop() or "" if len(found) == 1 else "")
    return np.array(x), np.array(y), np.array(patients), np.array(groups)


def components(x: np.ndarray, seen: np.ndarray) -> np.ndarray:
    moving = x[:, np.ptp(x[seen], axis=0) > 1e-9]
    normed = (moving - moving[seen].mean(0)) / moving[seen].std(0)
    _, sizes, directions = np.linalg.svd(normed[seen], full_matrices=False)
    scale = sizes[:COMPONENTS] / np.sqrt(seen.sum())
    return normed @ directions[:COMPONENTS].T / scale


def head(x, y, weights=None) -> LogisticRegression:
    return LogisticRegression(C=RIDGE, max_iter=500).fit(x, y, sample_weight=weights)


def cells_of(y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Number of each unit's group and class; groups of too few units are one group."""
    names = np.where([usable(y, groups == g) for g in groups], groups, "rest")
    _, cells = np.unique([f"{g}|{c}" for g, c in zip(names, y, strict=True)], return_inverse=True)
    return cells


def usable(y: np.ndarray, members: np.ndarray) -> bool:
    return min(y[members].sum(), (~y[members]).sum()) >= LEAST


def plain(x, y, groups, held, patients):  # noqa: ARG001
    return head(x[~held], y[~held]).decision_function(x[held])


def reweighted(x, y, groups, held, patients):  # noqa: ARG001
    cells = cells_of(y[~held], groups[~held])
    weights = (1 / np.bincount(cells))[cells]
    fitted = head(x[~held], y[~held], weights * len(cells) / weights.sum())
    return fitted.decision_function(x[held])


def group_dro(x, y, groups, held, patients):  # noqa: ARG001
    seen, labels = x[~held], y[~held]
    cells = cells_of(labels, groups[~held])
    counts = np.bincount(cells)
    share, total = np.full(len(counts), 1 / len(counts)), np.zeros(held.sum())
    for _ in range(ROUNDS):
        fitted = head(seen, labels, (share / counts)[cells] * len(cells))
        odds = fitted.decision_function(seen)
        loss = np.logaddexp(0, np.where(labels, -odds, odds))
        share = share * np.exp(STEP * np.bincount(cells, loss) / counts)
        share /= share.sum()
        total += fitted.decision_function(x[held])
    return total / ROUNDS


def recalibrated(x, y, groups, held, patients):
    seen, labels, own = x[~held], y[~held], groups[~held]
    inner = patient_folds(patients[~held].tolist())
    odds = np.zeros(len(labels))
    for fold in range(5):
        out = inner == fold
        odds[out] = head(seen[~out], labels[~out]).decision_function(seen[out])
    raw = plain(x, y, groups, held, patients)
    everyone = head(odds[:, None], labels)
    result = everyone.decision_function(raw[:, None])
    for group in np.unique(own):
        if group and usable(labels, own == group):
            fitted = head(odds[own == group][:, None], labels[own == group])
            here = groups[held] == group
            if here.any():
                result[here] = fitted.decision_function(raw[here][:, None])
    return result


METHODS = {
    "plain": plain,
    "re-weighted": reweighted,
    "group DRO": group_dro,
    "recalibrated": recalibrated,
}


def figures(y: np.ndarray, odds: np.ndarray, groups: np.ndarray, shown: list[str]) -> np.ndarray:
    """AUC of all, of the worst group, gap of AUC; gap of sensitivity; worst Brier score."""
    found = {g: groups == g for g in shown}
    try:
        aucs = [auc(y[m], odds[m]) for m in found.values()]
        whole = auc(y, odds)
    except Exception:
        return np.full(5, np.nan)
    called = odds > np.quantile(odds[~y], SPECIFICITY)
    reached = [called[m & y].mean() for m in found.values()]
    chance = 1 / (1 + np.exp(-odds))
    brier = [np.mean((chance[m] - y[m]) ** 2) for m in found.values()]
    return np.array(
        [whole, min(aucs), max(aucs) - min(aucs), max(reached) - min(reached), max(brier)]
    )


def measure(records: list[Record], values: np.ndarray, axis: str, dataset: str) -> None:
    rows = [n for n, one in enumerate(records) if one.dataset == dataset]
    x, y, patients, groups = units([records[n] for n in rows], values[rows], axis)
    shown = [g for g in sorted(set(groups)) if g and usable(y, groups == g)]
    if len(shown) < 2:
        sizes = {str(g) or "unknown": int((groups == g).sum()) for g in sorted(set(groups))}
        print(f"| {dataset} | {axis} | too few groups with {LEAST} of each class: {sizes} |")
        return
    folds = patient_folds(patients.tolist())
    odds = {name: np.zeros(len(y)) for name in METHODS}
    for fold in np.unique(folds):
        held = folds == fold
        reduced = components(x, ~held)
        for name, method in METHODS.items():
            odds[name][held] = method(reduced, y, groups, held, patients)
    rng = np.random.default_rng(0)
    names, index = np.unique(patients, return_inverse=True)
    members = [np.flatnonzero(index == p) for p in range(len(names))]
    draws = {name: [] for name in METHODS}
    for _ in range(DRAWS):
        drawn = np.concatenate([members[p] for p in rng.integers(0, len(names), len(names))])
        for name in METHODS:
            draws[name].append(figures(y[drawn], odds[name][drawn], groups[drawn], shown))
    base, base_draws = figures(y, odds["plain"], groups, shown), np.array(draws["plain"])
    label = f"{dataset}, {len(names)} patients, n {len(y)}, {int(y.sum())} malignant"
    words = ", ".join(f"{g} {int((groups == g).sum())}" for g in shown)
    for name in METHODS:
        value, drawn = figures(y, odds[name], groups, shown), np.array(draws[name])
        if name == "plain":
            cells = [interval(v, d) for v, d in zip(value, drawn.T, strict=True)]
        else:
            changes = (drawn - base_draws).T
            cells = [interval(v, d, "+") for v, d in zip(value - base, changes, strict=True)]
        first = f"{axis}: {words} ({label})" if name == "plain" else ""
        print(f"| {first} | {name} | {' | '.join(cells)} |", flush=True)


def interval(value: float, draws: np.ndarray, sign: str = "") -> str:
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})".replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", choices=("shipped", "imagenet"), default="shipped")
    parser.add_argument("--cache", type=Path, default=Path(".cache/prepared"))
    chosen = parser.parse_args()
    records, values = load_features(chosen.features, chosen.cache)
    print(
        "| groups and n | head | AUC | AUC, worst group | gap of AUC | gap of sensitivity "
        f"at {SPECIFICITY:.0%} specificity | Brier, worst group |"
    )
    print("|---|---|---|---|---|---|---|")
    for dataset in SETS:
        for axis in AXES:
            measure(records, values, axis, dataset)


if __name__ == "__main__":
    main()
