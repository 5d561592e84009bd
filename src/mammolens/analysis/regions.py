"""Score marked regions of one mammogram: how likely each is malignant, given that it is a lesion.

image and boxes → windows at the scale of training → the lesion model, on each window and its mirror
image → P(benign) and P(malignant). Normal is not a possible answer: a region is scored because a
person, or another model, marked it as a lesion.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mammolens.analysis.options import AnalysisOptions
from mammolens.analysis.pooling import pool_breast, restate_scores, score_prepared, triage
from mammolens.analysis.pseudonyms import hide_identity
from mammolens.core import (
    Box,
    Caution,
    Display,
    Geometry,
    ImageRef,
    Mammogram,
    ModelId,
    TriageCategory,
)
from mammolens.errors import BadRegion
from mammolens.images import read_image
from mammolens.model import ModelPackage
from mammolens.preprocess import display_of, prepare_region

__all__ = [
    "RegionPrediction",
    "RegionReport",
    "analyze_region_file",
    "analyze_regions",
    "parse_region",
]

_DEFAULTS = AnalysisOptions()


@dataclass(frozen=True)
class RegionPrediction:
    """The result of one marked region; `benign` and `malignant` are calibrated and sum to one.

    `box_source_px` is the marked box, and `geometry` the window that the model read. `category`
    compares P(malignant) with the operating points of the model for lesions; it is not the triage
    category of an exam. The map is raw Grad-CAM (h, w) ≥ 0 over the window. Divide it by
    `map_level` to compare regions.
    """

    box_source_px: Box
    benign: float
    malignant: float
    category: TriageCategory
    geometry: Geometry
    malignancy_map: npt.NDArray[np.float32]
    map_level: float
    cautions: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        possible = 0.0 <= self.malignant <= 1.0 and abs(self.benign + self.malignant - 1.0) < 1e-4
        if not possible or self.category is TriageCategory.FAILED:
            raise ValueError(f"no result of a region: {self.benign}, {self.malignant}")
        self.malignancy_map.flags.writeable = False


@dataclass(frozen=True)
class RegionReport:
    """The results of all marked regions of one image.

    `prevalence` is the share of malignant lesions for which the probabilities are given. `cautions`
    are those of the image; each region has further ones.
    """

    ref: ImageRef
    regions: tuple[RegionPrediction, ...]
    display: Display | None
    cautions: tuple[Caution, ...]
    model: ModelId
    prevalence: float
    elapsed_s: float


def parse_region(text: str) -> Box:
    """Parse a box of the command line.

    Raises
    ------
    BadRegion
        If it is not four numbers with commas.

    Examples
    --------
    >>> parse_region("120, 340, 400, 610.5")
    (120.0, 340.0, 400.0, 610.5)
    """
    try:
        r0, c0, r1, c1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise BadRegion(
            f"{text!r} is not a box",
            keyword="region",
            remedy="Write row0,col0,row1,col1 in pixels of the stored image",
        ) from error
    return r0, c0, r1, c1


def analyze_region_file(
    path: Path,
    boxes_source_px: Sequence[Box],
    model: ModelPackage,
    options: AnalysisOptions = _DEFAULTS,
) -> RegionReport:
    """Read one image and score its marked regions.

    Raises
    ------
    InputError
        If the image cannot be read, or a box is impossible; no region is scored then.
    ContractMismatch
        If the model reads whole breasts.
    """
    model.card.for_regions()
    return analyze_regions(read_image(path), boxes_source_px, model, options)


def analyze_regions(
    mammogram: Mammogram,
    boxes_source_px: Sequence[Box],
    model: ModelPackage,
    options: AnalysisOptions = _DEFAULTS,
) -> RegionReport:
    """Score marked regions of one mammogram, all or none.

    Parameters
    ----------
    boxes_source_px
        Each (row0, col0, row1, col1), half-open, in pixels of the stored image.
    options
        `prevalence` is the share of lesions that are malignant; `jobs` and `time_limit_s` are not
        used.

    Raises
    ------
    BadRegion
        If no box is given, or one is empty, smaller than 8 pixels or outside the image.
    NotAMammogram
        If the picture, or a window of it, is flat.
    ContractMismatch
        If the model reads whole breasts.
    ModelError
        If the model gives a number that is not finite.
    """
    began = time.monotonic()
    config = model.card.for_regions()
    if not boxes_source_px:
        raise BadRegion("no region is marked", source=mammogram.ref.path, keyword="region")
    views = [prepare_region(mammogram, box, config) for box in boxes_source_px]
    raw = score_prepared(model, views)
    prevalence = options.prevalence or model.card.prior_malignant
    level = model.card.finding_level.level
    regions = []
    for row, (box, view) in enumerate(zip(boxes_source_px, views, strict=True)):
        at_card = pool_breast(_without_normal(raw.probabilities[row]))
        stated = restate_scores(at_card, model.card, prevalence)
        regions.append(
            RegionPrediction(
                box_source_px=box,
                benign=1.0 - stated.malignant,
                malignant=stated.malignant,
                category=triage(at_card.malignant, model.card),
                geometry=view.geometry,
                malignancy_map=np.copy(raw.malignancy_map[row]),
                map_level=level,
                cautions=tuple(c for c in view.cautions if c not in mammogram.cautions),
            )
        )
    report = RegionReport(
        ref=mammogram.ref,
        regions=tuple(regions),
        display=display_of(mammogram, views[0]) if options.display else None,
        cautions=mammogram.cautions,
        model=model.model_id,
        prevalence=prevalence,
        elapsed_s=time.monotonic() - began,
    )
    return _pseudonymised(report) if options.pseudonymise else report


def _without_normal(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Distribute the probability of normal over the others, because a marked region is a lesion."""
    kept = probabilities.astype(np.float64) * (0.0, 1.0, 1.0)
    shares: npt.NDArray[np.float64] = kept / kept.sum()
    return shares


def _pseudonymised(report: RegionReport) -> RegionReport:
    ref, hidden = hide_identity(report.ref, secrets.token_bytes(32))
    return replace(
        report,
        ref=ref,
        cautions=hidden(report.cautions),
        regions=tuple(replace(r, cautions=hidden(r.cautions)) for r in report.regions),
    )
