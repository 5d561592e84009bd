"""Score the images of a manifest with a model, by the same steps as in the analysis.

Only a few images are decoded ahead of the model, whatever the length of the table. An image that
fails becomes a result with a reason and without a score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import islice

import numpy as np
import numpy.typing as npt

from mammolens.analysis import pool_breast, regard_age, score_prepared
from mammolens.bench.map_readings import MapReading, read_map
from mammolens.bench.units import ImageResult
from mammolens.core import Caution, PreparedView, Unreadable
from mammolens.data.cache import PreparedCache, prepare_record
from mammolens.data.manifest import Record
from mammolens.errors import ConfigError, InputError, InvalidManifest, ModelError
from mammolens.model import ModelCard, ModelPackage
from mammolens.prefetching import prefetch
from mammolens.preprocess import InputConfig, RegionConfig

__all__ = [
    "breast_size",
    "refused_result",
    "results_from_probabilities",
    "score_group",
    "score_records",
]

_BATCH = 8

Prepared = tuple[Record, PreparedView | Unreadable]
Scored = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Probabilities (3,) and malignancy map (h, w) of one picture."""

OnScored = Callable[[ImageResult, PreparedView, npt.NDArray[np.float32]], None]
"""Called with each scored image, its prepared picture and its malignancy map (h, w)."""


def score_records(
    model: ModelPackage,
    records: Sequence[Record],
    *,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
    on_scored: OnScored = lambda *_: None,
) -> list[ImageResult]:
    """Read, prepare and score images, in the order of `records`.

    Parameters
    ----------
    model
        A loaded package; its card states how inputs are prepared.
    records
        Rows of a manifest; for a model of lesions those of `data.regions.region_records`.
    jobs
        Number of images that are decoded at the same time.
    on_scored
        Called with each scored image and its picture, in order.

    Raises
    ------
    ConfigError
        If `jobs` is below one.
    ContractMismatch
        If the model cannot use the inputs that its card states.
    """
    results: list[ImageResult] = []
    prepare = partial(_prepare, model.card.preprocess)
    with closing(prefetch(prepare, records, ahead=_BATCH + jobs, workers=jobs)) as prepared:
        while group := list(islice(prepared, _BATCH)):
            results += score_group(model, group, on_scored)
            on_progress(len(results), len(records))
    return results


def results_from_probabilities(
    records: Sequence[Record], probabilities: npt.ArrayLike
) -> list[ImageResult]:
    """Pair records with class probabilities (n, 3) that were computed elsewhere.

    Raises
    ------
    ConfigError
        If the shapes do not pair.
    """
    rows = np.asarray(probabilities, np.float64)
    if rows.shape != (len(records), 3):
        raise ConfigError(f"{len(records)} records but probabilities of shape {rows.shape}")
    return [
        ImageResult(record, pool_breast(row)) for record, row in zip(records, rows, strict=True)
    ]


def refused_result(record: Record, cache: PreparedCache) -> ImageResult:
    """Give the result of an image that could not be prepared for a cache, with the reason."""
    path = str(record.path)
    reason = cache.refused.get(path, "it could not be prepared")
    return ImageResult(record, None, Unreadable(path, "InputError", reason))


def _prepare(config: InputConfig, record: Record) -> Prepared:
    try:
        return record, prepare_record(record, config)
    except InputError as error:
        return record, Unreadable(str(record.path), type(error).__name__, str(error))


def score_group(
    model: ModelPackage, group: Sequence[Prepared], on_scored: OnScored = lambda *_: None
) -> list[ImageResult]:
    """Score a few prepared images in one batch; refused images stay refused."""
    views = [view for _, view in group if isinstance(view, PreparedView)]
    outcomes = iter(_score_views(model, views))
    results = []
    for record, view in group:
        if isinstance(view, Unreadable):
            results.append(ImageResult(record, None, view))
            continue
        outcome = next(outcomes)
        results.append(_result(record, view, outcome, model.card))
        if not isinstance(outcome, Unreadable):
            on_scored(results[-1], view, outcome[1])
    return results


def _score_views(model: ModelPackage, views: Sequence[PreparedView]) -> list[Scored | Unreadable]:
    """Score a batch; if the graph fails, score the pictures one by one to find those that fail."""
    if not views:
        return []
    try:
        raw = score_prepared(model, views)
    except ModelError as error:
        if type(error) is not ModelError:
            raise
        if len(views) == 1:
            return [Unreadable(views[0].ref.path, type(error).__name__, str(error))]
        return [outcome for view in views for outcome in _score_views(model, [view])]
    return list(zip(raw.probabilities, raw.malignancy_map, strict=True))


def _result(
    record: Record, view: PreparedView, outcome: Scored | Unreadable, card: ModelCard
) -> ImageResult:
    if isinstance(outcome, Unreadable):
        return ImageResult(record, None, outcome, view.cautions)
    probabilities, heat = outcome
    aged = regard_age(probabilities, card, view.ref.age_years)
    marks, cautions = _marks(record, view, heat, card)
    share, area = breast_size(view)
    return ImageResult(
        record,
        pool_breast(aged),
        cautions=(*view.cautions, *cautions),
        age_years=view.ref.age_years,
        breast_share=share,
        breast_mm2=area,
        marks=marks,
    )


def breast_size(view: PreparedView) -> tuple[float, float | None]:
    """Give the share (0–1) of the picture that the breast covers, and its area in mm² if known."""
    scale_rows, scale_cols = view.geometry.scale
    covered = float(np.count_nonzero(view.mask)) / (scale_rows * scale_cols)
    rows, cols = view.geometry.source_shape
    spacing = view.ref.spacing_mm
    return covered / (rows * cols), covered * spacing[0] * spacing[1] if spacing else None


def _marks(
    record: Record, view: PreparedView, heat: npt.NDArray[np.float32], card: ModelCard
) -> tuple[MapReading | None, tuple[Caution, ...]]:
    """Read the map; ``None`` with the reason if a lesion's mask cannot be read."""
    if isinstance(card.preprocess, RegionConfig):
        return None, ()
    try:
        return read_map(record, view, heat, card.finding_level.level), ()
    except (InputError, InvalidManifest) as error:
        return None, (Caution("lesion_unreadable", str(error)),)
