"""A manifest's images through a model, by the very steps that analysis takes.

Memory is bounded: a few images ahead of the model are decoded at a time, whatever the table's
length. An image that fails is a result with a reason and without a score.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt

from mammolens.analysis import pool_breast, regard_age, score_prepared
from mammolens.bench.units import ImageResult
from mammolens.core import PreparedView, Unreadable
from mammolens.data.cache import prepare_record
from mammolens.data.manifest import Record
from mammolens.errors import ConfigError, InputError, ModelError
from mammolens.model import ModelCard, ModelPackage
from mammolens.preprocess import InputConfig

__all__ = ["results_from_probabilities", "score_records"]

_BATCH = 8

Prepared = tuple[Record, PreparedView | Unreadable]
Probabilities = npt.NDArray[np.float32]


def score_records(
    model: ModelPackage,
    records: Sequence[Record],
    *,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> list[ImageResult]:
    """Read, prepare and score images, in the order of `records`.

    Parameters
    ----------
    model
        A loaded package; its card says how inputs are prepared.
    records
        Rows of a manifest; of `data.regions.region_records` where the model reads lesions.
    jobs
        Images that are decoded side by side.
    on_progress
        Called with (images done, images in all).

    Raises
    ------
    ConfigError
        If `jobs` is below one.
    ContractMismatch
        If the model cannot take what its card asks for.
    """
    if jobs < 1:
        raise ConfigError(f"{jobs} jobs cannot work", keyword="jobs", remedy="Give 1 or more")
    results: list[ImageResult] = []
    with ThreadPoolExecutor(jobs) as pool:
        prepared = _prepared(pool, records, model.card.preprocess, ahead=_BATCH + jobs)
        while group := list(islice(prepared, _BATCH)):
            results += _score_group(model, group)
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


def _prepared(
    pool: ThreadPoolExecutor, records: Sequence[Record], config: InputConfig, ahead: int
) -> Iterator[Prepared]:
    waiting: deque[Future[Prepared]] = deque()
    source = iter(records)
    for record in islice(source, ahead):
        waiting.append(pool.submit(_prepare, record, config))
    while waiting:
        ready = waiting.popleft().result()
        for record in islice(source, 1):
            waiting.append(pool.submit(_prepare, record, config))
        yield ready


def _prepare(record: Record, config: InputConfig) -> Prepared:
    try:
        return record, prepare_record(record, config)
    except InputError as error:
        return record, Unreadable(str(record.path), type(error).__name__, str(error))


def _score_group(model: ModelPackage, group: Sequence[Prepared]) -> list[ImageResult]:
    views = [view for _, view in group if isinstance(view, PreparedView)]
    outcomes = iter(_score_views(model, views))
    return [
        ImageResult(record, None, view)
        if isinstance(view, Unreadable)
        else _result(record, view, next(outcomes), model.card)
        for record, view in group
    ]


def _score_views(
    model: ModelPackage, views: Sequence[PreparedView]
) -> list[Probabilities | Unreadable]:
    """Score a batch; if the graph fails on it, find the pictures that it fails on."""
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
    return list(raw.probabilities)


def _result(
    record: Record, view: PreparedView, outcome: Probabilities | Unreadable, card: ModelCard
) -> ImageResult:
    if isinstance(outcome, Unreadable):
        return ImageResult(record, None, outcome, view.cautions)
    aged = regard_age(outcome, card, view.ref.age_years)
    return ImageResult(record, pool_breast(aged), None, view.cautions, view.ref.age_years)
