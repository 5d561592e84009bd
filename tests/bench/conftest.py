"""A table of drawn breasts, for the bench."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.bench.units import ImageResult
from mammolens.core import Laterality, Scores
from mammolens.data.manifest import Record

COLUMNS = ("dataset", "image_id", "patient_id", "laterality", "view", "path", "tumour", "malignant")


def draw_breast(path: Path, lesion_share: float, seed: int) -> None:
    """A half ellipse of noisy tissue at the left edge with a bright disc in it."""
    rng = np.random.default_rng(seed)
    tissue = rng.normal(70, 8, (320, 240)).astype(np.float32)
    cv2.circle(tissue, (80, 160), round(110 * lesion_share), 220, -1)
    mask = cv2.ellipse(np.zeros((320, 240), np.uint8), (0, 160), (170, 130), 0, -90, 90, 1, -1)
    cv2.imwrite(str(path), np.clip(tissue * mask, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def rows(tmp_path_factory) -> tuple[Path, list[dict[str, str]]]:
    """A folder, and its rows: twelve women, four views each; odd ones are ill on the right."""
    folder = tmp_path_factory.mktemp("drawn")
    found = []
    for patient in range(12):
        for number, place in enumerate(("R-CC", "R-MLO", "L-CC", "L-MLO")):
            laterality, view = place.split("-")
            ill = patient % 2 == 1 and laterality == "R"
            name = f"p{patient:02d}-{place}"
            # Two women are drawn against their label, lest the ranking be perfect.
            bright = ill != (patient in (2, 3) and laterality == "R")
            share = (0.75 if bright else 0.25) + 0.02 * number
            draw_breast(folder / f"{name}.png", share, 10 * patient + number)
            found.append(
                {
                    "dataset": "drawn",
                    "image_id": name,
                    "patient_id": f"p{patient:02d}",
                    "laterality": laterality,
                    "view": view,
                    "path": f"{name}.png",
                    "tumour": str(int(ill)),
                    "malignant": str(int(ill)),
                }
            )
    return folder, found


@pytest.fixture(scope="session")
def write_table(rows):
    """Give a function that writes rows as a table beside the pictures."""
    folder, _ = rows

    def write(name: str, chosen: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS) -> Path:
        path = folder / name
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(chosen)
        return path

    return write


@pytest.fixture(scope="session")
def make_cohort():
    """Give a function that makes scored women, two breasts and two views each, without pictures.

    A third are ill, on the right; half of the others have something benign there. Scores part
    them by `gain`; `further` gives a record more fields.
    """

    def make(women=90, gain=2.0, seed=0, dataset="made", further=lambda **_: {}):
        rng = np.random.default_rng(seed)
        found = []
        for woman in range(women):
            kind = (2, 1, 0)[woman % 3]
            for side, view in ((s, v) for s in Laterality for v in ("CC", "MLO")):
                own = kind if side is Laterality.RIGHT else 0
                logits = rng.normal(0, 1, 3) + gain * (np.arange(3) == own)
                shares = np.exp(logits) / np.exp(logits).sum()
                record = Record(
                    dataset,
                    f"{woman}-{side.value}-{view}",
                    f"{dataset}-{woman}",
                    Path(f"{woman}.png"),
                    side,
                    tumour=own > 0,
                    malignant=own == 2,
                    **further(woman=woman, kind=own, rng=rng),
                )
                found.append(ImageResult(record, Scores(*(shares / shares.sum()).tolist())))
        return found

    return make
