"""Exams: images are grouped by their headers, then decoded, and their views are checked.

`plan_exams` reads only headers and is fast. `load_exam` decodes the images of one plan and drops
copies. Images of two patients are never in one exam. A refused image stays listed with its exam.
"""

from mammolens.exams.identity import identity_cautions, identity_of, is_placeholder
from mammolens.exams.load import load_exam, make_exam
from mammolens.exams.plan import (
    SEVERAL_PATIENTS,
    ExamPlan,
    Placement,
    place_file,
    plan_exams,
)
from mammolens.exams.views import STANDARD_VIEWS, View, parse_views

__all__ = [
    "SEVERAL_PATIENTS",
    "STANDARD_VIEWS",
    "ExamPlan",
    "Placement",
    "View",
    "identity_cautions",
    "identity_of",
    "is_placeholder",
    "load_exam",
    "make_exam",
    "parse_views",
    "place_file",
    "plan_exams",
]
