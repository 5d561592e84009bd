"""Figures and their intervals: pure arrays in, numbers out, NumPy only.

No figure stands without an interval over patients, and a label that is not known is refused.
"""

from __future__ import annotations

from mammolens.metrics.binary import (
    BINARY_METRICS,
    Confusion,
    binary_metrics,
    binary_statistic,
    confusion,
    confusion_matrix,
)
from mammolens.metrics.bootstrap import Interval, Statistic, patient_bootstrap
from mammolens.metrics.calibration import (
    Temperature,
    brier_score,
    calibration_line,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    partial_log_loss,
    reliability_curve,
)
from mammolens.metrics.comparison import (
    DeLong,
    McNemar,
    delong_interval,
    delong_test,
    holm,
    mcnemar,
)
from mammolens.metrics.conformal import (
    ConformalAnswer,
    ConformalCoverage,
    ConformalRule,
    conformal_answer,
    conformal_coverage,
    fit_conformal,
)
from mammolens.metrics.covariate import added_log_odds
from mammolens.metrics.decision import (
    DecisionCurve,
    decision_curve,
    first_ranked_sensitivity,
    net_benefit_statistic,
    single_reading_share,
)
from mammolens.metrics.isotonic import (
    Isotonic,
    fit_isotonic,
)
from mammolens.metrics.localisation import (
    FrocCurve,
    MarkedImage,
    energy_in_lesion,
    froc,
    points_at_lesion,
    sensitivity_at_false_marks,
    sensitivity_at_false_marks_statistic,
)
from mammolens.metrics.permutation import GapTest, gap_statistic, permutation_test
from mammolens.metrics.precision_recall import (
    PrecisionRecall,
    average_precision,
    average_precision_statistic,
    partial_auc,
    precision_recall_curve,
    probabilistic_f1,
)
from mammolens.metrics.ranking import (
    RocCurve,
    auc,
    auc_difference,
    auc_interval,
    auc_statistic,
    roc_curve,
)
from mammolens.metrics.thresholds import (
    OperatingPoint,
    ppv_at_prevalence,
    recall_rate_at_prevalence,
    sensitivity_specificity,
    threshold_at_sensitivity,
    threshold_at_specificity,
)

__all__ = [
    "BINARY_METRICS",
    "ConformalAnswer",
    "ConformalCoverage",
    "ConformalRule",
    "Confusion",
    "DeLong",
    "DecisionCurve",
    "FrocCurve",
    "GapTest",
    "Interval",
    "Isotonic",
    "MarkedImage",
    "McNemar",
    "OperatingPoint",
    "PrecisionRecall",
    "RocCurve",
    "Statistic",
    "Temperature",
    "added_log_odds",
    "auc",
    "auc_difference",
    "auc_interval",
    "auc_statistic",
    "average_precision",
    "average_precision_statistic",
    "binary_metrics",
    "binary_statistic",
    "brier_score",
    "calibration_line",
    "conformal_answer",
    "conformal_coverage",
    "confusion",
    "confusion_matrix",
    "decision_curve",
    "delong_interval",
    "delong_test",
    "energy_in_lesion",
    "expected_calibration_error",
    "first_ranked_sensitivity",
    "fit_conformal",
    "fit_isotonic",
    "fit_temperature",
    "froc",
    "gap_statistic",
    "holm",
    "log_loss",
    "mcnemar",
    "net_benefit_statistic",
    "partial_auc",
    "partial_log_loss",
    "patient_bootstrap",
    "permutation_test",
    "points_at_lesion",
    "ppv_at_prevalence",
    "precision_recall_curve",
    "probabilistic_f1",
    "recall_rate_at_prevalence",
    "reliability_curve",
    "roc_curve",
    "sensitivity_at_false_marks",
    "sensitivity_at_false_marks_statistic",
    "sensitivity_specificity",
    "single_reading_share",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
]
