"""From exams to predictions: score, pool over views and breasts, triage, locate.

files → plans → exams → prepared views → the model, on each picture and its mirror → breasts (mean
log-probability over views) → exam (maximum over breasts) → triage category → `Prediction`.
"""

from mammolens.analysis.exam import AnalysisOptions, analyze_exam, analyze_paths
from mammolens.analysis.findings import locate
from mammolens.analysis.pooling import (
    pool_breast,
    pool_exam,
    restate_scores,
    restate_threshold,
    score_pictures,
    score_prepared,
    triage,
)

__all__ = [
    "AnalysisOptions",
    "analyze_exam",
    "analyze_paths",
    "locate",
    "pool_breast",
    "pool_exam",
    "restate_scores",
    "restate_threshold",
    "score_pictures",
    "score_prepared",
    "triage",
]
