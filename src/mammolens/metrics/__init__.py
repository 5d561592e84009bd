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
    "Confusion",
    "Interval",
    "OperatingPoint",
    "RocCurve",
    "Statistic",
    "Temperature",
    "auc",
    "auc_difference",
    "auc_interval",
    "auc_statistic",
    "binary_metrics",
    "binary_statistic",
    "brier_score",
    "calibration_line",
    "confusion",
    "confusion_matrix",
    "expected_calibration_error",
    "fit_temperature",
    "log_loss",
    "partial_log_loss",
    "patient_bootstrap",
    "ppv_at_prevalence",
    "recall_rate_at_prevalence",
    "reliability_curve",
    "roc_curve",
    "sensitivity_specificity",
    "threshold_at_sensitivity",
    "threshold_at_specificity",
]
