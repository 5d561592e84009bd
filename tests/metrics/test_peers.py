"""Every public figure agrees with an implementation that shares nothing with it.

`PEERS` says of each name of `mammolens.metrics` against what it is held, and in which test; a name
without one fails.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mammolens import metrics

FORMS = {
    *("Confusion", "ConformalAnswer", "ConformalRule", "DeLong"),
    *("FrocCurve", "GapTest", "Interval", "Isotonic", "MarkedImage", "McNemar"),
    *("PrecisionRecall", "RankedCounts", "RocCurve", "Statistic", "Statistics"),
}
"""What figures are given in; the functions that fill them are held below."""

PEERS = {
    "BINARY_METRICS": "scikit-learn: binary::every_figure_agrees_with_scikit_learn",
    "added_log_odds": "statsmodels: covariate::it_is_a_logistic_regression_with_an_offset",
    "auc": "scikit-learn: ranking::auc_and_roc_curve_agree_with_scikit_learn",
    "auc_difference": "scikit-learn: agreement::a_difference_is_that_of_two_areas",
    "auc_interval": "a loop: bootstrap::interval_agrees_with_a_loop_that_copies_rows",
    "auc_statistic": "scikit-learn: ranked::ranking_figures_agree_with_scikit_learn",
    "auc_within": "scikit-learn: agreement::areas_within_groups_are_those_of_their_rows",
    "binary_statistic": "repeated rows: binary::weighted_figures_equal_repeated_rows",
    "brier_statistic": "scikit-learn: ranked::probability_figures_agree_with_scikit_learn",
    "calibration_error_statistics": (
        "scikit-learn: agreement::calibration_errors_by_their_definition"
    ),
    "clopper_pearson": "SciPy: proportions::interval_is_that_of_scipy",
    "clustered_shares": (
        "exact intervals of patients: proportions::without_a_hit_the_patients_count"
    ),
    "conformal_answers": "a loop: agreement::conformal_answers_are_sets",
    "calibration_line_statistics": (
        "statsmodels: agreement::the_calibration_line_is_a_logistic_regression"
    ),
    "confusion": "scikit-learn: binary::every_figure_agrees_with_scikit_learn",
    "confusion_matrix": (
        "scikit-learn: binary::confusion_matrix_of_three_classes_agrees_with_scikit_learn"
    ),
    "decision_statistics": "scikit-learn: ranked::decision_figures_agree_with_scikit_learn",
    "delong_test": "its definition, pair by pair: comparison::delong_by_its_definition",
    "energy_in_lesion": "SciPy: agreement::places_on_maps_agree_with_scipy",
    "fit_conformal": "a quantile: agreement::conformal_thresholds_are_quantiles",
    "fit_isotonic": "scikit-learn: isotonic::agrees_with_scikit_learn",
    "fit_logistic": "statsmodels: agreement::logistic_fits_are_those_of_statsmodels",
    "fit_temperature": "SciPy: agreement::the_temperature_is_scipys_minimum",
    "froc": "a loop: agreement::lesions_are_found_as_a_loop_finds_them",
    "gap_statistic": "scikit-learn: agreement::a_gap_is_that_of_two_groups",
    "holm": "statsmodels: comparison::holm_agrees_with_statsmodels",
    "log_loss_statistic": "scikit-learn: ranked::probability_figures_agree_with_scikit_learn",
    "log_odds": "SciPy: calibration::sigmoid_and_log_odds_agree_with_scipy",
    "mcnemar": "statsmodels: comparison::mcnemar_agrees_with_statsmodels",
    "patient_bootstrap": "SciPy: agreement::intervals_are_near_those_of_scipys_bootstrap",
    "patient_bootstraps": "SciPy: agreement::intervals_are_near_those_of_scipys_bootstrap",
    "permutation_tests": "SciPy: agreement::tests_side_by_side_are_near_scipys_exact_ones",
    "points_at_lesion": "SciPy: agreement::places_on_maps_agree_with_scipy",
    "precision_recall_curve": "scikit-learn: precision_recall::agrees_with_scikit_learn",
    "probabilistic_f1_statistic": (
        "its definition: ranked::probability_figures_agree_with_scikit_learn"
    ),
    "ranked_counts": "scikit-learn: agreement::counts_from_the_top_are_those_of_the_roc_curve",
    "reliability_curve": "scikit-learn: reliability::the_curve_agrees_with_scikit_learn",
    "reliability_statistics": "scikit-learn: agreement::calibration_errors_by_their_definition",
    "roc_curve": "scikit-learn: ranking::auc_and_roc_curve_agree_with_scikit_learn",
    "sensitivity_at_false_marks_statistic": (
        "a loop: agreement::lesions_are_found_as_a_loop_finds_them"
    ),
    "side_by_side": "SciPy: agreement::intervals_are_near_those_of_scipys_bootstrap",
    "sigmoid": "SciPy: calibration::sigmoid_and_log_odds_agree_with_scipy",
    "softmax": "SciPy: calibration::softmax_agrees_with_scipy",
    "threshold_at_cost": (
        "every threshold: ranked::wanted_recall_and_cost_are_the_best_of_all_thresholds"
    ),
    "threshold_at_recall": (
        "every threshold: ranked::wanted_recall_and_cost_are_the_best_of_all_thresholds"
    ),
    "threshold_at_sensitivity": (
        "every threshold: "
        "thresholds::no_other_threshold_reaches_the_sensitivity_with_more_specificity"
    ),
    "threshold_at_specificity": (
        "every threshold: "
        "thresholds::no_other_threshold_reaches_the_specificity_with_more_sensitivity"
    ),
}
"""Name → what it is held against: the file and the test that do it."""

LIBRARIES = {"scikit-learn": "sklearn", "SciPy": "scipy", "statsmodels": "statsmodels"}


def test_every_public_name_has_a_peer():
    assert set(PEERS) | FORMS == set(metrics.__all__)
    assert not set(PEERS) & FORMS
    for name in FORMS:
        value = getattr(metrics, name)
        assert isinstance(value, type) or not callable(getattr(value, "__code__", None)), name


@pytest.mark.parametrize("name", sorted(PEERS))
def test_the_named_test_exists_and_uses_the_function(name):
    peer, place = PEERS[name].rsplit(": ", 1)
    file, test = place.split("::")
    text = (Path(__file__).parent / f"test_{file}.py").read_text("utf-8")
    (found,) = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == f"test_{test}"
    ]
    body = ast.get_source_segment(text, found) or ""
    assert re.search(rf"\b{name}\b", body), f"{place} does not look at {name}"
    assert LIBRARIES.get(peer, "") in text
