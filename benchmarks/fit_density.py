"""Fit and judge the density head of a package: BI-RADS a to d from the pooled features.

`features` computes the pooled features of every picture with a stated density, upright and turned
upside down, as the product sees them. `fit` fits a ridge multinomial logistic regression on them,
judges it on held-out patients, and writes ``density.onnx``. The penalty and the two limits of "not
sure" of each outer fold are chosen on its other patients (see `choose`). Five folds of patients;
the unit is the patient: the mean of the views of a breast, then the denser breast, as in the
product. `mias` states fatty, glandular, dense: no head learns from it, and it has no kappa.

The trunk of the package learned malignancy from many of these patients (never their density), so
patients whom it held out have rows of their own.

Run, with one table of each of `SOURCES`; docs/evidence/results.md has the whole lines::

    python benchmarks/fit_density.py features TABLE ... --out out/density.npz
    python benchmarks/fit_density.py fit out/density.npz --package mammolens-2 --out density.onnx
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from trunk import POOLED, tapped

from mammolens.analysis.density import denser, pool_density
from mammolens.bench.auditing.groups import density_group
from mammolens.core import Density
from mammolens.data.cache import prepare_record
from mammolens.data.manifest import Manifest
from mammolens.errors import MammolensError
from mammolens.metrics import auc_statistic, patient_bootstrap, softmax
from mammolens.metrics.bootstrap import mean_statistic
from mammolens.metrics.probability import patient_folds
from mammolens.model import DEFAULT_MODEL, INPUT_NAME, ModelPackage, patient_digest, read_patients
from mammolens.model.density import DensityHead, make_head
from mammolens.model.package_files import open_package

SOURCES = ("rsna", "ddsm", "inbreast", "cesm", "mias")
PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3)  # scikit-learn's C of the standardised features
PROBABILITIES = (0.0, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
LEAST_DENSE = 0.9  # accuracy of dense / not dense that the limits must reach on the inner folds
LEAST_CATEGORY = 0.65  # the same for the category
DRAWS = 2000
LEAST_PATIENTS = 20  # a group of fewer patients has no figures


def compute_features(tables: list[Path], package: str, out: Path) -> None:
    """Write features (n, 2, d), with the source, patient, side and density of each picture."""
    model, tap = tapped(POOLED, package=package)
    records = [
        one
        for one in Manifest.read(*tables).records
        if one.dataset in SOURCES and density_group(one)
    ]  # not of CBIS-DDSM: its patients are in DDSM too, under other names
    values, rows = [], []
    for number, record in enumerate(records, start=1):
        if number % 200 == 0:
            print(f"{number}/{len(records)}", flush=True)
        try:
            pixels = prepare_record(record, model.card.for_breasts()).pixels
        except MammolensError as error:
            print(error)
            continue
        pair = np.stack([pixels, pixels[::-1]])[:, None]
        tap.run([], {INPUT_NAME: np.ascontiguousarray(pair)})
        values.append(tap.take()[0][POOLED])
        side = record.laterality.value if record.laterality else ""
        rows.append((record.dataset, record.patient_id, side, density_group(record)))
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        out, values=np.array(values), rows=np.array(rows), graph=np.array(model.card.graph_sha256)
    )


def fit_and_judge(features: Path, package: str, out: Path) -> None:
    """Judge the head on held-out patients, print the tables, and write the head of all patients."""
    model = ModelPackage.load(package, threads=1)
    kept = np.load(features)
    if str(kept["graph"]) != model.card.graph_sha256:
        raise SystemExit(f"{features}: the features are of another graph than that of {package}")
    values, rows = kept["values"].astype(np.float32), kept["rows"]
    grade = np.array(["ABCD".find(word) if len(word) == 1 else -1 for word in rows[:, 3]])
    data = Data(values, rows, grade, patient_folds(["/".join(row) for row in rows[:, :2]]))
    taught = grade >= 0
    held = np.full((len(rows), 4), np.nan)
    judged: list[tuple[Patient, DensityHead]] = []
    for fold in range(5):
        penalty, head = choose(data, taught, {fold})
        mine = taught & (data.folds == fold)
        held[mine] = predict(data.values[mine], *fitted(data, taught, frozenset({fold}), penalty))
        judged += [(one, head) for one in patients_of(data, held, mine)]
        print(
            f"fold {fold}: C {penalty:g}, limits {head.least_probability:g}, {head.least_margin:g}"
        )
    show(judged, package)
    penalty, head = choose(data, taught, set())
    weights, bias = fitted(data, taught, frozenset(), penalty)
    print(f"all: {words_of(penalty, head)}")
    show_mias(data, predict(data.values, weights, bias))
    show_other_sources(data, taught, penalty, head)
    _, read = open_package(package)
    limits = head.least_probability, head.least_margin
    out.write_bytes(make_head(read(model.card.graph_file), weights, bias, limits))
    print(f"wrote {out}, {out.stat().st_size} bytes")


@dataclass(frozen=True)
class Data:
    """Pictures: features (n, 2, d), names (n, 4), grade (n,) 0 to 3 or -1, and fold (n,)."""

    values: np.ndarray
    rows: np.ndarray
    grade: np.ndarray
    folds: np.ndarray
    fits: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Patient:
    """A patient of a source: the grade stated, and the probabilities of the denser breast."""

    source: str
    name: str
    grade: int
    breasts: tuple[tuple[float, float, float, float], ...]

    def judged(self, head: DensityHead) -> Density:
        return denser([pool_density([one], head) for one in self.breasts])


def words_of(penalty: float, head: DensityHead) -> str:
    limits = f"P at least {head.least_probability:g}, margin {head.least_margin:g}"
    return f"C {penalty:g}, {limits}"


NO_LIMIT = DensityHead("", least_probability=0.0, least_margin=0.0)


def fitted(data: Data, taught: np.ndarray, without: frozenset, penalty: float):
    """Weights (d, 4) and bias (4,) from the taught pictures outside some folds."""
    key = without, penalty, taught.tobytes()
    if key not in data.fits:
        used = taught & ~np.isin(data.folds, list(without))
        x, y = data.values[used, 0], data.grade[used]
        centre, spread = x.mean(0), np.maximum(x.std(0), 1e-6)
        model = LogisticRegression(C=penalty, max_iter=300, tol=1e-3)
        model.fit((x - centre) / spread, y)
        weights = (model.coef_ / spread).T
        data.fits[key] = weights, model.intercept_ - centre @ weights
    return data.fits[key]


def predict(values: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Probabilities (n, 4): the mean of both passes, as the product gives them."""
    return softmax(values @ weights + bias).mean(1)


def choose(data: Data, taught: np.ndarray, without: set[int]) -> tuple[float, DensityHead]:
    """Penalty and limits by predictions for patients outside `without` whom a fit did not see.

    The penalty has the least loss, the mean of two: on inner folds of patients, and on each source
    by a fit on the other sources, since a weak penalty learns the sources. Each source counts the
    same. The limits come from the inner folds.
    """
    inner = frozenset(range(5)) - without
    seen = taught & np.isin(data.folds, list(inner))
    best = None
    for penalty in PENALTIES:
        within, across = np.full((2, len(data.rows), 4), np.nan)
        for fold in inner:
            mine = taught & (data.folds == fold)
            fit = fitted(data, taught, frozenset(without | {fold}), penalty)
            within[mine] = predict(data.values[mine], *fit)
        for source in np.unique(data.rows[seen, 0]):
            mine = seen & (data.rows[:, 0] == source)
            fit = fitted(data, taught & (data.rows[:, 0] != source), frozenset(without), penalty)
            across[mine] = predict(data.values[mine], *fit)
        found = patients_of(data, within, seen)
        loss = (loss_of(found) + loss_of(patients_of(data, across, seen))) / 2
        if best is None or loss < best[0]:
            best = loss, penalty, found
    _, penalty, found = best
    return penalty, limits(found)


def loss_of(found: list[Patient]) -> float:
    """Mean over the sources of the mean log-loss of their patients."""
    losses: dict[str, list[float]] = {}
    for one in found:
        likely = one.judged(NO_LIMIT).probabilities[one.grade]
        losses.setdefault(one.source, []).append(-np.log(max(likely, 1e-9)))
    return float(np.mean([np.mean(values) for values in losses.values()]))


def limits(found: list[Patient]) -> DensityHead:
    """The limits that leave most patients sure, and reach both accuracies among them."""
    options = []
    for probability, margin in itertools.product(PROBABILITIES, MARGINS):
        head = DensityHead("", probability, margin)
        share, dense, category = sure_figures([(one, head) for one in found])
        reached = min(dense - LEAST_DENSE, category - LEAST_CATEGORY, 0.0)
        options.append((reached, share, head))
    return max(options, key=lambda option: option[:2])[2]


def sure_figures(judged: list[tuple[Patient, DensityHead]]) -> tuple[float, float, float]:
    """Share of patients with a category; among them, accuracy of dense and of the category."""
    stated = [(one.grade, one.judged(head).category) for one, head in judged]
    sure = [(grade, "abcd".index(found)) for grade, found in stated if found]
    if not sure:
        return 0.0, 0.0, 0.0
    dense = np.mean([(grade >= 2) == (found >= 2) for grade, found in sure])
    return len(sure) / len(stated), float(dense), float(np.mean([g == f for g, f in sure]))


def patients_of(data: Data, probabilities: np.ndarray, mine: np.ndarray) -> list[Patient]:
    places: dict[tuple, dict[str, list[int]]] = {}
    for row in np.flatnonzero(mine):
        source, patient, side, _ = data.rows[row]
        places.setdefault((source, patient), {}).setdefault(side, []).append(row)
    found = []
    for (source, name), sides in places.items():
        breasts = tuple(tuple(probabilities[rows].mean(0).tolist()) for rows in sides.values())
        grade = max(int(np.median(data.grade[rows])) for rows in sides.values())
        found.append(Patient(source, name, grade, breasts))
    return found


def kappa_statistic(grades: np.ndarray, found: np.ndarray):
    """Quadratic kappa as a function of weights (Cohen 1968, doi:10.1037/h0026256)."""
    costs = (np.arange(4)[:, None] - np.arange(4)) ** 2
    real, said = np.eye(4)[grades], np.eye(4)[found]

    def statistic(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(1)
        seen = weights @ costs[grades, found] / total
        chance = np.einsum("wi,ij,wj->w", weights @ real, costs, weights @ said) / total**2
        return 1.0 - seen / np.where(chance > 0, chance, np.nan)

    return statistic


def show(judged: list[tuple[Patient, DensityHead]], package: str) -> None:
    known = read_patients(package)
    groups = {name: [one for one in judged if one[0].source == name] for name in SOURCES}
    if known:
        for name in list(groups):
            groups[f"{name}, patients whom the trunk did not learn from"] = [
                one for one in groups[name] if patient_digest((name, one[0].name)) in known.held_out
            ]
    groups["all"] = judged
    print("| source | a, b, c, d | kappa | AUC dense | sure | dense right | category right |")
    print("|---|---|---|---|---|---|---|")
    for name, members in groups.items():
        if len(members) >= LEAST_PATIENTS:
            print(f"| {name} | {row_of(members)} |")


def row_of(members: list[tuple[Patient, DensityHead]]) -> str:
    """Cells: numbers of each grade; kappa and AUC of all patients; coverage; what is sure."""
    names = [f"{one.source}/{one.name}" for one, _ in members]
    grades = np.array([one.grade for one, _ in members])
    plain = [one.judged(NO_LIMIT) for one, _ in members]
    best = np.array([int(np.argmax(one.probabilities)) for one in plain])
    score = np.array([one.dense for one in plain])
    dense = grades >= 2
    kappa = patient_bootstrap(kappa_statistic(grades, best), dense, names, draws=DRAWS)
    area = patient_bootstrap(auc_statistic(dense, score), dense, names, draws=DRAWS)
    words = [one.judged(head).category for one, head in members]
    sure = np.array([word is not None for word in words])
    said = np.array(["abcd".find(word or "x") for word in words])
    cells = [", ".join(str(int((grades == g).sum())) for g in range(4)), str(kappa), str(area)]
    cells.append(share(sure, names))
    chosen = [name for name, one in zip(names, sure, strict=True) if one]
    cells.append(share((dense == (said >= 2))[sure], chosen))
    cells.append(share((grades == said)[sure], chosen))
    return " | ".join(cells)


def share(right: np.ndarray, names: list[str]) -> str:
    if not len(right):
        return "–"
    found = patient_bootstrap(mean_statistic(right), right, names, draws=DRAWS)
    return f"{found} ({int(right.sum())} of {len(right)})"


def show_mias(data: Data, probabilities: np.ndarray) -> None:
    """AUC of dense-glandular against fatty by P(c or d), patients of mias, never fitted."""
    mine = (data.rows[:, 0] == "mias") & np.isin(data.rows[:, 3], ["fatty", "dense-glandular"])
    scores: dict[str, list[float]] = {}
    labels: dict[str, bool] = {}
    for row in np.flatnonzero(mine):
        name = data.rows[row, 1]
        scores.setdefault(name, []).append(float(probabilities[row, 2:].sum()))
        labels[name] = bool(data.rows[row, 3] == "dense-glandular")
    names = list(scores)
    if not names:
        return
    dense = np.array([labels[name] for name in names])
    score = np.array([max(scores[name]) for name in names])
    found = patient_bootstrap(auc_statistic(dense, score), dense, names, draws=DRAWS)
    print(f"mias, D ({dense.sum()} patients) against F ({(~dense).sum()}): AUC {found}")


def show_other_sources(data: Data, taught: np.ndarray, penalty: float, head: DensityHead) -> None:
    """The same on a source that the fit did not see; penalty and limits are those of all."""
    for name in SOURCES:
        mine = taught & (data.rows[:, 0] == name)
        if not mine.any():
            continue
        held = np.full((len(data.rows), 4), np.nan)
        held[mine] = predict(data.values[mine], *fitted(data, taught & ~mine, frozenset(), penalty))
        found = [(one, head) for one in patients_of(data, held, mine)]
        print(f"| {name}, not in the fit | {row_of(found)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("features")
    step.add_argument("tables", nargs="+", type=Path)
    step = steps.add_parser("fit")
    step.add_argument("features", type=Path)
    for step in steps.choices.values():
        step.add_argument("--package", default=DEFAULT_MODEL)
        step.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if given.step == "features":
        compute_features(given.tables, given.package, given.out)
    else:
        fit_and_judge(given.features, given.package, given.out)


if __name__ == "__main__":
    main()
