"""How long figures and intervals take, beside the model that made the scores.

``python benchmarks/bench_evaluate.py [IMAGES]``: made women with four views each in four data
sets, as many images as given (656), are judged as ``mammolens evaluate`` judges them, 2,000
resamples; the model's own time is that of its graph on prepared pictures, each and its mirror.
Decoding and preparing are left out: they would flatter the ratio. Processor seconds are counted,
so that a busy machine does not change the ratio, and the model's are halved, as if it had two
cores of its own, while figures have one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from timing import report

from mammolens.analysis import pool_breast, score_pictures
from mammolens.bench.evidence import Evidence
from mammolens.bench.sections import SECTIONS, judge
from mammolens.bench.units import ImageResult
from mammolens.core import Laterality
from mammolens.data.manifest import Record
from mammolens.model import DEFAULT_MODEL, ModelPackage

TARGET = 0.33
CORES = 2
BATCH = 8
TIMED = 48
DATASETS = ("first", "second", "third", "fourth")


def cohort(images: int) -> list[ImageResult]:
    """Women of four data sets, a third of them ill on the right."""
    rng = np.random.default_rng(0)
    found = []
    for woman in range(images // 4):
        kind, dataset = woman % 3, DATASETS[woman * len(DATASETS) // (images // 4)]
        for number, side in enumerate((Laterality.RIGHT, Laterality.RIGHT, *[Laterality.LEFT] * 2)):
            own = kind if side is Laterality.RIGHT else 0
            logits = rng.normal(0, 1, 3) + 1.5 * (np.arange(3) == own)
            record = Record(
                dataset,
                f"{woman}-{number}",
                str(woman),
                Path("x.png"),
                side,
                tumour=own > 0,
                malignant=own == 2,
            )
            shares = np.exp(logits) / np.exp(logits).sum()
            found.append(ImageResult(record, pool_breast(shares)))
    return found


def model_seconds(model: ModelPackage, images: int) -> float:
    """Seconds that the graph needs for so many images on `CORES`, from a part of them."""
    config = model.card.preprocess
    pictures = np.random.default_rng(1).integers(
        0, 256, (BATCH, config.height, config.width), np.uint8
    )
    score_pictures(model, pictures)
    began = time.process_time()
    for _ in range(TIMED // BATCH):
        score_pictures(model, pictures)
    return (time.process_time() - began) / TIMED * images / CORES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int, nargs="?", default=656)
    images = parser.parse_args().images
    model = ModelPackage.load(DEFAULT_MODEL)
    evidence = Evidence(cohort(images), card=model.card)
    began = time.process_time()
    for part in (evidence, *(evidence.of_dataset(name) for name in DATASETS)):
        judge(part)
    seconds = time.process_time() - began
    for name, section in SECTIONS.items():
        began = time.process_time()
        section(evidence)
        print(f"  {name}, all data sets: {time.process_time() - began:.2f} s")
    report(f"figures of {images} images : model", seconds, model_seconds(model, images), TARGET)


if __name__ == "__main__":
    main()
