"""What clinical data add to the images: fusion and its challengers on held-out patients.

`score` gives every breast of RSNA and DDSM that the shipped package held out its image score (the
pictures alone, without the age term), with age, density and machine. `compare` fits each kind of
fusion on four of five folds of patients and judges it on the fifth. The image score is of patients
whom the model did not learn from, so it is out of fold for every fit. AUC by breast, mean of the
folds; intervals and differences over patients. The machine is a control: what it adds is no
knowledge of the patient.

Run: python benchmarks/bench_fusion.py score --run configs/mammolens-2.toml --out out/fusion.csv
     python benchmarks/bench_fusion.py compare out/fusion.csv
With interpret-core installed, an explainable boosting machine is among the challengers.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mammolens.analysis import pool_breast
from mammolens.bench.evaluate import read_tables
from mammolens.bench.scoring import score_records
from mammolens.bench.units import without_age
from mammolens.clinical.fitting import judge, out_of_fold_fusion
from mammolens.clinical.fusion_table import FusionTable, read_fusion_table
from mammolens.data.manifest import Split
from mammolens.metrics import log_odds
from mammolens.metrics.probability import patient_folds
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.wording import estimate

FloatArray = npt.NDArray[np.float64]
Fit = Callable[[FloatArray, npt.NDArray[np.bool_]], Callable[[FloatArray], FloatArray]]
SOURCES = ("rsna", "ddsm")
PENALTIES = (0.001, 0.01, 0.1, 1.0)
COLUMNS = (
    *("dataset", "patient_id", "laterality", "malignant", "image_log_odds", "age", "density"),
    *("machine", "with_shipped_age"),
)


def score(run: Path, out: Path) -> None:
    """Write the table of held-out breasts."""
    package = ModelPackage.load(DEFAULT_MODEL)
    manifest = read_tables([run])
    records = [
        record
        for record in manifest.records
        if record.dataset in SOURCES
        and record.malignant is not None
        and record.split is Split.VALIDATION
    ]
    results = score_records(package, records, on_progress=progress)
    bare = without_age(results, package.card.calibration.age) or results
    breasts: dict[tuple[str, str, str], list[int]] = {}
    for number, record in enumerate(records):
        if results[number].scores is not None and record.laterality is not None:
            key = record.dataset, record.patient_id, record.laterality.value
            breasts.setdefault(key, []).append(number)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for key, members in breasts.items():
            first = records[members[0]]
            odds = [
                float(log_odds(pool_breast([_parts(one[n].scores) for n in members]).malignant))
                for one in (bare, results)
            ]
            label = int(any(records[n].malignant for n in members))
            age = "" if first.age_years is None else first.age_years
            cells = (label, odds[0], age, first.density or "", first.machine or "", odds[1])
            writer.writerow([*key, *cells])


def _parts(scores: object) -> tuple[float, float, float]:
    return scores.normal, scores.benign, scores.malignant  # type: ignore[attr-defined]


def progress(done: int, total: int) -> None:
    if done % 96 == 0 or done == total:
        print(f"{done}/{total}", flush=True)


def compare(path: Path, draws: int) -> None:
    """Print the table of all fusions, in Markdown."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="sklearn")
    table = read_fusion_table(path, date.today(), ["age", "density"])
    with path.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["malignant"]]
    shipped = np.array([float(row["with_shipped_age"]) for row in rows])
    machines = np.array([f"{row['dataset']} {row['machine']}" for row in rows])
    folds = patient_folds(table.patients.tolist())
    aged = table.only(["age"])
    found = {
        "shipped age slope (fitted on these patients)": shipped,
        "ridge: age": out_of_fold_fusion(aged, folds),
        "ridge: age, density (`mammolens fuse fit`)": out_of_fold_fusion(table, folds),
        "ridge: density": out_of_fold_fusion(table.only(["density"]), folds),
        "splines: age, density": _cross(table, folds, splines),
        f"{BOOSTING[0]}: age, density": _cross(table, folds, BOOSTING[1]),
        "gated network: age, density": _cross(table, folds, gated_network),
        "control: image and machine": _cross(table, folds, logistic, _one_hot(machines)),
        "age alone": _cross(aged, folds, logistic, image=False),
        "density alone": _cross(table.only(["density"]), folds, logistic, image=False),
        "machine alone": _cross(table, folds, logistic, _one_hot(machines), image=False),
    }
    judged = {name: judge(table, scores, folds, draws=draws) for name, scores in found.items()}
    sources = sorted(next(iter(judged.values())))
    facts = {s: next(iter(judged.values()))[s] for s in sources}
    heads = [
        f"{s} ({facts[s]['n_breasts']} breasts, {facts[s]['n_malignant']} malignant,"
        f" {facts[s]['n_patients']} patients)"
        for s in sources
    ]
    print("| | " + " | ".join(heads) + " |\n|---|" + "---|" * len(sources))
    alone = [_shown(facts[s]["image"]) for s in sources]
    print("| image alone, AUC | " + " | ".join(alone) + " |")
    for name, one in judged.items():
        cells = [
            f"{one[s]['fused']['value']:.3f}, {_shown(one[s]['difference'], signed=True)}"
            for s in sources
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n" + json.dumps({s: facts[s]["n_known"] for s in sources}))


def _shown(found: dict[str, float], *, signed: bool = False) -> str:
    return estimate(found["value"], found["low"], found["high"], signed=signed)


def _cross(
    table: FusionTable,
    folds: npt.NDArray[np.int64],
    fit: Fit,
    further: FloatArray | None = None,
    *,
    image: bool = True,
) -> FloatArray:
    """Score each fold by a fit on the others; the inputs are the image, values and masks."""
    known = np.isfinite(table.values)
    values = np.where(known, table.values, 0.0)
    sets = _one_hot(table.datasets)
    parts = [values, known.astype(float), sets] if further is None else [further, sets]
    scores = np.zeros(len(table.labels))
    for fold in np.unique(folds):
        held = folds == fold
        design = np.column_stack([table.image if image else np.zeros(len(held)), *parts])
        centre, spread = design[~held].mean(0), np.maximum(design[~held].std(0), 1e-6)
        scaled = (design - centre) / spread
        scores[held] = fit(scaled[~held], table.labels[~held])(scaled[held])
    return scores


def logistic(
    design: FloatArray, labels: npt.NDArray[np.bool_]
) -> Callable[[FloatArray], FloatArray]:
    """Logistic regression, penalty by inner folds."""
    from sklearn.linear_model import LogisticRegressionCV

    model = LogisticRegressionCV(Cs=PENALTIES, cv=5, scoring="neg_log_loss", max_iter=300)
    model.fit(design, labels)
    return lambda rows: np.asarray(model.decision_function(rows))


def splines(
    design: FloatArray, labels: npt.NDArray[np.bool_]
) -> Callable[[FloatArray], FloatArray]:
    """Logistic regression on cubic splines of columns with many values, penalty by inner folds."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    many = [n for n, column in enumerate(design.T) if len(np.unique(column)) > 3]
    bent = SplineTransformer(n_knots=4, degree=3, extrapolation="constant")
    columns = ColumnTransformer([("bent", bent, many)], remainder="passthrough")
    fit = LogisticRegressionCV(Cs=PENALTIES, cv=5, scoring="neg_log_loss", max_iter=300)
    model = make_pipeline(columns, fit).fit(design, labels)
    return lambda rows: np.asarray(model.decision_function(rows))


def explainable_boosting(
    design: FloatArray, labels: npt.NDArray[np.bool_]
) -> Callable[[FloatArray], FloatArray]:
    """The explainable boosting machine of interpret-core, with its defaults."""
    from interpret.glassbox import ExplainableBoostingClassifier

    model = ExplainableBoostingClassifier(random_state=0, n_jobs=1).fit(design, labels)
    return lambda rows: log_odds(model.predict_proba(rows)[:, 1])


def boosted_trees(
    design: FloatArray, labels: npt.NDArray[np.bool_]
) -> Callable[[FloatArray], FloatArray]:
    """Gradient boosting of small trees."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_depth=3, max_iter=60, random_state=0)
    model.fit(design, labels)
    return lambda rows: log_odds(model.predict_proba(rows)[:, 1])


def gated_network(
    design: FloatArray, labels: npt.NDArray[np.bool_]
) -> Callable[[FloatArray], FloatArray]:
    """A small network whose gate decides how much it adds to the image (column 0)."""
    import torch

    torch.manual_seed(0)
    hidden = torch.nn.Sequential(torch.nn.Linear(design.shape[1], 8), torch.nn.Tanh())
    added, gate = torch.nn.Linear(8, 1), torch.nn.Linear(8, 1)
    weight = torch.nn.Parameter(torch.ones(1))
    parameters = [*hidden.parameters(), *added.parameters(), *gate.parameters(), weight]
    optimiser = torch.optim.AdamW(parameters, lr=0.02, weight_decay=0.1)
    known = torch.tensor(labels, dtype=torch.float32)

    def logits(rows: FloatArray) -> torch.Tensor:
        x = torch.tensor(rows, dtype=torch.float32)
        inner = hidden(x)
        return weight * x[:, 0] + (torch.sigmoid(gate(inner)) * added(inner))[:, 0]

    for _ in range(200):
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(logits(design), known).backward()
        optimiser.step()
    return lambda rows: logits(rows).detach().numpy().astype(np.float64)


def _one_hot(names: npt.NDArray[np.str_]) -> FloatArray:
    return np.stack([names == name for name in np.unique(names)], 1).astype(float)


def _boosting() -> tuple[str, Fit]:
    try:
        import interpret.glassbox  # noqa: F401
    except ModuleNotFoundError:
        return "boosted trees", boosted_trees
    return "explainable boosting machine", explainable_boosting


BOOSTING = _boosting()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    scoring = steps.add_parser("score")
    scoring.add_argument("--run", type=Path, default=Path("configs/mammolens-2.toml"))
    scoring.add_argument("--out", type=Path, default=Path("out/fusion.csv"))
    comparing = steps.add_parser("compare")
    comparing.add_argument("table", type=Path)
    comparing.add_argument("--draws", type=int, default=2000)
    given = parser.parse_args()
    if given.step == "score":
        score(given.run, given.out)
    else:
        compare(given.table, given.draws)


if __name__ == "__main__":
    main()
