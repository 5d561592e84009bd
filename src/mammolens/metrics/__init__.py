"""Figures of performance and their intervals: arrays in, numbers out, NumPy only.

Every figure has an interval over patients. A label that is not known is refused.
"""

from __future__ import annotations

from mammolens.metrics.binary import (
    BINARY_METRICS,
    Confusion,
    binary_statistic,
    confusion,
    confusion_matrix,
    decision_statistics,
)
from mammolens.metrics.bootstrap import (
    Interval,
    Statistic,
    Statistics,
    patient_bootstrap,
    patient_bootstraps,
    side_by_side,
)
from mammolens.metrics.calibration import (
    Isotonic,
    added_log_odds,
    brier_statistic,
    calibration_line_statistics,
    fit_isotonic,
    fit_temperature,
    log_loss_statistic,
)
from mammolens.metrics.comparison import (
    DeLong,
    McNemar,
    delong_test,
    holm,
    mcnemar,
)
from mammolens.metrics.localisation import (
    FrocCurve,
    MarkedImage,
    energy_in_lesion,
    froc,
    points_at_lesion,
    sensitivity_at_false_marks_statistic,
)
from mammolens.metrics.permutation import (
    GapTest,
    gap_statistic,
    permutation_tests,
)
from mammolens.metrics.probability import fit_logistic, log_odds, sigmoid, softmax
from mammolens.metrics.proportions import clopper_pearson, clustered_shares
from mammolens.metrics.ranked import RankedCounts, ranked_counts
from mammolens.metrics.ranking import (
    PrecisionRecall,
    RocCurve,
    auc,
    auc_difference,
    auc_interval,
    auc_statistic,
    auc_within,
    precision_recall_curve,
    probabilistic_f1_statistic,
    roc_curve,
)
from mammolens.metrics.reliability import (
    calibration_error_statistics,
    reliability_curve,
    reliability_statistics,
)
from mammolens.metrics.thresholds import (
    ConformalAnswer,
    ConformalRule,
    conformal_answers,
    fit_conformal,
    threshold_at_cost,
    threshold_at_recall,
    threshold_at_sensitivity,
    threshold_at_specificity,
)

__all__ = [
    "BINARY_METRICS",
    "ConformalAnswer",
    "ConformalRule",
    "Confusion",
    "DeLong",
    "FrocCurve",
    "GapTest",
    "Interval",
    "Isotonic",
    "MarkedImage",
    "McNemar",
    "PrecisionRecall",
    "RankedCounts",
    "RocCurve",
    "Statistic",
    "Statistics",
    "added_log_odds",
    "auc",
    "auc_difference",
    "auc_interval",
    "auc_statistic",
    "auc_within",
    "binary_statistic",
    "brier_statistic",
    "calibration_error_statistics",
    "calibration_line_statistics",
    "clopper_pearson",
    "clustered_shares",
    "conformal_answers",
    "confusion",
    "confusion_matrix",
    "decision_statistics",
    "delong_test",
    "energy_in_lesion",
    "fit_conformal",
    "fit_isotonic",
    "fit_logistic",
    "fit_temperature",
    "froc",
    "gap_statistic",
    "holm",
    "log_loss_statistic",
    "log_odds",
    "mcnemar",
    "patient_bootstrap",
    "patient_bootstraps",
    "permutation_tests",
    "points_at_lesion",
    "precision_recall_curve",
    "probabilistic_f1_statistic",
    "ranked_counts",
    "reliability_curve",
    "reliability_statistics",
    "roc_curve",
    "sensitivity_at_false_marks_statistic",
    "side_by_side",
    "sigmoid",
    "softmax",
    "threshold_at_cost",
    "threshold_at_recall",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
]
