"""How long an evaluation takes beside the model that made the scores.

``python benchmarks/bench_evaluate.py [IMAGES]``: made women with four views each in four data
sets, as many images as given (656), are judged as ``mammolens evaluate`` judges them: figures with
2,000 resamples, the audit with its permutations, drawn cases, the report as page and print. The
model's own time is that of its graph on prepared pictures, each and its mirror. Decoding and
preparing are left out: they would flatter the ratio. Processor seconds are counted, so that a busy
machine does not change the ratio, and the model's are halved, as if it had two cores of its own,
while all else has one. The total is that of the whole, loading of libraries and all; parts are
then timed again one by one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from drawn import draw_table
from timing import report

from mammolens.analysis import pool_breast, score_pictures, score_prepared
from mammolens.bench.auditing.audit import audit_section
from mammolens.bench.cases import CaseKeeper, Seen, write_cases
from mammolens.bench.evaluate import publish
from mammolens.bench.evidence import Evidence
from mammolens.bench.report import write_report
from mammolens.bench.sections import SECTIONS, judge
from mammolens.bench.units import ImageResult
from mammolens.core import Laterality, ViewPosition
from mammolens.data.cache import prepare_record
from mammolens.data.manifest import Manifest, Record
from mammolens.model import DEFAULT_MODEL, ModelPackage

TARGET = 0.33
CORES = 2
BATCH = 8
TIMED = 48
DATASETS = ("first", "second", "third", "fourth")
VIEWS = [(side, view) for side in Laterality for view in (ViewPosition.CC, ViewPosition.MLO)]


def cohort(images: int, picture: Path) -> list[ImageResult]:
    """Women of four data sets, a third of them ill on the right; all images show one picture."""
    rng = np.random.default_rng(0)
    found = []
    for woman in range(images // 4):
        kind, dataset = woman % 3, DATASETS[woman * len(DATASETS) // (images // 4)]
        density, machine, age = "ABCD"[rng.integers(4)], "xyz"[rng.integers(3)], rng.uniform(40, 80)
        for number, (side, view) in enumerate(VIEWS):
            own = kind if side is Laterality.RIGHT else 0
            logits = rng.normal(0, 1, 3) + 1.5 * (np.arange(3) == own)
            record = Record(
                *(dataset, f"{woman}-{number}", str(woman), picture, side, view),
                tumour=own > 0,
                malignant=own == 2,
                density=density,
                machine=machine,
            )
            shares = pool_breast(np.exp(logits) / np.exp(logits).sum())
            found.append(
                ImageResult(record, shares, age_years=age, breast_share=rng.uniform(0.2, 0.6))
            )
    return found


def model_seconds(model: ModelPackage, images: int) -> float:
    """Seconds that the graph needs for so many images on `CORES`, from a part of them."""
    config = model.card.preprocess
    pictures = np.random.default_rng(1).integers(
        0, 256, (BATCH, config.height, config.width), np.uint8
    )
    score_pictures(model, pictures)
    return seconds(lambda: [score_pictures(model, pictures) for _ in range(TIMED // BATCH)]) * (
        images / TIMED / CORES
    )


def look(model: ModelPackage, record: Record) -> Seen:
    """The picture and its map, as scoring has them at hand."""
    view = prepare_record(record, model.card.preprocess)
    return view, score_prepared(model, [view]).malignancy_map[0]


def seconds(act: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    began = time.process_time()
    act()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int, nargs="?", default=656)
    images = parser.parse_args().images
    model = ModelPackage.load(DEFAULT_MODEL)
    with TemporaryDirectory() as name:
        folder = Path(name)
        draw_table(folder, 1, 3328, 2560)
        results = cohort(images, folder / "0.jpg")
        evidence = Evidence(results, card=model.card)
        manifest = Manifest.of(one.record for one in results)
        keeper = CaseKeeper(manifest.records, evidence.settings.cases)
        shown = look(model, manifest.records[0])
        kept = seconds(lambda: [keeper.add(one, *shown) for one in results])
        whole = kept + seconds(
            lambda: publish(evidence, manifest, folder, package=model, seen=keeper.seen)
        )
        parts = {
            **{
                f"figures, {section}": (lambda of=of: of(evidence))
                for section, of in SECTIONS.items()
            },
            "figures": lambda: [
                judge(part)
                for part in (
                    Evidence(results, card=model.card),
                    *map(evidence.of_dataset, DATASETS),
                )
            ],
            "audit": lambda: audit_section(results, model.card),
            "cases": lambda: write_cases(model, results, folder, seen=keeper.seen),
            "report": lambda: write_report(folder),
        }
        peer = model_seconds(model, images)
        for part, act in parts.items():
            taken = seconds(act)
            print(f"  {part}: {taken:.2f} s, {taken / peer:.3f} of the model")
    report(f"all of {images} images but the model : model", whole, peer, TARGET)


if __name__ == "__main__":
    main()
