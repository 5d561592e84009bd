"""Classical classifiers in a comparison: trained on its training side, scored on its judged rows.

One classifier is trained on all data sets together, like a network, and judged on each separately.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.bench.comparison.candidates import Candidate, Say, progress_reporter
from mammolens.bench.comparison.judged_data import JudgedData
from mammolens.bench.packaging.card_figures import fix_operating_points
from mammolens.bench.scoring import refused_result
from mammolens.bench.units import LABELS, TASKS, ImageResult, interval_json
from mammolens.core import InputKind, Scores
from mammolens.data.cache import PreparedCache, build_cache
from mammolens.data.manifest import Record
from mammolens.errors import InvalidManifest
from mammolens.metrics import auc_interval
from mammolens.spelling import check_known

if TYPE_CHECKING:
    from mammolens.learn.classical import Fitted, Sample
    from mammolens.learn.feature_store import Extractor

__all__ = ["FEATURE_SETS", "classical_candidates"]

FEATURE_SETS: Final = ("handcrafted", "cnn")

_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Setup:
    """The pictures of both sides, and the settings with which classifiers are trained."""

    data: JudgedData
    learned: PreparedCache
    judged: PreparedCache
    folds: int
    seed: int
    say: Say


@dataclass(frozen=True)
class _Trained:
    """A classifier of one task, its training rows, and their records."""

    fitted: Fitted
    sample: Sample
    records: tuple[Record, ...]


def classical_candidates(
    names: Sequence[str],
    feature_sets: Sequence[str],
    data: JudgedData,
    *,
    folds: int = 5,
    seed: int = 0,
    say: Say = lambda _: None,
) -> list[Candidate]:
    """Train each classifier on each set of features, and score the judged rows.

    Parameters
    ----------
    names
        Names from `mammolens.bench.comparison.candidates.CLASSICAL`.
    feature_sets
        Names from `FEATURE_SETS`; ``a+b`` combines two sets.
    folds, seed
        Folds of training patients, see `mammolens.learn.classical.fit`.

    Raises
    ------
    InvalidManifest
        If there are no training rows, or they are too few or of one class.
    ConfigError
        If a set of features does not exist.
    StorageError
        If features or scores cannot be written.
    """
    if not names:
        return []
    if data.training is None:
        raise InvalidManifest(
            f"there are no training rows for {', '.join(names)}",
            source=data.source,
            keyword="split",
            remedy="Give a table whose column split has rows called train, or only packages",
        )
    for part in "+".join(feature_sets).split("+"):
        check_known(part, FEATURE_SETS, "set of features", "--features")
    learned, judged = (
        build_cache(
            side,
            data.preprocess,
            data.cache,
            on_progress=progress_reporter(f"{word} picture", say),
        )
        for side, word in ((data.training, "training"), (data.judged, "judged"))
    )
    own = _Setup(data, learned, judged, folds, seed, say)
    found = []
    for kind in feature_sets:
        features = _features(kind, own)
        for name in names:
            taught = {
                task: one for task in TASKS if (one := _train(name, kind, task, features, own))
            }
            found.append(_candidate(name, kind, taught, own))
    return found


def _features(kind: str, own: _Setup) -> tuple[_Floats, _Floats]:
    """Give the features of the training pictures and of the judged pictures."""
    from mammolens.learn.feature_store import cached_features

    extractors = [(part, _extractor(part)) for part in kind.split("+")]
    root = own.data.cache / "features"
    learned, judged = (
        np.concatenate(
            [
                cached_features(
                    cache,
                    one,
                    root,
                    progress_reporter(f"{part} features of {word} picture", own.say),
                )
                for part, one in extractors
            ],
            axis=1,
        )
        for cache, word in ((own.learned, "training"), (own.judged, "judged"))
    )
    return learned, judged


def _extractor(part: str) -> Extractor:
    if part == "cnn":
        from mammolens.learn.feature_store import trunk_extractor

        return trunk_extractor()
    from mammolens.learn.feature_store import handcrafted_extractor

    return handcrafted_extractor()


def _train(
    name: str, kind: str, task: str, features: tuple[_Floats, _Floats], own: _Setup
) -> _Trained | None:
    """Train a classifier of one task; ``None`` if too few patients have a tumour label."""
    from mammolens.learn.classical import Sample, fit

    rows = np.flatnonzero([LABELS[task](record) is not None for record in own.learned.records])
    known = tuple(own.learned.records[row] for row in rows)
    sample = Sample(
        features[0][rows],
        np.array([bool(LABELS[task](record)) for record in known], bool),
        np.array([record.dataset for record in known], str),
        np.array([record.patient_name for record in known], str),
    )
    try:
        fitted = fit(
            name,
            sample,
            features[1],
            folds=own.folds,
            seed=own.seed,
            kept_in=own.data.cache / "classical",
            on_progress=progress_reporter(f"{name} ({kind}), {task}: search", own.say, every=1),
        )
    except InvalidManifest as error:
        if task == "malignancy":
            raise
        own.say(f"{name} ({kind}): no classifier of tumours: {error.message}")
        return None
    return _Trained(fitted, sample, known)


def _candidate(name: str, kind: str, taught: Mapping[str, _Trained], own: _Setup) -> Candidate:
    first = taught["malignancy"]
    held_out = [
        ImageResult(record, _scores("malignancy", value))
        for record, value in zip(first.records, first.fitted.out_of_fold, strict=True)
    ]
    fixed_on = f"out-of-fold scores of {len(held_out)} training images"
    shown = InputKind.LESION if own.data.of_lesions else InputKind.BREAST
    points = fix_operating_points(held_out, fixed_on=fixed_on, kind=shown, draws=100)
    return Candidate(
        name=f"{name} ({kind})",
        kind="classical",
        group=kind,
        results={task: _results(task, one.fitted.scores, own) for task, one in taught.items()},
        thresholds={"high": points.high.threshold, "low": points.low.threshold},
        fixed_on=fixed_on,
        facts={
            "classifier": name,
            "features": kind,
            "uses_age": False,
            "refused_training": len(own.learned.refused),
            "training": {task: _training(one, own.seed) for task, one in taught.items()},
            "proof": {"proven": True, "how": "trained here, on the training side alone"},
        },
    )


def _training(taught: _Trained, seed: int) -> dict[str, Any]:
    fitted, sample = taught.fitted, taught.sample
    return {
        "n": len(sample.labels),
        "n_positive": int(sample.labels.sum()),
        "n_patients": len(set(sample.patients.tolist())),
        "chosen": fitted.chosen,
        "chosen_in_folds": list(fitted.fold_choices),
        "out_of_fold_auc": {
            source: {**interval_json(area), "n": area.n, "unit": "image"}
            for source in sorted(set(sample.sources.tolist()))
            if (rows := sample.sources == source).any()
            and len(set(sample.labels[rows].tolist())) == 2
            for area in [
                auc_interval(
                    sample.labels[rows],
                    fitted.out_of_fold[rows],
                    sample.patients[rows],
                    draws=500,
                    seed=seed,
                )
            ]
        },
    }


def _results(task: str, values: npt.NDArray[np.float64], own: _Setup) -> tuple[ImageResult, ...]:
    """Give the judged rows in their order; those with a refused picture have no scores."""
    scored = {
        record.key: _scores(task, value)
        for record, value in zip(own.judged.records, values, strict=True)
    }
    return tuple(
        ImageResult(record, scores)
        if (scores := scored.get(record.key))
        else refused_result(record, own.judged)
        for record in own.data.judged.records
    )


def _scores(task: str, value: float) -> Scores:
    """Write a probability as three class probabilities; pooling then averages its log-odds."""
    rest = 1.0 - float(value)
    return Scores(rest, 0.0, 1.0 - rest) if task == "malignancy" else Scores(rest, 1.0 - rest, 0.0)
