"""From exams to predictions: score, pool over views and breasts, triage, locate.

files → plans → exams → prepared views → the model, on each picture and its mirror → breasts (mean
log-probability over views) → exam (maximum over breasts) → triage category → `Prediction`.
Marked regions of one image go another way, to a `RegionReport` (`regions`). Photographs of films
come through a door of their own (`photographs`).
"""

from mammolens.analysis.exam import analyze_exam, analyze_paths, analyze_plan
from mammolens.analysis.findings import locate
from mammolens.analysis.low import shown_by
from mammolens.analysis.options import AnalysisOptions
from mammolens.analysis.photographs import (
    GivenPhotograph,
    analyze_photographs,
    parse_photographs,
)
from mammolens.analysis.pooling import (
    pool_breast,
    pool_exam,
    regard_age,
    restate_scores,
    restate_threshold,
    score_pictures,
    score_prepared,
    triage,
)
from mammolens.analysis.regions import (
    RegionPrediction,
    RegionReport,
    analyze_region_file,
    analyze_regions,
    parse_region,
)

__all__ = [
    "AnalysisOptions",
    "GivenPhotograph",
    "RegionPrediction",
    "RegionReport",
    "analyze_exam",
    "analyze_paths",
    "analyze_photographs",
    "analyze_plan",
    "analyze_region_file",
    "analyze_regions",
    "locate",
    "parse_photographs",
    "parse_region",
    "pool_breast",
    "pool_exam",
    "regard_age",
    "restate_scores",
    "restate_threshold",
    "score_pictures",
    "score_prepared",
    "shown_by",
    "triage",
]
