"""What counts as a unit, what it is labelled, and how it is scored."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mammolens import analysis
from mammolens.bench.scoring import results_from_probabilities
from mammolens.bench.units import TASKS, UNITS, ImageResult, figures, units_of
from mammolens.core import Laterality, Scores, Unreadable
from mammolens.data.manifest import Record
from mammolens.errors import ConfigError

R, L = Laterality.RIGHT, Laterality.LEFT
NUMBERS = itertools.count()


def image(patient, laterality, malignant, p=0.5, *, dataset="d", readable=True):
    record = Record(
        dataset, str(next(NUMBERS)), patient, Path("x.png"), laterality, malignant=malignant
    )
    if not readable:
        return ImageResult(record, None, Unreadable("x.png", "NotAnImage", "x.png: empty"))
    return ImageResult(record, Scores(0.6 * (1 - p), 0.4 * (1 - p), p))


def test_scores_are_pooled_as_analysis_pools_them():
    views = [image("a", R, True, 0.9), image("a", R, True, 0.2), image("a", L, False, 0.6)]
    rows = [[v.scores.normal, v.scores.benign, v.scores.malignant] for v in views]
    right, left = analysis.pool_breast(rows[:2]), analysis.pool_breast(rows[2:])
    assert [u.scores for u in units_of(views, "malignancy", "image")] == [v.scores for v in views]
    assert [u.scores for u in units_of(views, "malignancy", "breast")] == [right, left]
    (patient,) = units_of(views, "malignancy", "patient")
    assert patient.scores == analysis.pool_exam([right, left])
    assert patient.label


def test_a_breast_is_positive_if_any_image_is():
    views = [image("a", R, False), image("a", R, True), image("a", L, False)]
    assert [u.label for u in units_of(views, "malignancy", "breast")] == [True, False]


def test_unknown_is_left_out_and_never_negative():
    views = [image("a", R, None, 0.9), image("a", L, False, 0.1), image("b", R, None, 0.8)]
    units = units_of(views, "malignancy", "patient")
    assert [(u.patient, u.label, u.partly_labelled) for u in units] == [(("d", "a"), False, True)]
    assert units[0].scores.malignant == pytest.approx(0.1), "an unlabelled image was scored"
    assert len(units_of(views, "malignancy", "image")) == 1
    assert units_of(views, "tumour", "image") == []


def test_without_laterality_an_image_stands_for_itself():
    views = [image("a", None, False, 0.2), image("a", None, True, 0.9), image("a", R, False, 0.1)]
    units = units_of(views, "malignancy", "breast")
    assert [round(u.scores.malignant, 6) for u in units] == [0.2, 0.9, 0.1]
    (patient,) = units_of(views, "malignancy", "patient")
    assert patient.scores.malignant == pytest.approx(0.9)


def test_one_identifier_in_two_data_sets_is_two_women():
    views = [image("1", R, True, dataset="rsna"), image("1", R, False, dataset="mias")]
    for unit in UNITS:
        assert len(units_of(views, "malignancy", unit)) == 2


def test_an_unreadable_image_keeps_its_label_but_has_no_score():
    views = [
        image("a", R, True, readable=False),
        image("a", R, False, 0.3),
        image("b", R, True, readable=False),
        image("c", R, False, 0.1),
    ]
    found = figures(views, draws=50)["malignancy"]
    assert (found["image"]["n"], found["image"]["n_positive"]) == (2, 0)
    assert (found["image"]["n_unscored"], found["image"]["n_positive_unscored"]) == (2, 2)
    assert (found["breast"]["n"], found["breast"]["n_positive"]) == (2, 1)
    assert found["breast"]["n_positive_unscored"] == 1
    assert found["breast"]["auc"]["value"] == 1.0
    assert found["image"]["auc"] is None


@pytest.mark.parametrize(("label", "word"), [(True, "positive"), (False, "negative")])
def test_one_class_has_no_auc_and_says_so(label, word):
    found = figures([image("a", R, label), image("b", R, label)])["malignancy"]["image"]
    assert found["auc"] is None
    assert found["note"] == f"no AUC: all 2 labels are {word}"


def test_nothing_labelled_has_no_auc_and_says_so():
    found = figures([image("a", R, None)])
    for task in TASKS:
        for unit in UNITS:
            assert found[task][unit]["auc"] is None
            assert "nothing here" in found[task][unit]["note"]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_figures_agree_with_a_plain_reckoning(seed):
    rng = np.random.default_rng(seed)
    views = [
        image(str(rng.integers(6)), rng.choice([R, L]), [True, False, None][k], rng.random())
        for k in [0, 1, *rng.integers(0, 3, 25)]
    ]
    expected: dict[tuple[str, Laterality], list[ImageResult]] = {}
    for view in views:
        if view.record.malignant is not None:
            key = (view.record.patient_id, view.record.laterality)
            expected.setdefault(key, []).append(view)
    labels = [any(v.record.malignant for v in group) for group in expected.values()]
    found = figures(views, draws=20)["malignancy"]["breast"]
    assert (found["n"], found["n_positive"]) == (len(labels), sum(labels))
    if 0 < sum(labels) < len(labels):
        scores = [
            analysis.pool_breast(
                [[v.scores.normal, v.scores.benign, v.scores.malignant] for v in group]
            ).malignant
            for group in expected.values()
        ]
        assert found["auc"]["value"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_an_image_has_either_scores_or_a_reason():
    with pytest.raises(ValueError, match="either scores or a reason"):
        ImageResult(image("a", R, True).record, None)


def test_probabilities_pair_with_records():
    record = image("a", R, True).record
    (result,) = results_from_probabilities([record], [[0.5, 0.25, 0.25]])
    assert result.scores.normal == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="1 records"):
        results_from_probabilities([record], [[0.5, 0.5]])
