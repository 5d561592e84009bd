"""Fit the coefficients of the input gate, and state how it does on patients it never saw.

Each half of the patients (and of the drawn pictures) is judged by a gate that was fitted on the
other half: that gives the operating point and the figures. The coefficients that are written are
fitted on both halves.

Run: python benchmarks/fit_gate.py --data ../shared/data [--other FOLDER] [--write]
``--other`` has one folder for each look (``body/``, ``photo/``, …) of real pictures that are no
mammogram. ``--table`` keeps the measurements of all pictures, which take most of the time.
Needs scikit-learn (the extra "train").
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from gate_pictures import KINDS, LOOKS, SETS, half_of, make_other, make_pool, overview_of, read_set

import mammolens.quality
from mammolens.core import Overview
from mammolens.preprocess import find_breast
from mammolens.quality.features import NAMES, SIDE_PX, measure
from mammolens.quality.gate import Look, softmax_terms

Array = npt.NDArray[Any]

VERSION = 1
"""Raise it with every set of coefficients that is released: cards name the one they belong to."""
FALSE_DOUBTS = 0.0018
"""Share of sound mammograms of other patients that may be doubted or refused: below 0.2 %."""
FALSE_REFUSALS = 0.0004
ALTERED = {"rsna": 1, "ddsm": 1, "inbreast": 3, "mias": 3, "cesm": 3, "ddsm_tissue": 4}
"""How often each mammogram is fitted on in an altered form: small sets more often."""
SMALL_SETS = 0.85
"""Weight of a set's image: its size to this power, inverted; 1 would make all sets count alike."""
PENALTY = 0.1
"""Inverse strength of the ridge (scikit-learn's C), chosen on the other half of the patients."""
KINDS_IN_ORDER = [Look.MAMMOGRAM, *sorted(set(Look) - {Look.MAMMOGRAM}, key=lambda k: k.value)]


def numbers(overview: Overview) -> list[float]:
    values = measure(overview.grey, overview.mask, overview.chest_wall_right)
    return [values[name] for name in NAMES]


def alter(grey: Array, rng: np.random.Generator) -> Array:
    """The same mammogram of another source: turned, squeezed, with other tones, borders, words."""
    grey = np.array(grey)
    if rng.random() < 0.4:
        grey = grey[::-1]
    if rng.random() < 0.5:
        grey = grey[:, ::-1]
    if rng.random() < 0.5:
        wide = max(40, int(grey.shape[1] * np.exp(rng.uniform(-0.3, 0.3))))
        grey = cv2.resize(grey, (wide, grey.shape[0]), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        grey = (255 * (grey / 255.0) ** np.exp(rng.uniform(-0.5, 0.5))).round().astype(np.uint8)
    if rng.random() < 0.3:
        grey = np.clip(grey * rng.uniform(0.5, 1.25), 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        tiles = int(rng.integers(2, 9))
        local = cv2.createCLAHE(float(rng.uniform(1, 5)), (tiles, tiles))
        air = grey <= np.percentile(grey, 3) + 3
        grey = np.where(air, grey, local.apply(np.ascontiguousarray(grey)))
    if rng.random() < 0.2:
        mild = rng.uniform(2, 8)
        curve = 1 / (1 + np.exp(-mild * (np.linspace(0, 1, 256) - rng.uniform(0.2, 0.7))))
        curve = (curve - curve[0]) / (curve[-1] - curve[0])
        grey = (255 * curve).round().astype(np.uint8)[grey]
    if rng.random() < 0.25:
        centre = grey.shape[1] / 2, grey.shape[0] / 2
        turn = cv2.getRotationMatrix2D(centre, rng.normal(0, 4), 1)
        air = int(np.percentile(grey, 5))
        grey = cv2.warpAffine(grey, turn, grey.shape[::-1], borderValue=air)
    if rng.random() < 0.3:
        edges = [int(v) for v in rng.uniform(0, 0.15, 4) * max(grey.shape)]
        air = int(np.percentile(grey, 3)) if rng.random() < 0.5 else 0
        grey = cv2.copyMakeBorder(np.array(grey), *edges, cv2.BORDER_CONSTANT, value=air)
    if rng.random() < 0.15:
        bar = int(rng.uniform(0.01, 0.12) * grey.shape[1])
        gap = int(rng.uniform(0, 0.1) * grey.shape[1])
        air = int(np.percentile(grey, 3))
        dark = grey[:, : grey.shape[1] // 4].mean() < grey[:, -grey.shape[1] // 4 :].mean()
        wall, far = ((gap, bar), (0, 0)) if dark else ((0, 0), (gap, bar))
        grey = np.pad(grey, ((0, 0), (wall[0], far[0])), constant_values=air)
        grey = np.pad(grey, ((0, 0), (wall[1], far[1])), constant_values=255)
    if rng.random() < 0.3:
        grey = np.ascontiguousarray(grey)
        at = (rng.uniform(0.02, 0.8) * grey.shape[1], rng.uniform(0.05, 0.95) * grey.shape[0])
        size = rng.uniform(0.3, 0.8) * grey.shape[0] / 512
        text = str(rng.choice(["RCC", "LMLO", "R CC", "L", "R MLO"]))
        cv2.putText(grey, text, (int(at[0]), int(at[1])), 0, size, int(rng.integers(150, 256)), 1)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(0.5, 4), grey.shape)
        grey = np.clip(grey + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        grey = cv2.GaussianBlur(np.ascontiguousarray(grey), (0, 0), rng.uniform(0.4, 1.2))
    return np.ascontiguousarray(grey)


def gather(data: Path, other: Path | None, count: int) -> dict[str, Array]:
    """Measure everything: rows of `x` with their `kind` (set or kind), `half`, and `altered`."""
    rows: list[tuple[list[float], str, int, bool]] = []
    seen: dict[int, list[Overview]] = {0: [], 1: []}
    rng = np.random.default_rng(1)
    for name in SETS:
        for patient, overview in read_set(data, name):
            if not isinstance(overview, Overview):
                continue
            half = half_of(patient)
            if name != "cesm":
                seen[half].append(overview)
            rows.append((numbers(overview), name, half, False))
            for _ in range(ALTERED[name]):
                grey = alter(overview.grey, rng)
                found = find_breast(grey.astype(np.float32) / 255)
                if found is not None:
                    altered = Overview(grey, found.mask, found.chest_wall_right)
                    rows.append((numbers(altered), name, half, True))
        print(f"measured {name}", flush=True)
    pools = {half: make_pool(overviews) for half, overviews in seen.items()}
    for kind in KINDS:
        for half in (0, 1):
            for number in range(count):
                overview = overview_of(make_other(kind, number, half, pools[half]))
                if isinstance(overview, Overview):
                    rows.append((numbers(overview), kind, half, False))
        print(f"measured {kind}", flush=True)
    for path in sorted(other.rglob("*.*")) if other else ():
        overview = overview_of(path)
        if isinstance(overview, Overview):
            rows.append((numbers(overview), f"real {path.parent.name}", half_of(path.stem), False))
    x, kind_of, half_of_row, altered_of = zip(*rows, strict=True)
    return {
        "x": np.array(x, np.float32),
        "kind": np.array(kind_of),
        "half": np.array(half_of_row),
        "altered": np.array(altered_of),
    }


def look_of(kind: str) -> Look:
    if kind in SETS:
        return Look.MAMMOGRAM
    return Look(LOOKS.get(kind, kind.removeprefix("real ")))


def weigh(kinds: Array, altered: Array) -> Array:
    """Small sets count more than their size; all other kinds together as much as mammograms."""
    weight = np.zeros(len(kinds))
    real = np.isin(kinds, SETS)
    for part, share in ((real & ~altered, 1.0), (real & altered, 0.5)):
        names, counts = np.unique(kinds[part], return_counts=True)
        each = dict(zip(names, counts**-SMALL_SETS, strict=True))
        found = np.array([each[name] for name in kinds[part]])
        weight[part] = found / found.sum() * share * (real & ~altered).sum()
    names, counts = np.unique(kinds[~real], return_counts=True)
    size = dict(zip(names, counts, strict=True))
    whole = weight.sum() / len(names)
    weight[~real] = [whole / size[name] for name in kinds[~real]]
    return weight


def fit(table: dict[str, Array], chosen: Array) -> dict[str, Array]:
    """Standardise on the mammograms as they are, then one softmax over the looks."""
    from sklearn.linear_model import LogisticRegression

    x, kinds, altered = (table[name][chosen] for name in ("x", "kind", "altered"))
    looks = np.array([KINDS_IN_ORDER.index(look_of(kind)) for kind in kinds])
    own = x[looks == 0]
    low, high, centre = (np.percentile(own, q, axis=0) for q in (10, 90, 50))
    made = {
        "centre": centre,
        "scale": np.maximum((high - low) / 2.56, 1e-3),
        "high": np.percentile(own, 99.5, axis=0),
    }
    model = LogisticRegression(C=PENALTY, max_iter=300, tol=1e-3)
    model.fit(softmax_terms(x, **made), looks, sample_weight=weigh(kinds, altered))
    return {**made, "weights": model.coef_, "biases": model.intercept_}


def suspicion(gate: dict[str, Array], x: Array) -> Array:
    terms = softmax_terms(x, gate["centre"], gate["scale"], gate["high"])
    logits = terms @ gate["weights"].T + gate["biases"]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return 1 - powers[:, 0] / powers.sum(1)


def across_halves(table: dict[str, Array]) -> Array:
    """The suspicion of every picture by a gate that was fitted on the other half."""
    scores = np.zeros(len(table["x"]))
    for half in (0, 1):
        there = table["half"] == half
        scores[there] = suspicion(fit(table, ~there), table["x"][there])
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--count", type=int, default=160, help="drawn pictures per kind and half")
    parser.add_argument("--table", type=Path, help="measurements to reuse, or to write")
    parser.add_argument("--write", action="store_true", help="replace the built-in coefficients")
    asked = parser.parse_args()
    if asked.table and asked.table.exists():
        table = dict(np.load(asked.table))
    else:
        table = gather(asked.data, asked.other, asked.count)
        if asked.table:
            np.savez(asked.table, **table)
    scores = across_halves(table)
    sound = np.isin(table["kind"], SETS) & ~table["altered"]
    ranked = np.sort(scores[sound])[::-1]
    doubt_at, refuse_at = (
        float(ranked[int(share * len(ranked))]) + 1e-4 for share in (FALSE_DOUBTS, FALSE_REFUSALS)
    )
    print(f"doubt at {doubt_at:.4f}, refuse at {refuse_at:.4f}; judged by the other half's gate:")
    for kind in (*SETS, *sorted(set(table["kind"]) - set(SETS))):
        part = (table["kind"] == kind) & ~table["altered"]
        doubted, refused = (int((scores[part] >= at).sum()) for at in (doubt_at, refuse_at))
        print(
            f"{kind:14} n {part.sum():5} stopped {doubted:5} ({doubted / part.sum():7.2%})"
            f" of them refused {refused:5}"
        )
    if not asked.write:
        return
    gate = fit(table, np.ones(len(scores), bool))
    content = {
        "side_px": SIDE_PX,
        "features": list(NAMES),
        "kinds": [look.value for look in KINDS_IN_ORDER],
        "point": {
            "version": VERSION,
            "doubt_at": round(doubt_at, 4),
            "refuse_at": round(refuse_at, 4),
            "fixed_on": f"{int(sound.sum())} mammograms of {', '.join(SETS)}, each judged by a "
            f"gate fitted on the other half of the patients: {FALSE_DOUBTS:.2%} at or above "
            f"doubt_at, {FALSE_REFUSALS:.2%} at or above refuse_at",
        },
        **{name: _short(gate[name], 4) for name in ("centre", "scale", "high")},
        "biases": _short(gate["biases"], 4),
        "weights": _short(gate["weights"], 3),
    }
    target = Path(mammolens.quality.__file__).parent / "gate.json"
    target.write_text(_on_lines(content), "utf-8")
    print(f"wrote {target}")


def _short(values: Array, digits: int) -> list[Any]:
    return np.round(np.asarray(values, np.float64), digits).tolist()


def _on_lines(content: dict[str, Any]) -> str:
    """JSON with one line for each entry and each row of weights."""
    parts = []
    for name, value in content.items():
        if name == "weights":
            rows = ",\n  ".join(json.dumps(row) for row in value)
            parts.append(f'"{name}": [\n  {rows}\n ]')
        else:
            parts.append(f'"{name}": {json.dumps(value)}')
    return "{\n " + ",\n ".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
