"""Tune, train and calibrate classical classifiers on features of training patients.

Training patients are divided into folds, stratified by source and label. In every fold an inner
search chooses the settings, so that the held-out scores are independent of their patients. A search
over all folds then chooses the settings of the classifier that is trained on all patients and
scores other pictures. A sigmoid that is fitted to the held-out scores turns scores into
probabilities (Platt), so that thresholds can be fixed on the held-out probabilities.

The searches maximise the AUC within sources, weighted by images. An AUC over all sources would
reward recognising the source.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from mammolens.errors import InvalidManifest
from mammolens.learn.classifiers import CLASSIFIERS, Classifier
from mammolens.learn.feature_store import read_npz, write_npz
from mammolens.metrics import auc_within, sigmoid

__all__ = ["Fitted", "Sample", "fit", "source_auc"]

Floats = npt.NDArray[np.float64]

_INNER_FOLDS: Final = 3
_FORM: Final = 1
"""Version of the cached results; increase it when the computation of scores changes."""
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True)
class Sample:
    """Rows of features: `features` (n, d), and `labels`, `sources` and `patients`, each (n,).

    A patient's identifier is unique within a source only.
    """

    features: npt.NDArray[np.float32]
    labels: npt.NDArray[np.bool_]
    sources: npt.NDArray[np.str_]
    patients: npt.NDArray[np.str_]

    def at(self, rows: npt.NDArray[np.intp]) -> Sample:
        """Some of the rows."""
        return Sample(
            self.features[rows], self.labels[rows], self.sources[rows], self.patients[rows]
        )


@dataclass(frozen=True)
class Fitted:
    """Probabilities of the training rows and of other rows, and the chosen settings.

    `out_of_fold` (n) are those of the training rows, each from a classifier that did not learn from
    its patient; `scores` (m) are those of the other rows. `chosen` is the setting of the last
    search, `fold_choices` those of the searches within folds.
    """

    out_of_fold: Floats
    scores: Floats
    chosen: dict[str, Any]
    fold_choices: tuple[dict[str, Any], ...]


def fit(
    name: str,
    training: Sample,
    others: npt.NDArray[np.float32],
    *,
    folds: int = 5,
    seed: int = 0,
    kept_in: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Fitted:
    """Tune, train and calibrate a classifier, and score other pictures.

    Parameters
    ----------
    name
        One of `CLASSIFIERS`.
    others
        Float (m, d), features to score.
    folds, seed
        Number of folds of patients, 2 or more, and the seed of folds and classifiers.
    kept_in
        Folder of results; an earlier result for the same rows and settings is read from it. The
        name of each file is the digest of all inputs.

    Raises
    ------
    InvalidManifest
        If a class has too few patients for the folds, or no source has both classes.
    StorageError
        If the folder cannot be written.

    Source
    ------
    Cawley and Talbot 2010 (nested search), JMLR 11:2079–2107. Platt 1999 (sigmoid).
    """
    path = kept_in / f"{_digest(name, training, others, folds, seed)}.npz" if kept_in else None
    if path and (kept := _read(path, len(training.labels), len(others))) is not None:
        return kept
    classifier = CLASSIFIERS[name]
    _refuse_thin(training, folds)
    cuts = _cut(training, folds, seed)
    raw, choices = np.full(len(training.labels), np.nan), []
    for number, (learned, held_out) in enumerate(cuts):
        part = training.at(learned)
        choices.append(_search(classifier, part, _cut(part, _INNER_FOLDS, seed), seed))
        raw[held_out] = _trained(classifier, choices[-1], part, seed)(training.features[held_out])
        on_progress(number + 1, folds + 1)
    chosen = _search(classifier, training, cuts, seed)
    scores = _trained(classifier, chosen, training, seed)(others)
    on_progress(folds + 1, folds + 1)
    sigmoid = _sigmoid(raw, training.labels)
    found = Fitted(sigmoid(raw), sigmoid(scores), chosen, tuple(choices))
    if path:
        _write(path, found)
    return found


def source_auc(
    labels: npt.NDArray[np.bool_], scores: Floats, sources: npt.NDArray[np.str_]
) -> float | None:
    """Give the mean AUC within sources, weighted by rows; ``None`` if no source has both labels.

    Examples
    --------
    >>> source_auc(np.array([0, 1, 0, 1], bool), np.array([1.0, 2, 9, 8]), np.array(list("aabb")))
    0.5
    """
    areas = auc_within(labels, scores, sources).values()
    if not areas:
        return None
    return float(np.average([area for area, _ in areas], weights=[n for _, n in areas]))


Cuts = list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


def _refuse_thin(training: Sample, folds: int) -> None:
    for label, word in ((True, "positive"), (False, "negative")):
        patients = len(set(training.patients[training.labels == label].tolist()))
        if patients < max(folds, 2 * _INNER_FOLDS):
            raise InvalidManifest(
                f"{patients} training patients are {word}: too few for {folds} folds of patients, "
                f"each with {_INNER_FOLDS} folds inside",
                keyword="--folds",
                remedy="Give more training patients of both kinds, or fewer folds",
            )


def _cut(sample: Sample, folds: int, seed: int) -> Cuts:
    """Cut folds of patients with about the same shares of sources and labels.

    A source with too few patients of a label is stratified by the label only.
    """
    cells = [f"{s} {y}" for s, y in zip(sample.sources, sample.labels, strict=True)]
    patients: dict[str, set[str]] = defaultdict(set)
    for cell, patient in zip(cells, sample.patients, strict=True):
        patients[cell].add(str(patient))
    strata = [
        cell if len(patients[cell]) >= folds else str(label)
        for cell, label in zip(cells, sample.labels, strict=True)
    ]
    counts = {stratum: strata.count(stratum) for stratum in set(strata)}
    smallest = min(counts.values())
    if smallest < folds:
        strata = [str(label) for label in sample.labels]
    cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    cuts = list(cutter.split(sample.features, strata, sample.patients))
    for side in itertools.chain(*cuts):
        if len(set(sample.labels[side].tolist())) < 2:
            raise InvalidManifest(
                "a fold of training patients would have one label only",
                keyword="--folds",
                remedy="Give more training patients of both kinds, or fewer folds",
            )
    return cuts


def _search(classifier: Classifier, sample: Sample, cuts: Cuts, seed: int) -> dict[str, Any]:
    """Give the setting with the best mean AUC within sources over the folds."""
    found: list[list[float | None]] = []
    for learned, held_out in cuts:
        part = sample.at(learned)
        front = _front(classifier, part, seed)
        rows = _passed(front, part.features), _passed(front, sample.features[held_out])
        found.append(
            [
                source_auc(
                    sample.labels[held_out],
                    _score(
                        _last(classifier, setting, part, seed).fit(rows[0], part.labels), rows[1]
                    ),
                    sample.sources[held_out],
                )
                for setting in classifier.settings()
            ]
        )
    known = [scores for scores in found if None not in scores]
    if not known:
        raise InvalidManifest(
            "no source has both positive and negative training patients in any fold",
            remedy="Give a source with both kinds",
        )
    means = np.array(known, np.float64).mean(0)
    return list(classifier.settings())[int(np.argmax(means))]


def _trained(
    classifier: Classifier, setting: Mapping[str, Any], sample: Sample, seed: int
) -> Callable[[npt.NDArray[np.float32]], Floats]:
    """Train on a sample; give the function from features to scores."""
    front = _front(classifier, sample, seed)
    last = _last(classifier, setting, sample, seed)
    last.fit(_passed(front, sample.features), sample.labels)
    return lambda features: _score(last, _passed(front, features))


def _front(classifier: Classifier, sample: Sample, seed: int) -> Pipeline:
    """Fit all steps of the pipeline but the last; the settings do not change them."""
    rows, width = sample.features.shape
    front = classifier.build(rows, width, seed)[:-1]
    return front.fit(sample.features.astype(np.float64), sample.labels)


def _passed(front: Pipeline, features: npt.NDArray[np.float32]) -> Floats:
    return np.asarray(front.transform(features.astype(np.float64)), np.float64)


def _last(classifier: Classifier, setting: Mapping[str, Any], sample: Sample, seed: int) -> Any:
    rows, width = sample.features.shape
    neighbours = setting.get("n_neighbors")
    fitting = {"n_neighbors": min(neighbours, rows)} if neighbours else {}
    return classifier.build(rows, width, seed)[-1].set_params(**{**setting, **fitting})


def _score(last: Any, rows: Floats) -> Floats:
    """Give the margin of each row, or the log-odds of its share of votes."""
    if hasattr(last, "decision_function"):
        return np.asarray(last.decision_function(rows), np.float64)
    share = np.clip(last.predict_proba(rows)[:, 1], 1e-3, 1 - 1e-3)
    return np.asarray(np.log(share / (1 - share)), np.float64)


def _sigmoid(scores: Floats, labels: npt.NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    """Fit a rising sigmoid; if the scores carry no information it is nearly flat, never falling."""
    line = LogisticRegression(C=1.0).fit(scores[:, None], labels)
    slope, intercept = max(float(line.coef_[0, 0]), 1e-3), float(line.intercept_[0])

    def calibrate(values: Floats) -> Floats:
        return sigmoid(np.clip(slope * values + intercept, -18.0, 18.0))

    return calibrate


def _digest(
    name: str, training: Sample, others: npt.NDArray[np.float32], folds: int, seed: int
) -> str:
    classifier = CLASSIFIERS[name]
    rows, width = training.features.shape
    pipeline = classifier.build(rows, width, seed)
    words = (_FORM, sklearn.__version__, name, classifier.grid, folds, _INNER_FOLDS, seed, pipeline)
    digest = hashlib.sha256(_ADDRESS.sub("", repr(words)).encode())
    for part in (training.features, training.labels, others):
        digest.update(f"{part.dtype} {part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(repr((training.sources.tolist(), training.patients.tolist())).encode())
    return digest.hexdigest()[:32]


def _read(path: Path, n: int, m: int) -> Fitted | None:
    found = read_npz(path, ("out_of_fold", "scores", "words"))
    if found is None or (found["out_of_fold"].shape, found["scores"].shape) != ((n,), (m,)):
        return None
    words = json.loads(str(found["words"]))
    return Fitted(found["out_of_fold"], found["scores"], words["chosen"], tuple(words["folds"]))


def _write(path: Path, found: Fitted) -> None:
    words = json.dumps({"chosen": found.chosen, "folds": found.fold_choices})
    write_npz(path, out_of_fold=found.out_of_fold, scores=found.scores, words=np.array(words))
