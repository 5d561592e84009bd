"""The level of the map from which a finding is made, and how often such findings hit lesions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mammolens.analysis import locate, score_pictures, score_prepared
from mammolens.bench.map_readings import box_holds
from mammolens.bench.packaging.card_figures import estimate_of
from mammolens.bench.units import interval_json
from mammolens.core import Finding
from mammolens.data.cache import PreparedCache, prepare_record
from mammolens.data.manifest import Record, Split
from mammolens.errors import InputError
from mammolens.learn.config import RunConfig, load_localisation
from mammolens.metrics import patient_bootstrap
from mammolens.model import FindingLevel, ModelPackage, RawOutput
from mammolens.preprocess import RegionConfig

__all__ = ["checked_level", "finding_level", "score_cache"]

_QUIET_SHARE = 0.8
"""Share of the images without malignancy that get no finding. Chosen by hand; not tuned."""
_QUIET_IMAGES = 250
_BATCH = 16


def score_cache(model: ModelPackage, cache: PreparedCache, rows: Sequence[int]) -> RawOutput:
    """Give the model's outputs for rows of a cache, in their order."""
    parts = [
        score_pictures(model, np.stack([cache.picture(row) for row in rows[i : i + _BATCH]]))
        for i in range(0, len(rows), _BATCH)
    ]
    names = ("logits", "probabilities", "malignancy_map", "tumour_map")
    return RawOutput(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def finding_level(model: ModelPackage, cache: PreparedCache) -> float:
    """Give the level that the maps of 80 % of the images without malignancy do not reach."""
    quiet = [i for i, record in enumerate(cache.records) if record.malignant is False]
    chosen = quiet[:: max(1, len(quiet) // _QUIET_IMAGES)]
    peaks = score_cache(model, cache, chosen).malignancy_map.max((1, 2))
    return max(float(np.quantile(peaks, _QUIET_SHARE)), 1e-6)


def checked_level(model: ModelPackage, level: float, config: RunConfig) -> FindingLevel:
    """Check a level: count findings on and off the marked lesions of the localisation tables.

    Where the maps were trained on marked lesions, only validation patients are used.
    """
    method = (
        f"{_QUIET_SHARE:.0%} of validation images without malignancy stay below it; "
        "a hit is a finding whose box holds the lesion's centre"
    )
    if isinstance(config.preprocess, RegionConfig):
        return FindingLevel(
            level=level,
            method=f"{_QUIET_SHARE:.0%} of benign validation lesions stay below it; it scales the "
            "tint, no finding is made",
        )
    marked = load_localisation(config)
    if marked is None:
        return FindingLevel(level=level, method=f"{method}; not checked on lesions")
    records = [
        record
        for record in marked.records
        if record.lesion_centre_px is not None
        and record.malignant
        and (record.split is Split.VALIDATION or config.train.map_weight == 0)
    ]
    if not records:
        return FindingLevel(level=level, method=f"{method}; no marked cancer is left to check it")
    hits: list[bool] = []
    groups: list[str] = []
    off = 0
    for record, findings in _located(model, records, level):
        on = [box_holds(finding.box_source_px, record.lesion_centre_px) for finding in findings]
        hits.append(any(on))
        groups.append(record.patient_name)
        off += len(on) - sum(on)
    found = np.array(hits, np.float64)
    rate = patient_bootstrap(lambda w: w @ found / w.sum(1), found > 0, groups)
    names = ", ".join(sorted({record.dataset for record in records}))
    return FindingLevel(
        level=level,
        method=f"{method}; checked on {len(hits)} malignant images of {names}, patients never "
        "learned from",
        hit_rate=estimate_of(interval_json(rate)),
        false_findings_per_image=off / len(hits),
    )


def _located(
    model: ModelPackage, records: Sequence[Record], level: float
) -> Iterator[tuple[Record, tuple[Finding, ...]]]:
    for record in records:
        try:
            view = prepare_record(record, model.card.preprocess)
        except InputError:
            yield record, ()
            continue
        yield record, locate(view, score_prepared(model, [view]).malignancy_map[0], level)
