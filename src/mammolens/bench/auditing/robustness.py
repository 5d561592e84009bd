"""How far scores move when a picture is altered, image by image, with intervals over patients.

Every image is decoded once. Its alterations are prepared and scored one after another by the same
steps as in an evaluation, so only a few prepared pictures are in memory. A refused picture is
counted as refused and has no score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.auditing.alterations import ALTERATIONS, Alteration, alter
from mammolens.bench.contact_sheet import sample_records
from mammolens.bench.scoring import score_group
from mammolens.bench.units import ImageResult, Resample, resampled_json
from mammolens.core import Mammogram, PreparedView, Unreadable
from mammolens.data.cache import read_record
from mammolens.data.manifest import Manifest, Record
from mammolens.errors import InputError
from mammolens.metrics import Statistic, auc_statistic
from mammolens.metrics.bootstrap import mean_statistic
from mammolens.metrics.probability import shares
from mammolens.model import ModelPackage
from mammolens.preprocess import PreprocessConfig, prepare

__all__ = ["LIMIT", "altered_scores", "robustness_figures", "robustness_section"]

LIMIT: Final = 200
"""Default number of images that are altered."""

_BATCH = 8
_Float = npt.NDArray[np.float64]


def robustness_section(
    model: ModelPackage,
    records: Sequence[Record],
    *,
    limit: int = LIMIT,
    seed: int = 0,
    draws: int = 2000,
    alterations: Sequence[Alteration] = ALTERATIONS,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Alter a sample of images in every way, and measure the effect on scores; ready for JSON.

    Parameters
    ----------
    records
        Images to choose from: one of each data set and label in turn, in a seeded order.
    limit
        Number of images that are altered.
    seed, draws
        Seed of the choice, of random alterations and of the bootstrap, and its resamples.

    Returns
    -------
    The result of `robustness_figures`, with ``n_images``, ``n_unreadable``, ``seed`` and
    ``threshold``.

    Raises
    ------
    ContractMismatch
        If the model reads marked lesions.
    """
    chosen = sample_records(Manifest.of(records), limit, seed)
    scores = altered_scores(model, chosen, alterations, seed=seed, on_progress=on_progress)
    readable = np.isfinite(scores[:, 0])
    kept = [record for record, there in zip(chosen, readable, strict=True) if there]
    threshold = model.card.operating_points.high.threshold
    return {
        "n_images": len(kept),
        "n_unreadable": len(chosen) - len(kept),
        "sampled": "one of each data set and label in turn",
        "seed": seed,
        "threshold": threshold,
        **robustness_figures(
            kept, scores[readable], alterations, threshold=threshold, draws=draws, seed=seed
        ),
    }


def altered_scores(
    model: ModelPackage,
    records: Sequence[Record],
    alterations: Sequence[Alteration] = ALTERATIONS,
    *,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> _Float:
    """Give P(malignant) of each unaltered image and each alteration: (n, 1 + k), NaN if refused.

    Raises
    ------
    ContractMismatch
        If the model reads marked lesions.
    """
    config = model.card.for_breasts()
    rows = []
    for done, record in enumerate(records, start=1):
        # Without marks: hits of lesions are not measured here, and alterations move the places.
        bare = replace(record, lesions=(), lesion_centre_px=None)
        views = ((bare, view) for view in _views(bare, config, alterations, seed))
        results: list[ImageResult] = []
        while group := list(islice(views, _BATCH)):
            results += score_group(model, group)
        rows.append([one.scores.malignant if one.scores else np.nan for one in results])
        on_progress(done, len(records))
    return np.array(rows, np.float64).reshape(len(records), 1 + len(alterations))


def _views(
    record: Record, config: PreprocessConfig, alterations: Sequence[Alteration], seed: int
) -> Iterator[PreparedView | Unreadable]:
    try:
        mammogram = read_record(record)
    except InputError as error:
        yield from [_refused(record, error)] * (1 + len(alterations))
        return
    key = record.image_name
    yield _prepared(record, config, lambda: mammogram)
    for one in alterations:
        yield _prepared(record, config, partial(alter, mammogram, one, key=key, seed=seed))


def _prepared(
    record: Record, config: PreprocessConfig, give: Callable[[], Mammogram]
) -> PreparedView | Unreadable:
    try:
        return prepare(give(), config)
    except InputError as error:
        return _refused(record, error)


def _refused(record: Record, error: InputError) -> Unreadable:
    return Unreadable(str(record.path), type(error).__name__, str(error))


def robustness_figures(
    records: Sequence[Record],
    scores: npt.ArrayLike,
    alterations: Sequence[Alteration] = ALTERATIONS,
    *,
    threshold: float,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare scores before and after each alteration; ready for JSON.

    Parameters
    ----------
    scores
        (n, 1 + k), as `altered_scores` gives them; the first column is finite.
    threshold
        The threshold of a decision.

    Returns
    -------
    ``auc`` of the unaltered pictures, and ``alterations``, each with ``n``, ``n_refused``,
    ``refused`` (share), ``mean_change``, ``mean_absolute_change``, ``p95_absolute_change`` of
    P(malignant), ``flipped`` (share of decisions), ``auc`` and ``auc_difference`` (paired), and
    ``datasets`` with the first few of these. The AUC compares images within data sets only.
    """
    values = np.asarray(scores, np.float64)
    resample = partial(resampled_json, draws=draws, seed=seed)
    found = []
    for alteration, after in zip(alterations, values.T[1:], strict=True):
        there = np.isfinite(after)
        kept = [record for record, one in zip(records, there, strict=True) if one]
        before = values[there, 0]
        refused = _intervals(records, {"refused": mean_statistic(~there)}, resample)
        changes = _change(before, after[there], threshold)
        ranks = _ranks(kept, before, after[there])
        sources = sorted({record.dataset for record in kept})
        found.append(
            {
                "alteration": alteration.name,
                "kind": alteration.kind,
                "expected": alteration.expected,
                "n": len(kept),
                "n_refused": int(np.count_nonzero(~there)),
                **refused,
                **_intervals(kept, changes | ranks, resample),
                "datasets": {
                    name: _of_source(kept, before, after[there], name, threshold, resample)
                    for name in sources
                },
            }
        )
    as_is = _ranks(records, values[:, 0], values[:, 0])
    as_is.pop("auc_difference", None)
    return {"auc": _intervals(records, as_is, resample).get("auc"), "alterations": found}


def _of_source(
    records: Sequence[Record],
    before: _Float,
    after: _Float,
    name: str,
    threshold: float,
    resample: Resample,
) -> dict[str, Any]:
    own = np.array([record.dataset == name for record in records])
    kept = [record for record in records if record.dataset == name]
    changes = _change(before[own], after[own], threshold)
    return {"n": len(kept), **_intervals(kept, changes, resample)}


def _change(before: _Float, after: _Float, threshold: float) -> dict[str, Statistic]:
    moved = after - before
    return {
        "mean_change": mean_statistic(moved),
        "mean_absolute_change": mean_statistic(np.abs(moved)),
        "p95_absolute_change": _quantile(np.abs(moved), 0.95),
        "flipped": mean_statistic((before >= threshold) != (after >= threshold)),
    }


def _ranks(records: Sequence[Record], before: _Float, after: _Float) -> dict[str, Statistic]:
    """Give the AUC after, and its difference from before; empty if no data set has both classes."""
    known = np.array([record.malignant is not None for record in records], bool)
    labels = np.array([record.malignant is True for record in records], bool)
    parts = []
    for name in sorted({record.dataset for record in records}):
        rows = np.flatnonzero(known & np.array([record.dataset == name for record in records]))
        if 0 < np.count_nonzero(labels[rows]) < rows.size:
            parts.append(rows)
    if not parts:
        return {}
    first, second = _within(parts, labels, before), _within(parts, labels, after)
    return {"auc": second, "auc_difference": lambda weights: second(weights) - first(weights)}


def _within(
    parts: Sequence[npt.NDArray[np.intp]], labels: npt.NDArray[np.bool_], scores: _Float
) -> Statistic:
    """Give the AUC over pairs of the same data set: the data sets' AUCs, weighted by pairs."""
    areas = [auc_statistic(labels[rows], scores[rows]) for rows in parts]

    def statistic(weights: _Float) -> _Float:
        won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for rows, area in zip(parts, areas, strict=True):
            own = weights[:, rows]
            count = (own @ labels[rows]) * (own @ ~labels[rows])
            won += np.where(count > 0, np.nan_to_num(area(own)) * count, 0.0)
            pairs += count
        return shares(won, pairs)

    return statistic


def _quantile(values: _Float, share: float) -> Statistic:
    """Give the smallest value that `share` of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def statistic(weights: _Float) -> _Float:
        reached = np.cumsum(weights[:, order], axis=1)
        at = (reached < share * reached[:, -1:] - 1e-9).sum(axis=1)
        found: _Float = ordered[np.minimum(at, ordered.size - 1)]
        return found

    return statistic


def _intervals(
    records: Sequence[Record], statistics: dict[str, Statistic], resample: Resample
) -> dict[str, Any]:
    if not records:
        return dict.fromkeys(statistics)
    labels = [record.malignant is True for record in records]
    patients = [record.patient_name for record in records]
    return resample(statistics, labels, patients)
