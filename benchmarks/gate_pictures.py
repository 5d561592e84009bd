"""Where the pictures come from that the input gate is fitted on and measured with."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from gate_bodies import BODIES
from gate_inputs import DRAWN, Picture
from gate_montages import MONTAGES

from mammolens.core import ImageRef, Mammogram, Overview, SourceHeader
from mammolens.errors import InputError
from mammolens.images import read_image
from mammolens.preprocess import PreprocessConfig, prepare

__all__ = [
    "KINDS",
    "LOOKS",
    "SETS",
    "half_of",
    "make_other",
    "make_pool",
    "overview_of",
    "read_set",
]

SETS: Final = ("rsna", "ddsm", "inbreast", "mias", "cesm", "ddsm_tissue")
"""Sets of whole breasts, as folders with a ``manifest.csv``."""

KINDS: Final = (*DRAWN, *BODIES, *MONTAGES)

LOOKS: Final = {
    **dict.fromkeys(("chest", "hand", "limb", "skull", "trunk"), "body"),
    **dict.fromkeys(("blank", "ramp"), "empty"),
    **dict.fromkeys(("collimated", "patch"), "part"),
    **dict.fromkeys(("phantom", "segmentation"), "phantom"),
    **dict.fromkeys(("photographed", "scene", "texture"), "photo"),
    **dict.fromkeys(("pair", "sheet"), "several"),
    **dict.fromkeys(("slice", "ultrasound"), "slice"),
    **dict.fromkeys(("document", "viewer"), "text"),
    "quarter_turn": "turned",
    "recombined": "recombined",
    "specimen": "specimen",
}
"""Drawn kind → what the gate should call it (`mammolens.quality.Look`)."""

_CONFIG = PreprocessConfig()


def overview_of(picture: Picture | Path) -> Overview | InputError:
    """What the gate sees of a picture or a file, or why `prepare` refuses it already."""
    try:
        if isinstance(picture, Path):
            mammogram = read_image(picture)
        else:
            mammogram = Mammogram(ImageRef(path="drawn"), SourceHeader(), np.array(picture))
        overview = prepare(mammogram, _CONFIG).overview
    except InputError as error:
        return error
    assert overview is not None
    return overview


def half_of(patient: str) -> int:
    """0 or 1: which half of the patients someone is in, the same in every run."""
    return int(hashlib.sha256(patient.encode()).hexdigest(), 16) % 2


def read_set(data: Path, name: str, every: int = 1) -> Iterator[tuple[str, Overview | InputError]]:
    """Patient and overview of every image of a set, or of every n-th."""
    with (data / name / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows[::every]:
        yield row["patient_id"], overview_of(data / name / row["path"])


def make_other(kind: str, number: int, half: int, pool: Sequence[Picture]) -> Picture:
    """The `number`-th picture of a kind; halves 0 and 1 are for the fit, 2 is for measuring."""
    seed = int(hashlib.sha256(kind.encode()).hexdigest()[:8], 16)
    rng = np.random.default_rng([number, half, seed])
    if kind in MONTAGES:
        return MONTAGES[kind](rng, pool)
    return {**DRAWN, **BODIES}[kind](rng)


def make_pool(overviews: Sequence[Overview]) -> list[Picture]:
    """Mammograms to make montages of: every fourth of a large set, at most 512 pixels."""
    step = max(1, len(overviews) // 600)
    return [np.asarray(cv2.copyMakeBorder(o.grey, 0, 0, 0, 0, 0)) for o in overviews[::step]]
